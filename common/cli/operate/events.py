"""Events of the outbox: look at them, and send or delete those that were set aside."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from common.cli.operate import action
from common.cli.operate.action import Done
from common.database.audit import Changed, Operator
from common.database.session import Connection, Session
from common.errors import PassError
from common.events import outbox_admin
from common.events.outbox_admin import Chosen


def listing(connection: Session, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """Events set aside, oldest first, then waiting events, each with its state."""
    return map(_with_state, outbox_admin.listing(connection, chosen))


def one(connection: Connection, number: int) -> dict[str, Any]:
    """An event with its payload and state. Raises PassError if there is none with this id."""
    event = outbox_admin.event(connection, number)
    if event is None:
        raise PassError(f"event {number}: no such event; see `toast outbox`")
    return _with_state(event)


def retry(connection: Session, operator: Operator, chosen: Chosen) -> Done:
    """Send events that were set aside after all."""
    return _change(connection, operator, "outbox retry", outbox_admin.retry, chosen)


def drop(connection: Session, operator: Operator, chosen: Chosen) -> Done:
    """Delete events that were set aside."""
    return _change(connection, operator, "outbox drop", outbox_admin.drop, chosen)


def _change(
    connection: Session,
    operator: Operator,
    name: str,
    change: Callable[[Connection, Chosen], Changed],
    chosen: Chosen,
) -> Done:
    refused = [text for each in chosen.ids or () if (text := _refusal(connection, each))]
    subject = action.subject(chosen.service, chosen.topic)
    changed = action.do(connection, operator, name, subject, partial(change, connection, chosen))
    return Done(changed, refused)


def _refusal(connection: Connection, number: int) -> str:
    """Why this event cannot be changed; "" if it can."""
    event = outbox_admin.event(connection, number)
    if event and event["set_aside_at"]:
        return ""
    reason = "it is waiting to be published" if event else "no such event; see `toast outbox`"
    return f"event {number} is not set aside: {reason}"


def _with_state(event: Mapping[str, Any]) -> dict[str, Any]:
    is_aside, is_refused = event["set_aside_at"], event["error"]
    return {**event, "state": "set aside" if is_aside else "refused" if is_refused else "waiting"}
