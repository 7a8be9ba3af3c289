"""`toast outbox`: lists, retries and drops events that wait or were set aside."""

from collections.abc import Callable, Mapping
from typing import Any

from common.cli import text_table
from common.database.session import Connection
from common.events import outbox

MOST_ROWS = 100


def overview(connection: Connection) -> str:
    """The number of events that wait and were set aside, and the first of them."""
    summary = outbox.summary(connection)
    rows = [_event(row) for row in outbox.listing(connection, MOST_ROWS)]
    oldest = f", the oldest since {summary.oldest:%Y-%m-%d %H:%M:%S}" if summary.oldest else ""
    lines = [f"{summary.waiting} waiting{oldest}; {summary.set_aside} set aside"]
    if rows:
        lines.append(
            text_table.render(("id", "service", "topic", "key", "since", "tries", "state"), rows)
        )
    if len(rows) < summary.waiting + summary.set_aside:
        lines.append(f"(the first {len(rows)} are shown)")
    return "\n".join(lines)


def fault(connection: Connection, change: Callable[[Connection, int], bool], event: int) -> str:
    """Retry or drop an event that was set aside; returns why that is not possible, or ""."""
    if change(connection, event):
        return ""
    waits = outbox.is_waiting(connection, event)
    return "it is waiting to be published" if waits else "no such event; see `toast outbox`"


def _event(row: Mapping[str, Any]) -> tuple[object, ...]:
    state = "set aside: " if row["set_aside_at"] else "refused: " if row["error"] else "waiting"
    since = f"{row['occurred_at']:%Y-%m-%d %H:%M:%S}"
    texts = (row["id"], row["service"], row["topic"], row["key"], since, row["tries"])
    return (*texts, state + row["error"])
