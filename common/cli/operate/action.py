"""What the actions of operators have in common: a connection, and the record in the audit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from common import failpoints
from common.database import audit, migrations, own_tables
from common.database.audit import Changed, Operator
from common.database.connection import Database
from common.database.session import Session
from common.database.table_access import TableAccess


@dataclass(frozen=True, slots=True)
class Done:
    """What an action has changed; of the ids that were named, why some are ``refused``."""

    changed: Changed
    refused: Sequence[str] = ()


@contextmanager
def connected(
    database: Database, tables: Iterable[TableAccess] = own_tables.OPERATING
) -> Iterator[Session]:
    """A connection to a database that has these tables of our own.

    Raises psycopg.Error, LimitReached and MigrationsPending.
    """
    with database.connect() as connection:
        migrations.require(connection, tables, may_apply=False)
        yield connection


def do(
    connection: Session,
    operator: Operator,
    action: str,
    subject: str,
    change: Callable[[], Changed],
    reason: str = "",
) -> Changed:
    """Change something and record who did it, in one transaction."""
    with connection.begin():
        changed = change()
        audit.record(connection, operator, action, subject, changed, reason)
        failpoints.reach("commit")
    return changed


def subject(*names: str | None) -> str:
    """How the audit names what an action is about."""
    return " ".join(filter(None, names))
