"""`toast outbox`, `rows`, `runs` and `audit`: what they list, change and record."""

from __future__ import annotations

import getpass
import json
import re
import socket
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devservers.postgres import PostgresServer
from testing.database import TestDatabase, fresh_database
from testing.processes import NO_BROKER, Finished, environment, toast
from testing.topics import Topic
from tests.support.outbox_rows import add_event, set_aside
from tests.support.row_faults import add_failed_row

TOPIC = "link.expired"
NOW = datetime.now(UTC)


@pytest.fixture
def env(database: TestDatabase, mock_broker: str) -> dict[str, str]:
    return environment(database, mock_broker)


def lines(answer: Finished) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.out.splitlines()]


def audited(database: TestDatabase) -> list[tuple[str, str, int, list[str]]]:
    found = database.query("SELECT action, subject, rows, first_rows FROM toast_audit ORDER BY id")
    return [(row["action"], row["subject"], row["rows"], row["first_rows"]) for row in found]


# --- outbox -----------------------------------------------------------------------------------


def left_aside(database: TestDatabase) -> list[int]:
    return [row["id"] for row in database.query("SELECT id FROM toast_outbox_set_aside")]


def test_outbox_shows_what_waits_and_what_was_set_aside(
    database: TestDatabase, env: dict[str, str]
) -> None:
    add_event(database, key="k-waits")
    refused = add_event(database, key="k-refused")
    set_aside(database, refused, error="Broker: Message size too large")

    for arguments in (("outbox",), ("outbox", "list"), ("outbox", "--service", "link")):
        answer = toast(*arguments, env=env)
        assert answer.code == 0, answer.err
        summary, header, first, second = answer.out.splitlines()
        assert summary == "1 waiting, the oldest since 2026-01-02 03:04:05; 1 set aside"
        assert header.split() == ["ID", "SERVICE", "TOPIC", "KEY", "SINCE", "TRIES", "STATE"]
        assert first.split()[:4] == [str(refused), "link", TOPIC, "k-refused"]
        assert first.endswith("  5  set aside: Broker: Message size too large")
        assert second.split()[3] == "k-waits"
        assert second.endswith("  0  waiting")
    summary, *rest = toast("outbox", "--service", "blog", env=env).out.splitlines()
    assert (summary, rest) == ("0 waiting; 0 set aside", [])


def test_a_full_outbox_is_shown_in_part_as_text_and_whole_as_json(
    database: TestDatabase, env: dict[str, str]
) -> None:
    database.query(
        "INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)"
        " SELECT 'link', 'link.expired', n, gen_random_uuid(), now(), '{}'"
        " FROM generate_series(1, 250) AS n"
    )
    summary, _, *shown, last = toast("outbox", env=env).out.splitlines()
    assert summary.startswith("250 waiting, ")
    assert (len(shown), last) == (100, "(the first 100 are shown; --json has all)")
    about, *events = lines(toast("outbox", "list", "--json", env=env))
    assert (about["waiting"], about["set_aside"]) == (250, 0)
    assert [event["key"] for event in events] == [str(n) for n in range(1, 251)]


def test_outbox_names_the_machine_that_publishes_now(
    database: TestDatabase, env: dict[str, str]
) -> None:
    add_event(database)
    with database.session() as connection, connection.try_lock("toast-outbox/link"):
        text, about = toast("outbox", env=env), lines(toast("outbox", "--json", env=env))[0]
    [machine] = about["publishers"].values()
    assert text.out.splitlines()[1] == f"link: published now from {machine}"
    assert machine in ("127.0.0.1", "the machine of PostgreSQL")


def test_outbox_shows_one_event_with_its_payload(
    database: TestDatabase, env: dict[str, str]
) -> None:
    event = add_event(database, payload='{"n": 1}')
    shown = toast("outbox", "show", str(event), env=env)
    assert re.search(r'^payload +{"n": 1}$', shown.out, re.MULTILINE)
    [found] = lines(toast("outbox", "show", str(event), "--json", env=env))
    assert (found["payload"], found["state"]) == ('{"n": 1}', "waiting")
    missing = toast("outbox", "show", "99999999999999999999", env=env)
    assert (missing.code, missing.out) == (1, "")
    assert "no such event; see `toast outbox`" in missing.err


def test_outbox_retry_sends_an_event_after_all(
    database: TestDatabase, env: dict[str, str], mock_broker: str
) -> None:
    arrived = Topic(mock_broker, TOPIC)
    event_id = uuid.uuid4()
    refused = add_event(database, key="k", payload='{"n": 1}', event_id=event_id, tries=4)
    other = add_event(database, key="other")
    set_aside(database, refused, other)

    answer = toast("outbox", "retry", str(refused), env=env)

    assert (answer.code, answer.out) == (0, f"retry: 1 event: {refused}\n")
    [waits] = database.query("SELECT id, tries, retry_at, error FROM toast_outbox")
    assert waits == {"id": refused, "tries": 0, "retry_at": None, "error": ""}
    assert json.loads(toast("once", "link", "--json", env=env).out)["published"] == 1
    [message] = arrived.read(1)
    assert (message.key, message.value) == ("k", b'{"n": 1}')
    assert dict(message.headers)["ce_id"] == str(event_id)
    assert left_aside(database) == [other]
    assert audited(database) == [("outbox retry", "", 1, [str(refused)])]


@pytest.mark.parametrize(
    ("options", "left", "subject"),
    [
        ("--all", [], ""),
        ("--service blog", [0, 1], "blog"),
        ("--topic link.other", [0, 2], "link.other"),
        ("--service link --topic link.expired", [1, 2], "link link.expired"),
    ],
)
def test_outbox_changes_what_is_chosen_and_records_it(
    options: str, left: list[int], subject: str, database: TestDatabase, env: dict[str, str]
) -> None:
    events = [
        add_event(database),
        add_event(database, topic="link.other"),
        add_event(database, service="blog", topic="blog.post"),
    ]
    waits = add_event(database)
    set_aside(database, *events)

    answer = toast("outbox", "drop", *options.split(), "--yes", env=env)

    changed = [event for n, event in enumerate(events) if n not in left]
    assert answer.code == 0
    assert sorted(left_aside(database)) == [events[n] for n in left]
    assert audited(database) == [("outbox drop", subject, len(changed), [*map(str, changed)])]
    assert database.query("SELECT id FROM toast_outbox") == [{"id": waits}]


def test_5000_events_are_one_command(database: TestDatabase, env: dict[str, str]) -> None:
    database.query(
        "INSERT INTO toast_outbox_set_aside SELECT n, 'link', 'link.expired', n,"
        " gen_random_uuid(), now(), '{}', 5, 'no', now() FROM generate_series(1, 5000) AS n"
    )
    answer = toast("outbox", "retry", "--all", env=env)
    assert answer.out == "retry: 5000 events: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...\n"
    assert left_aside(database) == []
    assert audited(database) == [("outbox retry", "", 5000, [*map(str, range(1, 11))])]


def test_an_event_that_is_not_set_aside_is_refused_and_the_others_are_changed(
    database: TestDatabase, env: dict[str, str]
) -> None:
    refused, waits = add_event(database), add_event(database)
    set_aside(database, refused)
    answer = toast("outbox", "drop", str(waits), str(refused), "99999999999999999999", env=env)
    assert (answer.code, answer.out) == (1, f"drop: 1 event: {refused}\n")
    assert answer.err.splitlines()[-2:] == [
        f"toast: event {waits} is not set aside: it is waiting to be published",
        "toast: event 99999999999999999999 is not set aside: no such event; see `toast outbox`",
    ]
    assert database.query("SELECT id FROM toast_outbox") == [{"id": waits}]


# --- rows -------------------------------------------------------------------------------------

A_ROW, B_ROW, C_ROW = (uuid.UUID(int=n) for n in (1, 2, 3))


@pytest.fixture
def failed(database: TestDatabase) -> None:
    for row, scheduler, reason in (
        (A_ROW, "link-expiration", "a trigger refused it"),
        (B_ROW, "link-expiration", "value too long"),
        (C_ROW, "stream-closer", "a TRIGGER refused it"),
    ):
        add_failed_row(database, scheduler, reason, row)


def states(env: dict[str, str], *options: str) -> dict[uuid.UUID, str]:
    rows = lines(toast("rows", *options, "--json", env=env))
    return {uuid.UUID(row["row_id"]): row["state"] for row in rows}


@pytest.mark.usefixtures("failed")
def test_rows_are_listed_by_service_scheduler_and_reason(env: dict[str, str]) -> None:
    header, first, second, third = toast("rows", env=env).out.splitlines()
    assert header.split() == [
        "ROW",
        "SCHEDULER",
        "SINCE",
        "FAILURES",
        "RETRY",
        "AT",
        "STATE",
        "REASON",
    ]
    assert first.startswith(f"{A_ROW}  link-expiration  ")
    assert first.endswith("  set aside  a trigger refused it")
    assert second.split()[0] == str(B_ROW)
    assert third.split()[:2] == [str(C_ROW), "stream-closer"]
    assert set(states(env, "--service", "link")) == {A_ROW, B_ROW}
    assert set(states(env, "list", "--scheduler", "stream-closer")) == {C_ROW}
    assert set(states(env, "--reason", "Trigger")) == {A_ROW, C_ROW}
    shown = toast("rows", "show", str(B_ROW), env=env).out
    assert f"row_id     {B_ROW}\n" in shown
    assert "reason     value too long\n" in shown


@pytest.mark.usefixtures("failed")
def test_rows_that_are_chosen_are_retried_or_left_alone_for_good(
    database: TestDatabase, env: dict[str, str]
) -> None:
    first = toast("rows", "drop", "--scheduler", "link-expiration", "--yes", env=env)
    assert first.out == f"drop: 2 rows: {A_ROW}, {B_ROW}\n"
    assert states(env) == {A_ROW: "dropped", B_ROW: "dropped", C_ROW: "set aside"}
    again = toast("rows", "retry", str(A_ROW), str(uuid.UUID(int=9)), env=env)
    assert (again.code, again.out) == (1, f"retry: 1 row: {A_ROW}\n")
    assert again.err.endswith(f"toast: row {uuid.UUID(int=9)} is not set aside\n")
    assert states(env) == {A_ROW: "due", B_ROW: "dropped", C_ROW: "set aside"}
    toast("rows", "retry", "--reason", "trigger", env=env)
    assert states(env) == {A_ROW: "due", B_ROW: "dropped", C_ROW: "due"}
    assert [entry[:3] for entry in audited(database)] == [
        ("rows drop", "link-expiration", 2),
        ("rows retry", "", 1),
        ("rows retry", "trigger", 2),
    ]


def test_a_row_that_is_retried_is_processed_by_the_next_pass(
    database: TestDatabase, env: dict[str, str]
) -> None:
    [link] = [database.insert("link_links", short_code="x", expires_at=NOW - timedelta(days=1))]
    add_failed_row(database, row=link["id"])
    assert lines(toast("once", "link", "--json", env=env))[0]["schedulers"][0]["counts"] == {
        "processed": 0,
        "events": 0,
        "failed": 0,
    }
    toast("rows", "retry", "--all", env=env)
    counts = lines(toast("once", "link", "--json", env=env))[0]["schedulers"][0]["counts"]
    assert counts["processed"] == 1
    assert states(env) == {}


# --- a choice is needed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("outbox retry", "which? Give an ID, --service, --topic or --all"),
        ("rows drop", "which? Give an ID, --service, --scheduler, --reason or --all"),
        ("outbox drop 5 --all", "--all and an ID exclude each other"),
        ("rows retry --all --reason x", "--all and --reason exclude each other"),
        ("outbox drop --all", "Delete 1 events that were set aside? Nothing is changed: add --yes"),
        ("rows drop --service link", "Leave 2 rows alone for good? Nothing is changed: add --yes"),
        ("rows list --scheduler link-expiraton", "Did you mean link-expiration?"),
        ("runs link stream-closer", "unknown scheduler of link 'stream-closer'"),
        ("runs --since 5", "--since '5' ("),
    ],
)
@pytest.mark.usefixtures("failed")
def test_what_is_not_clear_changes_nothing(
    words: str, expected: str, database: TestDatabase, env: dict[str, str]
) -> None:
    set_aside(database, add_event(database))
    answer = toast(*words.split(), env=env)
    assert (answer.code, answer.out) == (2, "")
    assert expected in answer.err
    assert len(left_aside(database)) == 1
    assert set(states(env).values()) == {"set aside"}
    assert audited(database) == []


# --- runs -------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first_and_filtered(
    database: TestDatabase, env: dict[str, str]
) -> None:
    for age, service, scheduler, result, error in (
        (timedelta(days=8), "link", "link-expiration", "ok", ""),
        (timedelta(hours=2), "link", "link-expiration", "failed", "Connection refused"),
        (timedelta(hours=1), "blog", "post-publisher", "ok", ""),
        (timedelta(0), "link", "link-expiration", None, ""),
    ):
        database.insert(
            "toast_runs",
            id=uuid.uuid4(),
            service=service,
            scheduler=scheduler,
            host="vm-1",
            process=17,
            started_at=NOW - age,
            finished_at=NOW - age + timedelta(seconds=1.5) if result else None,
            result=result,
            counts=json.dumps({"processed": 3, "failed": 0}),
            error=error,
        )

    def results(*options: str) -> list[str]:
        return [run["result"] for run in lines(toast("runs", *options, "--json", env=env))]

    header, *shown = toast("runs", env=env).out.splitlines()
    assert header.split()[:4] == ["STARTED", "SERVICE", "SCHEDULER", "RESULT"]
    assert [line.split()[2] for line in shown] == ["link", "blog", "link", "link"]
    assert "not ended  -       3 processed  vm-1 (17)" in shown[0]
    assert shown[2].endswith("failed     1.50 s  3 processed  vm-1 (17)  Connection refused")
    assert results("link") == results("link", "link-expiration") == [None, "failed", "ok"]
    assert results("--failed") == ["failed"]
    assert results("--since", "7d") == [None, "ok", "failed"]
    assert results("--since", "90m") == [None, "ok"]
    assert toast("runs", "sse", env=env).out == "no pass is recorded\n"


def test_settings_of_the_service_are_no_unknown_names(database: TestDatabase) -> None:
    own = environment(database, LINK_EXPIRATION_INTERVAL="1s")
    assert "is not a setting" not in toast("runs", "link", env=own).err
    slip = environment(database, LINK_EXPIRATION_INTERVALL="1s")
    assert "did you mean LINK_EXPIRATION_INTERVAL?" in toast("runs", "link", env=slip).err


# --- audit ------------------------------------------------------------------------------------


def test_the_audit_says_who_did_what_and_when(database: TestDatabase, env: dict[str, str]) -> None:
    set_aside(database, *(add_event(database) for _ in range(2)))
    toast("outbox", "retry", "--service", "link", env=env)
    database.query(
        "INSERT INTO toast_audit (done_at, login, host, action, subject, rows, first_rows, reason)"
        " VALUES (now() - interval '2 days', 'ann', 'vm-2', 'migrate', '', 1, '{0008}', '')"
    )
    new, old = lines(toast("audit", "--json", env=env))
    assert (new["login"], new["host"]) == (getpass.getuser(), socket.gethostname())
    assert (new["action"], new["subject"], new["rows"]) == ("outbox retry", "link", 2)
    assert (old["login"], old["action"]) == ("ann", "migrate")
    header, first = toast("audit", "--since", "1d", env=env).out.splitlines()
    assert header.split() == ["DONE", "WHO", "ACTION", "SUBJECT", "ROWS", "FIRST", "REASON"]
    assert f"{new['login']} on {new['host']} as {new['role']}" in first


def test_migrate_deletes_what_is_older_than_a_year(
    database: TestDatabase, env: dict[str, str]
) -> None:
    for years, login in ((2, "old"), (0, "new")):
        database.query(
            "INSERT INTO toast_audit (done_at, login, host, action, subject, rows, first_rows,"
            " reason) VALUES (now() - %s * interval '1 year', %s, 'h', 'x', '', 1, '{}', '')",
            years,
            login,
        )
    assert toast("migrate", env=env).code == 0
    assert database.query("SELECT login FROM toast_audit") == [{"login": "new"}]


def test_migrations_are_recorded_with_them(postgres_server: PostgresServer) -> None:
    with fresh_database(postgres_server) as database:
        database.query("DELETE FROM toast_migrations WHERE number = 8; DROP TABLE toast_audit")
        toast("migrate", env=environment(database, NO_BROKER))
        assert audited(database) == [("migrate", "", 1, ["0008_audit"])]
