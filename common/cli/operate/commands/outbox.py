"""`toast outbox`: lists, shows, retries and drops events that wait or were set aside."""

import argparse

from common import exit_codes
from common.cli import output
from common.cli.operate import events
from common.cli.operate.commands import bulk, listing
from common.cli.operate.commands.connection import connected_for
from common.cli.operate.commands.listing import Row
from common.cli.services import Services
from common.database.audit import Operator
from common.database.session import Session
from common.events import outbox_admin
from common.events.outbox_admin import Chosen

_HEADER = ("id", "service", "topic", "key", "since", "tries", "state")
_CHANGES = {"retry": events.retry, "drop": events.drop}


def run(services: Services, options: argparse.Namespace) -> int:
    """List the outbox, show one event, or change those that are chosen."""
    with connected_for(services, options) as connection:
        if options.action in _CHANGES:
            return _change(connection, options)
        if options.action == "show":
            listing.show_one(events.one(connection, options.id), as_json=options.json)
        else:
            _list(connection, options)
    return exit_codes.FINE


def _list(connection: Session, options: argparse.Namespace) -> None:
    chosen = Chosen(None, options.service, options.topic)
    box = outbox_admin.summary(connection, chosen)
    publishers = outbox_admin.publishers(connection)
    if options.json:
        about = {"waiting": box.waiting, "oldest": box.oldest, "set_aside": box.set_aside}
        output.show(output.as_json({**about, "publishers": publishers}))
    oldest = f", the oldest since {listing.moment(box.oldest)}" if box.oldest else ""
    title = [f"{box.waiting} waiting{oldest}; {box.set_aside} set aside"]
    title += [f"{service}: published now from {where}" for service, where in publishers.items()]
    listing.show(
        events.listing(connection, chosen),
        _HEADER,
        _cells,
        as_json=options.json,
        title="\n".join(title),
    )


def _change(connection: Session, options: argparse.Namespace) -> int:
    bulk.require_choice(options, "service", "topic")
    chosen = Chosen(options.id or None, options.service, options.topic)
    if options.action == "drop" and not options.id:
        count = outbox_admin.number_set_aside(connection, chosen)
        bulk.confirm(options, f"Delete {count} events that were set aside?")
    done = _CHANGES[options.action](connection, Operator.here(), chosen)
    return bulk.show(options, "event", done)


def _cells(event: Row) -> tuple[object, ...]:
    state = event["state"]
    return (
        *(event["id"], event["service"], event["topic"], event["key"]),
        *(listing.moment(event["occurred_at"]), event["tries"]),
        state if state == "waiting" else f"{state}: {event['error']}",
    )
