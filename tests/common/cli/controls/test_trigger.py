"""`toast trigger`: the running worker does one pass now, of the named scheduler alone."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from tests.support.expired_links import insert_expired, slow_down

JOB = ("link", "link-expiration")
RUNS = "SELECT scheduler, count(*) AS n FROM toast_runs WHERE process = %s GROUP BY scheduler"


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    module_database.query(
        "DROP FUNCTION IF EXISTS pause CASCADE; DELETE FROM toast_runs; DELETE FROM toast_audit;"
        " DELETE FROM toast_pauses; DELETE FROM link_links"
    )
    return module_database


def runs(database: TestDatabase, worker: Process) -> dict[str, int]:
    return {row["scheduler"]: row["n"] for row in database.query(RUNS, worker.pid)}


def trigger(database: TestDatabase, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Its exit code, and its answer."""
    answer = toast("trigger", *arguments, "--json", env=environment(database))
    return answer.code, json.loads(answer.out)


def test_one_scheduler_or_all_of_the_service_run_now(database: TestDatabase) -> None:
    env = environment(database)
    with Process("workers.twitchbot", env=env) as worker:  # whose intervals are long
        worker.wait_for("pass_finished", count=2)
        answer = toast("trigger", "twitchbot", "message-cleanup", env=env)
        assert answer.code == 0, answer.err
        header, row = answer.out.splitlines()
        assert header.split() == [
            "SCHEDULER",
            "RESULT",
            "PROCESSED",
            "EVENTS",
            "FAILED",
            "TOOK",
            "DETAILS",
        ]
        assert row.split()[:5] == ["message-cleanup", "ok", "0", "0", "0"]
        assert runs(database, worker) == {"message-cleanup": 2, "stream-closer": 1}
        with ThreadPoolExecutor() as pool:  # two signals that may become one
            both = [
                pool.submit(trigger, database, "twitchbot", name)
                for name in ("message-cleanup", "stream-closer")
            ]
            assert [each.result()[0] for each in both] == [0, 0]
        assert runs(database, worker) == {"message-cleanup": 3, "stream-closer": 2}
        code, answered = trigger(database, "twitchbot")
        assert (code, answered["process"]) == (0, worker.pid)
        names = {one["name"]: (one["result"], one["joined"]) for one in answered["schedulers"]}
        assert names == dict.fromkeys(("message-cleanup", "stream-closer"), ("ok", False))
        assert runs(database, worker) == {"message-cleanup": 4, "stream-closer": 3}
    assert database.query("SELECT * FROM toast_triggers") == []
    [first, *_] = database.query("SELECT action, subject, first_rows FROM toast_audit ORDER BY id")
    assert tuple(first.values()) == ("trigger", "twitchbot message-cleanup", ["message-cleanup"])


@pytest.mark.usefixtures("only_link_expiration")
def test_a_pass_under_way_is_joined_and_not_doubled(database: TestDatabase) -> None:
    insert_expired(database, 3)
    slow_down(database, "link_links", 1.5)
    env = environment(database)
    with Process("workers.link", env=env) as worker:
        assert poll_until(lambda: bool(runs(database, worker)), PATIENCE)
        answer = toast("trigger", *JOB, env=env)
        assert answer.code == 0
        assert "link-expiration: joined a pass that was under way, since 20" in answer.out
        assert runs(database, worker) == {"link-expiration": 1}
        assert trigger(database, *JOB)[1]["schedulers"][0]["joined"] is False
        assert runs(database, worker) == {"link-expiration": 2}


@pytest.mark.usefixtures("only_link_expiration")
def test_it_ends_like_a_pass_by_hand(database: TestDatabase) -> None:
    env = environment(database)
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished")
        insert_expired(database, 3)
        code, answer = trigger(database, *JOB, "--no-wait")
        assert (code, answer["triggered"]) == (0, ["link-expiration"])
        worker.wait_for("pass_finished", processed=3)

        toast("pause", *JOB, "--indefinitely", "--reason", "why", env=env)
        code, answer = trigger(database, *JOB)
        assert (code, answer["schedulers"][0]["result"]) == (1, "skipped")
        toast("resume", *JOB, env=env)  # which wakes the worker, too
        worker.wait_for("pass_finished", result="ok", count=3)

        database.query("ALTER TABLE link_links RENAME TO elsewhere")
        try:
            code, answer = trigger(database, *JOB)
        finally:
            database.query("ALTER TABLE elsewhere RENAME TO link_links")
        assert (code, answer["schedulers"][0]["result"]) == (1, "failed")
        assert "link_links" in answer["schedulers"][0]["error"]


@pytest.mark.usefixtures("only_link_expiration")
def test_a_worker_that_is_killed_or_does_not_listen_is_said(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(database)
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished")
        insert_expired(database, 3)
        slow_down(database, "link_links", 3.0)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(trigger, database, *JOB)
            assert poll_until(lambda: runs(database, worker) == {"link-expiration": 2}, PATIENCE)
            worker.kill()
            code, answer = waiting.result()
        assert (code, answer["schedulers"][0]["error"]) == (1, "its worker has ended")
    refused = toast("trigger", *JOB, env=env)
    assert refused.code == 1
    assert "no worker of link runs on this machine; `toast once link link-exp" in refused.err
    monkeypatch.setenv("LINK_EXPIRATION_ENABLED", "false")
    refused = toast("trigger", *JOB, env=environment(database))
    assert refused.code == 1
    assert "link-expiration is off, so no worker runs it; `toast once link li" in refused.err


@pytest.mark.usefixtures("only_link_expiration")
def test_a_command_that_is_killed_leaves_no_half_action(database: TestDatabase) -> None:
    with Process("workers.link", env=environment(database)) as worker:
        worker.wait_for("pass_finished")
        env = environment(database, TOAST_FAILPOINT="commit")
        assert toast("trigger", *JOB, env=env).code == -signal.SIGKILL
        assert database.query("SELECT 1 FROM toast_triggers UNION SELECT 1 FROM toast_audit") == []
        os.kill(worker.pid, signal.SIGUSR1)
        worker.wait_for("run_now_requested")
        worker.wait_for("pass_finished", count=2)
