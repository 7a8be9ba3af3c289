"""Resource usage of the process, by the names that all Prometheus clients use."""

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from common.metrics.prometheus import heading

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


def lines() -> Iterator[str]:
    """The current values, as lines of the text format."""
    size, resident = map(int, Path("/proc/self/statm").read_text().split()[:2])
    most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    for name, documentation, value in (
        ("virtual_memory_bytes", "Virtual memory size in bytes.", size * _PAGE),
        ("resident_memory_bytes", "Resident memory size in bytes.", resident * _PAGE),
        ("start_time_seconds", "Start time of the process since unix epoch.", _started_at()),
        ("open_fds", "Number of open file descriptors.", len(os.listdir("/proc/self/fd"))),
        ("max_fds", "Maximum number of open file descriptors.", most_files),
    ):
        yield from heading("gauge", f"process_{name}", documentation)
        yield f"process_{name} {float(value)}"
    name = "process_cpu_seconds_total"
    yield from heading("counter", name, "Total user and system CPU time spent in seconds.")
    yield f"{name} {time.process_time()}"


def _started_at() -> float:
    """Unix time of the start; the kernel counts from boot."""
    status = Path("/proc/self/stat").read_text()
    # The second field is a name, with any characters.
    ticks = int(status.rpartition(")")[2].split()[19])
    boot = Path("/proc/stat").read_text().split("\nbtime ")[1].split()[0]
    return int(boot) + ticks / _TICKS
