"""`toast rows`: lists, shows, retries and drops rows that were set aside."""

import argparse
from collections.abc import Sequence
from functools import partial

from common import exit_codes
from common.cli.operate import bulk, failed_rows, listing
from common.cli.operate.failed_rows import Chosen
from common.cli.operate.listing import Row
from common.cli.services import Services, database, known
from common.database import migrations, own_tables
from common.database.session import Session
from common.errors import PassError

_HEADER = ("row", "scheduler", "since", "failures", "retry at", "state", "reason")
_CHANGES = {"retry": failed_rows.retry, "drop": failed_rows.drop}


def run(services: Services, options: argparse.Namespace) -> int:
    """List the rows, show one, or change those that are chosen."""
    schedulers = _schedulers(services, options)
    with database(services, options).connect() as connection:
        migrations.require(connection, own_tables.OPERATING, may_apply=False)
        if options.action in _CHANGES:
            return _change(connection, options, schedulers)
        if options.action == "show":
            return _show(connection, options, schedulers)
        rows = failed_rows.listing(connection, Chosen(schedulers, None, options.reason))
        listing.show(rows, _HEADER, _cells, as_json=options.json, none="no row is set aside")
    return exit_codes.FINE


def _schedulers(services: Services, options: argparse.Namespace) -> list[str]:
    """The chosen schedulers of the chosen services. Raises UsageError."""
    chosen = services.chosen(options.service)
    names = [scheduler.name for service in chosen for scheduler in service.schedulers]
    return [known(options.scheduler, names, "scheduler")] if options.scheduler else names


def _show(connection: Session, options: argparse.Namespace, schedulers: Sequence[str]) -> int:
    found = list(failed_rows.listing(connection, Chosen(schedulers, [options.id])))
    if not found:
        raise PassError(f"row {options.id} is not set aside; see `toast rows`")
    for row in found:
        listing.show_one(row, as_json=options.json)
    return exit_codes.FINE


def _change(connection: Session, options: argparse.Namespace, schedulers: Sequence[str]) -> int:
    bulk.require_choice(options, "service", "scheduler", "reason")
    chosen = Chosen(schedulers, options.id or None, options.reason)
    found = {row["row_id"] for row in failed_rows.listing(connection, chosen)}
    if options.action == "drop" and not options.id:
        bulk.confirm(options, f"Leave {len(found)} rows alone for good?")
    do = partial(_CHANGES[options.action], connection, chosen)
    changed = bulk.change(connection, options, do)
    refused = [f"row {each} is not set aside" for each in options.id if each not in found]
    return bulk.show_changed(options, "row", changed, refused)


def _cells(row: Row) -> tuple[object, ...]:
    return (
        *(row["row_id"], row["scheduler"], listing.moment(row["since"]), row["failures"]),
        *(listing.moment(row["retry_at"]), row["state"], row["reason"]),
    )
