"""What tests and benchmarks share: fresh databases, worker processes, due rows and topics.

``database.TestDatabase`` is a database of one test, ``processes.Process`` a worker or command,
``arena.Arena`` servers for many of them, ``scheduler_cases`` the rows of each scheduler.
"""
