"""Messages to Kafka and their failures, independent of the Kafka library."""

from dataclasses import dataclass
from typing import NamedTuple

# As confluent_kafka takes them.
Headers = list[tuple[str, str | bytes | None]]


class KafkaUnavailable(Exception):
    """No broker responds."""


# A tuple, because each event needs one: a frozen dataclass takes several times as long.
class Outgoing(NamedTuple):
    """One message to send; ``id`` is the caller's."""

    id: int
    topic: str
    key: str
    value: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not stored.

    ``refused``: a retry of the same message fails, too. ``shared``: another message of the
    same request may be the cause. ``of_topic``: nothing is wrong with the message, its topic does
    not take any.
    """

    reason: str
    refused: bool
    shared: bool = False
    of_topic: bool = False
