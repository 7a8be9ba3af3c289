"""Checks that a pass can see and change the rows of its tables.

A view, a foreign table, a policy or a rule may hide rows or drop changes; the pass would succeed
without any effect. So every pass checks first.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from psycopg.rows import DictRow

from common.database.session import Connection
from common.database.table_access import TableAccess
from common.errors import PassError

_IS_THERE = "SELECT to_regclass(%s) IS NOT NULL AS is_there"

# How many of the tables are so plain that nothing can hide rows or drop changes. Every pass asks,
# on a new session, where this costs a third of the query for details.
_PLAIN = """
SELECT count(*) AS plain FROM pg_class
WHERE oid = ANY (ARRAY(SELECT to_regclass(name)::oid FROM unnest(%(names)s::text[]) AS name))
  AND relkind = 'r' AND NOT relrowsecurity AND NOT relhasrules AND NOT relhassubclass"""

# Each table, or part of one, with its relkind; for the table itself also the needed commands that
# no policy allows or that a rule replaces.
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

# The schema of a table of this name; first one that this role may use.
_ELSEWHERE = """
SELECT quote_ident(nspname) AS schema, quote_ident(current_user) AS role,
       has_schema_privilege(namespace.oid, 'USAGE') AS is_open,
       current_setting('search_path') AS path,
       nspname = ANY (SELECT CASE trim(name, ' "') WHEN '$user' THEN current_user::text
                             ELSE trim(name, ' "') END
                      FROM unnest(string_to_array(current_setting('search_path'), ',')) AS name)
           AS is_in_path
FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE relname = %(name)s AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND nspname NOT LIKE 'pg\\_%%'
ORDER BY 3 DESC, 5 DESC, 1 LIMIT 1"""

_LIVE_IS_MISSING = "set DB_NAME to the live service's database"
_OWN_IS_MISSING = "restore it from a backup: `toast migrate` had made it"

_COMMANDS = {"r": "SELECT", "w": "UPDATE", "a": "INSERT", "d": "DELETE"}
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


class Obstacle(NamedTuple):
    """Why a pass cannot use a table, and what to change."""

    table: str
    message: str
    fix: str


class TablesUnusable(PassError):
    """A pass would not see, or could not change, due rows."""


def is_there(connection: Connection, name: str) -> bool:
    """Whether the database has a table, view or the like of this name, in the search_path."""
    [row] = connection.execute(_IS_THERE, (name,))
    return bool(row["is_there"])


def require(connection: Connection, accesses: Sequence[TableAccess]) -> None:
    """Raise TablesUnusable, with what to change, if a pass cannot use one of these tables."""
    names = list({access.table.name for access in accesses})
    [row] = connection.execute(_PLAIN, {"names": names})
    if row["plain"] == len(names):
        return
    found = [
        f"{obstacle.message} => {obstacle.fix}" for obstacle in obstacles(connection, accesses)
    ]
    if found:
        raise TablesUnusable("; ".join(found))


def obstacles(connection: Connection, accesses: Sequence[TableAccess]) -> Iterator[Obstacle]:
    """The obstacles, table by table."""
    by_ctid = {access.table.name for access in accesses if "ctid" in access.select}
    own = {access.table.name for access in accesses if not access.table.is_live}
    for row in connection.execute(_TABLES, commands_by_table(accesses)).fetchall():
        if row["part"] is None:
            name = row["name"]
            message = f"there is no table {name} that this role can see"
            missing = _OWN_IS_MISSING if name in own else _LIVE_IS_MISSING
            yield Obstacle(name, message, way_to(connection, name) or missing)
        else:
            yield from _of_part(row, by_ctid)


def commands_by_table(accesses: Iterable[TableAccess]) -> dict[str, list[str]]:
    """Names of the tables, and the commands that each needs, as pg_policy writes them."""
    wanted: dict[str, set[str]] = {}
    for access in accesses:
        wanted.setdefault(access.table.name, set()).update(_commands(access))
    return {
        "names": list(wanted),
        "commands": [",".join(sorted(commands)) for commands in wanted.values()],
    }


def way_to(connection: Connection, name: str) -> str:
    """SQL that lets this role see a table in another schema; "" if no schema has it."""
    row = connection.execute(_ELSEWHERE, {"name": name}).fetchone()
    if row is None:
        return ""
    steps = []
    if not row["is_open"]:
        steps.append(f"GRANT USAGE ON SCHEMA {row['schema']} TO {row['role']};")
    if not row["is_in_path"]:
        path = ", ".join(filter(None, (row["path"].removeprefix('""'), row["schema"])))
        steps.append(f"ALTER ROLE {row['role']} SET search_path = {path};")
    return " ".join(steps)


def _commands(access: TableAccess) -> Iterable[str]:
    used = {"r": access.select, "w": access.update, "a": access.insert, "d": access.delete}
    return (command for command, columns in used.items() if columns)


def _of_part(row: DictRow, by_ctid: set[str]) -> Iterator[Obstacle]:
    name, part, kind = row["name"], row["part"], row["kind"]
    if kind in _KINDS and name in by_ctid:
        message = f"{part} is {_KINDS[kind]}, and only in tables can a pass find its rows"
        fix = "let the role's search_path lead to the table itself, or switch the scheduler off"
        yield Obstacle(name, message, fix)
    elif row["has_policies"] and row["not_let_through"]:
        commands = ", ".join(_COMMANDS[command] for command in row["not_let_through"])
        message = f"row security of {part} has no policy that lets this role {commands}"
        fix = f"CREATE POLICY {row['role']} ON {part} TO {row['role']} USING (true);"
        yield Obstacle(name, message, fix)
    elif row["rules"]:
        rules = ", ".join(row["rules"])
        message = f"the rule {rules} on {part} does something else instead of what a pass does"
        yield Obstacle(name, message, f"DROP RULE {rules} ON {part};")
