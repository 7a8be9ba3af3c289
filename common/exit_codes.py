"""The exit codes of `toast` and of the workers."""

import signal

FINE = 0
FAILED = 1
USAGE = 2
# EX_SOFTWARE of sysexits.h: a thread died; supervisord and systemd restart the process.
BUG = 70
# EX_IOERR of sysexits.h: standard output cannot be written.
UNWRITABLE = 74
# EX_CONFIG of sysexits.h: supervisord and systemd do not restart on it.
BAD_SETTINGS = 78
# Plus the number of the signal that ended the command, as in a shell.
SIGNAL = 128
INTERRUPTED = SIGNAL + signal.SIGINT
# The reader of standard output has closed it: as if SIGPIPE had ended the command.
READER_GONE = SIGNAL + signal.SIGPIPE
