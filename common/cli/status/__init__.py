"""`toast status`: the state of every scheduler, outbox and process.

``collector`` reads the database and the process managers, ``text`` formats, ``screen`` prints.
"""
