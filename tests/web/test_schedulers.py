"""The front page: the state of every scheduler, the bad ones first, with what waits for it."""

import os
import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import workers
from devservers.child_processes import PATIENCE, poll_until
from devservers.postgres import PostgresServer
from testing.database import TestDatabase, fresh_database
from tests.support.expired_links import insert_expired
from tests.support.outbox_rows import add_event
from tests.web.browsing import client_of, post
from tests.web.recorded_runs import add_run

HOSTILE = "<script>alert(1)</script>"
NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    # Not TRUNCATE: rows may still be counted behind the page of the test before.
    module_database.query(
        "DELETE FROM toast_outbox; DELETE FROM toast_runs; DELETE FROM toast_pauses;"
        " DELETE FROM link_links"
    )
    return module_database


@pytest.fixture
def client(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    return client_of(database, monkeypatch)


def content(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/api/schedulers").get_json()
    assert answer["fault"] == ""
    found: dict[str, Any] = answer["content"]
    return found


def row(client: FlaskClient, scheduler: str = "link-expiration") -> dict[str, Any]:
    rows: list[dict[str, Any]] = content(client)["rows"]
    [found] = [each for each in rows if each["job"]["scheduler"] == scheduler]
    return found


def test_the_bad_ones_are_first_and_those_that_are_off_last(
    client: FlaskClient, database: TestDatabase
) -> None:
    every = [
        (name, each.name) for name in workers.SERVICES for each in workers.load(name).schedulers
    ]
    for job in every:
        add_run(database, NOW - MINUTE, job=job)
    add_run(database, NOW, "failed", job=("warcraft", "guild-sync"), error="RemoteAway: no")
    states = [(each["job"]["scheduler"], each["job"]["state"]) for each in content(client)["rows"]]
    assert states[0] == ("guild-sync", "failing")
    assert states[-1] == ("webhook-delivery", "disabled")
    # The others stay in their order, whether a pass of them runs just now or not.
    others = [scheduler for _, scheduler in every if scheduler not in dict((states[0], states[-1]))]
    assert [scheduler for scheduler, _ in states[1:-1]] == others
    text = client.get("/").text
    assert text.index("guild-sync") < text.index("post-publisher")
    assert "RemoteAway: no" in text


def test_a_row_says_what_the_last_run_did_and_who_paused_it(
    client: FlaskClient, database: TestDatabase
) -> None:
    add_run(database, NOW - MINUTE, processed=1200, events=3)
    assert re.search(r"1200 processed, 3 events", client.get("/").text)
    database.query(
        "INSERT INTO toast_pauses (service, scheduler, reason, paused_by, host)"
        " VALUES ('link', 'link-expiration', %s, 'anna', 'vm-1')",
        HOSTILE,
    )
    text = client.get("/").text
    assert "until it is resumed, by anna on vm-1: &lt;script&gt;" in text
    assert HOSTILE not in text
    assert row(client)["job"]["state"] == "paused"


def test_durations_of_a_day_are_by_half_hours(client: FlaskClient, database: TestDatabase) -> None:
    for minutes, result, seconds in ((1, "ok", 1.5), (90, "failed", 4.0), (25 * 60, "ok", 9.0)):
        add_run(database, NOW - minutes * MINUTE, result, seconds=seconds)
    found = row(client)["half_hours"]
    assert [(each["longest"], each["failed"]) for each in found] == [(4.0, 1), (1.5, 0)]
    text = client.get("/").text
    assert "longest pass 4.00 s, 1 failed" in text
    drawn = re.findall(r'<path class="bars( bad)?" d="(M[^"]*)"', text)
    assert [(kind, path.count("M")) for kind, path in drawn] == [("", 1), (" bad", 1)]


def test_the_outbox_of_the_service_is_counted_up_to_a_limit(
    client: FlaskClient, database: TestDatabase
) -> None:
    for _ in range(3):
        add_event(database, service="link", topic="link.expired")
    assert row(client)["outbox"]["waiting"] == 3
    assert row(client, "message-cleanup")["outbox"] is None
    database.query(
        "INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)"
        " SELECT 'link', 'link.expired', '', gen_random_uuid(), now(), '' FROM"
        " generate_series(1, 2000)"
    )
    assert row(client)["outbox"]["waiting"] == content(client)["most_events"] == 1000
    assert "1,000 or more" in client.get("/").text


def is_counting() -> bool:
    return "backlogs" in {thread.name for thread in threading.enumerate()}


def test_due_rows_are_counted_behind_the_page(client: FlaskClient, database: TestDatabase) -> None:
    insert_expired(database, 4)
    assert poll_until(lambda: row(client)["backlog"], PATIENCE)
    assert row(client)["backlog"]["rows"] == 4
    assert poll_until(lambda: not is_counting(), PATIENCE)
    row(client)
    assert not is_counting()  # not again at once
    # The SSE service would have to be asked.
    assert row(client, "client-cleanup")["backlog"] is None


def test_settings_are_read_again_when_a_file_has_changed(client: FlaskClient) -> None:
    assert row(client)["job"]["interval"] == 3600
    file = Path(os.environ["TOAST_CONFIG_DIR"]) / "link.env"
    file.write_text("LINK_EXPIRATION_INTERVAL=2h\n")
    assert row(client)["job"]["interval"] == 7200
    # A service whose settings are wrong does not hide the others.
    before = len(content(client)["rows"])
    file.write_text("LINK_EXPIRATION_INTERVAL=soon\n")
    found = content(client)
    assert len(found["rows"]) == before - 1
    assert "toast-link: LINK_EXPIRATION_INTERVAL in" in found["faults"][0]
    assert "LINK_EXPIRATION_INTERVAL in" in client.get("/").text


def test_a_refresh_leaves_the_message_to_the_page_that_follows(client: FlaskClient) -> None:
    with client.session_transaction() as session:
        session["_flashes"] = [("done", "something is done")]
    assert "something is done" not in client.get("/", headers={"X-Refresh": "1"}).text
    assert "something is done" in client.get("/").text


def test_services_may_have_databases_of_their_own(
    database: TestDatabase, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, page = Path(os.environ["TOAST_CONFIG_DIR"]), "/schedulers/link/link-expiration"
    elsewhere = {name: database.environment[name] for name in ("DB_NAME", "DB_PORT")}
    shared = "".join(f"{name}={value}\n" for name, value in elsewhere.items())
    (folder / "toast.env").write_text(shared)
    (folder / "blog.env").write_text("DB_PORT=1\n")
    with fresh_database(postgres_server) as other:
        (folder / "link.env").write_text(f"DB_NAME={other.name}\n")
        client = client_of(database, monkeypatch, **dict.fromkeys(elsewhere, ""))
        add_run(other, NOW, "failed", error="RemoteAway: of the other database")
        assert row(client)["job"]["error"] == "RemoteAway: of the other database"
        assert "RemoteAway: of the other" in client.get(page).text
        post(client, page, f"{page}/pause", end="resumed", reason="a migration")
        assert other.count("toast_pauses") == 1
        # One that is away does not hide the others.
        add_run(database, NOW, job=("blog", "post-publisher"))
        assert row(client, "post-publisher")["job"]["state"] == "unknown"
        [fault] = content(client)["faults"]
    assert fault.startswith("127.0.0.1:1/")
    assert "Connection refused" in fault
