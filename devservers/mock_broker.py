"""A Kafka-protocol broker of our own on loopback: librdkafka's mock cluster.

`python -m devservers.mock_broker TOPIC...` prints its address once it is ready and serves until its
standard input closes, so it never outlives the process that started it. It speaks the real
protocol to any process on this machine and keeps everything in memory.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from confluent_kafka import Producer

from devservers.child_processes import ServerError, end

STOP_SECONDS = 5


class Broker:
    """The broker, with these topics, in a process of its own.

    `address` is its host:port once started.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self.address = ""
        self._topics = topics
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start an empty broker on a port of its choice; raises ServerError if it cannot."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self._topics],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        if not self.address:
            _, problems = self._process.communicate()
            raise ServerError(f"the broker did not start:\n{problems.decode()[-2000:]}")

    def stop(self) -> None:
        """Stop it, with everything in it."""
        if self._process is not None:
            with self._process as process:
                end(process, signal.SIGTERM, STOP_SECONDS)
            self._process = None


def main() -> None:
    """Serve the topics named on the command line until standard input closes."""
    # The host is never asked: the mock cluster puts its own address in its place.
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    # The mock creates a topic when a client asks for it, always with 4 partitions: librdkafka
    # offers no setting for it. The live topics have 3, so nothing may count on the number.
    for topic in sys.argv[1:]:
        cluster.list_topics(topic, timeout=10)
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
