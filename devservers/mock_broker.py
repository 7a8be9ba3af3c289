"""A Kafka-protocol broker of our own on loopback: librdkafka's mock cluster.

`python -m devservers.mock_broker NUMBER TOPIC...` prints the addresses of so many brokers when they
are ready and serves until SIGTERM. It speaks the real protocol to any process on this machine and
keeps all data in memory.
"""

import signal
import sys
from collections.abc import Sequence

from confluent_kafka import Producer

from devservers.standins.command import ServedModule


class Broker(ServedModule):
    """A broker, with these topics, in its own process; `address` is its host:port.

    With several, it is a comma-separated list.
    """

    def __init__(self, topics: Sequence[str], brokers: int = 1) -> None:
        super().__init__("mock_broker", str(brokers), *topics)


def main() -> None:
    """Serve the topics named on the command line, by so many brokers, until a signal."""
    # The host is not used: the mock cluster replaces it by its own address.
    number, *topics = sys.argv[1:]
    cluster = Producer(
        {"bootstrap.servers": "mock", "test.mock.num.brokers": int(number), "log_level": 0}
    )
    brokers = cluster.list_topics(timeout=10).brokers.values()
    # The mock creates a topic when a client requests it, always with 4 partitions: librdkafka has
    # no setting for it. The live topics have 3, so nothing may depend on the number.
    for topic in topics:
        cluster.list_topics(topic, timeout=10)
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
