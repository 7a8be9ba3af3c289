"""SIGHUP: good settings are taken over in place and nothing is lost, bad ones change nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment
from testing.topics import Topic
from tests.support.expired_links import insert_expired, slow_down

pytestmark = pytest.mark.usefixtures("only_link_expiration")

LINKS = 500


def test_good_settings_start_it_anew_in_place_after_its_batch(
    database: TestDatabase, mock_broker: str, tmp_path: Path
) -> None:
    file = tmp_path / "toast.env"
    file.write_text("LINK_EXPIRATION_INTERVAL=1h\n")
    arrived = Topic(mock_broker, "link.expired")
    insert_expired(database, LINKS)
    slow_down(database, "link_links", 1.0)
    env = environment(database, mock_broker, TOAST_CONFIG_DIR=str(tmp_path))
    with Process("workers.link", env=env, fresh=True) as worker:
        assert poll_until(lambda: bool(database.query("SELECT 1 FROM toast_runs")), PATIENCE)

        file.write_text("LINK_EXPIRATION_INTERVAL=soon\nLOG_LEVEL=loud\n")
        worker.send(signal.SIGHUP)
        worker.wait_for("reload_refused", count=2)
        reasons = " ".join(record["reason"] for record in worker.records("reload_refused"))
        assert "LINK_EXPIRATION_INTERVAL" in reasons
        assert "LOG_LEVEL" in reasons
        assert worker.records("worker_reloaded") == []

        file.write_text("LINK_EXPIRATION_INTERVAL=200ms\n")
        worker.send(signal.SIGHUP)
        first, second = (worker.wait_for("worker_started", count=count) for count in (1, 2))
        assert first["process"] == second["process"] == worker.pid
        worker.wait_for("pass_finished", processed=LINKS)
        worker.wait_for("pass_finished", count=4)
        assert worker.stop() == 0
    assert database.query(
        "SELECT result FROM toast_runs WHERE counts ->> 'processed' = %s", str(LINKS)
    ) == [{"result": "ok"}]
    assert arrived.count() + database.count("toast_outbox") == LINKS
