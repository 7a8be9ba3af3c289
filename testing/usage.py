"""What processes use: CPU time and memory."""

import os
import statistics
import tempfile
import time
from pathlib import Path

from testing.database import TestDatabase

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The CPU time of all threads of a process, also of those that have ended."""
    # The process's clock by clock_getcpuclockid(3): to the nanosecond; /proc has clock ticks.
    return time.clock_gettime((~pid << 3) | 2)


def cpu_seconds_of_family(pid: int) -> float:
    """The CPU time of a process and its children, ended or running, in ticks of the clock."""
    while True:
        own, of_ended = _ticks(pid)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        running = sum(map(_of_child, children))
        if _ticks(pid)[1] == of_ended:  # else a child has ended meanwhile, and counts with it
            return (own + of_ended) / _TICKS + running


def server_of(database: TestDatabase) -> int:
    """The process of PostgreSQL whose children are its sessions."""
    session = database.one("SELECT pg_backend_pid() AS pid")["pid"]
    return int(_stat(session)[1])


def _ticks(pid: int) -> tuple[int, int]:
    """The CPU time of a process, and of its children that have ended."""
    user, system, of_ended_user, of_ended_system = map(int, _stat(pid)[11:15])
    return user + system, of_ended_user + of_ended_system


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may have blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _of_child(pid: str) -> float:
    try:
        return cpu_seconds_of_family(int(pid))
    except FileNotFoundError:  # it has ended
        return 0.0


def proportional_set_size(pid: int) -> float:
    """MB of memory; a page that n processes share counts 1/n."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("\nPss:")[1].split()[0]) * 1024 / 1e6


def sync_milliseconds() -> float:
    """How long the disk of the temporary files takes to keep a page: the median of 50."""
    with tempfile.TemporaryFile() as file:
        return 1000 * statistics.median(_sync_seconds(file.fileno()) for _ in range(50))


def _sync_seconds(file: int) -> float:
    os.pwrite(file, bytes(8192), 0)
    began = time.perf_counter()
    os.fdatasync(file)
    return time.perf_counter() - began
