"""Search: an id in every table of our own, and the answer of `toast why` of each scheduler."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from common.cli.operate import mentions
from devservers.standins.sse import SseServer, new_client
from testing.database import TestDatabase
from testing.processes import environment, toast
from tests.support.outbox_rows import add_event
from tests.web.browsing import client_of
from tests.web.recorded_runs import add_run

NOW = datetime.now(UTC)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def client(module_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    return client_of(module_database, monkeypatch)


def search(client: FlaskClient, given: object, **more: str) -> dict[str, Any]:
    answer = client.get("/api/search", query_string={"q": str(given), **more}).get_json()
    assert answer["fault"] == ""
    found: dict[str, Any] = answer["content"]
    return found


def known(client: FlaskClient, given: object) -> dict[str, Any]:
    """What the only database knows."""
    [found] = search(client, given)["mentions"].values()
    return dict(found)


def counts(found: dict[str, Any]) -> dict[str, int]:
    kinds = ("events", "rows_aside", "alerts", "runs", "actions")
    return {kind: len(found[kind]) for kind in kinds if found[kind]}


def test_a_row_has_the_same_answer_as_the_command(
    client: FlaskClient, module_database: TestDatabase
) -> None:
    link = module_database.insert("link_links", expires_at=NOW + timedelta(days=3), is_active=False)
    row = link["id"]
    add_event(module_database, service="link", topic="link.expired", key=str(row))
    found = search(client, row)
    # Schedulers that have no such row are not asked.
    assert found["faults"] == []
    [answer] = found["answers"]
    env = environment(module_database)
    command = toast("why", "link", "link-expiration", str(row), "--json", env=env)
    expected = json.loads(command.out)
    for moment in ("now", "last_pass", "next_pass"):
        expected.pop(moment)
        answer["details"].pop(moment)
    assert answer["details"] == expected
    shown = toast("why", "link", "link-expiration", str(row), env=env).out
    assert f"link-expiration: link_links {row} is {answer['verdict']}" in shown
    text = client.get(f"/search?q={row}").text
    assert answer["verdict"] in text
    for name, _, _ in answer["conditions"]:
        assert name in text


def test_a_row_that_two_schedulers_know_has_two_answers(
    client: FlaskClient, module_database: TestDatabase
) -> None:
    row = module_database.insert("notification_notifications")["id"]
    answers = search(client, f"{str(row).upper()}")["answers"]
    assert [answer["scheduler"] for answer in answers] == [
        "notification-retry",
        "notification-cleanup",
    ]


def test_each_table_of_ours_is_searched(client: FlaskClient, module_database: TestDatabase) -> None:
    row = uuid4()
    module_database.insert(
        "toast_failed_rows", scheduler="link-expiration", row_id=row, reason=HOSTILE
    )
    module_database.query(
        "INSERT INTO toast_alerts VALUES ('stock-level', %s, %s, now())", row, HOSTILE
    )
    module_database.query(
        "INSERT INTO toast_audit (login, host, action, subject, rows, first_rows, reason)"
        " VALUES (%s, 'vm', 'rows retry', '', 1, ARRAY[%s], '')",
        HOSTILE,
        str(row),
    )
    add_event(module_database, service="blog", topic="blog.post.published", key=str(row))
    add_run(module_database, NOW, run=row, error=HOSTILE)
    assert counts(known(client, row)) == {
        "events": 1,
        "rows_aside": 1,
        "alerts": 1,
        "runs": 1,
        "actions": 1,
    }
    text = client.get(f"/search?q={row}").text
    assert text.count("&lt;script&gt;") >= 4
    assert HOSTILE not in text


def test_an_event_is_found_by_its_number_and_its_id(
    client: FlaskClient, module_database: TestDatabase
) -> None:
    number = add_event(module_database, service="link", topic="link.expired")
    event = module_database.one("SELECT event_id FROM toast_outbox WHERE id = %s", number)
    for given in (number, event["event_id"]):
        assert [each["id"] for each in known(client, given)["events"]] == [number]
    module_database.query(
        "INSERT INTO toast_outbox_set_aside SELECT id, service, topic, key, event_id, occurred_at,"
        " payload, 5, 'no', now() FROM toast_outbox WHERE id = %s",
        number,
    )
    module_database.query("DELETE FROM toast_outbox WHERE id = %s", number)
    assert known(client, number)["events"][0]["error"] == "no"


def test_only_the_first_waiting_events_are_searched_by_key(
    client: FlaskClient, module_database: TestDatabase
) -> None:
    module_database.query(
        "INSERT INTO toast_outbox (service, topic, key, event_id, occurred_at, payload)"
        " SELECT 'sse', 't', n::text || '-key', gen_random_uuid(), now(), ''"
        " FROM generate_series(1, %s) AS n",
        mentions.MOST_EVENTS + 1,
    )
    found = known(client, "1-key")
    assert (len(found["events"]), found["is_complete"]) == (1, False)
    assert counts(known(client, f"{mentions.MOST_EVENTS + 1}-key")) == {}
    assert "More events wait than are searched" in client.get("/search?q=1-key").text
    module_database.query("DELETE FROM toast_outbox WHERE service = 'sse'")
    assert known(client, "1-key")["is_complete"]


def test_a_scheduler_that_asks_another_server_is_asked_by_name(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = new_client(NOW, idle=timedelta(hours=1))
    with SseServer() as server:
        server.connect(idle)
        monkeypatch.setenv("SSE_GRPC_ADDR", server.address)
        found = search(client, idle.id)
        assert (found["answers"], found["unasked"]) == ([], [["sse", "client-cleanup"]])
        found = search(client, idle.id, scheduler="client-cleanup")
        assert [answer["details"]["due"] for answer in found["answers"]] == [True]
        assert found["unasked"] == []
        absent = search(client, "nobody", scheduler="client-cleanup")
    assert absent["faults"][0].startswith("sse client-cleanup: no client nobody is connected")


@pytest.mark.parametrize("given", ["", "nothing", str(UUID(int=0)), "7" * 30])
def test_what_nobody_knows_is_said(client: FlaskClient, given: str) -> None:
    found = search(client, given)
    assert found["answers"] == found["faults"] == []
    assert client.get("/search", query_string={"q": given}).status_code == 200


@pytest.mark.parametrize("given", ["x" * 300, "a\x00b"])
def test_what_can_be_no_id_is_refused(client: FlaskClient, given: str) -> None:
    assert client.get("/search", query_string={"q": given}).status_code == 400
