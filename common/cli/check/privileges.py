"""Checks the rights of our role: none missing, none too many."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from common.cli import roles
from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, error, ok, warning
from common.database.session import Connection
from common.scheduling import grants
from common.scheduling.grants import Right

# Tables to name in one line.
MOST_TABLES = 5

# The numbers of missing rights, of those on existing tables and columns.
_MISSING = """
SELECT need.number
FROM unnest(%(tables)s::text[], %(columns)s::text[], %(privileges)s::text[])
     WITH ORDINALITY AS need (name, part, privilege, number)
JOIN pg_class AS class ON class.oid = to_regclass(need.name)
LEFT JOIN pg_attribute AS attribute
    ON attribute.attrelid = class.oid AND attribute.attname = need.part
WHERE CASE WHEN need.part = '' THEN NOT has_table_privilege(class.oid, need.privilege)
           ELSE NOT has_column_privilege(class.oid, attribute.attnum, need.privilege) END
ORDER BY need.number"""

_ROLE = """
SELECT rolname AS name, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates,
       has_database_privilege(current_database(), 'TEMPORARY') AS collects,
       quote_ident(current_database()) AS database,
       current_schema()::text AS schema
FROM pg_roles WHERE rolname = current_user"""

# Every right on a table or column, except those of extensions.
_PRESENT = """
SELECT class.oid::regclass::text AS name, pg_has_role(class.relowner, 'USAGE') AS is_owner,
       part.name AS part, privilege.name AS privilege
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
CROSS JOIN LATERAL (
    SELECT '' AS name, 0 AS number
    UNION ALL
    SELECT attname, attnum FROM pg_attribute
    WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
) AS part
JOIN (VALUES ('SELECT', true), ('INSERT', true), ('UPDATE', true), ('DELETE', false),
             ('TRUNCATE', false), ('REFERENCES', false), ('TRIGGER', false)
     ) AS privilege (name, by_column) ON privilege.by_column = (part.number > 0)
WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND namespace.nspname <> 'information_schema' AND namespace.nspname NOT LIKE 'pg\\_%%'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
                  AND objid = class.oid AND deptype = 'e')
  AND CASE WHEN part.number = 0 THEN has_table_privilege(class.oid, privilege.name)
           ELSE has_column_privilege(class.oid, part.number::smallint, privilege.name) END
ORDER BY 1"""

_ATTRIBUTES = {
    "rolcreaterole": "may create roles",
    "rolcreatedb": "may create databases",
    "rolreplication": "may replicate",
    "rolbypassrls": "bypasses row security",
}


def check(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Compare the needed rights with those that this role has, also through other roles."""
    role = connection.execute(_ROLE).fetchone()
    assert role is not None
    missing = [*_missing(connection, subject, role["name"]), *_cannot_collect(subject, role)]
    yield from missing
    too_much = _too_much(connection, subject, role)
    if too_much:
        fix = f"use the role {subject.role} of db/roles.sql"
        if role["name"] == subject.role:
            fix = "run db/roles.sql again; REVOKE FROM PUBLIC what all roles may"
        yield warning("privileges", f"{role['name']} {too_much}: more than it needs", fix)
    elif not missing:
        yield ok("privileges", f"{role['name']} may do what it needs, and no more")


def _missing(connection: Connection, subject: Subject, role: str) -> Iterator[Finding]:
    needed = subject.needed
    values: dict[str, Any] = {
        "tables": [right.table for right in needed],
        "columns": [right.column for right in needed],
        "privileges": [right.privilege for right in needed],
    }
    numbers = connection.execute(_MISSING, values)
    missing = [needed[row["number"] - 1] for row in numbers]
    if role == subject.role:
        for scheduler in subject.schedulers:
            group = roles.rights_of_group(subject.service, scheduler)
            rest = [right for right in missing if right not in group]
            if rest != missing:
                message = f"{role} lacks the rights that {scheduler.name} needs"
                grant = f"GRANT {roles.group_of(scheduler)} TO {role};"
                yield error("privileges", message, grant)
            missing = rest
    named = grants.by_table(missing).items()
    for (table, privileges), grant in zip(named, grants.grants(missing, role), strict=True):
        kinds = ", ".join(privilege.split()[0] for privilege in privileges)
        yield error("privileges", f"{role} lacks {kinds} on {table}", grant)


def _cannot_collect(subject: Subject, role: dict[str, Any]) -> Iterator[Finding]:
    if not role["collects"] and any(scheduler.work.collects for scheduler in subject.schedulers):
        grant = f"GRANT TEMPORARY ON DATABASE {role['database']} TO {role['name']};"
        yield error("privileges", f"{role['name']} may not create temporary tables", grant)


def _too_much(connection: Connection, subject: Subject, role: dict[str, Any]) -> str:
    """What the role may do beyond its needs, as the rest of a sentence, or ""."""
    if role["rolsuper"]:
        return "is a superuser"
    excess = [text for attribute, text in _ATTRIBUTES.items() if role[attribute]]
    if role["creates"]:
        excess.append(f"may create tables in {role['schema']}")
    rows = connection.execute(_PRESENT).fetchall()
    allowed = subject.allowed
    if owned := dict.fromkeys(row["name"] for row in rows if row["is_owner"]):
        excess.append(f"owns {_some(list(owned))}")
    if beyond := dict.fromkeys(
        (row["name"], row["privilege"])
        for row in rows
        if not row["is_owner"]
        # A right on the whole table is one on each column.
        if Right(row["name"], row["privilege"]) not in allowed
        if Right(row["name"], row["privilege"], row["part"]) not in allowed
    ):
        kinds = [
            f"{', '.join(privilege for _, privilege in same)} on {table}"
            for table, same in groupby(beyond, itemgetter(0))
        ]
        excess.append(f"may {_some(kinds)}")
    return ", ".join(excess)


def _some(names: Sequence[str]) -> str:
    shown = "; ".join(names[:MOST_TABLES])
    more = len(names) - MOST_TABLES
    return f"{shown}; and {more} more" if more > 0 else shown
