"""One pass, and its row in the run history after every outcome."""

import os
import socket
import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from common.database.connection import Database
from common.database.migrations import MigrationsPending
from common.database.run_history import Run
from common.errors import PassError, RemoteAway
from common.logging import redaction, throttle
from common.scheduling.observer import Observer
from common.scheduling.pass_runner import PassRunner
from common.scheduling.preview import Preview
from common.scheduling.scheduler import Pass, PassResult
from common.scheduling.under_way import heartbeat
from devservers.child_processes import poll_until
from devservers.tcp_proxy import TcpProxy
from testing.database import TestDatabase
from tests.support.probes import probe, settings

RUNS = "SELECT * FROM toast_runs ORDER BY started_at, id"


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    """One database for all tests here, emptied before each: a new one takes much longer."""
    module_database.query("DELETE FROM toast_runs; DELETE FROM link_links")
    return module_database


@pytest.fixture
def run_once(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run one pass of a probe on the database."""
    loaded = settings(database, monkeypatch)

    def run(run: Any, **keywords: Any) -> Run:
        return PassRunner(probe(run), loaded, Database(loaded), **keywords).run()

    return run


def history(database: TestDatabase) -> dict[str, Any]:
    """The one row of the run history."""
    [row] = database.query(RUNS)
    return row


def test_a_pass_is_one_row_of_the_history(database: TestDatabase, run_once: Any) -> None:
    run = run_once(lambda current: PassResult(3, 2, 1, {"attempts": 9}, note="one was bad"))

    row = history(database)
    assert (row["id"], row["service"], row["scheduler"]) == (run.id, "link", "probe")
    assert (row["host"], row["process"]) == (socket.gethostname(), os.getpid())
    assert row["result"] == run.result == "ok"
    assert row["counts"] == {"processed": 3, "events": 2, "failed": 1, "attempts": 9}
    assert row["error"] == "one was bad"
    assert row["finished_at"] - row["started_at"] == timedelta(
        microseconds=round(run.seconds * 1e6)
    )


def test_a_pass_under_way_is_in_the_history_without_a_result(
    database: TestDatabase, run_once: Any
) -> None:
    seen: list[dict[str, Any]] = []

    def look(current: Pass) -> PassResult:
        seen.append({**history(database), "now": current.now})
        return PassResult()

    run_once(look)
    assert (seen[0]["result"], seen[0]["finished_at"]) == (None, None)
    assert seen[0]["started_at"] == seen[0]["now"] == history(database)["started_at"]


@pytest.mark.parametrize(
    ("result", "outcome", "error"),
    [
        (PassResult(), "ok", ""),
        (PassResult(7, complete=False), "stopped", ""),
        (
            PassResult(skipped="another process is running this pass"),
            "skipped",
            "another process is running this pass",
        ),
    ],
    ids=["ok", "stopped", "skipped"],
)
def test_how_a_pass_ended_is_recorded(
    database: TestDatabase, run_once: Any, result: PassResult, outcome: str, error: str
) -> None:
    run = run_once(lambda current: result)
    assert (run.result, run.error) == (outcome, error)
    row = history(database)
    assert (row["result"], row["error"]) == (outcome, error)
    assert row["counts"]["processed"] == result.processed


@pytest.mark.parametrize(
    "error", [PassError("no such guild"), KeyError("x"), RecursionError("deep")]
)
def test_every_outcome_of_a_pass_is_in_the_history(
    database: TestDatabase, run_once: Any, error: Exception
) -> None:
    def fail(current: Pass) -> PassResult:
        raise error

    run = run_once(fail)

    row = history(database)
    assert row["result"] == run.result == "failed"
    assert row["error"] == run.error == f"{type(error).__name__}: {error}"
    assert row["finished_at"] >= row["started_at"]


def test_the_database_clock_is_the_pass_s_time(database: TestDatabase, run_once: Any) -> None:
    times: list[Any] = []

    def look(current: Pass) -> PassResult:
        times.append((current.now, current.host_now))
        return PassResult()

    [before] = database.query("SELECT clock_timestamp() AS now")
    run_once(look)
    [after] = database.query("SELECT clock_timestamp() AS now")
    [(now, host_now)] = times
    assert before["now"] < now < after["now"]
    assert abs(now - host_now) < timedelta(seconds=30)  # it is one machine
    assert host_now.utcoffset() == timedelta()


def test_an_error_is_one_line_cut_and_without_secrets(
    database: TestDatabase, run_once: Any
) -> None:
    redaction.register([database.server.password])

    def fail(current: Pass) -> PassResult:
        raise PassError(f"connecting as {database.server.password}\n" + "x" * 5000)

    run_once(fail)

    error = history(database)["error"]
    assert error.startswith("PassError: connecting as *** xxx")
    assert len(error) == 1000


def test_an_advice_is_kept_where_its_message_is_cut(database: TestDatabase, run_once: Any) -> None:
    def fail(current: Pass) -> PassResult:
        raise psycopg.errors.DiskFull("x" * 5000)

    run_once(fail)

    error = history(database)["error"]
    assert len(error) == 1000
    assert error.endswith("xx => make room on the disk of PostgreSQL")


@pytest.mark.parametrize(
    ("error", "lasts"),
    [
        (PassError("no such guild"), True),
        (ValueError("a defect"), True),
        (psycopg.errors.InsufficientPrivilege("no"), True),
        (psycopg.errors.DiskFull("no"), True),
        (RemoteAway("no answer"), False),
        (psycopg.errors.LockNotAvailable("no"), False),
        (psycopg.errors.AdminShutdown("no"), False),
        (psycopg.OperationalError("server closed the connection"), False),
        (MigrationsPending("run `toast migrate`"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_that_waiting_does_not_mend_is_remembered_until_a_pass_ends_well(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, error: Exception, lasts: bool
) -> None:
    loaded = settings(database, monkeypatch)
    errors: list[Exception] = [error]

    def fail_once(current: Pass) -> PassResult:
        if errors:
            raise errors.pop()
        return PassResult()

    pass_runner = PassRunner(probe(fail_once), loaded, Database(loaded))
    run = pass_runner.run()
    assert pass_runner.lasting_failure == (run.error if lasts else "")
    assert pass_runner.run().result == "ok"
    assert pass_runner.lasting_failure == ""


def test_a_note_has_no_secrets_either(database: TestDatabase, run_once: Any) -> None:
    redaction.register([database.server.password])
    run_once(lambda current: PassResult(failed=1, note=f"row has {database.server.password}"))
    assert history(database)["error"] == "row has ***"


def test_a_failure_in_a_transaction_undoes_it_and_is_recorded(
    database: TestDatabase, run_once: Any
) -> None:
    link = database.insert("link_links", is_active=True)

    def fail(current: Pass) -> PassResult:
        with current.connection.transaction():
            current.connection.execute("UPDATE link_links SET is_active = false")
            raise PassError("half way")

    run_once(fail)

    assert history(database)["error"] == "PassError: half way"
    assert database.query("SELECT * FROM link_links") == [link]


@pytest.mark.parametrize("tries", [1, 2, 105])
def test_an_outage_is_recorded_later_by_its_first_and_last_failure(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    with TcpProxy(database.server.port) as proxy:
        port = proxy.port
        loaded = settings(database, monkeypatch, DB_PORT=str(port))
    away = PassRunner(probe(lambda current: PassResult(5)), loaded, Database(loaded))
    lost = [away.run() for _ in range(tries)]
    assert database.query(RUNS) == []
    assert away.connection_lost

    with TcpProxy(database.server.port, port):
        found = away.run()

    rows = database.query(RUNS)
    first_and_last = dict.fromkeys([lost[0].id, lost[-1].id])
    assert [row["id"] for row in rows] == [*first_and_last, found.id]
    assert [row["result"] for row in rows] == ["failed"] * len(first_and_last) + ["ok"]
    assert "refused" in rows[0]["error"]
    assert rows[0]["started_at"] == lost[0].started_at
    assert rows[-2]["finished_at"] < rows[-1]["started_at"]


def test_an_outage_is_logged_at_once_and_then_once_a_minute(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with TcpProxy(database.server.port) as proxy:
        port = proxy.port
        loaded = settings(database, monkeypatch, DB_PORT=str(port))
    away = PassRunner(probe(lambda current: PassResult()), loaded, Database(loaded))

    def errors(tries: int) -> list[object]:
        caplog.clear()
        for _ in range(tries):
            away.run()
        found = [record for record in caplog.records if record.levelname == "ERROR"]
        return [record.__dict__["toast_fields"].get("repeated", 0) for record in found]

    assert errors(5) == [0]
    monkeypatch.setattr(throttle, "REPEAT_SECONDS", 0.0)
    assert errors(2) == [4, 0]
    monkeypatch.undo()
    with TcpProxy(database.server.port, port):
        away.run()
    assert errors(3) == [0]


def test_a_pass_whose_connection_is_lost_half_way_is_recorded_later(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings(database, monkeypatch)
    breaks = [True]

    def lose_it(current: Pass) -> PassResult:
        if breaks.pop():
            database.query("SELECT pg_terminate_backend(%s)", current.connection.info.backend_pid)
            current.connection.execute("SELECT 1")
        return PassResult()

    pass_runner = PassRunner(probe(lose_it), loaded, Database(loaded))
    lost = pass_runner.run()
    assert (lost.result, pass_runner.connection_lost) == ("failed", True)
    assert history(database)["result"] is None
    breaks.append(False)

    assert pass_runner.run().result == "ok"

    assert not pass_runner.connection_lost
    assert [row["result"] for row in database.query(RUNS)] == ["failed", "ok"]


def test_runs_are_forgotten_after_thirty_days(database: TestDatabase, run_once: Any) -> None:
    limit, moment = timedelta(days=30), timedelta(seconds=5)

    def add(age: timedelta, *, scheduler: str = "probe", service: str = "link") -> uuid.UUID:
        [row] = database.query(
            "INSERT INTO toast_runs (id, service, scheduler, host, process, started_at)"
            " VALUES (%s, %s, %s, '', 1, now() - %s) RETURNING id",
            uuid.uuid4(),
            service,
            scheduler,
            age,
        )
        number: uuid.UUID = row["id"]
        return number

    for age in (limit + moment, 10 * limit):
        add(age)
    kept = [add(2 * limit, scheduler="another"), add(2 * limit, service="blog")]
    kept.append(add(limit - moment))

    run = run_once(lambda current: PassResult())

    assert {row["id"] for row in database.query(RUNS)} == {*kept, run.id}


class Recorder(Observer):
    """Records how it is called."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def started(self, run: Run) -> None:
        self.calls.append("started")

    def connected(self, run: Run, current: Pass) -> None:
        self.calls.append(("connected", current.scheduler))

    def progressed(self, run: Run, done: PassResult, share: float | None) -> None:
        self.calls.append((done.processed, done.events, share))

    def ended(self, run: Run, error: Exception | None) -> None:
        self.calls.append((run.result, error))


def test_observers_are_called_at_each_commit(run_once: Any) -> None:
    recorder = Recorder()

    def commit(current: Pass) -> PassResult:
        current.report_progress(PassResult(5, 3), share=0.5)
        current.report_progress()
        assert recorder.calls == ["started", ("connected", "probe"), (5, 3, 0.5), (0, 0, None)]
        return PassResult(5, 3)

    assert run_once(commit, observers=[recorder]).result == "ok"
    assert recorder.calls[4:] == [("ok", None)]


def test_what_a_pass_had_committed_before_it_failed_is_in_its_run(
    database: TestDatabase, run_once: Any
) -> None:
    recorder = Recorder()
    failure = PassError("the rest cannot be done")

    def fail_half_way(current: Pass) -> PassResult:
        current.report_progress(PassResult(2, 1))
        current.report_progress(PassResult(3, details={"attempts": 1}))
        raise failure

    run = run_once(fail_half_way, observers=[recorder])

    assert run.result == "failed"
    assert run.counts == {"processed": 5, "events": 1, "failed": 0, "attempts": 1}
    assert history(database)["counts"] == run.counts
    assert recorder.calls[-1] == ("failed", failure)


def test_a_pass_sees_the_stop_and_ends_its_wait(run_once: Any) -> None:
    stop = threading.Event()

    def wait(current: Pass) -> PassResult:
        assert not current.stopping()
        assert not current.wait(0.01)
        stop.set()
        assert current.wait(3600)
        return PassResult(complete=not current.stopping())

    assert run_once(wait, stop=stop).result == "stopped"


def test_no_connection_is_held_between_passes(database: TestDatabase, run_once: Any) -> None:
    held = (
        "SELECT count(*) AS connections FROM pg_stat_activity WHERE application_name = 'toast-link'"
    )
    during: list[Any] = []

    def look(current: Pass) -> PassResult:
        during.extend(database.query(held))
        return PassResult()

    run_once(look)

    assert during == [{"connections": 1}]
    assert poll_until(lambda: database.query(held) == [{"connections": 0}], 30)


class Running:
    """A pass on a thread of its own."""

    def __init__(self, pass_runner: PassRunner) -> None:
        self._run: list[Run] = []
        self._thread = threading.Thread(
            target=lambda: self._run.append(pass_runner.run()), daemon=True
        )
        self._thread.start()

    def result(self) -> Run:
        """The run, once it has ended."""
        self._thread.join(30)
        assert self._run, "the pass is still blocked"
        return self._run[0]


def test_aborting_ends_a_pass_that_is_blocked(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings(database, monkeypatch)
    begun = threading.Event()

    def sleep(current: Pass) -> PassResult:
        begun.set()
        current.connection.execute("SELECT pg_sleep(100)")
        return PassResult()

    pass_runner = PassRunner(probe(sleep), loaded, Database(loaded))
    pass_runner.abort_connection()  # nothing runs: nothing happens
    running = Running(pass_runner)
    assert begun.wait(30)
    pass_runner.abort_connection()
    run = running.result()
    assert (run.result, pass_runner.connection_lost) == ("failed", True)


def test_aborting_ends_a_pass_that_cannot_record_its_failure(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(current: Pass) -> PassResult:
        raise PassError("no such guild")

    with TcpProxy(database.server.port) as proxy:
        loaded = settings(database, monkeypatch, DB_PORT=str(proxy.port))
        pass_runner = PassRunner(probe(fail), loaded, Database(loaded))
        hangs = proxy.hang_at(b"ON CONFLICT (id)")
        running = Running(pass_runner)
        assert hangs.wait(30)
        pass_runner.abort_connection()
        assert running.result().error == "PassError: no such guild"
        assert database.query(RUNS + " DESC")[0]["result"] is None
        Running(pass_runner).result()  # which records the one before, too
    assert [row["error"] for row in database.query(RUNS)] == ["PassError: no such guild"] * 2


def test_a_pass_that_reports_no_progress_is_stalled(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = settings(database, monkeypatch)
    seen: list[bool] = []
    monotonic, ahead = time.monotonic, 0.0
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + ahead)

    def idle(current: Pass) -> PassResult:
        nonlocal ahead
        seen.append(pass_runner.heartbeat.stalled())
        ahead += heartbeat.STALLED_SECONDS + 1
        seen.append(pass_runner.heartbeat.stalled())
        current.report_progress()
        seen.append(pass_runner.heartbeat.stalled())
        return PassResult()

    pass_runner = PassRunner(probe(idle), loaded, Database(loaded))
    assert not pass_runner.heartbeat.stalled()
    pass_runner.run()
    assert seen == [False, True, False]
    ahead += heartbeat.STALLED_SECONDS + 1
    assert not pass_runner.heartbeat.stalled()  # none is under way


def test_a_statement_may_take_its_time_before_its_pass_counts_as_stalled() -> None:
    assert heartbeat.STALLED_SECONDS == 150


def test_a_dry_run_cannot_write_even_by_mistake(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = database.insert("link_links", is_active=True)
    loaded = settings(database, monkeypatch)

    def write(current: Pass) -> Preview:
        current.connection.execute("UPDATE link_links SET is_active = false")
        return Preview(1, ())

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        PassRunner(probe(lambda current: PassResult(), write), loaded, Database(loaded)).preview()
    assert database.query("SELECT * FROM link_links") == [link]
