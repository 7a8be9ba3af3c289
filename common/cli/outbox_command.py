"""`toast outbox`: lists, retries and drops events that wait or were set aside."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common import exit_codes
from common.cli import output, text_table
from common.cli.services import Services, database
from common.database import migrations, own_tables
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


def run(services: Services, options: argparse.Namespace) -> int:
    """Show the outbox, or do the chosen action for one event."""
    with database(services, options).connect() as connection:
        migrations.require(connection, own_tables.PUBLISHING, may_apply=False)
        if "change" not in options:
            output.show_report(overview(connection), as_json=options.json)
            return exit_codes.FINE
        if not options.change(connection, options.id):
            raise PassError(_refusal(connection, options.id))
    done = {"done": options.done, "event": options.id}
    output.show(output.as_json(done) if options.json else "{done}: event {event}".format(**done))
    return exit_codes.FINE


def overview(connection: Connection) -> Overview:
    """Read the outbox of all services."""
    return Overview(outbox.summary(connection), outbox.listing(connection, MOST_ROWS))


def _refusal(connection: Connection, event: int) -> str:
    waits = outbox.is_waiting(connection, event)
    reason = "it is waiting to be published" if waits else "no such event; see `toast outbox`"
    return f"event {event} is not set aside: {reason}"


def _state(event: Mapping[str, Any]) -> str:
    return "set aside" if event["set_aside_at"] else "refused" if event["error"] else "waiting"


def _row(event: Mapping[str, Any]) -> tuple[object, ...]:
    state = _state(event)
    return (
        *(event["id"], event["service"], event["topic"], event["key"]),
        *(f"{event['occurred_at']:%Y-%m-%d %H:%M:%S}", event["tries"]),
        state if state == "waiting" else f"{state}: {event['error']}",
    )
