"""What operators see of the rows that were set aside, and do with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.database.audit import Changed
from common.database.session import Connection, Session

_CHOSEN = """
    scheduler = ANY (%(schedulers)s)
    AND (%(ids)s::uuid[] IS NULL OR row_id = ANY (%(ids)s))
    AND (%(reason)s::text IS NULL OR strpos(lower(reason), lower(%(reason)s)) > 0)"""

_LIST = f"""
SELECT scheduler, row_id, reason, failures, since, failed_at, retry_at,
       CASE WHEN retry_at > now() + interval '50 years' THEN 'dropped'
            WHEN retry_at > now() THEN 'set aside'
            ELSE 'due' END AS state
FROM toast_failed_rows
WHERE {_CHOSEN} ORDER BY scheduler, since, row_id"""

_RETRY_AT = f"""
WITH changed AS (
    UPDATE toast_failed_rows SET retry_at = {{moment}} WHERE {_CHOSEN} RETURNING row_id AS id
)"""

_RETRY = _RETRY_AT.format(moment="clock_timestamp()")
# As long as a delivery that was made but not recorded: never, and a date that Python can read.
_DROP = _RETRY_AT.format(moment="clock_timestamp() + interval '100 years'")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows: of these schedulers, these ids and a reason with this text; None for any."""

    schedulers: Sequence[str]
    ids: Sequence[UUID] | None = None
    reason: str | None = None

    def values(self) -> dict[str, object]:
        """The parameters of a statement."""
        ids = None if self.ids is None else list(self.ids)
        return {"schedulers": list(self.schedulers), "ids": ids, "reason": self.reason}


def listing(connection: Session, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """The rows of each scheduler, in the order in which they failed; in constant memory."""
    with connection.begin(read_only=True), connection.cursor(name="rows") as cursor:
        yield from cursor.execute(_LIST, chosen.values())


def retry(connection: Connection, chosen: Chosen) -> Changed:
    """Let the next pass try these rows again; their failures count on."""
    return Changed.of(connection, _RETRY, chosen.values())


def drop(connection: Connection, chosen: Chosen) -> Changed:
    """Let no pass try these rows again."""
    return Changed.of(connection, _DROP, chosen.values())
