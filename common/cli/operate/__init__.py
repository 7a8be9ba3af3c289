"""What operators do and look up: functions that take values and return them.

Their callers are the commands in `commands/`, which parse and print, and the web page.
"""
