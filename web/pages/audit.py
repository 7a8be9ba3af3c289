"""What operators did, the newest first."""

from dataclasses import dataclass

from common.cli import time_span
from common.database import audit
from web.pages.paging import Rows, rows_of
from web.site import Asked


@dataclass(frozen=True, slots=True)
class Audit:
    """Actions of ``?since=``, such as 7d; of the last year without it."""

    found: Rows
    since: str


def load(asked: Asked) -> Audit:
    """Read them. Raises UsageError for a time span that is none."""
    since = asked.query.get("since", "")
    span = time_span.option("since", since or None)
    return Audit(rows_of(audit.listing(asked.connection, span), asked.query), since)
