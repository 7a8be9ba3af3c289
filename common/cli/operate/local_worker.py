"""The running worker of a service on this machine, whoever started it."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from common.cli.status import processes
from common.database.controls import triggers
from common.database.session import Connection


def find(connection: Connection, service: str, schedulers: Sequence[str]) -> int | None:
    """The process of the worker that ran one of these schedulers last, or before its first run
    that of systemd or supervisord; None if there is none."""
    ran = triggers.processes(connection, service, schedulers)
    return next(chain(filter(is_running, ran), _managed(service)), None)


def _managed(service: str) -> Iterator[int]:
    for process in processes.managed([service]):
        if process.service == service and process.pid:
            # Its unit may have another user namespace than ours, which hides it in /proc. Of a
            # unit that is active, systemd knows that the worker is ready.
            is_hidden = not Path(f"/proc/{process.pid}").exists()
            if is_running(process.pid) or (is_hidden and process.state.startswith("active ")):
                yield process.pid


def is_running(process: int) -> bool:
    """Whether this is a worker: unlike other processes, it takes SIGUSR1 and does not end by it."""
    # Of the thread that waits for signals, the kernel shows them as not blocked.
    return any(map(_blocks, Path(f"/proc/{process}/task").glob("*/status")))


def _blocks(thread: Path) -> bool:
    with suppress(OSError):
        for line in thread.read_text().splitlines():
            name, _, mask = line.partition(":")
            if name == "SigBlk":
                return bool(int(mask, 16) >> (signal.SIGUSR1 - 1) & 1)
    return False


def may_wake(process: int) -> bool:
    """Whether this user may send it a signal."""
    with suppress(ProcessLookupError):
        try:
            os.kill(process, 0)
        except PermissionError:
            return False
    return True


def wake(process: int) -> None:
    """Let it read its triggers; a worker that has ended meanwhile is no error."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGUSR1)
