"""`toast rows`: lists, shows, retries and drops rows that were set aside."""

import argparse
from collections.abc import Iterable

from common import exit_codes
from common.cli.operate import failed_rows
from common.cli.operate.commands import bulk, listing
from common.cli.operate.commands.connection import connected_for
from common.cli.operate.commands.listing import Row
from common.cli.operate.failed_rows import Chosen
from common.cli.services import Services
from common.database.audit import Operator
from common.database.session import Session
from common.errors import PassError

_HEADER = ("row", "scheduler", "since", "failures", "retry at", "state", "reason")
_CHANGES = {"retry": failed_rows.retry, "drop": failed_rows.drop}


def run(services: Services, options: argparse.Namespace) -> int:
    """List the rows, show one, or change those that are chosen."""
    ids = [options.id] if options.action == "show" else options.id or None
    chosen = failed_rows.choose(services, options.service, options.scheduler, ids, options.reason)
    with connected_for(services, options) as connection:
        if options.action in _CHANGES:
            return _change(connection, options, chosen)
        rows = failed_rows.listing(connection, chosen)
        if options.action == "show":
            return _show(rows, options)
        listing.show(rows, _HEADER, _cells, as_json=options.json, none="no row is set aside")
    return exit_codes.FINE


def _show(rows: Iterable[Row], options: argparse.Namespace) -> int:
    found = list(rows)
    if not found:
        raise PassError(f"row {options.id} is not set aside; see `toast rows`")
    for row in found:
        listing.show_one(row, as_json=options.json)
    return exit_codes.FINE


def _change(connection: Session, options: argparse.Namespace, chosen: Chosen) -> int:
    bulk.require_choice(options, "service", "scheduler", "reason")
    if options.action == "drop" and not options.id:
        count = failed_rows.count(connection, chosen)
        bulk.confirm(options, f"Leave {count} rows alone for good?")
    done = _CHANGES[options.action](connection, Operator.here(), chosen)
    return bulk.show(options, "row", done)


def _cells(row: Row) -> tuple[object, ...]:
    return (
        *(row["row_id"], row["scheduler"], listing.moment(row["since"]), row["failures"]),
        *(listing.moment(row["retry_at"]), row["state"], row["reason"]),
    )
