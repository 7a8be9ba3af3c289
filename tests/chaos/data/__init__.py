"""Campaigns about rows and tables: bad rows, odd tables, flapping alerts, retention, starvation."""
