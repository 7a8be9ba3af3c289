"""`toast outbox`: lists, shows, retries and drops events that wait or were set aside."""

import argparse
from functools import partial

from common import exit_codes
from common.cli import output
from common.cli.operate import bulk, listing
from common.cli.operate.listing import Row
from common.cli.services import Services, database
from common.database import migrations, own_tables
from common.database.session import Connection, Session
from common.errors import PassError
from common.events import outbox_admin
from common.events.outbox_admin import Chosen

_HEADER = ("id", "service", "topic", "key", "since", "tries", "state")
_CHANGES = {"retry": outbox_admin.retry, "drop": outbox_admin.drop}


def run(services: Services, options: argparse.Namespace) -> int:
    """List the outbox, show one event, or change those that are chosen."""
    with database(services, options).connect() as connection:
        migrations.require(connection, own_tables.OPERATING, may_apply=False)
        if options.action in _CHANGES:
            return _change(connection, options)
        if options.action == "show":
            return _show(connection, options)
        return _list(connection, options)


def _list(connection: Session, options: argparse.Namespace) -> int:
    chosen = Chosen(None, options.service, options.topic)
    box = outbox_admin.summary(connection, chosen)
    publishers = outbox_admin.publishers(connection)
    if options.json:
        about = {"waiting": box.waiting, "oldest": box.oldest, "set_aside": box.set_aside}
        output.show(output.as_json({**about, "publishers": publishers}))
    oldest = f", the oldest since {listing.moment(box.oldest)}" if box.oldest else ""
    title = [f"{box.waiting} waiting{oldest}; {box.set_aside} set aside"]
    title += [f"{service}: published now from {where}" for service, where in publishers.items()]
    events = outbox_admin.listing(connection, chosen)
    listing.show(
        ({**event, "state": _state(event)} for event in events),
        _HEADER,
        _cells,
        as_json=options.json,
        title="\n".join(title),
    )
    return exit_codes.FINE


def _show(connection: Connection, options: argparse.Namespace) -> int:
    event = outbox_admin.event(connection, options.id)
    if event is None:
        raise PassError(f"event {options.id}: no such event; see `toast outbox`")
    listing.show_one({**event, "state": _state(event)}, as_json=options.json)
    return exit_codes.FINE


def _change(connection: Session, options: argparse.Namespace) -> int:
    bulk.require_choice(options, "service", "topic")
    chosen = Chosen(options.id or None, options.service, options.topic)
    if options.action == "drop" and not options.id:
        count = outbox_admin.summary(connection, chosen).set_aside
        bulk.confirm(options, f"Delete {count} events that were set aside?")
    refused = [text for each in options.id if (text := _refusal(connection, each))]
    do = partial(_CHANGES[options.action], connection, chosen)
    changed = bulk.change(connection, options, do)
    return bulk.show_changed(options, "event", changed, refused)


def _refusal(connection: Connection, number: int) -> str:
    """Why this event cannot be changed; "" if it can."""
    event = outbox_admin.event(connection, number)
    if event and event["set_aside_at"]:
        return ""
    reason = "it is waiting to be published" if event else "no such event; see `toast outbox`"
    return f"event {number} is not set aside: {reason}"


def _state(event: Row) -> str:
    return "set aside" if event["set_aside_at"] else "refused" if event["error"] else "waiting"


def _cells(event: Row) -> tuple[object, ...]:
    state = event["state"]
    return (
        *(event["id"], event["service"], event["topic"], event["key"]),
        *(listing.moment(event["occurred_at"]), event["tries"]),
        state if state == "waiting" else f"{state}: {event['error']}",
    )
