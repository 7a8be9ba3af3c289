"""Workers whose log is not read, closed, gone or full: the work goes on, and a stop is a stop."""

import json
import resource
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment
from tests.support.expired_links import EXPIRED
from tests.support.row_faults import refusal
from tests.support.scrapes import ask, scrape

pytestmark = pytest.mark.usefixtures("only_link_expiration")

LONG = "x" * 9_000
OFTEN = {"LINK_EXPIRATION_INTERVAL": "100ms", "LOG_LEVEL": "debug"}


def dropped(port: int) -> float:
    return scrape(port).value("toast_log_lines_dropped_total") or 0


def expires(database: TestDatabase) -> None:
    """Add a link that is due, and wait until a worker has changed it."""
    link = database.insert("link_links", expires_at=EXPIRED)["id"]
    changed = "SELECT 1 FROM link_links WHERE id = %s AND NOT is_active"
    assert poll_until(lambda: bool(database.query(changed, link)), PATIENCE)


def test_a_log_that_is_not_read_stops_nothing(database: TestDatabase, port: int) -> None:
    """One scheduler fails with a long error each time, the other works."""
    database.query(refusal("DELETE ON twitchbot_messages", message=LONG, sqlstate="58000"))
    database.insert("twitchbot_messages", created_at=EXPIRED - timedelta(days=365))
    closed = "SELECT 1 FROM twitchbot_streams WHERE NOT is_active"
    env = environment(
        database,
        METRICS_PORT=str(port),
        MESSAGE_CLEANUP_INTERVAL="100ms",
        STREAM_CLOSER_INTERVAL="100ms",
    )
    with Process("workers.twitchbot", env=env) as worker:
        worker.wait_for("metrics_port_opened")
        worker.wait_for("pass_failed", scheduler="message-cleanup")
        worker.freeze_log()
        assert poll_until(lambda: dropped(port) > 0, PATIENCE)
        database.insert("twitchbot_streams", is_active=True, updated_at=EXPIRED)
        assert poll_until(lambda: bool(database.query(closed)), PATIENCE)
        assert ask(port, "/healthz").status == 200

        worker.read_log()
        first = worker.wait_for("log_lines_dropped", level="warning")
        assert 0 < first["count"] <= dropped(port)

        worker.freeze_log()
        more = dropped(port)
        assert poll_until(lambda: dropped(port) > more, PATIENCE)
        assert worker.stop() == 0


def test_a_command_whose_log_is_not_read_comes_to_its_end(database: TestDatabase) -> None:
    database.query(refusal("UPDATE ON link_links", message=LONG, sqlstate="58000"))
    database.insert("link_links", expires_at=EXPIRED)
    env = environment(database, LOG_LEVEL="debug")
    with Process("workers", "once", "link", env=env) as command:
        command.freeze_log()
        assert command.exit_code() == 1


@pytest.mark.parametrize("redirect", ["<&- >&- 2>&-", ">&- 2>/dev/full"])
def test_a_log_that_was_never_there_stops_nothing(
    database: TestDatabase, mock_broker: str, redirect: str
) -> None:
    env = environment(database, mock_broker, **OFTEN)
    with Process("workers.link", env=env, redirect=redirect) as worker:
        expires(database)
        files = [Path(f"/proc/{worker.pid}/fd/{number}").readlink() for number in (0, 1, 2)]
        assert {path.parent for path in files} == {Path("/dev")}  # and no connection
        assert worker.stop() == 0


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full"])
def test_bad_settings_have_their_exit_code_without_a_log(
    database: TestDatabase, redirect: str
) -> None:
    env = environment(database, LINK_EXPIRATION_INTERVAL="soon")
    with Process("workers.link", env=env, redirect=redirect) as worker:
        assert worker.exit_code() == 78


def test_a_reader_that_is_killed_stops_nothing(database: TestDatabase, mock_broker: str) -> None:
    with Process("workers.link", env=environment(database, mock_broker, **OFTEN)) as worker:
        worker.wait_for("pass_finished")
        worker.abandon_log()
        for _ in range(3):
            expires(database)
        assert worker.stop() == 0


def test_a_disk_that_is_full_stops_nothing(
    database: TestDatabase, mock_broker: str, tmp_path: Path, port: int
) -> None:
    log = tmp_path / "log"
    env = environment(database, mock_broker, METRICS_PORT=str(port), **OFTEN)
    with Process("workers.link", env=env, redirect=f"2>>{log}") as worker:
        expires(database)
        assert poll_until(lambda: "metrics_port_opened" in log.read_text(), PATIENCE)
        grow = limited(worker.pid, log.stat().st_size + 100)
        assert poll_until(lambda: dropped(port) > 5, PATIENCE)
        expires(database)
        grow()
        assert poll_until(lambda: "log_lines_dropped" in log.read_text(), PATIENCE)
        assert worker.stop() == 0
    whole = [line for line in log.read_text().splitlines() if line.endswith("}")]
    [said] = [record for record in map(json.loads, whole) if "count" in record]
    assert (said["event"], said["count"] > 5) == ("log_lines_dropped", True)
    assert json.loads(whole[-1])["event"] == "worker_stopped"


def limited(process: int, size: int) -> Callable[[], object]:
    """Let no file of the process grow beyond this size; returns what ends it."""
    soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE, (size, -1))
    return lambda: resource.prlimit(process, resource.RLIMIT_FSIZE, (soft, hard))
