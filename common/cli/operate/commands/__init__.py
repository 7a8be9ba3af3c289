"""The commands by which operators look up what happened, and act on schedulers, rows and events."""
