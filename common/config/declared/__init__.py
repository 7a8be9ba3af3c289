"""The settings that all workers share, and those of the page, by what they are for."""
