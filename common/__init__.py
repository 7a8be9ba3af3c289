"""What every worker needs, and nothing that knows a service."""
