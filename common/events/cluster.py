"""The cluster behind KAFKA_BROKERS: what its metadata says, and whether its brokers can be reached.

A client connects to the address that a broker advertises. Behind a container or NAT that is often
another than in KAFKA_BROKERS, and one that only the brokers' own network knows.
"""

import json
import time
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ClusterMetadata,
)

from common.config import KAFKA_BROKERS, Settings
from common.events.kafka_client import BrokerFault, ConnectionErrors, broker_fault, configuration
from common.events.messages import KafkaUnavailable

# How often a connection that is not there yet is looked at.
_TICK_SECONDS = 0.5
_STATISTICS_SECONDS = 0.1
# A host may have several addresses, of which one works: time to try them all.
_SETTLING_SECONDS = 1.0


class Cluster(NamedTuple):
    """A client for questions, and the brokers and topics of its cluster.

    ``faults`` has one for each broker that cannot be reached at the address that it advertises, or
    that refuses this client.
    """

    client: AdminClient
    metadata: ClusterMetadata
    faults: list[BrokerFault]

    @property
    def is_usable(self) -> bool:
        """False if no broker of the metadata can be reached."""
        return len(self.faults) < len(self.metadata.brokers)

    @property
    def has_controller(self) -> bool:
        """Whether a broker is the controller; librdkafka asks it about topics and groups, and would
        wait for one until the request's timeout."""
        return self.metadata.controller_id in self.metadata.brokers


def connect(settings: Settings, seconds: float) -> Cluster:
    """Connect to every broker of the cluster, for at most ``seconds``.

    Raises KafkaUnavailable with the reason if no broker answers, or if librdkafka cannot use the
    settings.
    """
    common, states = configuration(settings), _BrokerStates()
    errors, deadline = ConnectionErrors(common), time.monotonic() + seconds
    try:
        client = AdminClient(
            {
                **common,
                "error_cb": errors,  # type: ignore[dict-item]
                # Otherwise it connects to a broker when it needs it.
                "enable.sparse.connections": "false",
                "statistics.interval.ms": str(round(_STATISTICS_SECONDS * 1000)),
                "stats_cb": states,  # type: ignore[dict-item]
            }
        )
        metadata = _metadata(client, errors, deadline)
    except KafkaException as error:
        raise KafkaUnavailable(errors.explain(error.args[0])) from error
    missing = _unreached(client, metadata, states, errors, deadline)
    silent = f"no answer within {seconds:g} s"
    faults = []
    for number in sorted(missing):
        broker = metadata.brokers[number]
        address = f"{broker.host}:{broker.port}"
        unknown = broker_fault(number, address, silent, settings[KAFKA_BROKERS])
        faults.append(errors.of_brokers.get(number, unknown))
    return Cluster(client, metadata, faults if metadata.brokers else [_none(settings)])


def _none(settings: Settings) -> BrokerFault:
    first, *_ = settings[KAFKA_BROKERS]
    fix = "look into the brokers' log: none of them has registered with the controller"
    return BrokerFault(first, "the cluster's metadata name no broker", fix)


class _BrokerStates:
    """The callback ``stats_cb`` of a client: keeps the ids of the brokers that it has reached."""

    def __init__(self) -> None:
        self.reached: set[int] = set()

    def __call__(self, statistics: str) -> None:
        brokers = json.loads(statistics)["brokers"].values()
        self.reached = {broker["nodeid"] for broker in brokers if broker["state"] == "UP"}


def _metadata(client: AdminClient, errors: ConnectionErrors, deadline: float) -> ClusterMetadata:
    while True:
        try:
            return client.list_topics(timeout=_TICK_SECONDS)
        except KafkaException:
            client.poll(0)  # calls errors
            if errors.is_refused or time.monotonic() > deadline:
                raise


def _unreached(
    client: AdminClient,
    metadata: ClusterMetadata,
    states: _BrokerStates,
    errors: ConnectionErrors,
    deadline: float,
) -> set[int]:
    """The ids of the brokers that are not reached until the deadline, or until all have failed."""
    settled_at = time.monotonic() + _SETTLING_SECONDS
    while True:
        client.poll(_STATISTICS_SECONDS)  # calls errors and states
        missing = metadata.brokers.keys() - states.reached
        now = time.monotonic()
        have_failed = missing <= errors.of_brokers.keys() and now > settled_at
        if have_failed or not missing or now > deadline:
            return missing
