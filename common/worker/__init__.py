"""The worker process of a service: its threads, signals, HTTP port and watchdog.

``worker_process.main`` runs one service until it is stopped.
"""
