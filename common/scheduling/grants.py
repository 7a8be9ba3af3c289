"""The PostgreSQL rights that a service needs, by column, and their GRANTs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common.database import own_tables
from common.database.table_access import TableAccess
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service


@dataclass(frozen=True, slots=True)
class Right:
    """A privilege on a column of a table, or on the whole table where ``column`` is empty."""

    table: str
    privilege: str
    column: str = ""


def accesses(schedulers: Sequence[Scheduler]) -> list[TableAccess]:
    """Every table that a worker with these schedulers uses, also our own; duplicates possible."""
    publishing = own_tables.PUBLISHING if any(scheduler.topics for scheduler in schedulers) else ()
    chosen = [access for scheduler in schedulers for access in scheduler.tables]
    chosen.sort(key=lambda access: not access.table.is_live)
    return [*chosen, *own_tables.EVERY_WORKER, *publishing]


def is_expected(scheduler: Scheduler) -> bool:
    """True if the scheduler is on by default."""
    return scheduler.enabled.parse(scheduler.enabled.default or "")


def expected(service: Service) -> list[TableAccess]:
    """The tables that a worker uses with the schedulers that are on by default, and adoptions."""
    on = [each for each in service.schedulers if is_expected(each)]
    return accesses([*on, *service.adoptions])


def needed(accesses: Iterable[TableAccess]) -> list[Right]:
    """The rights for these accesses, each once, table by table."""
    rights = dict.fromkeys(right for access in accesses for right in _rights(access))
    tables = list(dict.fromkeys(right.table for right in rights))
    privileges = ("SELECT", "INSERT", "UPDATE", "DELETE")
    return sorted(
        rights, key=lambda right: (tables.index(right.table), privileges.index(right.privilege))
    )


def by_table(rights: Iterable[Right]) -> dict[str, list[str]]:
    """Rights in their order, as GRANT writes them, such as ``SELECT (a, b)``."""
    columns: dict[str, dict[str, list[str]]] = {}
    for right in rights:
        of_table = columns.setdefault(right.table, {})
        of_table.setdefault(right.privilege, []).extend([right.column] if right.column else [])
    return {
        table: [_privilege(privilege, names) for privilege, names in of_table.items()]
        for table, of_table in columns.items()
    }


def grants(rights: Iterable[Right], role: str) -> list[str]:
    """One GRANT per table for these rights, in the order of ``needed``."""
    return [
        f"GRANT {', '.join(privileges)} ON {table} TO {role};"
        for table, privileges in by_table(rights).items()
    ]


def _rights(access: TableAccess) -> Iterable[Right]:
    columns = {"SELECT": access.select, "INSERT": access.insert, "UPDATE": access.update}
    for privilege, names in columns.items():
        yield from (Right(access.table.name, privilege, name) for name in names)
    if access.delete:
        yield Right(access.table.name, "DELETE")


def _privilege(privilege: str, columns: Sequence[str]) -> str:
    return f"{privilege} ({', '.join(columns)})" if columns else privilege
