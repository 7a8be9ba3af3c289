"""`toast audit`: what operators did in the last year."""

import argparse

from common import exit_codes
from common.cli.operate.commands import listing
from common.cli.operate.commands.connection import connected_for
from common.cli.operate.commands.listing import Row
from common.cli.services import Services
from common.cli.time_span import since
from common.database import audit

_HEADER = ("done", "who", "action", "subject", "rows", "first", "reason")


def run(services: Services, options: argparse.Namespace) -> int:
    """List the actions; the newest first."""
    period = since(options)
    with connected_for(services, options) as connection:
        entries = audit.listing(connection, period)
        listing.show(entries, _HEADER, _cells, as_json=options.json, none="nothing was done")
    return exit_codes.FINE


def _cells(entry: Row) -> tuple[object, ...]:
    return (
        listing.moment(entry["done_at"]),
        f"{entry['login']} on {entry['host']} as {entry['role']}",
        *(entry["action"], entry["subject"], entry["rows"]),
        *(", ".join(entry["first_rows"]), entry["reason"]),
    )
