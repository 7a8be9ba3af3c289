"""The command `toast` as operators use it: what it prints, changes and returns."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

import workers
from common import config
from common.cli import commands, services
from devservers.child_processes import PATIENCE, bound_to_parent, free_port, poll_until
from devservers.postgres import PostgresServer
from testing.database import TestDatabase, fresh_database
from testing.processes import NO_BROKER, STOP_SECONDS, Process, bare, environment, toast
from testing.topics import Topic
from tests.support.expired_links import EXPIRED
from tests.support.outbox_rows import add_event

pytestmark = pytest.mark.usefixtures("only_link_expiration")

TOPIC = "link.expired"
NOT_YET = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    """One database for all tests here, emptied before each: a new one takes much longer."""
    module_database.query(
        "DELETE FROM toast_outbox; DELETE FROM toast_outbox_set_aside; DELETE FROM toast_runs;"
        " DELETE FROM link_links; DELETE FROM twitchbot_messages; DELETE FROM twitchbot_streams"
    )
    return module_database


@pytest.fixture
def own_database(postgres_server: PostgresServer) -> Iterator[TestDatabase]:
    """A database of the test's own, for one that changes its tables."""
    with fresh_database(postgres_server) as database:
        yield database


@pytest.fixture
def env(database: TestDatabase, mock_broker: str) -> dict[str, str]:
    return environment(database, mock_broker)


def add_links(database: TestDatabase, count: int) -> list[dict[str, Any]]:
    """Add so many links that have expired, and one that has not."""
    database.insert("link_links", short_code="later", expires_at=NOT_YET)
    return [
        database.insert("link_links", short_code=f"due{n}", expires_at=EXPIRED)
        for n in range(count)
    ]


def everything(database: TestDatabase) -> dict[str, Any]:
    """Every row of every table, and where every sequence stands."""
    tables = database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    content: dict[str, Any] = {}
    with database.connect() as connection:
        for name in (table["tablename"] for table in tables):
            rows = sql.SQL("SELECT * FROM {} ORDER BY 1, 2").format(sql.Identifier(name))
            content[name] = connection.execute(rows).fetchall()
    content["sequences"] = database.query("SELECT * FROM pg_sequences ORDER BY 2")
    return content


# --- list -------------------------------------------------------------------------------------


def test_list_shows_every_scheduler_and_where_its_settings_come_from(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "toast.env").write_text("WEBHOOK_MAX_RETRIES=7\nDB_HOST=a\nDB_PASSWORD=geheim\n")
    (etc / "link.env").write_text("LINK_EXPIRATION_INTERVAL=90m\nDB_HOST=b\n")
    env = bare(TOAST_CONFIG_DIR=str(etc), STREAM_CLOSER_ENABLED="f", DB_PORT="five")
    answer = toast("list", env=env)

    assert (answer.code, answer.err) == (0, "")
    schedulers, settings = answer.out.split("\n\n")
    words = [line.split() for line in schedulers.splitlines()]
    assert words[0][:4] == ["SERVICE", "SCHEDULER", "INTERVAL", "ENABLED"]
    assert [(row[0], row[1]) for row in words[1:]] == [
        (name, scheduler.name)
        for name in workers.SERVICES
        for scheduler in workers.load(name).schedulers
    ]
    shown = {row[1]: (row[2], row[3]) for row in words[1:]}
    assert shown["link-expiration"] == ("90m", "yes")
    assert shown["stream-closer"] == ("1h", "no")
    origins = {row[0]: row[1:3] for row in map(str.split, settings.splitlines())}
    assert origins["LINK_EXPIRATION_INTERVAL"] == ["90m", f"{etc}/link.env"]
    assert origins["WEBHOOK_MAX_RETRIES"] == ["7", f"{etc}/toast.env"]
    assert origins["STREAM_CLOSER_ENABLED"] == ["f", "environment"]
    assert origins["STREAM_CLOSER_INTERVAL"] == ["1h", "default"]
    assert "ends streams that the bot never ended" in schedulers

    # Of every worker, whatever is wrong with them.
    common = [re.split(" {2,}", line) for line in settings.splitlines()]
    assert [row[:4] for row in common[1:6]] == [
        ["DB_HOST", "a", f"{etc}/toast.env", "every other worker"],
        ["DB_HOST", "b", f"{etc}/link.env", "toast-link"],
        ["DB_PORT", "five", "environment", "every worker"],
        ["DB_USER", "not set", "every worker", "PostgreSQL: role"],
        ["DB_PASSWORD", "(hidden)", f"{etc}/toast.env", "every worker"],
    ]
    assert {row[0] for row in common} >= {variable.name for variable in config.COMMON}


# --- once -------------------------------------------------------------------------------------


def test_once_runs_one_pass_publishes_and_prints_the_counts(
    database: TestDatabase, env: dict[str, str], mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    links = add_links(database, 3)

    answer = toast("once", "link", env=env)

    assert (answer.code, answer.err) == (0, "")
    header, row, published = answer.out.splitlines()
    assert header.split() == [
        "SCHEDULER",
        "RESULT",
        "PROCESSED",
        "EVENTS",
        "FAILED",
        "TOOK",
        "DETAILS",
    ]
    assert row.split()[:5] == ["link-expiration", "ok", "3", "3", "0"]
    assert published == "published 3 events"
    assert {message.key for message in arrived.read(3)} == {str(link["id"]) for link in links}
    assert database.query("SELECT short_code FROM link_links WHERE is_active") == [
        {"short_code": "later"}
    ]


def test_once_prints_one_object_for_a_program(database: TestDatabase, env: dict[str, str]) -> None:
    add_links(database, 2)

    answer = toast("once", "link", "link-expiration", "--json", env=env)

    assert (answer.code, answer.err, answer.out.count("\n")) == (0, "", 1)
    printed = json.loads(answer.out)
    seconds = printed["schedulers"][0].pop("seconds")
    assert 0 < seconds < PATIENCE
    assert printed == {
        "service": "link",
        "schedulers": [
            {
                "name": "link-expiration",
                "result": "ok",
                "counts": {"processed": 2, "events": 2, "failed": 0},
                "error": "",
            }
        ],
        "published": 2,
        "set_aside": 0,
        "waiting": 0,
        "reason": "",
        "left": {"number": 0, "refused": 0, "why": ""},
        "ended_by": "",
    }


def test_once_runs_every_scheduler_that_is_enabled_or_just_the_one_named(
    database: TestDatabase,
) -> None:
    env = environment(database, STREAM_CLOSER_ENABLED="false")

    def ran(*arguments: str) -> list[str]:
        answer = toast("once", "twitchbot", *arguments, "--json", env=env)
        assert answer.code == 0
        return [scheduler["name"] for scheduler in json.loads(answer.out)["schedulers"]]

    assert ran() == ["message-cleanup"]
    assert ran("message-cleanup") == ["message-cleanup"]
    assert ran("stream-closer") == ["stream-closer"]  # asked for by name, so it runs
    recorded = database.query("SELECT scheduler FROM toast_runs ORDER BY started_at")
    assert [row["scheduler"] for row in recorded] == [
        "message-cleanup",
        "message-cleanup",
        "stream-closer",
    ]


def test_once_fails_when_one_pass_fails_and_still_runs_the_others(
    own_database: TestDatabase,
) -> None:
    own_database.query("DROP TABLE twitchbot_messages")
    stream = own_database.insert("twitchbot_streams", is_active=True, updated_at=EXPIRED)
    env = environment(own_database)

    answer = toast("once", "twitchbot", "--json", env=env)

    assert answer.code == 1
    failed, fine = json.loads(answer.out)["schedulers"]
    assert (failed["name"], failed["result"]) == ("message-cleanup", "failed")
    assert "there is no table twitchbot_messages that this role can see" in failed["error"]
    assert failed["error"].endswith("=> set DB_NAME to the live service's database")
    assert (fine["name"], fine["result"], fine["counts"]["processed"]) == ("stream-closer", "ok", 1)
    [row] = own_database.query("SELECT id, is_active FROM twitchbot_streams")
    assert row == {"id": stream["id"], "is_active": False}

    as_text = toast("once", "twitchbot", "message-cleanup", env=env)
    assert as_text.code == 1
    assert "message-cleanup: TablesUnusable: there is no table" in as_text.out


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--no-wait-events",), 0)])
def test_once_fails_if_kafka_does_not_get_the_events_of_its_own_pass(
    database: TestDatabase, options: tuple[str, ...], code: int
) -> None:
    env = environment(database, NO_BROKER)
    add_links(database, 2)
    add_event(database, key="older, of another pass")

    answer = toast("once", "link", *options, env=env)

    assert answer.code == code
    published, events_wait, left = answer.out.splitlines()[-3:]
    assert published == "published 0 events"
    number, _, reason = events_wait.removeprefix("events are waiting: ").partition("; ")
    assert number == "3"
    assert "Connection refused" in reason
    assert left == f"Kafka does not have 2 events of this run: {reason}"

    again = toast("once", "link", "--json", *options, env=env)
    assert again.code == 0  # its pass has written none
    found = json.loads(again.out)
    assert (found["published"], found["waiting"]) == (0, 3)
    # How often it has tried by then may differ.
    assert found["reason"].partition(" (")[0] == reason.partition(" (")[0]
    assert found["left"] == {"number": 0, "refused": 0, "why": ""}


# The message of one link becomes larger than any broker takes.
ENLARGE = """
CREATE FUNCTION enlarge() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.payload = to_json(repeat('x', 1100000)); RETURN NEW; END $$;
CREATE TRIGGER enlarge BEFORE INSERT ON toast_outbox FOR EACH ROW WHEN (NEW.key = '{key}')
EXECUTE FUNCTION enlarge()"""


def test_once_fails_if_kafka_refuses_an_event_of_its_own_pass(
    own_database: TestDatabase, mock_broker: str
) -> None:
    env, arrived = environment(own_database, mock_broker), Topic(mock_broker, TOPIC)
    link, _ = add_links(own_database, 2)
    own_database.query(ENLARGE.format(key=link["id"]))

    answer = toast("once", "link", "--json", env=env)

    assert answer.code == 1
    found = json.loads(answer.out)
    arrived.read(1)
    assert (found["published"], found["set_aside"], found["waiting"]) == (1, 0, 1)
    assert found["left"].pop("why").endswith("Message size too large")
    assert found["left"] == {"number": 1, "refused": 1}


def test_once_takes_along_what_waited_before(
    database: TestDatabase, env: dict[str, str], mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    add_event(database, key="waited")
    add_event(database, service="blog", topic="blog.post.scheduled.published")
    assert json.loads(toast("once", "link", "--json", env=env).out)["published"] == 1
    assert [message.key for message in arrived.read(1)] == ["waited"]


def test_once_lets_the_publisher_of_a_worker_finish(
    database: TestDatabase, env: dict[str, str], mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    [link] = add_links(database, 1)
    waiting = "SELECT id FROM toast_outbox"
    with database.connect() as worker:
        worker.execute("SELECT pg_advisory_lock(hashtextextended('toast-outbox/link', 0))")
        with Process("workers", "once", "link", env=env) as command:
            assert poll_until(lambda: bool(database.query(waiting)), PATIENCE)
            worker.execute("SELECT pg_advisory_unlock_all()")
            assert command.exit_code() == 0
    assert [message.key for message in arrived.read(1)] == [str(link["id"])]


def test_once_reports_an_unreachable_database(database: TestDatabase) -> None:
    port = str(free_port())
    answer = toast("once", "link", "--json", env=environment(database, DB_PORT=port))
    assert answer.code == 1
    [scheduler] = json.loads(answer.out)["schedulers"]
    assert scheduler["result"] == "failed"
    assert f"port {port} failed: Connection refused" in scheduler["error"]


SLOW = """
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
CREATE TRIGGER pause AFTER UPDATE ON link_links EXECUTE FUNCTION pause()"""


ONCE = "once link --no-wait-events --json"


def once_until(
    database: TestDatabase, *numbers: signal.Signals, ignored: bool = False
) -> tuple[int, str]:
    """Send the signals to `toast once link` while it changes rows; its exit code and output."""
    asleep = "SELECT 1 AS one FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    trap = "trap '' HUP; " if ignored else ""
    with subprocess.Popen(
        ["sh", "-c", f"{trap}exec {sys.executable} -m workers {ONCE}"],
        env=environment(database),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    ) as command:
        assert poll_until(lambda: bool(database.query(asleep)), PATIENCE)
        for number in numbers:
            command.send_signal(number)
            time.sleep(0.2)
        out, _ = command.communicate(timeout=STOP_SECONDS)
        return command.returncode, out


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_once_after_the_batch_and_it_says_how_far_it_got(
    number: signal.Signals, own_database: TestDatabase
) -> None:
    add_links(own_database, 3)
    own_database.query(SLOW.format(seconds=2))
    code, out = once_until(own_database, number)
    found = json.loads(out)
    assert code == 128 + number
    assert found["ended_by"] == number.name
    assert found["schedulers"][0]["counts"] == {"processed": 3, "events": 3, "failed": 0}
    assert (found["published"], found["waiting"]) == (0, 3)
    assert own_database.query("SELECT count(*) AS rows FROM toast_outbox") == [{"rows": 3}]


def test_a_second_ctrl_c_ends_a_batch_that_takes_long(own_database: TestDatabase) -> None:
    link = own_database.insert("link_links", expires_at=EXPIRED)
    own_database.query(SLOW.format(seconds=100))
    code, out = once_until(own_database, signal.SIGINT, signal.SIGINT)
    found = json.loads(out)
    assert (code, found["ended_by"], found["waiting"]) == (130, "SIGINT", 0)
    [scheduler] = found["schedulers"]
    assert (scheduler["result"], scheduler["counts"]["processed"]) == ("stopped", 0)
    assert own_database.query("SELECT * FROM link_links") == [link]


def test_once_under_nohup_is_not_ended_by_sighup(own_database: TestDatabase) -> None:
    add_links(own_database, 1)
    own_database.query(SLOW.format(seconds=2))
    code, out = once_until(own_database, signal.SIGHUP, ignored=True)
    assert (code, json.loads(out)["ended_by"]) == (0, "")


def test_ctrl_c_ends_a_pass_without_a_traceback(own_database: TestDatabase) -> None:
    link = own_database.insert("link_links", expires_at=EXPIRED)
    own_database.query(SLOW.format(seconds=100))
    asleep = "SELECT 1 AS one FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with Process("workers", "once", "link", env=environment(own_database)) as command:
        assert poll_until(lambda: bool(own_database.query(asleep)), PATIENCE)
        assert command.stop(signal.SIGINT) == 130
        assert "Traceback" not in command.log
    assert own_database.query("SELECT * FROM link_links") == [link]


# --- once --dry-run ---------------------------------------------------------------------------


def test_a_dry_run_shows_what_is_due_and_changes_nothing(
    database: TestDatabase, env: dict[str, str], mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    links = add_links(database, 12)
    add_event(database)
    before = everything(database)

    as_text = toast("once", "link", "--dry-run", env=env)
    as_json = toast("once", "link", "--dry-run", "--json", env=env)

    assert (as_text.code, as_text.err) == (as_json.code, as_json.err) == (0, "")
    title, header, *rows = as_text.out.splitlines()
    assert title == "link-expiration: 12 due, the first 10"
    assert header.split() == ["ID", "SHORT_CODE", "EXPIRES_AT"]
    assert len(rows) == 10
    due = {(str(link["id"]), link["short_code"]) for link in links}
    assert {(row.split()[0], row.split()[1]) for row in rows} < due

    [scheduler] = json.loads(as_json.out)["schedulers"]
    assert (scheduler["result"], scheduler["counts"], scheduler["error"]) == ("ok", {"due": 12}, "")
    assert len(scheduler["rows"]) == 10
    assert {(row["id"], row["short_code"]) for row in scheduler["rows"]} < due
    assert everything(database) == before
    assert arrived.count() == 0


def test_a_dry_run_of_a_service_shows_each_of_its_schedulers(database: TestDatabase) -> None:
    database.insert("twitchbot_messages", created_at=EXPIRED - timedelta(days=1000))
    before = everything(database)

    answer = toast("once", "twitchbot", "--dry-run", env=environment(database))

    assert answer.code == 0
    cleanup, closer = answer.out.split("\n\n")
    assert cleanup.startswith("message-cleanup: 1 due\nID ")
    assert closer == "stream-closer: 0 due\n"
    assert everything(database) == before


def test_a_dry_run_creates_no_table_of_ours(
    own_database: TestDatabase, env: dict[str, str]
) -> None:
    own_database.query("DROP TABLE toast_migrations")
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    before = own_database.query(tables)

    answer = toast("once", "link", "--dry-run", env=environment(own_database))

    assert answer.code == 1
    assert "link-expiration: run `toast migrate`: not applied here yet: 0001_outbox" in answer.out
    assert own_database.query(tables) == before


# --- run --------------------------------------------------------------------------------------


def test_run_starts_the_worker(database: TestDatabase, env: dict[str, str]) -> None:
    add_links(database, 1)
    with Process("workers", "run", "link", env=env) as worker:
        worker.wait_for("pass_finished", service="link", scheduler="link-expiration", processed=1)
        worker.wait_for("events_published")
        assert worker.stop() == 0


# --- wrong usage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "required: COMMAND"),
        ("frobnicate", "invalid choice: 'frobnicate'"),
        ("once", "required: SERVICE"),
        ("once link --yes", "unrecognized arguments: --yes"),
        ("outbox drop all", "invalid int value: 'all'"),
        ("outbox retry --topik=x", "unrecognized arguments: --topik=x"),
        ("rows drop 1", "invalid UUID value: '1'"),
        ("once lnik", "unknown service 'lnik'. Did you mean link? Known: blog, foodfolio, link"),
        ("run Webhooks", "unknown service 'Webhooks'. Did you mean webhook? Known: blog, "),
        ("run ../link", "unknown service '../link'."),
        ("migrate --service blogg", "unknown service 'blogg'. Did you mean blog?"),
        ("once webhook webhook-rerty", "Did you mean webhook-retry? Known: webhook-retry, "),
        ("once twitchbot xyz", "unknown scheduler of twitchbot 'xyz'. Known: message-cleanup, st"),
    ],
)
def test_wrong_usage_ends_with_2_and_lists_what_is_known(
    words: str, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "nowhere")
    monkeypatch.setenv("DB_USER", "no-such")
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err


@pytest.mark.parametrize(
    "words", ["run link", "once link", "once link --dry-run", "migrate", "outbox"]
)
def test_bad_settings_end_with_78_and_every_fault(
    words: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DB_HOST": "nowhere", "DB_PORT": "five", "LOG_LEVEL": "loud"}.items():
        monkeypatch.setenv(name, value)
    assert main(words) == 78
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.split()[0] for line in err.splitlines()] == ["DB_PORT", "DB_USER", "LOG_LEVEL"]


def main(words: str) -> int:
    """The exit code of the command, run in this process."""
    try:
        return commands.main(services.Services(workers.SERVICES, workers.load), words.split())
    except SystemExit as usage:  # from argparse
        return int(usage.code or 0)


def test_the_process_ends_with_the_code_of_the_command() -> None:
    assert toast("once", "no-such", env=bare()).code == 2
    assert toast("once", "link", env=bare()).code == 78


def test_list_names_every_fault_of_every_service() -> None:
    env = bare(LINK_EXPIRATION_INTERVAL="1 hour", STREAM_CLOSER_INTERVAL="1ms")
    answer = toast("list", env=env)
    assert (answer.code, answer.out) == (78, "")
    assert [line.split()[0] for line in answer.err.splitlines()] == [
        "LINK_EXPIRATION_INTERVAL",
        "STREAM_CLOSER_INTERVAL",
    ]


def test_a_refused_login_is_an_error_of_one_line(database: TestDatabase) -> None:
    env = environment(database, DB_PASSWORD="not-the-password")
    for arguments in (("migrate",), ("outbox",)):
        answer = toast(*arguments, env=env)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith("toast: ")
        assert "password authentication failed" in answer.err
        assert "not-the-password" not in answer.err
        assert "Traceback" not in answer.err
