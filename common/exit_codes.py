"""The exit codes of `toast` and of the workers."""

FINE = 0
FAILED = 1
USAGE = 2
# EX_SOFTWARE of sysexits.h: a thread died; supervisord and systemd restart the process.
BUG = 70
# EX_CONFIG of sysexits.h: supervisord and systemd do not restart on it.
BAD_SETTINGS = 78
# 128 + SIGINT, as in a shell.
INTERRUPTED = 130
