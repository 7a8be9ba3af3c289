"""`toast outbox`: lists, retries and drops events that wait or were set aside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common.cli import output, text_table
from common.database.session import Connection
from common.errors import PassError
from common.events import outbox
from common.events.outbox import Summary

MOST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Overview:
    """The number of events that wait and were set aside, and the first of them."""

    summary: Summary
    events: Sequence[Mapping[str, Any]]

    def as_json(self) -> str:
        """One object: waiting, oldest, set_aside, and the list of events."""
        events = [{**event, "state": _state(event)} for event in self.events]
        return output.as_json({**asdict(self.summary), "events": events})

    def as_text(self) -> str:
        """A line with the numbers, and a table of the events."""
        box = self.summary
        oldest = f", the oldest since {box.oldest:%Y-%m-%d %H:%M:%S}" if box.oldest else ""
        lines = [f"{box.waiting} waiting{oldest}; {box.set_aside} set aside"]
        if self.events:
            header = ("id", "service", "topic", "key", "since", "tries", "state")
            lines.append(text_table.render(header, map(_row, self.events)))
        if len(self.events) < box.waiting + box.set_aside:
            lines.append(f"(the first {len(self.events)} are shown)")
        return "\n".join(lines)


def overview(connection: Connection) -> Overview:
    """Read the outbox of all services."""
    return Overview(outbox.summary(connection), outbox.listing(connection, MOST_ROWS))


def change(connection: Connection, action: Callable[[Connection, int], bool], event: int) -> None:
    """Retry or drop an event that was set aside. Raises PassError if it is not set aside."""
    if not action(connection, event):
        waits = outbox.is_waiting(connection, event)
        reason = "it is waiting to be published" if waits else "no such event; see `toast outbox`"
        raise PassError(f"event {event} is not set aside: {reason}")


def _state(event: Mapping[str, Any]) -> str:
    return "set aside" if event["set_aside_at"] else "refused" if event["error"] else "waiting"


def _row(event: Mapping[str, Any]) -> tuple[object, ...]:
    state = _state(event)
    return (
        *(event["id"], event["service"], event["topic"], event["key"]),
        *(f"{event['occurred_at']:%Y-%m-%d %H:%M:%S}", event["tries"]),
        state if state == "waiting" else f"{state}: {event['error']}",
    )
