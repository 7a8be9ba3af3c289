"""The audit: one row of ``toast_audit`` per action of an operator, kept for a year.

Only the owner of the table can change or delete rows: `toast migrate` deletes old ones.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from common import config
from common.database.session import Connection, Session
from common.logging.redaction import redact

FIRST_ROWS = 10

_COUNTED = f"""
SELECT count(*) AS count,
       coalesce((array_agg(id::text ORDER BY id))[1:{FIRST_ROWS}], '{{}}') AS first
FROM changed"""

_MAY = "SELECT coalesce(has_table_privilege(to_regclass('toast_audit'), %s), false) AS may"

_RECORD = """
INSERT INTO toast_audit (login, host, action, subject, rows, first_rows, reason)
VALUES (%(login)s, %(host)s, %(action)s, %(subject)s, %(rows)s, %(first_rows)s, %(reason)s)"""

_FORGET = "DELETE FROM toast_audit WHERE done_at < now() - interval '1 year'"

_LIST = """
SELECT done_at, login, host, role::text, action, subject, rows, first_rows, reason
FROM toast_audit
WHERE %(since)s::interval IS NULL OR done_at > now() - %(since)s::interval
ORDER BY done_at DESC, id DESC"""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts: a login, and the host from which it does."""

    login: str
    host: str = field(default_factory=socket.gethostname)

    @classmethod
    def here(cls) -> Self:
        """The login of this process, or the one behind sudo."""
        return cls(config.login())


@dataclass(frozen=True, slots=True)
class Changed:
    """How many rows an action changed, and the first of their ids."""

    count: int
    first: Sequence[str]

    @classmethod
    def of(cls, connection: Connection, statement: str, values: Mapping[str, object]) -> Self:
        """Execute ``WITH ... changed AS (... RETURNING id)``, and count what it changed."""
        [row] = connection.execute(statement + _COUNTED, values)
        return cls(**row)


def record(
    connection: Session,
    operator: Operator,
    action: str,
    subject: str,
    changed: Changed,
    reason: str = "",
) -> None:
    """Record an action in the transaction of its effect, unless it changed nothing."""
    if not changed.count:
        return
    entry = {
        "login": connection.storable(operator.login),
        "host": operator.host,
        "action": action,
        "subject": connection.storable(subject),
        "rows": changed.count,
        "first_rows": list(changed.first),
        "reason": connection.storable(redact(reason)),
    }
    connection.execute(_RECORD, entry)


def may(connection: Connection, privilege: str) -> bool:
    """Whether the table is there and this role has the privilege on the whole of it."""
    [row] = connection.execute(_MAY, (privilege,))
    return bool(row["may"])


def forget_old(connection: Connection) -> None:
    """Delete what is older than a year, if this role may."""
    if may(connection, "DELETE"):
        connection.execute(_FORGET)


def listing(connection: Session, since: timedelta | None) -> Iterator[dict[str, Any]]:
    """Every action since then, the newest first; in constant memory."""
    with connection.begin(read_only=True), connection.cursor(name="audit") as cursor:
        yield from cursor.execute(_LIST, {"since": since})
