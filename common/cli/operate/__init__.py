"""The commands by which operators look up what happened, and act on single rows and events."""
