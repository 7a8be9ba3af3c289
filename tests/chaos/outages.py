"""Servers that are away for a while, and how late workers are in the meantime."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from devservers.kafka import KafkaServer
from devservers.postgres import PostgresServer
from testing.processes import Process


@contextmanager
def away(server: PostgresServer | KafkaServer, how: str) -> Iterator[None]:
    """Let a server be frozen, killed or stopped; PostgreSQL can also stop as in a crash."""
    if how == "frozen":
        server.freeze()
    elif how == "killed":
        server.kill()
    elif how == "crashed" and isinstance(server, PostgresServer):
        server.stop("immediate")
    else:
        server.stop()
    try:
        yield
    finally:
        if how == "frozen":
            server.thaw()
        else:
            server.start()


def moment(record: dict[str, str]) -> float:
    """The time of a log record, in seconds."""
    return datetime.fromisoformat(record["time"]).timestamp()


def first_good_pass(worker: Process, since: float) -> float | None:
    """When the worker first finished a pass after that time."""
    ends = (moment(record) for record in worker.records("pass_finished"))
    return next((end for end in ends if end >= since), None)


def late_passes(worker: Process, interval: float, *, late: float, **fields: object) -> int:
    """How many passes began more than ``late`` seconds after a multiple of the interval."""
    began = [moment(record) for record in worker.records("pass_started", **fields)]
    assert len(began) > 1, f"no second pass of {fields}"
    offsets = [(each - began[0]) % interval for each in began]
    # A tick may be early, too: by a tenth of the interval.
    return sum(late < offset < interval * 0.9 for offset in offsets)
