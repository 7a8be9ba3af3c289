"""The events that consumers received: each once, or again with the same id and the same bytes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from testing.topics import ReceivedMessage, Topic


@dataclass(frozen=True, slots=True)
class ConsumedEvents:
    """Events received: how many ids per key, how many ``duplicates`` of an id, and how many of
    these were ``altered``, with other bytes."""

    by_key: Mapping[str, int]
    duplicates: int
    altered: int

    def lost(self, keys: Iterable[str]) -> int:
        """How many of these keys had no event."""
        return sum(key not in self.by_key for key in keys)

    def second(self, keys: Iterable[str]) -> int:
        """How many events too many there were: beyond one per key, or for no key of these."""
        expected = set(keys)
        return sum(count - 1 if key in expected else count for key, count in self.by_key.items())


def consumed_events(messages: Iterable[ReceivedMessage]) -> ConsumedEvents:
    """Count the messages of one topic, or of several."""
    bytes_of: defaultdict[str, set[tuple[object, ...]]] = defaultdict(set)
    keys: dict[str, str] = {}
    total = 0
    for message in messages:
        total += 1
        event = dict(message.headers)["ce_id"]
        keys[event] = message.key
        bytes_of[event].add((message.key, message.value, message.headers))
    altered = sum(len(versions) - 1 for versions in bytes_of.values())
    return ConsumedEvents(Counter(keys.values()), total - len(keys), altered)


class Consumers:
    """Read some groups of topics from now on."""

    def __init__(self, brokers: str, groups: Sequence[Sequence[str]]) -> None:
        self._groups = [[Topic(brokers, name) for name in group] for group in groups]

    def events(self) -> list[ConsumedEvents]:
        """The events received until now, for each group."""
        return [
            consumed_events(message for topic in group for message in topic.so_far())
            for group in self._groups
        ]
