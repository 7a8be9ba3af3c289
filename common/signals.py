"""The signals that ask this process to end."""

import signal
from collections.abc import Iterable

# A crash, which must leave its trace, and what cannot be caught.
_CRASHES = {
    *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGKILL),
    *(signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP),
}
# By default they do nothing, or stop the process until SIGCONT.
_HARMLESS = {
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
}


def ending() -> set[int]:
    """The signals that would end this process, apart from crashes.

    Without those that it ignores since its start: SIGHUP under nohup, Ctrl-C in the background of
    a script, and SIGPIPE and SIGXFSZ, which Python ignores.
    """
    return not_ignored(signal.valid_signals() - _CRASHES - _HARMLESS)


def not_ignored(numbers: Iterable[int]) -> set[int]:
    """Those of these signals that this process does not ignore."""
    return {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}


def name(number: int) -> str:
    """`SIGTERM`, `SIGRTMIN+1`."""
    if number in set(signal.Signals):
        return signal.Signals(number).name
    return f"SIGRTMIN+{number - signal.SIGRTMIN}"
