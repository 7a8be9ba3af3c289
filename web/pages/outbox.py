"""The outbox: what waits for Kafka, by topic, and the events that Kafka has refused."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.cli.operate import events
from common.errors import PassError
from common.events import outbox_admin
from common.events.outbox_admin import Chosen, Topic
from web.pages.paging import Rows, rows_of
from web.site import Asked

# Of the events that wait, the page counts no more for each service.
MOST_EVENTS = 5_000


@dataclass(frozen=True, slots=True)
class Outbox:
    """The topics with waiting events, who publishes now, and the events that are set aside.

    Of each service the first ``most_events`` are counted; if not ``is_complete``, more wait.
    """

    waiting: int
    is_complete: bool
    topics: Sequence[Topic]
    publishers: Mapping[str, str]
    set_aside: int
    found: Rows
    service: str
    topic: str
    most_events: int = MOST_EVENTS


@dataclass(frozen=True, slots=True)
class OneEvent:
    """An event with its payload."""

    event: Mapping[str, Any]


def load(asked: Asked) -> Outbox:
    """Read it, by ``?service=`` and ``?topic=``."""
    which = chosen(asked)
    services = [which.service] if which.service else asked.site.services.names
    counted = outbox_admin.topics(asked.connection, services, MOST_EVENTS)
    of_service = Counter[str]()
    for each in counted:
        of_service[each.service] += each.waiting
    topics = [each for each in counted if which.topic in (None, each.topic)]
    return Outbox(
        sum(each.waiting for each in topics),
        all(number < MOST_EVENTS for number in of_service.values()),
        topics,
        outbox_admin.publishers(asked.connection),
        outbox_admin.number_set_aside(asked.connection, which),
        rows_of(outbox_admin.set_aside(asked.connection, which), asked.query),
        which.service or "",
        which.topic or "",
    )


def load_event(asked: Asked, number: int) -> OneEvent:
    """Read one. Raises LookupError if it is not there: Kafka has it, or it never was."""
    try:
        return OneEvent(events.one(asked.connection, number))
    except PassError:
        raise LookupError(f"event {number}: Kafka has it, or there was none") from None


def chosen(asked: Asked, ids: Sequence[int] | None = None) -> Chosen:
    """The events that the query chooses."""
    return Chosen(ids, asked.query.get("service") or None, asked.query.get("topic") or None)
