"""`toast runs`: the passes of the last 30 days."""

import argparse

from common import exit_codes
from common.cli.operate.commands import listing
from common.cli.operate.commands.connection import connected_for
from common.cli.operate.commands.listing import Row
from common.cli.services import Services
from common.cli.time_span import since
from common.database import own_tables, run_history

_HEADER = ("started", "service", "scheduler", "result", "took", "counts", "host", "error")


def run(services: Services, options: argparse.Namespace) -> int:
    """List the passes of the chosen scheduler, service, or all; the newest first."""
    jobs, period = services.jobs(options.service, options.scheduler), since(options)
    with connected_for(services, options, own_tables.EVERY_WORKER) as connection:
        runs = run_history.listing(connection, jobs, period, only_failed=options.failed)
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
