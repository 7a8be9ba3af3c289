"""`toast once`: one pass of some schedulers in the foreground."""
