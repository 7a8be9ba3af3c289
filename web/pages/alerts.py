"""Alerts that were raised and are still true, so that they are not raised again each pass."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.database import own_tables, usable_tables
from web.pages.paging import Rows, rows_of
from web.site import Asked

# An alert that is only remembered, by a takeover, is raised at infinity.
_LIST = """
SELECT scheduler, subject_id, facts, nullif(raised_at, 'infinity') AS raised_at
FROM toast_alerts ORDER BY toast_alerts.raised_at DESC, subject_id"""


@dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts, the newest first; ``raised_at`` is None if it was only remembered by a takeover."""

    found: Rows


def load(asked: Asked) -> Alerts:
    """Read them; none where no scheduler of this database raises alerts."""
    return Alerts(rows_of(_listing(asked), asked.query))


def _listing(asked: Asked) -> Iterator[Mapping[str, Any]]:
    if not usable_tables.is_there(asked.connection, own_tables.ALERTS.table.name):
        return
    with asked.connection.begin(read_only=True), asked.connection.cursor(name="alerts") as cursor:
        yield from cursor.execute(_LIST)
