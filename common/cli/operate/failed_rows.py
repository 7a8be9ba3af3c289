"""Rows that were set aside: look at them, retry them, or leave them alone for good."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from common.cli.operate import action
from common.cli.operate.action import Done
from common.cli.services import Services, known
from common.database.audit import Changed, Operator
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

_COUNT = f"SELECT count(*) AS count FROM toast_failed_rows WHERE {_CHOSEN}"

_RETRY_AT = f"""
WITH changed AS (
    UPDATE toast_failed_rows SET retry_at = {{moment}} WHERE {_CHOSEN} RETURNING row_id AS id
)"""

_RETRY = _RETRY_AT.format(moment="clock_timestamp()")
# As long as a delivery that was made but not recorded: never, and a date that Python can read.
_DROP = _RETRY_AT.format(moment="clock_timestamp() + interval '100 years'")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows: of these schedulers, these ids and a reason with this text; None for any.

    ``subject`` is how the audit names the choice.
    """

    schedulers: Sequence[str]
    ids: Sequence[UUID] | None = None
    reason: str | None = None
    subject: str = ""

    def values(self) -> dict[str, object]:
        """The parameters of a statement."""
        ids = None if self.ids is None else list(self.ids)
        return {"schedulers": list(self.schedulers), "ids": ids, "reason": self.reason}


def choose(
    services: Services,
    service: str | None = None,
    scheduler: str | None = None,
    ids: Sequence[UUID] | None = None,
    reason: str | None = None,
) -> Chosen:
    """The rows of this service and scheduler; None for any. Raises UsageError."""
    every = [each.name for one in services.chosen(service) for each in one.schedulers]
    names = [known(scheduler, every, "scheduler")] if scheduler else every
    return Chosen(names, ids, reason, action.subject(service, scheduler, reason))


def listing(connection: Session, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """The rows of each scheduler, in the order in which they failed; in constant memory."""
    with connection.begin(read_only=True), connection.cursor(name="rows") as cursor:
        yield from cursor.execute(_LIST, chosen.values())


def count(connection: Connection, chosen: Chosen) -> int:
    """How many rows these are."""
    row = connection.execute(_COUNT, chosen.values()).fetchone()
    return row["count"] if row else 0


def retry(connection: Session, operator: Operator, chosen: Chosen) -> Done:
    """Let the next pass try these rows again; their failures count on."""
    return _change(connection, operator, "rows retry", _RETRY, chosen)


def drop(connection: Session, operator: Operator, chosen: Chosen) -> Done:
    """Let no pass try these rows again, unless they are retried."""
    return _change(connection, operator, "rows drop", _DROP, chosen)


def _change(
    connection: Session, operator: Operator, name: str, statement: str, chosen: Chosen
) -> Done:
    named = chosen.ids or ()
    found = {row["row_id"] for row in listing(connection, chosen)} if named else set()
    change = partial(Changed.of, connection, statement, chosen.values())
    changed = action.do(connection, operator, name, chosen.subject, change)
    return Done(changed, [f"row {each} is not set aside" for each in named if each not in found])
