"""Settings files: read, and compared with what other programs read in them."""
