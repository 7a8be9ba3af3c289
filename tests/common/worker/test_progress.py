"""How far a long pass is: in the log of a worker, and on a terminal under `toast once`."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from common.database.connection import Database
from common.logging import logs
from common.scheduling.pass_runner import PassRunner
from common.scheduling.scheduler import Pass, PassResult
from common.worker import progress
from common.worker.progress import ProgressLog
from devservers.child_processes import PATIENCE, bound_to_parent
from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from tests.support.expired_links import insert_expired, slow_down
from tests.support.probes import probe, settings

pytestmark = pytest.mark.usefixtures("only_link_expiration")

# --- the log ----------------------------------------------------------------------------------


@pytest.fixture
def records(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The records of progress that this process has written since the last call."""
    logs.configure("info", "json")

    def read() -> list[dict[str, Any]]:
        every = map(json.loads, capfd.readouterr().err.splitlines())
        return [record for record in every if record["event"] == "progress_reported"]

    return read


def run(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, work: Callable[[Pass], PassResult]
) -> None:
    loaded = settings(database, monkeypatch)
    runner = PassRunner(probe(work), loaded, Database(loaded), observers=[ProgressLog()])
    for _ in range(2):
        assert runner.run().result == "ok"


def test_a_long_pass_logs_its_progress_at_intervals(
    module_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    records: Callable[[], list[dict[str, Any]]],
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.5)

    now = 0.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))

    def work(current: Pass) -> PassResult:
        nonlocal now
        for step in range(24):
            now += 0.05
            share = step / 24 if step % 2 else None
            current.report_progress(PassResult(2, 1, details={"seen": 3}), share=share)
        return PassResult(48, 24, details={"seen": 72})

    run(module_database, monkeypatch, work)

    logged = records()
    assert len(logged) == 4  # of 1.2 s each, two passes
    for first, second in (logged[:2], logged[2:]):
        assert first["run_id"] == second["run_id"]
        assert first["scheduler"] == "probe"
        # Two each step: after ten steps, or eleven by the last bit of a float.
        assert 20 <= first["processed"] <= 22
        assert 20 <= second["processed"] - first["processed"] <= 22
        for record in (first, second):
            step = record["processed"] // 2 - 1
            assert (record["events"], record["seen"]) == (step + 1, 3 * (step + 1))
            assert record.get("percent") == (round(100 * step / 24) if step % 2 else None)


def test_a_short_pass_logs_only_its_end(
    module_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    records: Callable[[], list[dict[str, Any]]],
) -> None:
    def work(current: Pass) -> PassResult:
        current.report_progress(PassResult(1))
        return PassResult(1)

    run(module_database, monkeypatch, work)
    assert records() == []
    assert progress.LOG_SECONDS == 10


def test_a_worker_logs_the_progress_of_a_long_pass(database: TestDatabase) -> None:
    """So many links, in batches of a second each, take much longer than ten."""
    insert_expired(database, 150_000)
    slow_down(database, "link_links", 1)
    with Process("workers.link", env=environment(database)) as worker:
        started = worker.wait_for("scheduler_started")["time"]
        logged = worker.wait_for("progress_reported", scheduler="link-expiration")
        seconds = (datetime.fromisoformat(logged["time"]) - datetime.fromisoformat(started)).seconds
        assert seconds >= 10
        assert 0 < logged["processed"] == logged["events"] < 150_000
        assert logged["percent"] == pytest.approx(logged["processed"] / 1_500, abs=5)


# --- the terminal -----------------------------------------------------------------------------


class Terminal:
    """A terminal of so many columns, and all that was written to it."""

    def __init__(self, columns: int) -> None:
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read_to_end(self) -> str:
        """What was written until the last program has let go of it."""
        os.close(self.slave)
        text = b""
        while True:
            try:
                piece = os.read(self._master, 65_536)
            except OSError:  # on Linux: no process has it open any more
                break
            text += piece
        os.close(self._master)
        return text.decode()


def once(database: TestDatabase, broker: str, columns: int) -> str:
    """What a terminal gets to see of `toast once link`."""
    terminal = Terminal(columns)
    process = subprocess.Popen(
        [sys.executable, "-m", "workers", "once", "link"],
        env=environment(database, broker),
        stdin=subprocess.DEVNULL,
        stdout=terminal.slave,
        stderr=terminal.slave,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )
    text = terminal.read_to_end()
    assert process.wait(PATIENCE) == 0, text
    return text


def shown(text: str) -> list[str]:
    """The lines that a terminal shows in the end."""
    lines, column = [""], 0
    for piece in re.findall(r"\x1b\[K|\r|\n|[^\r\n\x1b]+", text):
        line = lines[-1]
        match piece:
            case "\r":
                column = 0
            case "\n":
                lines.append("")
            case "\x1b[K":
                lines[-1] = line[:column]
            case _:
                lines[-1] = line[:column] + piece + line[column + len(piece) :]
                column += len(piece)
    return lines


@pytest.fixture
def slow_links(database: TestDatabase) -> TestDatabase:
    """30,000 links, switched off in batches of half a second each, in a pass like any other."""
    insert_expired(database, 30_000)
    database.query(
        "INSERT INTO toast_runs (id, service, scheduler, host, process, started_at, finished_at,"
        " result) VALUES (gen_random_uuid(), 'link', 'link-expiration', 'h', 1, now(), now(), 'ok')"
    )
    slow_down(database, "link_links", 0.5)
    return database


def test_a_terminal_shows_one_line_of_progress_that_goes_away(
    slow_links: TestDatabase, mock_broker: str
) -> None:
    text = once(slow_links, mock_broker, columns=200)
    line = (
        r"link-expiration:(?: (\d+)%,)? ([\d,]+) processed, ([\d,]+) events, 0 failed \((\d+) s\)"
    )
    steps = re.findall(line, text)
    processed = [int(done.replace(",", "")) for _, done, _, _ in steps]
    assert len(steps) >= 3
    assert processed == sorted(processed)
    assert processed[0] < processed[-1] == 30_000
    assert all(done == events for _, done, events, _ in steps)
    shares = [int(share) for share, _, _, _ in steps if share]
    assert len(shares) >= 2
    assert shares == sorted(shares)
    assert re.findall(line, "\n".join(shown(text))) == []
    header, row, *_ = shown(text)
    assert header.lower().startswith("scheduler ")
    assert row.startswith("link-expiration ")


def test_a_narrow_terminal_shows_as_much_of_it_as_fits(
    slow_links: TestDatabase, mock_broker: str
) -> None:
    text = once(slow_links, mock_broker, columns=32)
    steps = re.findall(r"\x1b\[K(link-expiration:[^\r\n\x1b]+)", text)
    assert all(re.fullmatch(r"link-expiration: \d+%, [\d,]+ p\w*", step) for step in steps)
    assert {len(step) for step in steps} == {31}
    assert "link-expiration:" not in "\n".join(shown(text))


def test_nothing_is_shown_where_no_terminal_is(slow_links: TestDatabase, mock_broker: str) -> None:
    answer = toast("once", "link", env=environment(slow_links, mock_broker))
    assert answer.code == 0
    assert "\x1b" not in answer.err + answer.out
    assert "link-expiration:" not in answer.err
