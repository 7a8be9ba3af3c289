"""A Kafka-protocol broker of our own on loopback: librdkafka's mock cluster.

`python -m devservers.mock_broker TOPIC...` prints its address when it is ready and serves until its
standard input closes, so it ends with the process that started it. It speaks the real protocol to
any process on this machine and keeps all data in memory.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Self

from confluent_kafka import Producer

from devservers.checkout import ROOT
from devservers.child_processes import ServerError, end

STOP_SECONDS = 5


class Broker:
    """The broker, with these topics, in its own process; `address` is its host:port."""

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
        """Start an empty broker on any free port; raises ServerError if that fails."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *self._topics],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        if not self.address:
            _, problems = self._process.communicate()
            raise ServerError(f"the broker did not start:\n{problems.decode()[-2000:]}")

    def stop(self) -> None:
        """Stop it; its data is lost."""
        if self._process is not None:
            with self._process as process:
                end(process, signal.SIGTERM, STOP_SECONDS)
            self._process = None


def main() -> None:
    """Serve the topics named on the command line until standard input closes."""
    # The host is not used: the mock cluster replaces it by its own address.
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    # The mock creates a topic when a client requests it, always with 4 partitions: librdkafka has
    # no setting for it. The live topics have 3, so nothing may depend on the number.
    for topic in sys.argv[1:]:
        cluster.list_topics(topic, timeout=10)
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
