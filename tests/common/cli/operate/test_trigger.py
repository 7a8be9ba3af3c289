"""`toast trigger`: the running worker does one pass now, of the named scheduler alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import Finished, Process, environment, toast
from tests.support.expired_links import insert_expired, slow_down

JOB = ("link", "link-expiration")
# May read every file, such as the interpreter's, but may not signal a process of root's.
ANOTHER_USER = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
)
RUNS = "SELECT scheduler, count(*) AS n FROM toast_runs WHERE process = %s GROUP BY scheduler"


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


def frozen(worker: Process) -> bool:
    """Stop the worker like a debugger does; whether it has stopped."""
    worker.send(signal.SIGSTOP)
    return poll_until(lambda: stopped(worker), PATIENCE)


def stopped(worker: Process) -> bool:
    return Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.usefixtures("only_link_expiration")
def test_a_worker_that_does_not_answer_is_said_in_time_and_the_trigger_is_withdrawn(
    database: TestDatabase,
) -> None:
    env = environment(database)
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished")
        assert frozen(worker)
        began = time.monotonic()
        command = [sys.executable, "-m", "tests.common.cli.operate.impatient_command"]
        answer = subprocess.run(
            [*command, "trigger", *JOB], env=env, capture_output=True, text=True, timeout=PATIENCE
        )
        assert time.monotonic() - began < PATIENCE / 2
    assert answer.returncode == 1
    assert "link-expiration: its worker does not run it" in answer.stdout
    assert answer.stdout.endswith("Restart it\n")
    assert database.query("SELECT FROM toast_triggers") == []


def test_a_trigger_that_no_worker_took_is_void_after_a_minute(database: TestDatabase) -> None:
    job = ("twitchbot", "message-cleanup")
    with Process("workers.twitchbot", env=environment(database)) as worker:
        worker.wait_for("pass_finished", count=2)
        assert frozen(worker)
        assert trigger(database, *job, "--no-wait")[0] == 0
        database.query("UPDATE toast_triggers SET requested_at = now() - interval '61 seconds'")
        worker.send(signal.SIGCONT)
        # A signal without a trigger is for all schedulers.
        worker.wait_for("run_now_requested")
        worker.wait_for("pass_finished", count=4)
        assert worker.records("pass_triggered") == []
        assert trigger(database, *job)[0] == 0
    assert database.query("SELECT FROM toast_triggers") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.usefixtures("only_link_expiration")
def test_the_worker_of_another_user_is_named_and_not_woken(database: TestDatabase) -> None:
    env = environment(database)

    def as_another(*arguments: str) -> Finished:
        command = [*ANOTHER_USER, sys.executable, "-m", "workers", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)
        return Finished(done.returncode, done.stdout, done.stderr)

    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished")
        refused = as_another("trigger", *JOB)
        assert (refused.code, refused.out) == (1, "")
        text = f"toast: the worker, process {worker.pid}, is another user's: use sudo\n"
        assert refused.err.endswith(text)
        assert database.query("SELECT FROM toast_triggers UNION SELECT FROM toast_audit") == []

        toast("pause", *JOB, "--for", "1h", "--reason", "why", env=env)
        resumed = as_another("resume", *JOB)
        assert (resumed.code, resumed.out) == (0, "link-expiration: resumed\n")
        assert database.query("SELECT FROM toast_triggers UNION SELECT FROM toast_pauses") == []
        assert worker.ended is None
        assert worker.records("run_now_requested") == []
