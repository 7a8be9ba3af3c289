"""db/roles.sql: its roles can do the work of the workers, and nothing else."""

from __future__ import annotations

import re
import shlex
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import DictRow

import workers
from common import config
from common.cli import roles
from common.cli.once import passes
from common.cli.once.report import OnceReport
from common.cli.operate import row_facts
from common.cli.operate.row_facts import Asked
from common.cli.status import screen
from common.config import Settings
from common.database import failed_rows
from common.database.connection import Database
from common.database.controls import triggers
from common.errors import PassError
from common.events import outbox
from common.scheduling import grants
from common.scheduling.first_pass import Takeover
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import Scheduler
from common.scheduling.service import Service
from common.worker.pass_metrics import PassMetrics
from devservers.checkout import ROOT
from devservers.child_processes import free_port
from testing.database import TestDatabase
from testing.processes import NO_BROKER, Process, bare, environment, toast
from tests.support.outbox_rows import add_event, set_aside
from tests.support.role_work import TOO_LARGE, AsRole, install_refusals, work

ROLES = ROOT / "db" / "roles.sql"
PASSWORD = "not-in-any-file"
SERVICES = [workers.load(name) for name in workers.SERVICES]
# Every scheduler, also those that are off by default.
ALL_ON = {"WEBHOOK_DELIVERY_ENABLED": "true"}

# What these roles have been granted on tables, column by column, by themselves.
GRANTED = """
SELECT acl.grantee::regrole::text AS role, relname AS table, coalesce(attname, '') AS column,
       acl.privilege_type AS privilege
FROM (
    SELECT relname, NULL AS attname, relacl AS acl FROM pg_class
    UNION ALL
    SELECT relname, attname, attacl FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
) AS object, aclexplode(object.acl) AS acl
WHERE acl.grantee <> 0 AND acl.grantee::regrole::text = ANY (%s)
ORDER BY 1, 2, 3, 4"""

COLUMNS = """
SELECT relname AS table, attname AS column FROM pg_attribute JOIN pg_class ON oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
  AND NOT attisdropped AND relname <> 'bad_rows'
ORDER BY 1, attnum"""

every_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def role_names() -> list[str]:
    return re.findall(r"\('(toast_\w+)', '(?:NO)?LOGIN'\)", ROLES.read_text())


def roles_of(service: Service) -> list[str]:
    """The service's role, and the groups of its schedulers that are off by default."""
    off = [one for one in service.schedulers if one.enabled.default == "false"]
    return [roles.role_of(service), *map(roles.group_of, off)]


def granted_to(database: TestDatabase, names: list[str]) -> list[DictRow]:
    return database.query(GRANTED, names)


@pytest.fixture(scope="module")
def granted(module_database: TestDatabase) -> Iterator[TestDatabase]:
    """A database on which roles.sql has been run, every scheduler's role granted, and passwords
    set as an administrator would."""
    install_refusals(module_database)
    module_database.query(ROLES.read_text())
    for role in role_names():
        module_database.query(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
    module_database.query("GRANT toast_webhook_delivery TO toast_webhook")
    yield module_database
    for role in role_names():
        module_database.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def as_role(database: TestDatabase, role: str) -> AsRole:
    return AsRole.of(database, role, PASSWORD)


# --- what they can do -------------------------------------------------------------------------


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Every statement that our roles execute from here on, with some parameters of it."""
    statements: dict[str, Any] = {}
    execute = psycopg.Cursor.execute

    def record(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        if cursor.connection.info.user.startswith("toast_") and isinstance(query, str):
            statements[query] = params
        return execute(cursor, query, params, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", record)
    return statements


def has_work(scheduler: Scheduler) -> bool:
    """Whether `work` can give it something to do: it uses a table or a remote API."""
    return bool(scheduler.tables or scheduler.remotes)


def do_everything(service: Service, settings: Settings) -> OnceReport:
    """One pass of each scheduler and adoption and one round of the publisher, a dry run, status,
    counts, and the reasons for a row."""
    database = Database(settings)
    shown = passes.dry_run(service.schedulers, settings)
    assert not shown.failed, shown.as_text()
    answer = passes.run(service.schedulers, settings, [PassMetrics(service.name, "any")])
    assert not answer.failed, answer.as_text()
    adopted = passes.run(service.adoptions, settings, takeover=Takeover(timedelta()))
    assert not adopted.failed, adopted.as_text()
    screen.show([(service, settings)], as_json=True)
    with database.connect() as connection:
        outbox.of_service(connection, service.name, 10)
        triggers.take(connection, service.name, ["any"])
        for scheduler in service.schedulers:
            failed_rows.count(connection, scheduler.name, 10)
            runner = PassRunner(scheduler, settings, database)
            runner.backlog(connection, 10)
            row = str(uuid4())
            with pytest.raises(PassError):
                runner.why(connection, row)
            row_facts.of(Asked(connection, scheduler, settings, row, datetime.now(UTC)))
    return answer


@every_service
def test_a_role_is_enough_for_all_work_and_has_no_right_too_many(
    service: Service,
    granted: TestDatabase,
    mock_broker: str,
    monkeypatch: pytest.MonkeyPatch,
    executed: dict[str, Any],
) -> None:
    role = as_role(granted, roles.role_of(service))
    with work(service.name, granted, service.topics) as given:
        every = {**role.environment, "KAFKA_BROKERS": mock_broker, **given, **ALL_ON}
        for name, value in every.items():
            monkeypatch.setenv(name, value)
        answer = do_everything(service, config.load(service.name, service.variables))

    for scheduler, outcome in zip(service.schedulers, answer.schedulers, strict=True):
        assert outcome.result == "ok", outcome
        assert outcome.counts["processed"] > 0 or not has_work(scheduler), outcome
    assert granted.query("SELECT 1 FROM toast_runs WHERE service = %s", service.name)
    if service.topics:
        assert answer.delivery.published >= 2
        aside = "SELECT error FROM toast_outbox_set_aside WHERE service = %s AND payload = %s"
        assert len(granted.query(aside, service.name, TOO_LARGE)) == 1
    assert unused_rights(granted, service, executed) == []


def unused_rights(
    database: TestDatabase, service: Service, executed: dict[str, Any]
) -> list[DictRow]:
    """The rights that none of these statements needs.

    EXPLAIN asks for the rights of a statement as its execution does.
    """
    with psycopg.connect(**database.server.connection(database.name)) as connection:
        writer = psycopg.ClientCursor(connection)
        collecting = [query for query in executed if "CREATE TEMPORARY" in query]
        statements = [
            writer.mogrify(query, params)
            for query, params in executed.items()
            if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", query)
        ]
        return [
            right
            for right in granted_to(database, roles_of(service))
            if not is_missed(connection, roles.role_of(service), right, collecting, statements)
        ]


def is_missed(
    connection: psycopg.Connection[Any],
    role: str,
    right: DictRow,
    collecting: list[str],
    statements: list[str],
) -> bool:
    column = f"({right['column']})" if right["column"] else ""
    privilege = f"{right['privilege']} {column} ON {right['table']}"
    concerned = [statement for statement in statements if right["table"] in statement]
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"REVOKE {privilege} FROM {right['role']}".encode())
            connection.execute(f"SET LOCAL ROLE {role}".encode())
            for statement in collecting:
                connection.execute(statement.encode())
            for statement in concerned:
                connection.execute(f"EXPLAIN {statement}".encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


@every_service
def test_a_worker_does_its_work_under_its_role(
    service: Service, granted: TestDatabase, mock_broker: str
) -> None:
    role = as_role(granted, roles.role_of(service))
    port = str(free_port())
    own = {"METRICS_PORT": port, "LOG_LEVEL": "debug", **ALL_ON}
    with work(service.name, granted, service.topics) as given:
        env = environment(role, mock_broker, **given, **own)
        with Process("workers", "run", service.name, env=env) as worker:
            for scheduler in service.schedulers:
                done = worker.wait_for("pass_finished", scheduler=scheduler.name)
                assert done["result"] == "ok", done
                assert done["processed"] > 0 or not has_work(scheduler), done
            if service.topics:
                worker.wait_for("events_published")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                assert answer.status == 200
            assert worker.stop() == 0
            assert "denied" not in worker.log


@pytest.fixture
def trial(granted: TestDatabase) -> Iterator[AsRole]:
    """A role without rights."""
    granted.query(f"CREATE ROLE trial LOGIN PASSWORD '{PASSWORD}'")
    yield as_role(granted, "trial")
    granted.query("DROP OWNED BY trial; DROP ROLE trial")


@pytest.mark.parametrize(
    "scheduler",
    [one for service in SERVICES for one in service.schedulers if one.work.explain],
    ids=lambda scheduler: scheduler.name,
)
def test_a_trial_of_the_statements_misses_each_right_on_a_live_table(
    scheduler: Scheduler, granted: TestDatabase, trial: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in trial.environment.items():
        monkeypatch.setenv(name, value)
    settings = config.load("any", scheduler.variables)
    runner = PassRunner(scheduler, settings, Database(settings))
    needed = grants.needed(grants.accesses([scheduler]))
    granted.query(" ".join(grants.grants(needed, "trial")))
    live = {access.table.name for access in scheduler.tables if access.table.is_live}
    with Database(settings).connect() as connection:
        runner.explain(connection)
        for right in (each for each in needed if each.table in live):
            [grant] = grants.grants([right], "trial")
            granted.query(grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                runner.explain(connection)
            granted.query(grant)


@pytest.mark.parametrize(
    ("service", "privilege", "reason"),
    [
        ("link", "UPDATE (is_active) ON link_links", "table link_links"),
        ("twitchbot", "DELETE ON twitchbot_messages", "table twitchbot_messages"),
        ("sse", "INSERT (host) ON toast_runs", "table toast_runs"),
    ],
)
def test_a_pass_that_lacks_a_right_fails_and_names_the_table(
    granted: TestDatabase, mock_broker: str, service: str, privilege: str, reason: str
) -> None:
    role = f"toast_{service}"
    with work(service, granted, workers.load(service).topics) as given:
        env = environment(as_role(granted, role), mock_broker, **given)
        granted.query(f"REVOKE {privilege} FROM {role}")
        refused = toast("once", service, env=env)
        granted.query(f"GRANT {privilege} TO {role}")
        assert refused.code == 1
        assert f"InsufficientPrivilege: permission denied for {reason}" in refused.out
        assert toast("once", service, env=env).code == 0


OPERATING = (
    "rows",
    "rows retry --all",
    "rows drop --all --yes",
    "runs",
    "pause link --indefinitely --reason why",
    "resume link",
    "audit",
    "migrate",
)


def test_the_operator_may_do_what_the_commands_of_operators_do(granted: TestDatabase) -> None:
    env = environment(as_role(granted, "toast_operator"), NO_BROKER)
    for words in OPERATING:
        answer = toast(*shlex.split(words), env=env)
        assert (answer.code, answer.err) == (0, ""), words
    refused = toast("trigger", "link", env=env)
    assert "no worker of link runs on this machine" in refused.err


def test_the_operator_sees_and_handles_the_outbox(granted: TestDatabase) -> None:
    event = add_event(granted, payload="{}")
    set_aside(granted, event)
    env = environment(as_role(granted, "toast_operator"), NO_BROKER)
    for words in ("outbox", f"outbox show {event}", f"outbox retry {event}"):
        answer = toast(*words.split(), env=env)
        assert (answer.code, answer.err) == (0, ""), words
    assert "denied" not in toast("status", "link", env=env).out
    assert granted.query("SELECT payload FROM toast_outbox WHERE id = %s", event)
    assert toast("outbox", "drop", str(event), env=env).code == 1


# --- what they cannot do ----------------------------------------------------------------------

# Administration, which no worker needs.
ADMINISTRATION = (
    "CREATE TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE mine",
    "ALTER TABLE toast_runs ADD COLUMN mine int",
    "ALTER TABLE toast_runs DISABLE TRIGGER ALL",
    "ALTER ROLE toast_blog SUPERUSER",
    "ALTER ROLE toast_operator PASSWORD 'mine'",
    "ALTER SCHEMA public OWNER TO CURRENT_USER",
    "CREATE INDEX ON toast_runs (host)",
    "CREATE TRIGGER mine BEFORE INSERT ON toast_runs FOR EACH ROW EXECUTE FUNCTION refuse()",
    "CREATE VIEW mine AS SELECT 1",
    "DROP TABLE toast_outbox",
    "DROP FUNCTION refuse() CASCADE",
    "TRUNCATE toast_outbox",
    "COPY toast_runs TO PROGRAM 'cat'",
    "COPY toast_runs FROM PROGRAM 'echo'",
    "COPY toast_runs TO '/dev/null'",
    "COPY toast_migrations TO STDOUT",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SET ROLE toast_operator",
    "SET SESSION AUTHORIZATION toast_operator",
    "INSERT INTO toast_migrations (number, name) VALUES (999, 'mine')",
    "DELETE FROM toast_migrations",
    "GRANT pg_read_all_data TO CURRENT_USER",
    "SELECT name FROM toast_migrations",
    "UPDATE toast_runs SET service = 'other'",
    "UPDATE toast_outbox SET payload = '{}'",
    "SELECT payload FROM toast_outbox_set_aside",
    "DELETE FROM toast_outbox_set_aside",
)


# PostgreSQL executes these only outside a transaction.
ON_THEIR_OWN = ("CREATE DATABASE mine", "ALTER SYSTEM SET log_statement = 'none'")


def forbidden(database: TestDatabase, service: Service) -> Iterator[str]:
    """Every kind of access to every column of every table that was not granted."""
    has = {
        (right["table"], right["column"], right["privilege"])
        for right in granted_to(database, roles_of(service))
    }
    columns = database.query(COLUMNS)
    for table, column in ((row["table"], row["column"]) for row in columns):
        if (table, column, "SELECT") not in has:
            yield f"SELECT {column} FROM {table} LIMIT 1"
        if (table, column, "INSERT") not in has:
            yield f"INSERT INTO {table} ({column}) VALUES (DEFAULT)"
        if (table, column, "UPDATE") not in has:
            yield f"UPDATE {table} SET {column} = DEFAULT"
    for table in dict.fromkeys(row["table"] for row in columns):
        yield f"TRUNCATE {table}"
        yield f"ALTER TABLE {table} RENAME TO mine"
        if (table, "", "DELETE") not in has:
            yield f"DELETE FROM {table}"


@every_service
def test_everything_else_is_refused(service: Service, granted: TestDatabase) -> None:
    statements = [*ADMINISTRATION, *forbidden(granted, service)]
    if roles.role_of(service) != "toast_webhook":
        assert "SELECT secret FROM webhook_webhooks LIMIT 1" in statements
    if roles.role_of(service) != "toast_notification":
        assert "SELECT webhook_url FROM notification_channels LIMIT 1" in statements
    assert len(statements) > 800

    allowed = []
    with as_role(granted, roles.role_of(service)).login() as connection:
        for statement in statements:
            with connection.transaction(force_rollback=True):
                allowed += outcome_of(connection, statement)
        for statement in ON_THEIR_OWN:
            allowed += outcome_of(connection, statement)
    assert allowed == []


def outcome_of(connection: psycopg.Connection[DictRow], statement: str) -> list[str]:
    """Empty if the statement is refused for lack of privilege, else its outcome."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return []
    except psycopg.Error as error:
        return [f"{statement}: {error.sqlstate} {error}"]
    return [statement]


def test_only_webhook_delivery_reads_urls_and_secrets_of_webhooks(granted: TestDatabase) -> None:
    granted.query("REVOKE toast_webhook_delivery FROM toast_webhook")
    with as_role(granted, "toast_webhook").login() as connection:
        for column in ("secret", "url"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT {column} FROM webhook_webhooks".encode())
    granted.query("GRANT toast_webhook_delivery TO toast_webhook")
    with as_role(granted, "toast_webhook").login() as connection:
        connection.execute("SELECT url, secret FROM webhook_webhooks")


# --- the file ---------------------------------------------------------------------------------


def test_toast_roles_prints_the_file() -> None:
    answer = toast("roles", env=bare())
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == ROLES.read_text()


def test_a_second_run_revokes_rights_that_are_no_longer_needed(
    private_database: TestDatabase,
) -> None:
    private_database.query(ROLES.read_text())
    private_database.query("ALTER ROLE toast_link NOLOGIN PASSWORD 'kept'")
    before = granted_to(private_database, role_names())
    assert len(before) > 500
    private_database.query(
        "GRANT ALL ON link_links TO toast_link; GRANT SELECT (title, ctid) ON blog_posts TO"
        " toast_link; GRANT UPDATE ON SEQUENCE toast_outbox_id_seq TO toast_sse;"
        " GRANT CREATE ON SCHEMA public TO toast_sse; REVOKE ALL ON toast_runs FROM toast_sse"
    )
    assert granted_to(private_database, role_names()) != before

    private_database.query(ROLES.read_text())

    assert granted_to(private_database, role_names()) == before
    [may] = private_database.query(
        "SELECT has_schema_privilege('toast_sse', 'public', 'CREATE') AS c"
    )
    assert not may["c"]
    [role] = private_database.query(
        "SELECT rolcanlogin, rolpassword IS NOT NULL AS password FROM pg_authid"
        " WHERE rolname = 'toast_link'"
    )
    assert role == {"rolcanlogin": False, "password": True}


def test_the_owner_of_database_and_tables_may_run_it(private_database: TestDatabase) -> None:
    private_database.query(
        f"CREATE ROLE owner LOGIN CREATEROLE PASSWORD '{PASSWORD}';"
        f" ALTER DATABASE {private_database.name} OWNER TO owner;"
        " DO $$ DECLARE name text; BEGIN FOR name IN SELECT tablename FROM pg_tables"
        " WHERE schemaname = 'public' LOOP EXECUTE format('ALTER TABLE %I OWNER TO owner', name);"
        " END LOOP; END $$"
    )
    with as_role(private_database, "owner").login() as connection:
        connection.execute(ROLES.read_bytes())
    assert len(granted_to(private_database, role_names())) > 500


def test_the_role_of_a_service_without_tables_here_gets_no_rights(
    private_database: TestDatabase,
) -> None:
    private_database.query("DROP TABLE link_links, link_clicks, blog_posts CASCADE")

    private_database.query(ROLES.read_text())

    assert granted_to(private_database, ["toast_link", "toast_blog"]) == []
    assert granted_to(private_database, ["toast_sse"])
    assert granted_to(private_database, ["toast_twitchbot"])


def test_without_our_tables_it_changes_nothing(private_database: TestDatabase) -> None:
    private_database.query("DROP TABLE toast_runs")
    with pytest.raises(psycopg.errors.UndefinedTable, match="toast_runs"):
        private_database.query(ROLES.read_text())
    assert not private_database.query("SELECT 1 FROM pg_roles WHERE rolname = 'toast_link'")
