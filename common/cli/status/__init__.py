"""`toast status`: what every scheduler did and does, and how the processes are.

``collector`` asks the database and the process managers, ``text`` formats, ``screen`` shows.
"""
