"""Benchmarks of the page, `toast web`, on a month of runs and a full outbox."""
