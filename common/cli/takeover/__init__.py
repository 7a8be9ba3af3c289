"""`toast takeover`: from the live services to the workers."""
