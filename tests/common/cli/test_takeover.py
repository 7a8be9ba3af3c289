"""`toast takeover`: it shows first passes, asks, and does them with few events."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import Any

import pytest

from common.cli.services import UsageError
from common.cli.takeover import first_passes
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import NO_BROKER, Finished, Process, environment, toast
from testing.topics import Topic
from tests.support.expired_links import insert_expired, slow_down

pytestmark = pytest.mark.usefixtures("only_link_expiration")

# More than a first pass may have without being large.
LINKS = 1_200
# More than two batches: the one in hand is committed although its process is killed.
ENOUGH = 30_000

# What became due at these times before now.
AGES = ("1 hour", "2 days", "20 days", "31 days", "2 years")

PLAN = """\
SCHEDULER        DUE  1 DAY  7 DAYS  30 DAYS  OLDER  UNKNOWN  EVENTS
link-expiration    5      1       1        1      2        0       {events}
"""

ADD = """
INSERT INTO link_links (original_url, short_code, expires_at, click_count, created_at, updated_at)
SELECT '', 'age' || age, now() - age::interval, 0, now(), now() FROM unnest(%s::text[]) AS age"""


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    """One database for all tests here, emptied before each: a new one takes much longer."""
    module_database.query(
        "DELETE FROM toast_outbox; DELETE FROM toast_runs; DELETE FROM link_links"
    )
    return module_database


@pytest.fixture
def aged(database: TestDatabase) -> TestDatabase:
    """A database with five links that are due, of different ages."""
    database.query(ADD, list(AGES))
    return database


def takeover(database: TestDatabase, *options: str, brokers: str = NO_BROKER) -> Finished:
    return toast("takeover", "link", *options, env=environment(database, brokers))


def announced(topic: Topic, count: int) -> set[str]:
    """The codes of the links of so many events."""
    return {message.json["short_code"] for message in topic.read(count)}


@pytest.mark.parametrize(
    ("options", "events", "ends_with"),
    [
        ((), 5, ""),
        (("--announce", "none"), 0, "nothing is changed: add --yes to do it\n"),
        (("--announce", "since:26h", "--dry-run"), 1, ""),
    ],
)
def test_it_shows_what_is_due_by_age_and_changes_nothing(
    options: tuple[str, ...], events: int, ends_with: str, aged: TestDatabase
) -> None:
    answer = takeover(aged, *options)
    assert (answer.code, answer.out) == (0, PLAN.format(events=events) + ends_with)
    assert aged.count("link_links WHERE is_active") == len(AGES)
    assert aged.count("toast_runs") == 0


def test_it_changes_all_and_announces_the_recent_part(aged: TestDatabase, mock_broker: str) -> None:
    topic = Topic(mock_broker, "link.expired")
    options = ("--announce", "since:7d", "--yes", "--json")
    oldest = aged.one("SELECT min(expires_at) AS at FROM link_links")["at"].isoformat()
    answer = takeover(aged, *options, brokers=mock_broker)

    done = json.loads(answer.out)
    [planned], [did] = done["schedulers"], done["done"]["schedulers"]
    assert (done["service"], done["announce"], answer.code) == ("link", "since:7d", 0)
    assert planned == {
        "name": "link-expiration",
        "due": 5,
        "ages": {"day": 1, "week": 1, "month": 1, "older": 2, "unknown": 0, "oldest": oldest},
        "events": 2,
        "left": "",
        "last_success": None,
        "error": "",
    }
    assert did["counts"] == {"processed": 5, "events": 2, "failed": 0}
    assert done["done"]["published"] == 2
    assert announced(topic, 2) == {"age1 hour", "age2 days"}
    assert aged.count("link_links WHERE is_active") == 0
    assert aged.one("SELECT result, counts FROM toast_runs") == {
        "result": "ok",
        "counts": did["counts"],
    }
    assert "no first pass: one succeeded at 20" in takeover(aged).out


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("\n", 5), ("\x04", 5)])
def test_at_a_terminal_it_asks(answer: str, left: int, aged: TestDatabase) -> None:
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "workers", "takeover", "link", "--announce", "none"]
    with subprocess.Popen(command, env=environment(aged), stdin=its, stdout=its) as asking:
        os.close(its)
        shown = b""
        while b"[y/N] " not in shown:
            shown += os.read(ours, 10_000)
        os.write(ours, answer.encode())
        read_rest(ours)
        assert asking.wait(PATIENCE) == 0
    assert shown.replace(b"\r", b"").startswith(PLAN.format(events=0).encode())
    assert aged.count("link_links WHERE is_active") == left


def has_begun(database: TestDatabase) -> bool:
    return database.count("link_links WHERE NOT is_active") > 0


def read_rest(terminal: int) -> None:
    try:
        while os.read(terminal, 10_000):
            pass
    except OSError:  # closed at its end
        os.close(terminal)


def test_killed_in_the_middle_the_next_one_does_the_rest_as_quietly(
    database: TestDatabase, mock_broker: str
) -> None:
    topic = Topic(mock_broker, "link.expired")
    insert_expired(database, ENOUGH)
    database.query(ADD, ["1 hour"])
    slow_down(database, "link_links", 0.5)
    options = ("takeover", "link", "--announce", "since:7d", "--yes")
    try:
        with Process("workers", *options, env=environment(database)) as killed:
            assert poll_until(lambda: has_begun(database), PATIENCE)
            os.kill(killed.pid, signal.SIGKILL)
        database.wait_until_left()
        assert 0 < database.count("link_links WHERE is_active") <= ENOUGH
    finally:
        database.query("DROP TRIGGER pause ON link_links; DROP FUNCTION pause")

    assert takeover(database, *options[2:], brokers=mock_broker).code == 0
    assert database.count("link_links WHERE is_active") == 0
    assert announced(topic, 1) == {"age1 hour"}


def test_a_worker_that_is_to_ask_waits_for_it(database: TestDatabase) -> None:
    insert_expired(database, LINKS)
    env = environment(database, TOAST_FIRST_PASS="ask")
    with Process("workers.link", env=env) as worker:
        worker.wait_for("large_first_pass_found")
        skipped = worker.wait_for("pass_finished", result="skipped")
        assert "waits for `toast takeover link`: more than 1,000 rows" in skipped["reason"]
        waiting = status(env)
        assert (waiting["state"], waiting["error"]) == ("waiting", skipped["reason"])

        assert takeover(database, "--announce", "none", "--yes").code == 0
        assert status(env)["state"] == "ok"
        os.kill(worker.pid, signal.SIGUSR1)
        worker.wait_for("pass_finished", result="ok")
        assert worker.stop() == 0
    assert database.count("link_links WHERE is_active") == database.count("toast_outbox") == 0


def status(env: dict[str, str]) -> dict[str, Any]:
    answer = toast("status", "link", "--json", env=env)
    [job] = json.loads(answer.out)["jobs"]
    assert answer.code == (1 if job["state"] == "waiting" else 0)
    return dict(job)


@pytest.mark.parametrize(
    ("announce", "reason"),
    [
        ("some", "unknown"),
        ("since", "no number"),
        ("since:0d", "out of range"),
        ("since:7", "no unit after '7'"),
        ("since:900000h", "more than 876000h"),
    ],
)
def test_a_wrong_choice_names_what_is_expected(announce: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        first_passes.parse(announce)
    assert str(refused.value) == (
        f"--announce {announce!r} ({reason}); expected all, none, or since: and a number of days "
        "or a Go duration, such as 7d or 12h"
    )


def test_a_yes_needs_to_know_what_to_announce(database: TestDatabase) -> None:
    answer = takeover(database, "--yes")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "toast: --yes needs --announce: say which rows are to leave events\n"


def test_what_calls_other_servers_is_left_to_the_worker(database: TestDatabase) -> None:
    channel = database.insert("notification_channels", active=True)["id"]
    database.insert(
        "notification_notifications", channel_id=channel, status="failed", attempt_count=1
    )
    env = environment(database)
    answer = toast("takeover", "notification", "--announce", "none", "--yes", env=env)
    assert "notification-retry: left to its worker, because each row leads to" in answer.out
    assert database.query("SELECT scheduler, result FROM toast_runs") == [
        {"scheduler": "notification-cleanup", "result": "ok"}
    ]
