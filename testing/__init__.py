"""What tests and benchmarks share: fresh databases, worker processes, due rows and topics.

``database.TestDatabase`` is a database of one test, with ``insert``, ``query``, ``one`` and
``count``; ``passes.run_pass`` is a pass in this process, ``processes.Process`` a worker or command,
which ``forks`` makes cheap to start, ``topics.Topic`` a topic's messages, ``workload.Rows`` due
rows and what must become of them, ``scheduler_cases.CASES`` the rows of each scheduler,
``arena.Arena`` the servers of a campaign.
"""
