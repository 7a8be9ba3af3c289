"""What consumers have heard: every event once, or again with the same id and the same bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from testing.topics import ReceivedMessage, Topic


@dataclass(frozen=True, slots=True)
class Heard:
    """What consumers have got: ``duplicates`` repeat an id, ``altered`` with other bytes."""

    by_key: Mapping[str, int]
    duplicates: int
    altered: int

    def lost(self, keys: Iterable[str]) -> int:
        """How many of these keys have had no event."""
        return sum(key not in self.by_key for key in keys)

    def second(self, keys: Iterable[str]) -> int:
        """How many events too many there were: beyond one per key, or for no key of these."""
        expected = set(keys)
        return sum(count - 1 if key in expected else count for key, count in self.by_key.items())


def heard(messages: Iterable[ReceivedMessage]) -> Heard:
    """Judge what has come on a topic, or on several."""
    bytes_of: defaultdict[str, set[tuple[object, ...]]] = defaultdict(set)
    keys: dict[str, str] = {}
    total = 0
    for message in messages:
        total += 1
        event = dict(message.headers)["ce_id"]
        keys[event] = message.key
        bytes_of[event].add((message.key, message.value, message.headers))
    altered = sum(len(versions) - 1 for versions in bytes_of.values())
    return Heard(Counter(keys.values()), total - len(keys), altered)


class Consumers:
    """Read some groups of topics from now on."""

    def __init__(self, brokers: str, groups: Sequence[Sequence[str]]) -> None:
        self._groups = [[Topic(brokers, name) for name in group] for group in groups]

    def heard(self) -> list[Heard]:
        """What has come until now, for each group."""
        return [
            heard(message for topic in group for message in topic.so_far())
            for group in self._groups
        ]
