"""`toast roles`: the SQL of db/roles.sql, from what the schedulers declare."""

import argparse
import textwrap
from collections.abc import Iterable, Sequence

from common import exit_codes
from common.cli import output
from common.cli.services import Services
from common.database import own_tables
from common.scheduling import grants as rights
from common.scheduling.grants import Right
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service

SCHEMA = "public"
OPERATOR = "toast_operator"
_WIDTH = 84

_HEAD = """\
-- The roles of the workers: one per service, with exactly the rights that its schedulers need.
-- Written by `make generate` from `tables=` of the schedulers; `toast roles` prints it.
--
-- Run it after `toast migrate`, and again after each upgrade, in every database with tables of
-- these services, as a superuser or as the owner of those tables and of toast's:
--     psql --set ON_ERROR_STOP=1 --dbname toxictoast --file db/roles.sql
-- It revokes rights that are no longer needed. It is one transaction.
--
-- A service's role can log in, but has no password: set one with psql's \\password, or use another
-- method of pg_hba.conf. The rights of a scheduler that is off by default are those of a group:
-- GRANT it to the service's role when you switch the scheduler on. toast_operator is for
-- the commands that look and act, such as `toast status` and `toast outbox`;
-- `toast migrate` is for the owner.
--
-- Workers find rows by the system column ctid. SELECT on it can be granted like on any column
-- (tried on PostgreSQL 15 and 18), so no role needs SELECT on a whole table."""

_PREPARE = """\
DO $$
DECLARE
    worker text;
    kind text;
BEGIN
    FOR worker, kind IN VALUES
{roles}
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = worker) THEN
            EXECUTE format('CREATE ROLE %I %s', worker, kind);
        END IF;
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), worker);
        EXECUTE format('REVOKE CREATE ON SCHEMA {schema} FROM %I', worker);
        EXECUTE format('GRANT USAGE ON SCHEMA {schema} TO %I', worker);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM %I', worker);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM %I', worker);
    END LOOP;
END $$;"""

_WHERE_PRESENT = """\
DO $$ BEGIN
    IF to_regclass('{schema}.{table}') IS NULL THEN
        RAISE NOTICE '{role}: nothing to grant without {table}';
        RETURN;
    END IF;

{grants}
END $$;"""

# The columns that `toast outbox retry` inserts.
_EVENT = ("id", "service", "topic", "key", "event_id", "occurred_at", "payload")


def run(services: Services, options: argparse.Namespace) -> int:
    """Print the SQL."""
    output.show(sql(services.every()))
    return exit_codes.FINE


def role_of(service: Service) -> str:
    """The role of a service's worker."""
    return f"toast_{service.name}"


def group_of(scheduler: Scheduler) -> str:
    """The role with the rights of a scheduler that is off by default."""
    return f"toast_{scheduler.name.replace('-', '_')}"


def sql(services: Sequence[Service]) -> str:
    """The whole of db/roles.sql."""
    optional = [
        (service, scheduler)
        for service in services
        for scheduler in service.schedulers
        if not rights.is_expected(scheduler)
    ]
    logins = [*map(role_of, services), OPERATOR]
    groups = [group_of(scheduler) for _, scheduler in optional]
    return "\n\n".join(
        [
            *(_HEAD, "BEGIN;", _prepare(logins, groups)),
            *(_grants(role_of(service), service, _of_service(service)) for service in services),
            *(_grants(group_of(one), service, _beyond(service, one)) for service, one in optional),
            "\n".join(_statements(_of_operator(), OPERATOR)),
            *(_grants(OPERATOR, each, shown) for each in services if (shown := _shown(each))),
            "COMMIT;",
        ]
    )


def rights_of_group(service: Service, scheduler: Scheduler) -> list[Right]:
    """The rights of the scheduler's group; none if the scheduler is on by default."""
    return [] if rights.is_expected(scheduler) else _beyond(service, scheduler)


def of_operator(services: Iterable[Service]) -> list[Right]:
    """The rights of OPERATOR in a database of these services."""
    shown = dict.fromkeys(right for service in services for right in _shown(service))
    return [*_of_operator(), *shown]


def _of_service(service: Service) -> list[Right]:
    return rights.needed(rights.expected(service))


def _beyond(service: Service, scheduler: Scheduler) -> list[Right]:
    """The rights that this scheduler needs and the service's role does not have."""
    present = set(_of_service(service))
    needed = rights.needed(rights.accesses([scheduler]))
    return [right for right in needed if right not in present]


def _of_operator() -> list[Right]:
    tables = (own_tables.MIGRATIONS, own_tables.RUNS, own_tables.FAILED_ROWS, own_tables.AUDIT)
    box, set_aside = own_tables.OUTBOX.name, own_tables.OUTBOX_SET_ASIDE.name
    return [
        *(Right(table.name, "SELECT") for table in tables),
        *(Right(box, "SELECT"), *(Right(box, "INSERT", column) for column in _EVENT)),
        *(Right(set_aside, "SELECT"), Right(set_aside, "DELETE")),
        Right(own_tables.FAILED_ROWS.name, "UPDATE", "retry_at"),
        *(Right(own_tables.AUDIT.name, "INSERT", column) for column in own_tables.ACTION),
        *(Right(own_tables.TRIGGERS.name, each) for each in ("SELECT", "INSERT", "DELETE")),
        *(Right(own_tables.PAUSES.name, each) for each in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    ]


def _shown(service: Service) -> list[Right]:
    """What the page reads of the tables of our own that only this service has."""
    tables = [access.table for scheduler in service.schedulers for access in scheduler.tables]
    own = {table.name for table in tables if table.name.startswith("toast_")}
    shared = {right.table for right in _of_operator()}
    return [Right(name, "SELECT") for name in sorted(own - shared)]


def _prepare(logins: Iterable[str], groups: Iterable[str]) -> str:
    kinds = [*((role, "LOGIN") for role in logins), *((role, "NOLOGIN") for role in groups)]
    roles = ",\n".join(f"        ('{role}', '{kind}')" for role, kind in kinds)
    return _PREPARE.format(roles=roles, schema=SCHEMA)


def _grants(role: str, service: Service, needed: Iterable[Right]) -> str:
    """The GRANTs of one role, skipped if the service's tables are in another database."""
    statements = _statements(needed, role)
    live = [
        access.table.name
        for scheduler in service.schedulers
        for access in scheduler.tables
        if access.table.is_live
    ]
    if not live:
        return "\n".join(statements)
    grants = textwrap.indent("\n".join(statements), "    ")
    return _WHERE_PRESENT.format(schema=SCHEMA, table=live[0], role=role, grants=grants)


def _statements(needed: Iterable[Right], role: str) -> list[str]:
    return [
        f"GRANT {_listed(privileges)}\n    ON {SCHEMA}.{table} TO {role};"
        for table, privileges in rights.by_table(needed).items()
    ]


def _listed(privileges: Iterable[str]) -> str:
    """One privilege per line; a long one is wrapped."""
    return ",\n".join(
        textwrap.fill(privilege, _WIDTH, subsequent_indent=" " * 8) for privilege in privileges
    ).replace("\n", "\n      ")
