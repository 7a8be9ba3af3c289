"""Our own tables: which role creates them, once, and the error where no role may."""

import getpass
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import workers
from common.database import migrations
from common.version import VERSION
from devservers.child_processes import poll_until
from testing.database import TestDatabase
from testing.processes import Finished, Process, environment, toast

NAMES = [migration.name for migration in migrations.all_migrations()]

TABLES = """
SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"""

HISTORY = "SELECT number, name FROM toast_migrations ORDER BY number"

LOCK = "SELECT pg_advisory_lock(hashtextextended('toast-migrate', 0))"

WAITING_FOR_LOCK = """
SELECT count(*) AS processes FROM pg_locks
WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the server that may log in, and nothing else."""

    name: str
    environment: dict[str, str]


@pytest.fixture
def live(database: TestDatabase) -> TestDatabase:
    """A database that has the live tables, and none of ours yet."""
    for name in ours(database):
        database.query(f"DROP TABLE {name}")
    return database


@pytest.fixture
def role(database: TestDatabase) -> Iterator[Role]:
    name = f"{database.name}_worker"
    with database.connect() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'worker'".encode())
        connection.execute(f"GRANT SELECT, UPDATE ON link_links TO {name}".encode())
        yield Role(name, {"DB_USER": name, "DB_PASSWORD": "worker"})
        connection.execute(f"DROP OWNED BY {name}".encode())
        connection.execute(f"DROP ROLE {name}".encode())


def complaints(answer: Finished) -> list[str]:
    """The lines on standard error, without the warning of a hostile environment's variables."""
    lines = answer.err.splitlines()
    return [line for line in lines if "only the DB_ settings lead to PostgreSQL" not in line]


def tables(database: TestDatabase) -> list[str]:
    return [row["name"] for row in database.query(TABLES)]


def ours(database: TestDatabase) -> list[str]:
    """The names of our own tables: all that migrations create."""
    created = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
    found = {
        name for migration in migrations.all_migrations() for name in created.findall(migration.sql)
    }
    return [*sorted(found & set(tables(database))), "toast_migrations"]


def test_the_files_are_numbered_without_a_gap() -> None:
    assert [migration.number for migration in migrations.all_migrations()] == list(
        range(1, len(NAMES) + 1)
    )
    assert all(re.fullmatch(r"[0-9]{4}_[a-z_]+", name) for name in NAMES)


def test_our_tables_begin_with_toast_but_for_the_members_of_guilds(database: TestDatabase) -> None:
    assert [name for name in ours(database) if not name.startswith("toast_")] in (
        [],
        ["guild_members"],
    )


def test_migrate_creates_our_tables_and_lists_them(live: TestDatabase) -> None:
    before = tables(live)

    first = toast("migrate", env=environment(live))
    second = toast("migrate", env=environment(live))

    assert (first.code, first.out.splitlines()) == (0, [f"applied {name}" for name in NAMES])
    assert (second.code, second.out) == (0, "nothing to do: every migration has been applied\n")
    assert live.query(HISTORY) == [
        {"number": number, "name": name} for number, name in enumerate(NAMES, 1)
    ]
    assert set(before) < set(tables(live))


def test_a_live_table_is_never_touched(live: TestDatabase) -> None:
    columns = "SELECT * FROM information_schema.columns WHERE table_name = ANY (%s) ORDER BY 3, 5"
    before = tables(live)
    described = live.query(columns, before)

    with live.session() as connection:
        migrations.migrate(connection, migrations.all_migrations())

    assert live.query(columns, before) == described


def test_two_processes_at_once_apply_each_migration_once(live: TestDatabase) -> None:
    env = environment(live, LOG_LEVEL="info")
    with live.connect() as holder:
        holder.execute(LOCK)
        with (
            Process("workers", "migrate", env=env) as one,
            Process("workers", "migrate", env=env) as other,
        ):
            wait_for_both(live)
            holder.execute("SELECT pg_advisory_unlock_all()")
            assert (one.exit_code(), other.exit_code()) == (0, 0)
            applied = [
                record["migration"]
                for process in (one, other)
                for record in process.records("migration_applied")
            ]
    assert sorted(applied) == NAMES
    assert [row["name"] for row in live.query(HISTORY)] == NAMES


def wait_for_both(database: TestDatabase) -> None:
    def both_wait() -> bool:
        return database.query(WAITING_FOR_LOCK) == [{"processes": 2}]

    assert poll_until(both_wait, 30), "the two processes never met"


def test_a_new_version_applies_what_is_new(live: TestDatabase) -> None:
    *earlier, last = migrations.all_migrations()
    with live.session() as connection:
        migrations.migrate(connection, earlier)

        assert migrations.pending(connection, migrations.all_migrations()) == (last,)
        assert migrations.migrate(connection, migrations.all_migrations()) == (last,)
        assert migrations.pending(connection, migrations.all_migrations()) == ()


# The tables of our own that not every service has.
SOME = {
    "foodfolio": {"toast_alerts"},
    "notification": {"toast_discord_channels"},
    "warcraft": {"toast_sync_failures", "guild_members"},
}
EVERY = {
    "toast_migrations",
    "toast_runs",
    "toast_failed_rows",
    "toast_outbox",
    "toast_outbox_set_aside",
    "toast_pauses",
    "toast_triggers",
}


@pytest.mark.parametrize("service", workers.SERVICES)
def test_each_service_creates_only_the_tables_that_it_uses(
    service: str, live: TestDatabase
) -> None:
    before = set(tables(live))
    assert toast("migrate", "--service", service, env=environment(live)).code == 0
    assert set(tables(live)) - before == EVERY | {"toast_audit"} | SOME.get(service, set())


@pytest.mark.parametrize(
    ("taken", "blamed"),
    [
        ("CREATE TABLE guild_members (id int)", "warcraft"),
        ("CREATE VIEW toast_discord_channels AS SELECT 1 AS one", "notification"),
        ("CREATE SEQUENCE toast_alerts", "foodfolio"),
    ],
)
def test_a_name_that_is_in_use_stops_its_service_only(
    taken: str, blamed: str, live: TestDatabase
) -> None:
    live.query(taken)
    fault = f"there is something else by the name of {taken.split()[2]} here"
    env = environment(live, BLIZZARD_CLIENT_ID="client", BLIZZARD_CLIENT_SECRET="secret")

    answer = toast("migrate", env=env)

    assert (answer.code, complaints(answer)) == (
        1,
        [
            f"toast: {blamed}: {fault}, which toast_migrations does not list"
            " => rename or drop it, then run `toast migrate`"
        ],
    )
    others = {table for service, own in SOME.items() if service != blamed for table in own}
    assert EVERY | others <= set(tables(live))
    failed = toast("once", blamed, env=env)
    assert (failed.code, fault in failed.out) == (1, True), failed.out
    assert toast("once", "link", env=env).code == 0
    assert fault in toast("check", blamed, env=env).out


def test_a_history_of_another_program_is_named(live: TestDatabase) -> None:
    live.query("CREATE TABLE toast_migrations (version text)")
    before = tables(live)
    answer = toast("migrate", env=environment(live))
    assert answer.code == 1
    assert "toast_migrations is a table of another program => rename it" in answer.err
    assert tables(live) == before


def test_a_database_of_a_newer_version_is_named_and_used(database: TestDatabase) -> None:
    database.query("INSERT INTO toast_migrations (number, name) VALUES (999, 'newer')")
    env = environment(database, TWITCHBOT_STREAM_CLOSER_INTERVAL="200ms")
    expected = f"migration 999 of a newer version is applied here; this is version {VERSION}"
    assert expected in toast("migrate", env=env).out
    assert expected in toast("check", "twitchbot", env=env).out
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("pass_finished", scheduler="stream-closer")
        worker.wait_for("pass_finished", scheduler="message-cleanup")
        assert worker.stop() == 0
        assert {record["number"] for record in worker.records("newer_migration_found")} == {999}


def test_a_worker_creates_our_tables_at_start_and_records_that(live: TestDatabase) -> None:
    with Process("workers.twitchbot", env=environment(live)) as worker:
        worker.wait_for("pass_finished", scheduler="message-cleanup")
        worker.wait_for("pass_finished", scheduler="stream-closer")
        assert worker.stop() == 0
        assert worker.records("pass_failed") == []
    assert set(tables(live)) >= EVERY
    [entry] = live.query("SELECT login, action, rows, first_rows FROM toast_audit")
    names = [row["name"] for row in live.query(HISTORY)]
    assert entry == {
        "login": getpass.getuser(),
        "action": "migrate",
        "rows": len(names),
        "first_rows": names[:10],
    }


def test_a_worker_that_may_not_migrate_names_what_to_run(live: TestDatabase) -> None:
    before = tables(live)
    env = environment(live, TOAST_MIGRATE="false", LINK_EXPIRATION_INTERVAL="200ms")
    with Process("workers.link", env=env) as worker:
        failed = worker.wait_for("pass_failed", scheduler="link-expiration")
        assert "run `toast migrate`: not applied here yet: 0001_outbox, " in failed["error"]
        assert tables(live) == before

        assert toast("migrate", env=env).code == 0  # then the worker goes on by itself
        worker.wait_for("pass_finished", scheduler="link-expiration")
        assert worker.stop() == 0


def test_a_role_that_may_not_create_tables_names_what_to_run(
    live: TestDatabase, role: Role
) -> None:
    answer = toast("once", "link", env={**environment(live), **role.environment})
    assert answer.code == 1
    assert "this role may not create the toast_ tables: run `toast migrate` once" in answer.out
    assert "permission denied for schema public" in answer.out

    refused = toast("migrate", env={**environment(live), **role.environment})
    assert refused.code == 1
    assert complaints(refused) == [
        "toast: permission denied for schema public"
        " => GRANT USAGE ON SCHEMA public to this role, and CREATE for `toast migrate`"
    ]


@pytest.mark.usefixtures("only_link_expiration")
def test_a_role_without_rights_on_the_schema_works_once_migrated(
    database: TestDatabase, role: Role
) -> None:
    for table in ours(database):
        database.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role.name}")

    answer = toast("once", "link", "--json", env={**environment(database), **role.environment})

    assert (answer.code, complaints(answer)) == (0, [])
    assert toast("migrate", env={**environment(database), **role.environment}).code == 0
