"""Obstacles: PostgreSQL refuses link-expiration, or is other than expected."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An obstacle that the owner of a database sets up, and the finding that it must give.

    ``{role}`` is the worker's role, and ``{database}`` its database. ``checked`` is in a line of
    `toast check`, of that level; ``advice`` is the end of the pass's error, and where it is
    empty, the pass ends well.
    """

    name: str
    setup: str = ""
    checked: str = ""
    advice: str = ""
    level: str = "error"
    settings: Mapping[str, str] = field(default_factory=dict)
    # Whether the advice is part of the error's own text.
    in_words: bool = False
    # By a connection to another database, or None of its owner's can reach this one either.
    outside: bool = False


def refused(
    name: str, advice: str, setup: str = "", *, outside: bool = False, **settings: str
) -> Obstacle:
    """A connection that is refused."""
    return Obstacle(name, setup, f"=> {advice}", advice, settings=settings, outside=outside)


def harmless(name: str, setup: str, checked: str, level: str = "ok") -> Obstacle:
    return Obstacle(name, setup, checked, "", level)


_VIEW = "ALTER TABLE link_links RENAME TO every_link; CREATE {} link_links AS TABLE every_link;"
_TO_SHOP = "CREATE SCHEMA shop; ALTER TABLE link_links SET SCHEMA shop;"
_AUDIT = """
CREATE TABLE audit (at timestamptz);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit VALUES (now()); RETURN NEW; END $$;
CREATE TRIGGER noted AFTER UPDATE ON link_links FOR EACH {} EXECUTE FUNCTION note();"""
_DEFINER = "let note have its owner's rights: ALTER FUNCTION note SECURITY DEFINER"
_LIVE_IS_MISSING = "set DB_NAME to the live service's database"
_ADAPT = (
    "adapt the scheduler to the live service's new {}, or switch it off; `toast check` names it"
)
_ROLES = "run db/roles.sql again; `toast check` shows the GRANT"
_POLICY = "CREATE POLICY {role} ON link_links TO {role} USING (true);"

CONNECTIONS = (
    refused(
        "wrong password", "set DB_PASSWORD to the password of the role DB_USER", DB_PASSWORD="x"
    ),
    refused("no password", "set DB_PASSWORD", DB_PASSWORD=""),
    refused("no login", 'ALTER ROLE "{role}" LOGIN;', "ALTER ROLE {role} NOLOGIN"),
    refused(
        "no such database", "set DB_NAME to the live services' database", DB_NAME="no_such_name"
    ),
    refused(
        "no CONNECT",
        'GRANT CONNECT ON DATABASE "{database}" to the role DB_USER, or run db/roles.sql',
        "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC, toast_link",
    ),
    refused(
        "closed database",
        'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true;',
        "ALTER DATABASE {database} ALLOW_CONNECTIONS false",
        outside=True,
    ),
    refused(
        "role limit 0",
        'ALTER ROLE "{role}" CONNECTION LIMIT -1;',
        "ALTER ROLE {role} CONNECTION LIMIT 0",
    ),
    refused(
        "database limit 0",
        'ALTER DATABASE "{database}" CONNECTION LIMIT -1;',
        "ALTER DATABASE {database} CONNECTION LIMIT 0",
    ),
    refused(
        "unknown host",
        "set DB_HOST to a name that this machine can look up",
        DB_HOST="no-such-host.invalid",
    ),
    refused(
        "no server listens", "start PostgreSQL there, or correct DB_HOST and DB_PORT", DB_PORT="1"
    ),
    refused("no socket", "set DB_HOST to the folder of the server's socket", DB_HOST="/nowhere"),
    refused("no TLS", "set DB_SSL_MODE=prefer, or ssl = on at the server", DB_SSL_MODE="require"),
)

TABLES = (
    Obstacle(
        "live table is missing",
        "DROP TABLE link_links CASCADE",
        f"there is no table link_links that this role can see => {_LIVE_IS_MISSING}",
        _LIVE_IS_MISSING,
    ),
    Obstacle(
        "schema beside the search_path",
        f"{_TO_SHOP} GRANT USAGE ON SCHEMA shop TO {{role}}",
        'see => ALTER ROLE {role} SET search_path = "$user", public, shop;',
        'ALTER ROLE {role} SET search_path = "$user", public, shop;',
    ),
    Obstacle(
        "schema without USAGE",
        f"{_TO_SHOP} ALTER ROLE {{role}} SET search_path = public, shop",
        "=> GRANT USAGE ON SCHEMA shop TO {role};",
        "GRANT USAGE ON SCHEMA shop TO {role};",
    ),
    Obstacle(
        "everything without USAGE",
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC, toast_link",
        "=> GRANT USAGE ON SCHEMA public TO {role};",
        "GRANT USAGE ON SCHEMA public TO {role};",
    ),
    Obstacle(
        "empty search_path",
        "ALTER ROLE {role} SET search_path = ''",
        "=> ALTER ROLE {role} SET search_path = public;",
        "ALTER ROLE {role} SET search_path = public;",
    ),
    Obstacle(
        "no table of our own",
        "DROP TABLE toast_migrations, toast_runs, toast_outbox, toast_outbox_set_aside,"
        " toast_failed_rows, toast_pauses, toast_triggers",
        "=> run `toast migrate` as the owner of the database, then db/roles.sql",
        "run `toast migrate` once with a role that may (permission denied for schema public)",
        in_words=True,
    ),
    Obstacle(
        "one table of our own is missing",
        "DROP TABLE toast_runs",
        "=> restore it from a backup: `toast migrate` had made it",
        "restore toast_runs from a backup: `toast migrate` had made it",
    ),
    Obstacle(
        "no right to a live table",
        "REVOKE ALL ON link_links FROM toast_link",
        "=> GRANT SELECT (ctid, id, short_code, expires_at, is_active, deleted_at)",
        _ROLES,
    ),
    Obstacle(
        "no right to a table of our own",
        "REVOKE ALL ON toast_outbox FROM toast_link",
        "lacks SELECT, INSERT, UPDATE, DELETE on toast_outbox => GRANT",
        _ROLES,
    ),
    Obstacle(
        "no right to the migrations",
        "REVOKE ALL ON toast_migrations FROM toast_link",
        "lacks SELECT on toast_migrations => GRANT",
        _ROLES,
    ),
    Obstacle(
        "a column is missing",
        "ALTER TABLE link_links RENAME expires_at TO expiry_date",
        "link_links has no column expires_at => adapt the scheduler",
        _ADAPT.format("table"),
    ),
    Obstacle(
        "a column of another type",
        "ALTER TABLE link_links ALTER is_active DROP DEFAULT, ALTER is_active TYPE text",
        "link_links.is_active is text; expected boolean => adapt the scheduler",
        _ADAPT.format("types"),
    ),
    Obstacle(
        "a view",
        _VIEW.format("VIEW"),
        "link_links is a view, and only in tables can a pass find its rows => let the role's",
        "let the role's search_path lead to the table itself, or switch the scheduler off",
    ),
    Obstacle(
        "a materialized view",
        _VIEW.format("MATERIALIZED VIEW"),
        "link_links is a materialized view, and only in tables",
        "let the role's search_path lead to the table itself, or switch the scheduler off",
    ),
    Obstacle(
        "a foreign table",
        "ALTER TABLE link_links RENAME TO every_link; CREATE EXTENSION file_fdw;"
        " CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
        " CREATE FOREIGN TABLE link_links (id uuid, short_code text, expires_at timestamptz,"
        " is_active boolean, deleted_at timestamptz, updated_at timestamptz)"
        " SERVER files OPTIONS (filename '/dev/null')",
        "link_links is a foreign table, and only in tables",
        "let the role's search_path lead to the table itself, or switch the scheduler off",
    ),
    Obstacle(
        "a unique index is missing",
        "ALTER TABLE toast_runs DROP CONSTRAINT toast_runs_pkey",
        "=> CREATE UNIQUE INDEX CONCURRENTLY ON toast_runs (id);",
        "create the unique index that is missing; `toast check` names it",
    ),
    Obstacle(
        "a publication without identity",
        "ALTER TABLE link_links DROP CONSTRAINT link_links_pkey CASCADE;"
        " CREATE PUBLICATION changes FOR TABLE link_links",
        "is published by changes, and its rows have no identity => ALTER TABLE link_links REPLICA",
        "ALTER TABLE link_links REPLICA IDENTITY FULL;",
    ),
)

ROWS = (
    Obstacle(
        "row security without a policy",
        "ALTER TABLE link_links ENABLE ROW LEVEL SECURITY",
        f"no policy that lets this role SELECT, UPDATE => {_POLICY}",
        _POLICY,
    ),
    Obstacle(
        "a policy that only reads",
        "ALTER TABLE link_links ENABLE ROW LEVEL SECURITY;"
        " CREATE POLICY readers ON link_links FOR SELECT USING (true)",
        f"no policy that lets this role UPDATE => {_POLICY}",
        _POLICY,
    ),
    Obstacle(
        "a policy that refuses the change",
        "ALTER TABLE link_links ENABLE ROW LEVEL SECURITY;"
        " CREATE POLICY active ON link_links USING (true) WITH CHECK (is_active)",
        f"is decided by active => {_POLICY}",
        "give this role a policy whose WITH CHECK lets the changed row through",
        "warning",
    ),
    Obstacle(
        "an INSTEAD rule",
        "CREATE RULE keep AS ON UPDATE TO link_links DO INSTEAD NOTHING",
        "=> DROP RULE keep ON link_links;",
        "DROP RULE keep ON link_links;",
    ),
    Obstacle(
        "an ALSO rule",
        "CREATE TABLE audit (id uuid);"
        " CREATE RULE noted AS ON UPDATE TO link_links DO ALSO INSERT INTO audit VALUES (new.id)",
        "=> DROP RULE noted ON link_links; a trigger can do the same",
        "make a trigger of the rule that is in the way, and DROP RULE; `toast check` names it",
    ),
    Obstacle(
        "a trigger of each statement without rights",
        _AUDIT.format("STATEMENT"),
        "which has none on audit => ALTER FUNCTION note() SECURITY DEFINER;",
        _DEFINER,
        "warning",
    ),
    Obstacle(
        "a trigger of each row without rights",
        _AUDIT.format("ROW"),
        "which has none on audit => ALTER FUNCTION note() SECURITY DEFINER;",
        _DEFINER,
        "warning",
    ),
)

HARMLESS = (
    harmless(
        "DateStyle",
        "ALTER ROLE {role} SET DateStyle = 'SQL, DMY'",
        "workers set their own instead of DateStyle = SQL, DMY (ALTER ROLE)",
    ),
    harmless(
        "IntervalStyle and bytea_output",
        "ALTER DATABASE {database} SET IntervalStyle = 'iso_8601';"
        " ALTER DATABASE {database} SET bytea_output = 'escape'",
        "IntervalStyle = iso_8601 (ALTER DATABASE)",
    ),
    harmless(
        "TimeZone",
        "ALTER ROLE {role} IN DATABASE {database} SET TimeZone = 'America/New_York'",
        "TimeZone = America/New_York (ALTER ROLE IN DATABASE)",
    ),
    harmless(
        "statement_timeout",
        "ALTER ROLE {role} SET statement_timeout = '1s';"
        " CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END $$;"
        " CREATE TRIGGER waiting BEFORE UPDATE ON link_links"
        " FOR EACH ROW EXECUTE FUNCTION wait()",
        "statement_timeout = 1s (ALTER ROLE)",
    ),
    harmless(
        "isolation",
        "ALTER ROLE {role} SET default_transaction_isolation = 'serializable'",
        "default_transaction_isolation = serializable (ALTER ROLE)",
    ),
    harmless(
        "row_security off",
        "ALTER ROLE {role} SET row_security = off",
        "row_security = off (ALTER ROLE)",
    ),
    harmless(
        "read only by default",
        "ALTER ROLE {role} SET default_transaction_read_only = on",
        "a worker writes all the same => ALTER ROLE {role} SET default_transaction_read_only = off",
        "warning",
    ),
    harmless(
        "synchronous_commit off",
        "ALTER ROLE {role} SET synchronous_commit = off",
        "is sent again => ALTER ROLE {role} SET synchronous_commit = on;",
        "warning",
    ),
    harmless(
        "a limit of connections",
        "ALTER ROLE {role} CONNECTION LIMIT 2",
        "{role} allows 2 connections at once; this worker takes up to 4 => ALTER ROLE {role}",
        "warning",
    ),
    harmless(
        "a policy that hides rows",
        "ALTER TABLE link_links ENABLE ROW LEVEL SECURITY;"
        " CREATE POLICY own ON link_links USING (short_code <> 'hidden')",
        f"which rows of link_links {{role}} sees is decided by own => {_POLICY}",
        "warning",
    ),
    harmless(
        "tables of our own in two schemas",
        "CREATE SCHEMA old; CREATE TABLE old.toast_outbox (LIKE toast_outbox)",
        "toast_outbox: used in public, and there in old as well => drop what is not used",
        "warning",
    ),
    harmless(
        "live tables in two schemas",
        "CREATE SCHEMA old; GRANT USAGE ON SCHEMA old TO {role};"
        " ALTER ROLE {role} SET search_path = public, old;"
        " CREATE TABLE old.link_links (LIKE link_links)",
        "link_links: used in public, and there in old as well => drop what is not used",
        "warning",
    ),
    harmless(
        "a table with children",
        "CREATE TABLE newer_links () INHERITS (link_links)",
        "link_links: all 6 columns are as expected",
    ),
)
