"""`toast runs`: the passes of the last 30 days."""

import argparse

from common import exit_codes
from common.cli.operate import listing
from common.cli.operate.listing import Row
from common.cli.services import Services, database, schedulers_chosen
from common.cli.time_span import since
from common.database import migrations, own_tables, run_history

_HEADER = ("started", "service", "scheduler", "result", "took", "counts", "host", "error")


def run(services: Services, options: argparse.Namespace) -> int:
    """List the passes of the chosen scheduler, service, or all; the newest first."""
    chosen = services.chosen(options.service)
    schedulers = [
        (service.name, scheduler.name)
        for service in chosen
        for scheduler in schedulers_chosen(service, options.scheduler)
    ]
    period = since(options)
    with database(services, options).connect() as connection:
        migrations.require(connection, own_tables.EVERY_WORKER, may_apply=False)
        runs = run_history.listing(connection, schedulers, period, only_failed=options.failed)
        listing.show(runs, _HEADER, _cells, as_json=options.json, none="no pass is recorded")
    return exit_codes.FINE


def _cells(run: Row) -> tuple[object, ...]:
    counts = ", ".join(f"{count} {name}" for name, count in run["counts"].items() if count)
    return (
        *(listing.moment(run["started_at"]), run["service"], run["scheduler"]),
        run["result"] or "not ended",
        "-" if run["seconds"] is None else f"{run['seconds']:.2f} s",
        *(counts or "-", f"{run['host']} ({run['process']})", run["error"]),
    )
