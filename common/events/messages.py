"""Messages to Kafka and what became of them, apart from the library that sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class KafkaUnavailable(Exception):
    """No broker could be asked."""


# A tuple, for one is made per event: a frozen dataclass takes several times as long.
class Outgoing(NamedTuple):
    """One message to be sent; ``id`` is the caller's own name for it."""

    id: int
    topic: str
    key: str
    value: str
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not stored.

    ``refused`` where trying the same again will not help, and ``shared`` where the broker may
    have meant another message that was sent along with it.
    """

    reason: str
    refused: bool
    shared: bool = False
