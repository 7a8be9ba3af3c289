"""Rows that were set aside, and those of the syncs, which fail at a remote side."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from common.cli.operate import failed_rows
from common.cli.operate.failed_rows import Chosen
from web.pages.paging import Rows, rows_of
from web.site import Asked

# The service whose rows are set aside because of what Battle.net answers.
SYNCING = "warcraft"


@dataclass(frozen=True, slots=True)
class FailedRows:
    """Rows that were set aside; of all ``schedulers`` or of one, with this text as ``reason``."""

    found: Rows
    count: int
    schedulers: Sequence[str]
    scheduler: str
    reason: str


def load(asked: Asked, service: str | None = None) -> FailedRows:
    """Read them, by ``?scheduler=`` and ``?reason=``. Raises UsageError."""
    which = chosen(asked, service)
    every = [each.name for one in asked.site.services.chosen(service) for each in one.schedulers]
    return FailedRows(
        rows_of(failed_rows.listing(asked.connection, which), asked.query),
        failed_rows.count(asked.connection, which),
        every,
        asked.query.get("scheduler", ""),
        asked.query.get("reason", ""),
    )


def load_sync_failures(asked: Asked) -> FailedRows:
    """Read the characters and guilds that could not be synced."""
    return load(asked, SYNCING)


def chosen(asked: Asked, service: str | None = None, ids: Sequence[UUID] | None = None) -> Chosen:
    """The rows that the query chooses. Raises UsageError for a scheduler that does not exist."""
    scheduler, reason = asked.query.get("scheduler"), asked.query.get("reason")
    return failed_rows.choose(asked.site.services, service, scheduler or None, ids, reason or None)
