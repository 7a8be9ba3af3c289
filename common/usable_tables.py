"""Whether a pass can see and change the rows of its tables at all.

A view, a foreign table, a policy or a rule may hide rows from a pass or swallow its changes, and
it would end well without having done anything. So every pass asks before it begins.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from psycopg.rows import DictRow

from common.access import Access
from common.scheduler import PassError
from common.session import Connection

# Each table, or part of one, as relkind says what it is; and for the table itself which of the
# commands that are needed no policy lets through, and which a rule replaces.
_TABLES = """
WITH RECURSIVE wanted AS (
    SELECT name, to_regclass(name)::oid AS oid, string_to_array(commands, ',') AS commands
    FROM unnest(%(names)s::text[], %(commands)s::text[]) AS wanted (name, commands)
), part AS (
    SELECT name, oid FROM wanted
    UNION
    SELECT part.name, inherits.inhrelid
    FROM pg_inherits AS inherits JOIN part ON inherits.inhparent = part.oid
)
SELECT part.name, class.oid::regclass::text AS part, class.relkind::text AS kind,
       quote_ident(current_user) AS role,
       class.relrowsecurity AND row_security_active(class.oid) AND class.oid = wanted.oid
           AS has_policies,
       ARRAY(SELECT command FROM unnest(wanted.commands) AS command
             WHERE NOT EXISTS (
                 SELECT FROM pg_policy AS policy
                 WHERE policy.polrelid = class.oid AND policy.polpermissive
                   AND policy.polcmd IN ('*', command::"char")
                   AND (0 = ANY (policy.polroles) OR EXISTS (
                       SELECT FROM unnest(policy.polroles) AS role
                       WHERE role <> 0 AND pg_has_role(role, 'USAGE')))))
           AS not_let_through,
       ARRAY(SELECT rulename::text FROM pg_rewrite AS rule
             WHERE rule.ev_class = class.oid AND rule.is_instead AND rule.ev_enabled <> 'D'
               AND rule.ev_type IN ('2', '3', '4') AND class.oid = wanted.oid
               AND (ARRAY['', 'w', 'a', 'd'])[rule.ev_type::text::int] = ANY (wanted.commands))
           AS rules
FROM part JOIN wanted USING (name) LEFT JOIN pg_class AS class ON class.oid = part.oid
ORDER BY part.name, part.oid"""

_COMMANDS = {"r": "SELECT", "w": "UPDATE", "a": "INSERT", "d": "DELETE"}
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


class Obstacle(NamedTuple):
    """Why a table cannot be worked on, and what to do about it."""

    table: str
    message: str
    fix: str


class TablesUnusable(PassError):
    """A pass would not see, or could not change, what is due."""


def require(connection: Connection, accesses: Sequence[Access]) -> None:
    """Raise TablesUnusable, naming what to do, where a pass cannot work on one of these tables."""
    found = [f"{one.message} => {one.fix}" for one in obstacles(connection, accesses)]
    if found:
        raise TablesUnusable("; ".join(found))


def obstacles(connection: Connection, accesses: Sequence[Access]) -> Iterator[Obstacle]:
    """What is in the way, table by table."""
    wanted: dict[str, set[str]] = {}
    walked = {access.table.name for access in accesses if "ctid" in access.select}
    for access in accesses:
        wanted.setdefault(access.table.name, set()).update(_commands(access))
    values = {
        "names": list(wanted),
        "commands": [",".join(sorted(commands)) for commands in wanted.values()],
    }
    for row in connection.execute(_TABLES, values):
        yield from _of_part(row, walked)


def _commands(access: Access) -> Iterable[str]:
    used = {"r": access.select, "w": access.update, "a": access.insert, "d": access.delete}
    return (command for command, columns in used.items() if columns)


def _of_part(row: DictRow, walked: set[str]) -> Iterator[Obstacle]:
    name, part, kind = row["name"], row["part"], row["kind"]
    if part is None:
        message = f"there is no table {name} that this role can see"
        fix = "set DB_NAME to the live service's database, or the role's search_path to its schema"
        yield Obstacle(name, message, fix)
    elif kind in _KINDS and name in walked:
        message = f"{part} is {_KINDS[kind]}, and only in tables can a pass find its rows"
        fix = "let the role's search_path lead to the table itself, or switch the scheduler off"
        yield Obstacle(name, message, fix)
    elif row["has_policies"] and row["not_let_through"]:
        commands = ", ".join(_COMMANDS[one] for one in row["not_let_through"])
        message = f"row security of {part} has no policy that lets this role {commands}"
        fix = f"CREATE POLICY {row['role']} ON {part} TO {row['role']} USING (true);"
        yield Obstacle(name, message, fix)
    elif row["rules"]:
        rules = ", ".join(row["rules"])
        message = f"the rule {rules} on {part} does something else instead of what a pass does"
        yield Obstacle(name, message, f"DROP RULE {rules} ON {part};")
