"""`toast audit`: what operators did in the last year."""

import argparse

from common import exit_codes
from common.cli.operate import listing
from common.cli.operate.listing import Row
from common.cli.services import Services, database
from common.cli.time_span import since
from common.database import audit, migrations, own_tables

_HEADER = ("done", "who", "action", "subject", "rows", "first", "reason")


def run(services: Services, options: argparse.Namespace) -> int:
    """List the actions; the newest first."""
    period = since(options)
    with database(services, options).connect() as connection:
        migrations.require(connection, own_tables.OPERATING, may_apply=False)
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
