"""`make run`: the eight workers, with servers, live tables and sample data on loopback.

``launcher.main`` runs all of it; not installed on a VM.
"""
