"""While PostgreSQL is away the page says since when, shows what it knew, and recovers by itself."""

import json
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devservers.child_processes import PATIENCE, free_port, poll_until
from testing.database import TestDatabase
from testing.processes import bare, environment
from tests.web.process.browser import Browser, at_socket, serving, serving_well

pytestmark = pytest.mark.servers


def about(browser: Browser, path: str) -> tuple[int, dict[str, object]]:
    """The status of the page, and its content as JSON."""
    answer = browser.get(f"/api{path}")
    return answer.status, json.loads(answer.text)


def test_a_stop_and_a_start_of_postgresql(private_database: TestDatabase, folder: Path) -> None:
    with serving_well(environment(private_database, **at_socket(folder))):
        browser = Browser(f"{folder}/web.sock")
        status, before = about(browser, "/schedulers")
        assert (status, before["fault"], before["away_since"]) == (200, "", None)
        assert browser.get("/").status == 200

        stopped = datetime.now(UTC)
        private_database.server.stop("immediate")
        status, away = about(browser, "/schedulers")
        assert status == 503
        assert away["content"] == before["content"]
        assert away["read_at"] == before["read_at"]
        assert "Connection refused" in str(away["fault"])
        since = str(away["away_since"])
        assert stopped <= datetime.fromisoformat(since) <= datetime.now(UTC)
        shown = browser.get("/")
        assert shown.status == 503
        assert "PostgreSQL has been away since" in shown.text
        assert "This is what was known at" in shown.text
        assert "link-expiration" in shown.text
        never_read = browser.get("/audit")
        assert "Nothing is known yet" in never_read.text
        assert about(browser, "/audit")[1]["away_since"] == since

        private_database.server.start()
        assert poll_until(lambda: about(browser, "/schedulers")[0] == 200, PATIENCE)
        _, after = about(browser, "/schedulers")
        assert (after["fault"], after["away_since"]) == ("", None)
        assert "has been away" not in browser.get("/").text


def test_only_one_request_waits_for_a_postgresql_that_does_not_answer(folder: Path) -> None:
    port = free_port()
    nowhere = {"DB_HOST": "127.0.0.1", "DB_PORT": str(port), "DB_USER": "toast"}
    with serving(bare(**nowhere, **at_socket(folder))), socket.socket() as frozen:
        browser = Browser(f"{folder}/web.sock")
        assert browser.get("/audit").status == 503
        frozen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        frozen.bind(("127.0.0.1", port))
        frozen.listen()
        frozen.settimeout(PATIENCE)
        waits = threading.Thread(target=Browser(browser.address).get, args=("/audit",))
        waits.start()
        connection, _ = frozen.accept()

        answer = browser.get("/audit")

        assert waits.is_alive()
        assert answer.status == 503
        assert "Connection refused" in answer.text
        connection.close()
        waits.join()


def test_what_is_wrong_with_the_tables_is_no_outage(database: TestDatabase, folder: Path) -> None:
    database.query("DROP TABLE toast_audit")
    database.query("DELETE FROM toast_migrations WHERE number = 8")
    with serving(environment(database, **at_socket(folder))):
        status, content = about(Browser(f"{folder}/web.sock"), "/audit")

        assert status == 503
        assert "run `toast migrate`" in str(content["fault"])
        assert content["away_since"] is None


def test_a_page_that_fails_says_so_and_the_others_go_on(
    database: TestDatabase, folder: Path
) -> None:
    """The defect is a run whose counts are none, which no program of ours writes."""
    run = {"service": "link", "scheduler": "link-expiration", "counts": "5"}
    database.insert("toast_runs", **run, result="ok", started_at=datetime.now(UTC))
    with serving(environment(database, **at_socket(folder))) as page:
        browser = Browser(f"{folder}/web.sock")
        failed = browser.get("/")

        assert failed.status == 500
        assert failed.headers["content-security-policy"]
        assert "The page has failed; the log has the reason." in failed.text
        assert page.wait_for("request_failed", level="error")["path"] == "/"
        assert browser.get("/audit").status == 200
        assert page.stop() == 0
