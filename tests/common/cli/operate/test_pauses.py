"""`toast pause` and `toast resume`: all machines obey, at once where a pass is under way."""

from __future__ import annotations

import getpass
import json
import socket
import time
from contextlib import ExitStack
from typing import Any

import pytest

from devservers.child_processes import PATIENCE, free_port, poll_until
from testing.database import TestDatabase
from testing.processes import Finished, Process, environment, toast
from tests.support.expired_links import insert_expired, slow_down
from tests.support.scrapes import scrape_until

pytestmark = pytest.mark.usefixtures("only_link_expiration")

JOB = ("link", "link-expiration")
WHY = ("--reason", "a receiver is broken")
WHO = f"by {getpass.getuser()} on {socket.gethostname()}"
LINKS = 60_000
BATCH_SECONDS = 0.3
# After the batch in hand.
OBEY_SECONDS = 2.0


def pause(database: TestDatabase, *arguments: str, **settings: str) -> Finished:
    return toast("pause", *arguments, *WHY, env=environment(database, **settings))


def active(database: TestDatabase) -> int:
    count: int = database.one("SELECT count(*) AS n FROM link_links WHERE is_active")["n"]
    return count


def audited(database: TestDatabase) -> list[tuple[Any, ...]]:
    rows = database.query("SELECT action, subject, first_rows, reason FROM toast_audit ORDER BY id")
    return [tuple(row.values()) for row in rows]


# --- workers ----------------------------------------------------------------------------------


def test_two_workers_obey_one_pause_until_it_is_resumed(database: TestDatabase) -> None:
    port = free_port()
    env = environment(database, LINK_EXPIRATION_INTERVAL="200ms")
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Process("workers.link", env={**env, "METRICS_PORT": str(number)}))
            for number in (port, 0)
        ]
        for worker in workers:
            worker.wait_for("pass_finished", result="ok")
        answer = pause(database, *JOB, "--indefinitely")
        text = f"paused until it is resumed, {WHO}: a receiver is broken"
        assert (answer.code, answer.out) == (0, f"link-expiration: {text}\n")
        for worker in workers:
            worker.wait_for("pass_finished", result="skipped", reason=text)
        insert_expired(database, 3)
        for worker in workers:
            passes = len(worker.records("pass_finished", result="skipped"))
            worker.wait_for("pass_finished", result="skipped", count=passes + 3)
        assert active(database) == 3
        scraped = scrape_until(port, lambda page: page.value("toast_scheduler_paused") == 1)
        assert scraped.values("toast_scheduler_paused", "scheduler") == {"link-expiration": 1}

        status = toast("status", "link", env=env)
        assert status.code == 0
        assert f"link link-expiration: {text}" in status.out
        shown = json.loads(toast("status", "link", "--json", env=env).out)["jobs"][0]
        assert (shown["state"], shown["next_run"]) == ("paused", None)
        assert shown["pause"]["reason"] == "a receiver is broken"

        assert toast("resume", *JOB, env=env).out == "link-expiration: resumed\n"
        assert poll_until(lambda: active(database) == 0, PATIENCE)
        assert poll_until(lambda: _value(port) == 0, PATIENCE)
    assert audited(database) == [
        ("pause indefinitely", "link link-expiration", ["link-expiration"], WHY[1]),
        ("resume", "link link-expiration", ["link-expiration"], ""),
    ]


def _value(port: int) -> float | None:
    return scrape_until(port, lambda page: True).value("toast_scheduler_paused")


def test_a_pass_under_way_ends_after_its_batch_and_goes_on_at_the_end_of_the_pause(
    database: TestDatabase,
) -> None:
    insert_expired(database, LINKS)
    slow_down(database, "link_links", BATCH_SECONDS)
    with Process("workers.link", env=environment(database)) as worker:  # its interval is an hour
        assert poll_until(lambda: active(database) < LINKS, PATIENCE)
        began = time.monotonic()
        answer = pause(database, "link", "--for", "3s")
        stopped = worker.wait_for("pass_finished", result="stopped")
        assert time.monotonic() - began < OBEY_SECONDS + BATCH_SECONDS
        assert f"link-expiration: {stopped['reason']}" in answer.out
        left = active(database)
        assert 0 < left < LINKS
        finished = worker.wait_for("pass_finished", result="ok")
        assert (finished["processed"], active(database)) == (left, 0)
        assert worker.records("pass_finished", result="skipped") == []
    [run, _] = database.query("SELECT result, error FROM toast_runs ORDER BY started_at")
    assert (run["result"], run["error"]) == ("stopped", stopped["reason"])


# --- passes by hand ---------------------------------------------------------------------------


def test_a_pass_by_hand_refuses_unless_it_is_forced(
    database: TestDatabase, mock_broker: str
) -> None:
    insert_expired(database, 3)
    pause(database, *JOB, "--for", "1h")
    env = environment(database, mock_broker)
    once = ("once", *JOB)
    refused = toast(*once, env=env)
    assert refused.code == 1
    assert "`toast once link --force` runs a pass nevertheless" in refused.out
    outcome = json.loads(toast(*once, "--json", env=env).out)["schedulers"][0]
    assert outcome["result"] == "skipped"
    assert outcome["error"].endswith(f" UTC, {WHO}: a receiver is broken")
    assert toast("takeover", *JOB, "--announce", "all", "--yes", env=env).code == 1
    assert active(database) == 3
    assert toast(*once, "--dry-run", env=env).out.startswith("link-expiration: 3 due")
    assert toast(*once, "--force", env=env).code == 0
    assert active(database) == 0


# --- the command ------------------------------------------------------------------------------


def test_a_time_is_read_in_the_zone_of_this_machine_and_shown_in_utc(
    database: TestDatabase,
) -> None:
    answer = pause(database, "link", "--until", "2126-01-02 10:00", "--json", TZ="America/New_York")
    paused = json.loads(answer.out)["paused"]
    assert {one["until"] for one in paused} == {"2126-01-02T15:00:00+00:00"}
    assert "link-expiration" in {one["scheduler"] for one in paused}
    resumed = toast("resume", "link", "--json", env=environment(database))
    assert set(json.loads(resumed.out)["resumed"]) == {one["scheduler"] for one in paused}
    again = toast("resume", "link", env=environment(database))
    assert (again.code, again.out) == (0, "link was not paused\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("link", "--reason", "x"),
            "one of the arguments --for --until --indefinitely is required",
        ),
        (("link", "--for", "1h"), "the following arguments are required: --reason"),
        (("link", "--for", "1h", "--reason", " "), "--reason is empty"),
        (("link", "--for", "2", *WHY), "expected a number of days or a Go duration, such as 7d"),
        (("link", "--until", "soon", *WHY), "expected a time to come, such as '2026-12-24 18:00'"),
        (("link", "--until", "2026-01-02 10:00Z", *WHY), "2026-01-02 10:00 UTC is over"),
        (("link", "link-expirations", "--for", "1h", *WHY), "Did you mean link-expiration?"),
        (("links", "--for", "1h", *WHY), "Did you mean link?"),
    ],
)
def test_what_is_wrong_is_said(
    database: TestDatabase, arguments: tuple[str, ...], complaint: str
) -> None:
    answer = toast("pause", *arguments, env=environment(database))
    assert answer.code == 2
    assert complaint in answer.err
