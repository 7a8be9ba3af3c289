"""`toast status` as operators see it: the states, the processes, terminals, pipes and JSON."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import workers
from common.scheduling.overdue import overdue_after
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, bound_to_parent, free_port, poll_until
from testing.database import TestDatabase
from testing.processes import Finished, Process, environment, toast
from testing.scheduler_cases.link import link
from tests.support.expired_links import insert_expired, slow_down
from tests.support.outbox_rows import add_event
from tests.support.row_faults import refusal

pytestmark = pytest.mark.usefixtures("only_link_expiration")

HOUR = timedelta(hours=1)
NO_PROCESS = 2**22 + 1  # no process has this id: it is above the kernel's limit

ADD_RUN = """
INSERT INTO toast_runs (id, service, scheduler, host, process, started_at, finished_at, result,
                        counts, error, next_at)
VALUES (gen_random_uuid(), %(service)s, %(scheduler)s, %(host)s, %(process)s,
        now() - %(ago)s, now() - %(ago)s + %(took)s, %(result)s, %(counts)s, %(error)s,
        now() + %(next_in)s)"""


def add_run(
    database: TestDatabase,
    result: str | None = "ok",
    *,
    ago: timedelta = timedelta(minutes=10),
    took: timedelta = timedelta(seconds=2),
    scheduler: str = "link-expiration",
    service: str = "link",
    host: str = "",
    process: int = NO_PROCESS,
    error: str = "",
    next_in: timedelta | None = None,
) -> None:
    values = {
        "service": service,
        "scheduler": scheduler,
        "host": host or socket.gethostname(),
        "process": process,
        "ago": ago,
        "took": took if result else None,
        "result": result,
        "counts": json.dumps({"processed": 7, "failed": 0, "events": 7}),
        "error": error,
        "next_in": next_in,
    }
    with database.connect() as connection:
        connection.execute(ADD_RUN, values)


def report(database: TestDatabase, *arguments: str, **settings: str) -> dict[str, Any]:
    """The output of `toast status --json`, with `code`, its exit code."""
    done = toast("status", "--json", *arguments, env=environment(database, **settings))
    return {**json.loads(done.out), "code": done.code}


def job(database: TestDatabase, **settings: str) -> dict[str, Any]:
    """The job link-expiration, with `code`."""
    found = report(database, "link", **settings)
    jobs = {each["scheduler"]: each for each in found["jobs"]}
    return {**jobs["link-expiration"], "code": found["code"]}


# --- the states -------------------------------------------------------------------------------


def test_the_table_shows_the_pass_of_a_worker(database: TestDatabase) -> None:
    for _ in range(3):
        link().insert(database)
    with Process("workers.link", env=environment(database)) as process:
        process.wait_for("pass_finished")
        assert process.stop() == 0

    found = job(database)
    assert found["state"] == "ok"
    assert found["code"] == 0
    assert found["counts"] == {"processed": 3, "events": 3, "failed": 0}
    assert (found["runs_24h"], found["failures_24h"], found["error"]) == (1, 0, "")
    assert found["durations"] == [found["seconds"]]
    assert found["interval"] == 3600.0
    done = toast("status", "link", env=environment(database))
    assert re.search(
        r"^link +link-expiration +yes +ok +(just now|\d+ s ago) +\d\.\d\d s"
        r" +3 processed, 3 events +(just now|\d+ s ago) +in 59 min +1 +█$",
        done.out,
        re.MULTILINE,
    ), done.out
    assert "outbox 3 waiting, the oldest from " in done.out


def test_a_large_first_pass_is_said_to_go_on_while_it_runs_and_after_it(
    database: TestDatabase,
) -> None:
    insert_expired(database, 1001)
    slow_down(database, "link_links", 3.0)
    line = (
        "link link-expiration: its first pass goes on: more than 1,000 rows are due"
        " (TOAST_FIRST_PASS=go)"
    )
    env = environment(database)
    with Process("workers.link", env=env) as process:
        process.wait_for("large_first_pass_found")
        meanwhile = toast("status", "link", env=env)
        process.wait_for("pass_finished", processed=1001)
        afterwards = toast("status", "link", env=env)
    for shown, state in ((meanwhile, "running"), (afterwards, "ok")):
        assert re.search(rf"^link +link-expiration +yes +{state} ", shown.out, re.MULTILINE)
        assert line in shown.out.splitlines()
        assert shown.code == 0


def test_all_services_are_shown_in_their_order(database: TestDatabase) -> None:
    jobs = report(database)["jobs"]
    assert [(each["service"], each["scheduler"]) for each in jobs] == [
        (name, scheduler.name)
        for name in workers.SERVICES
        for scheduler in workers.load(name).schedulers
    ]


def test_a_scheduler_that_is_switched_off_is_disabled_after_a_failed_run_too(
    database: TestDatabase,
) -> None:
    add_run(database, "failed", error="it was bad")
    found = job(database, LINK_EXPIRATION_ENABLED="false")
    assert (found["state"], found["next_run"], found["code"]) == ("disabled", None, 0)


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        # The newest run first: its host, how long ago it began, and in what time its process was to
        # run the next one.
        ([("a", MINUTE, None)], HOUR - MINUTE),  # of a release that records none
        ([("a", MINUTE, 7 * MINUTE)], 7 * MINUTE),
        ([("a", MINUTE, None), ("a", 2 * MINUTE, 7 * MINUTE)], 7 * MINUTE),  # `toast once`
        ([("a", MINUTE, 7 * MINUTE), ("a", 2 * MINUTE, 3 * MINUTE)], 7 * MINUTE),  # restarted
        ([("a", MINUTE, 7 * MINUTE), ("b", 2 * MINUTE, 3 * MINUTE)], 3 * MINUTE),
        ([("a", MINUTE, 7 * MINUTE), ("b", 9 * MINUTE, -3 * MINUTE)], 7 * MINUTE),  # b is gone
        ([("a", MINUTE, -MINUTE / 2), ("b", 9 * MINUTE, -3 * MINUTE)], -MINUTE / 2),
    ],
)
def test_the_next_run_is_the_first_that_a_worker_has_planned(
    plans: list[tuple[str, timedelta, timedelta | None]],
    expected: timedelta,
    database: TestDatabase,
) -> None:
    for host, ago, next_in in plans:
        add_run(database, ago=ago, host=host, next_in=next_in)
    planned = datetime.fromisoformat(job(database)["next_run"]) - datetime.now(UTC)
    assert planned.total_seconds() == pytest.approx(expected.total_seconds(), abs=20)


def test_a_scheduler_without_any_run_never_ran(database: TestDatabase) -> None:
    found = job(database)
    assert (found["state"], found["last_run"], found["code"]) == ("never ran", None, 1)


def test_failing_means_that_the_last_run_with_a_result_failed(database: TestDatabase) -> None:
    add_run(database, "ok", ago=4 * HOUR)
    add_run(database, "failed", ago=3 * HOUR, error="Broken: the table is gone")
    add_run(database, "stopped", ago=2 * HOUR)  # no result of the work
    add_run(database, "skipped", ago=HOUR)

    found = job(database)

    assert (found["state"], found["code"]) == ("failing", 1)
    assert found["error"] == "Broken: the table is gone"
    assert (found["runs_24h"], found["failures_24h"]) == (4, 1)
    text = toast("status", "link", env=environment(database)).out
    assert text.splitlines()[-1] == "link link-expiration: Broken: the table is gone"
    assert " soon " in text


def test_a_failing_worker_shows_as_failing_until_a_pass_succeeds(database: TestDatabase) -> None:
    link().insert(database)
    database.query(refusal("UPDATE ON link_links"))
    with Process("workers.link", env=environment(database)) as process:
        process.wait_for("pass_failed")
        assert poll_until(lambda: job(database)["state"] == "failing", PATIENCE)
        database.query("DROP TRIGGER refuse ON link_links")
        process.wait_for("pass_finished", result="ok")
        assert poll_until(lambda: job(database)["state"] == "ok", PATIENCE)


@pytest.mark.parametrize(
    ("late", "state"), [(-30, "ok"), (30, "overdue")], ids=["not yet", "overdue"]
)
def test_overdue_means_no_success_for_too_long(
    late: int, state: str, database: TestDatabase
) -> None:
    patience = timedelta(seconds=overdue_after(3600) + late)
    add_run(database, "ok", ago=patience, took=timedelta())
    add_run(database, "skipped", ago=HOUR)
    found = job(database)
    assert (found["state"], found["code"]) == (state, 1 if state == "overdue" else 0)


# --- a pass under way -------------------------------------------------------------------------


def test_a_pass_under_way_is_running(database: TestDatabase) -> None:
    link().insert(database)
    add_run(database, "ok", ago=HOUR)
    with database.connect() as blocker, Process("workers.link", env=environment(database)) as own:
        blocker.autocommit = False
        blocker.execute("LOCK TABLE link_links")
        assert poll_until(lambda: job(database)["state"] == "running", PATIENCE)
        found = job(database)
        assert found["code"] == 0
        assert found["seconds"] == 2.0  # of the run before
        own.kill()
        # What it began has no end in the history, and never will.
        assert job(database)["state"] == "ok"


def test_a_pass_of_another_machine_runs_while_its_session_does(database: TestDatabase) -> None:
    add_run(database, "ok", ago=HOUR)
    add_run(database, None, ago=timedelta(minutes=1), host="elsewhere")
    assert job(database)["state"] == "ok"
    with database.connect() as session:
        session.execute("SET application_name = 'toast-link'")
        assert job(database)["state"] == "running"
        add_run(database, "ok", ago=timedelta(seconds=30), host="elsewhere")
        assert job(database)["state"] == "ok"  # it has begun another one since


def test_a_pass_that_runs_for_ever_is_not_running_for_ever(database: TestDatabase) -> None:
    add_run(database, "ok", ago=5 * HOUR)
    add_run(database, None, ago=4 * HOUR, process=os.getpid())
    assert job(database)["state"] == "overdue"


@pytest.fixture
def replicating(private_database: TestDatabase) -> TestDatabase:
    """A database of a server that can be set to wait for a standby."""
    private_database.query("ALTER SYSTEM SET wal_level = 'replica'")
    private_database.query("ALTER SYSTEM SET max_wal_senders = 2")
    private_database.server.stop()
    private_database.server.start()
    return private_database


def test_a_pass_whose_commit_hangs_is_running_and_shows_what_it_waits_for(
    replicating: TestDatabase,
) -> None:
    """It cannot even write down that it has begun."""

    def wait_for(standby: str) -> None:
        replicating.query(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'")
        replicating.query("SELECT pg_reload_conf()")

    def look() -> dict[str, Any]:
        return job(replicating, LINK_EXPIRATION_INTERVAL="1s")

    env = environment(replicating, LINK_EXPIRATION_INTERVAL="1s")
    with Process("workers.link", env=env) as worker:
        worker.wait_for("pass_finished", count=2)
        wait_for("one_that_is_away")
        assert poll_until(lambda: look()["running_for"] is not None, PATIENCE)
        found = look()
        assert (found["state"], found["code"]) == ("running", 0)
        assert found["running_for"] > 5
        assert found["waits"] == "for a standby to confirm its COMMIT (synchronous_standby_names)"
        [server] = report(replicating, "link")["databases"]
        assert server["busy"][0]["waits"] == found["waits"]
        text = toast("status", "link", env=env).out
        assert re.search(
            r"^link link-expiration: under way for \d+\.\d\d s, 0\.\d\d s at most before; it waits"
            r" for a standby to confirm its COMMIT \(synchronous_standby_names\)$",
            text,
            re.MULTILINE,
        ), text
        assert re.search(r"^  toast-link: in one statement for \d+", text, re.MULTILINE), text
        wait_for("")
        assert poll_until(lambda: look()["state"] == "ok", PATIENCE)
        assert worker.stop() == 0


@contextmanager
def blocked(database: TestDatabase, user: str = "", password: str = "") -> Iterator[None]:
    """A session of the worker of link waits for a lock of psql, until the block ends."""
    login = {"user": user, "password": password} if user else {}
    with database.connect() as holder, database.connect(**login) as waiting:
        for session, name in ((holder, "psql"), (waiting, "toast-link")):
            session.execute(f"SET application_name = '{name}'".encode())
        holder.execute("SELECT pg_advisory_lock(1)")
        thread = threading.Thread(target=waiting.execute, args=("SELECT pg_advisory_lock(1)",))
        thread.start()
        try:
            yield
        finally:
            holder.execute("SELECT pg_advisory_unlock(1)")
            thread.join(PATIENCE)


def test_an_unusually_long_pass_is_marked_as_such(database: TestDatabase) -> None:
    add_run(database, "ok", ago=HOUR, took=timedelta(seconds=300))
    add_run(database, None, ago=timedelta(seconds=800), process=os.getpid())
    with blocked(database):
        found = job(database)
        assert (found["state"], found["running_for"], found["waits"]) == ("running", None, "")
        database.query(
            "UPDATE toast_runs SET started_at = started_at - interval '200 s' WHERE result IS NULL"
        )
        found = job(database)
        assert found["running_for"] > 900
        assert re.fullmatch(r"for a lock of psql \(process \d+\)", found["waits"])


def test_a_missing_right_to_see_what_sessions_wait_for_is_reported(database: TestDatabase) -> None:
    database.query((ROOT / "db" / "roles.sql").read_text())
    database.query("ALTER ROLE toast_operator PASSWORD 'of-an-operator'")
    add_run(database, "ok", ago=timedelta(minutes=2), took=timedelta(seconds=1))
    login = {"DB_USER": "toast_operator", "DB_PASSWORD": "of-an-operator"}
    with database.connect() as session:
        session.execute("SET application_name = 'toast-link'")
        found = job(database, **login)
        assert (found["state"], found["running_for"]) == ("ok", None)
        found = job(database, **login, LINK_EXPIRATION_INTERVAL="1m")
        assert found["state"] == "running"
        assert found["running_for"] == pytest.approx(60, abs=20)
        assert found["waits"] == "for what only a role with pg_read_all_stats may see"
        # Who may see it sees that it does nothing.
        assert job(database, LINK_EXPIRATION_INTERVAL="1m")["state"] == "ok"


# --- what cannot be known ---------------------------------------------------------------------


def test_an_unreachable_database_is_reported_and_the_rest_is_shown(database: TestDatabase) -> None:
    env = {**environment(database), "DB_PORT": "1", "STREAM_CLOSER_ENABLED": "false"}
    done = toast("status", "twitchbot", env=env)
    assert done.code == 1
    assert re.search(
        r"^database 127\.0\.0\.1:1/\w+: not known, nor what its schedulers did: .*refused",
        done.out,
        re.MULTILINE,
    ), done.out
    assert re.search(r"message-cleanup +yes +unknown", done.out)
    assert re.search(r"stream-closer +no +disabled", done.out)
    assert json.loads(toast("status", "--json", env=env).out)["bad"] is True


def test_services_with_databases_of_their_own_are_asked_there(database: TestDatabase) -> None:
    folder = Path(os.environ["TOAST_CONFIG_DIR"])
    (folder / "link.env").write_text("DB_PORT=1\n")
    add_run(database, "ok", service="blog", scheduler="post-publisher", ago=timedelta(minutes=1))
    env = environment(database)
    (folder / "toast.env").write_text(
        "".join(f"{name}={env.pop(name)}\n" for name in list(env) if name.startswith("DB_"))
    )
    found = json.loads(toast("status", "--json", env=env).out)
    states = {each["scheduler"]: each["state"] for each in found["jobs"]}
    assert (states["post-publisher"], states["link-expiration"]) == ("ok", "unknown")
    assert [server["services"] for server in found["databases"] if server["fault"]] == [["link"]]


def test_bad_settings_are_named_as_everywhere(database: TestDatabase) -> None:
    done = toast("status", env=environment(database, LINK_EXPIRATION_INTERVAL="soon"))
    assert done.code == 78
    assert "LINK_EXPIRATION_INTERVAL" in done.err


def test_the_outbox_is_counted(database: TestDatabase) -> None:
    for _ in range(3):
        add_event(database)
    [server] = report(database)["databases"]
    assert (server["outbox"]["waiting"], server["outbox"]["set_aside"]) == (3, 0)


def test_a_long_history_is_read_in_a_moment(database: TestDatabase) -> None:
    started = time.monotonic()
    job(database)
    empty = time.monotonic() - started
    database.query(
        "INSERT INTO toast_runs (id, service, scheduler, host, process, started_at, finished_at,"
        " result) SELECT gen_random_uuid(), 'link', 'link-expiration', 'h', 1, at, at, 'failed'"
        " FROM generate_series(now() - interval '29 days', now(), interval '10 s') AS at"
    )
    started = time.monotonic()
    found = job(database)
    assert time.monotonic() - started < empty + 1.0
    assert (found["state"], found["runs_24h"]) == ("failing", pytest.approx(8640, abs=5))


# --- the processes ----------------------------------------------------------------------------


def test_a_worker_without_a_service_manager_is_found_by_its_process(database: TestDatabase) -> None:
    port = str(free_port())
    with Process("workers.link", env=environment(database, METRICS_PORT=port)) as process:
        process.wait_for("metrics_port_opened")
        [known] = report(database, "link", METRICS_PORT=port)["processes"]
        expected = {"service": "link", "manager": "itself", "state": "ok", "is_up": True}
        assert known == {**expected, "pid": None}
    [known] = report(database, "link", METRICS_PORT=port)["processes"]
    assert (known["state"], known["is_up"]) == (f"not seen on this machine (port {port})", False)


SUPERVISORD = """
[supervisord]
nodaemon = true
logfile = %(here)s/log
pidfile = %(here)s/pid
[unix_http_server]
file = %(here)s/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/s
[program:toast-link]
command = sleep 1000
[program:toast-sse]
command = sleep 1000
autostart = false
"""


def test_supervisord_is_asked_where_it_runs(database: TestDatabase) -> None:
    Path("supervisord.conf").write_text(SUPERVISORD)
    command = Path(sys.executable).with_name("supervisord")
    with subprocess.Popen(
        [command, "-c", "supervisord.conf"],
        stdout=subprocess.DEVNULL,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    ) as supervisord:
        try:
            # Until supervisord listens, it has no states at all.
            assert poll_until(lambda: "RUNNING" in _states(database).get("link", ""), PATIENCE, 0.2)
            assert _states(database)["sse"].startswith("STOPPED")
            add_run(database, service="sse", scheduler="client-cleanup")
            [stopped] = report(database, "sse")["jobs"]
            assert stopped["next_run"] is None
            text = toast("status", "sse", env=environment(database)).out
            assert "  toast-sse (supervisord): STOPPED" in text
        finally:
            supervisord.terminate()


def _states(database: TestDatabase) -> Mapping[str, str]:
    found = report(database)["processes"]
    return {each["service"]: each["state"] for each in found if each["manager"] == "supervisord"}


SYSTEMCTL = """#!/bin/sh
cat <<END
Id=toast-link.service
LoadState=loaded
ActiveState=active
SubState=running
MainPID=17
StatusText=link-expiration ok 12 s ago; outbox empty

Id=toast-blog.service
LoadState=not-found
ActiveState=inactive
SubState=dead
MainPID=0
StatusText=
END
"""


def test_systemd_is_asked_where_there_are_units(database: TestDatabase) -> None:
    programs = Path("bin")
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)
    path = f"{programs.absolute()}:{os.environ['PATH']}"

    managed = {each["service"]: each for each in report(database, PATH=path)["processes"]}

    assert managed["link"]["manager"] == "systemd"
    assert managed["link"]["state"] == (
        "active (running): link-expiration ok 12 s ago; outbox empty"
    )
    assert managed["blog"]["manager"] == ""


# --- terminals --------------------------------------------------------------------------------


@contextmanager
def terminal(columns: int, lines: int) -> Iterator[tuple[int, int]]:
    """A terminal of this size: our end, and that of a program."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


def on_terminal(columns: int, *arguments: str, env: Mapping[str, str]) -> Finished:
    """Run `toast status` on a terminal so wide."""
    with terminal(columns, 50) as (ours, theirs):
        child = subprocess.Popen(
            [sys.executable, "-m", "workers", "status", *arguments], env=env, stdout=theirs
        )
        output = b""
        while child.poll() is None or _has_more(ours):
            if _has_more(ours):
                output += os.read(ours, 65536)
        return Finished(child.returncode, output.decode().replace("\r\n", "\n"), "")


def _has_more(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0.1)[0])


def test_states_are_coloured_on_a_terminal_and_nowhere_else(database: TestDatabase) -> None:
    add_run(database, "failed", error="bad")
    env = environment(database, TERM="xterm")
    coloured = on_terminal(200, "link", env=env).out
    assert "\x1b[1;31mfailing\x1b[0m" in coloured
    plain = toast("status", "link", env=env).out
    assert "\x1b" not in plain
    assert "\x1b" not in on_terminal(200, "link", env={**env, "NO_COLOR": "1"}).out
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).splitlines()[3:] == plain.splitlines()[3:]


@pytest.mark.parametrize("columns", [200, 120, 80, 60, 40])
def test_no_line_is_wider_than_the_terminal(columns: int, database: TestDatabase) -> None:
    add_run(database, "failed", error="a long story " * 30)
    out = on_terminal(columns, env=environment(database, TERM="xterm")).out
    lines = re.sub(r"\x1b\[[\d;]*m", "", out).splitlines()
    assert max(map(len, lines)) <= columns
    failing = next(line for line in lines if "link-expiration" in line and "story" not in line)
    assert "failing" in failing
    if columns >= 80:
        assert "7 processed" in failing
        assert "10 min ago" in failing


def test_watch_keeps_the_terminal_current_without_a_keyboard_too(
    private_database: TestDatabase,
) -> None:
    database = private_database
    add_run(database, "ok")
    with watched(environment(database, TERM="xterm"), "link", has_keys=False) as screen:
        screen.wait_for("link-expiration  \x1b[32mok\x1b[0m")
        add_run(database, "failed", ago=timedelta(), error="now it is bad")
        screen.wait_for("failing")
        database.server.stop("immediate")
        screen.wait_for("unknown")
        database.server.start()
        screen.wait_for("failing")
        screen.resize(columns=60, lines=4)
        screen.wait_for("lines cut: 0 above, 5 below; Ctrl-C leaves")
        screen.program.send_signal(signal.SIGINT)
        assert screen.program.wait(PATIENCE) == 0


def test_watch_shows_first_what_is_not_ok_and_scrolls(database: TestDatabase) -> None:
    every = [(name, each) for name in workers.SERVICES for each in workers.load(name).schedulers]
    env = environment(database, **{each.enabled.name: "true" for _, each in every})
    for service, scheduler in every[:-2]:
        add_run(database, "ok", service=service, scheduler=scheduler.name, ago=timedelta(seconds=9))
    # Not the last of them is bad, but the one before; the last waits.
    add_run(database, "failed", service="webhook", scheduler=every[-2][1].name, error="bad")
    with watched({**env, "TERM": "xterm", "NO_COLOR": "1"}, columns=80, lines=24) as screen:
        screen.wait_for("arrow keys")
        header, *rows = screen.lines()
        assert header.startswith("SCHEDULER")
        assert [row.split()[0] for row in rows[:14]] == [
            *(each.name for _, each in every[-2:]),
            *(each.name for _, each in every[:-2]),
        ]
        assert screen.lines()[-1].startswith("lines cut: 0 above, ")
        assert len(screen.lines()) == 24
        for key, above in (("j", 1), ("\x1b[B", 2), ("k", 1), ("\x1b[A", 0), ("\x1b[6~", 5)):
            screen.press(key)
            screen.wait_for(f"lines cut: {above} above, ")
        screen.press("q")
        assert screen.program.wait(PATIENCE) == 0


BROKEN = """
from common.cli.status import collector
def collect(*ignored): raise RuntimeError("broken")
collector.collect = collect
"""


@pytest.mark.parametrize(
    ("how", "code"),
    [("q", 0), (signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129), ("an error", 1)],
    ids=str,
)
def test_watch_leaves_the_terminal_as_it_was(
    how: str | signal.Signals, code: int, database: TestDatabase, tmp_path: Path
) -> None:
    env = environment(database, TERM="xterm", PYTHONPATH=f"{tmp_path}:{ROOT}")
    if how == "an error":
        (tmp_path / "sitecustomize.py").write_text(BROKEN)
    with watched(env) as screen:
        screen.wait_for("\x1b[?1049h")
        if isinstance(how, signal.Signals):
            screen.program.send_signal(signal.SIGTSTP)
            assert poll_until(screen.is_stopped, PATIENCE)
            assert screen.modes() == screen.modes_before
            screen.wait_for("\x1b[?1049l")
            screen.program.send_signal(signal.SIGCONT)
            screen.wait_for("\x1b[?1049h")
            screen.program.send_signal(how)
        else:
            screen.press(how)
        assert screen.program.wait(PATIENCE) == code
        screen.wait_for("\x1b[?25h\x1b[?1049l")
        assert screen.modes() == screen.modes_before


@contextmanager
def watched(
    env: Mapping[str, str],
    *arguments: str,
    columns: int = 100,
    lines: int = 20,
    has_keys: bool = True,
) -> Iterator["Screen"]:
    """`toast status --watch` on a terminal of this size."""
    with terminal(columns, lines) as (ours, theirs):
        modes = termios.tcgetattr(theirs)
        program = subprocess.Popen(
            [sys.executable, "-m", "workers", "status", "--watch", *arguments],
            env=env,
            stdin=theirs if has_keys else subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            preexec_fn=bound_to_parent(signal.SIGKILL),
        )
        try:
            yield Screen(program, ours, theirs, modes)
        finally:
            program.kill()
            program.wait()


class Screen:
    """A program's terminal: what it writes there, and its keyboard."""

    def __init__(
        self, program: subprocess.Popen[bytes], ours: int, theirs: int, modes: list[Any]
    ) -> None:
        self.program = program
        self.modes_before = modes
        self._ours, self._theirs = ours, theirs
        self._output = ""

    def wait_for(self, text: str) -> None:
        """Wait until this is written, after what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        seen = ""
        while text not in seen:
            assert time.monotonic() < deadline, self._output[-3000:]
            if _has_more(self._ours):
                new = os.read(self._ours, 65536).decode()
                seen += new
                self._output += new

    def lines(self) -> list[str]:
        """The lines of the last drawing."""
        drawn = self._output.rpartition("\x1b[H")[2]
        return drawn.removesuffix("\x1b[J").replace("\x1b[K", "").split("\r\n")

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def is_stopped(self) -> bool:
        return Path(f"/proc/{self.program.pid}/stat").read_text().split()[2] == "T"


def test_watch_needs_a_terminal(database: TestDatabase) -> None:
    done = toast("status", "--watch", env=environment(database))
    assert (done.code, done.out) == (2, "")
    assert done.err == "toast: --watch needs a terminal; use --json, or no option\n"
