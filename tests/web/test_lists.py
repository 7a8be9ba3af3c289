"""The pages that list what went wrong, and the actions on it, through to the rows and the audit."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from testing.database import TestDatabase
from tests.support.outbox_rows import add_event
from tests.support.row_faults import add_failed_row
from tests.web.browsing import client_of, post

NOW = datetime.now(UTC)


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    module_database.query(
        "TRUNCATE toast_outbox, toast_outbox_set_aside, toast_runs, toast_failed_rows, toast_audit,"
        " toast_alerts, toast_discord_channels"
    )
    return module_database


@pytest.fixture
def client(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    return client_of(database, monkeypatch, WEB_ACTIONS="all")


def set_aside(database: TestDatabase, number: int, error: str = "refused") -> None:
    """An event that Kafka has refused."""
    database.insert(
        "toast_outbox_set_aside",
        id=number,
        service="link",
        topic="link.expired",
        key=str(uuid4()),
        event_id=uuid4(),
        occurred_at=NOW,
        payload='{"password": "hunter2"}',
        tries=5,
        error=error,
        set_aside_at=NOW,
    )


def audited(database: TestDatabase) -> list[tuple[str, str, int]]:
    found = database.query("SELECT action, subject, rows FROM toast_audit ORDER BY id")
    return [(row["action"], row["subject"], row["rows"]) for row in found]


LISTS = {
    "/outbox": "No event waits",
    "/rows": "No row is set aside",
    "/sync-failures": "No row is set aside",
    "/discord-channels": "Every channel can be written to",
    "/alerts": "No alert is raised",
    "/machines": "No worker has run",
    "/audit": "Nothing was done yet",
}


@pytest.mark.parametrize(("page", "empty"), LISTS.items())
def test_an_empty_list_says_what_would_be_here(client: FlaskClient, page: str, empty: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 200
    assert empty in answer.text
    json = client.get(f"/api{page}").get_json()
    assert json["fault"] == ""
    assert json["content"]


def test_an_event_is_shown_without_secrets(client: FlaskClient, database: TestDatabase) -> None:
    set_aside(database, 7)
    text = client.get("/outbox/7").text
    assert "set aside" in text
    assert "hunter2" not in text
    assert client.get("/outbox/8").status_code == 404


def test_ticked_rows_are_retried(client: FlaskClient, database: TestDatabase) -> None:
    chosen = [str(add_failed_row(database, "post-publisher")) for _ in range(2)]
    left = add_failed_row(database, "post-publisher")
    answer = post(client, "/rows", "/rows/retry", which="ticked", id=chosen)
    assert "2 rows will be tried again" in answer.text
    still = database.query("SELECT row_id FROM toast_failed_rows WHERE retry_at > now()")
    assert [row["row_id"] for row in still] == [left]
    assert audited(database) == [("rows retry", "", 2)]


def test_all_that_match_are_dropped_by_who_is_certain(
    client: FlaskClient, database: TestDatabase
) -> None:
    for scheduler in ("post-publisher", "post-publisher", "link-expiration"):
        add_failed_row(database, scheduler)
    page, form = "/rows?scheduler=post-publisher", {"which": "all", "scheduler": "post-publisher"}
    assert "nothing is dropped" in post(client, page, "/rows/drop", **form).text
    assert audited(database) == []
    answer = post(client, page, "/rows/drop", certain="yes", **form)
    assert "2 rows will not be tried again" in answer.text
    assert audited(database) == [("rows drop", "post-publisher", 2)]
    states = [
        row["state"] for row in client.get("/api/rows").get_json()["content"]["found"]["rows"]
    ]
    assert sorted(states) == ["dropped", "dropped", "set aside"]


@pytest.mark.parametrize(
    ("form", "answer"),
    [({}, "nothing is ticked"), ({"id": "x"}, "an id is not one of this page")],
)
def test_nothing_is_changed_without_a_choice(
    client: FlaskClient, database: TestDatabase, form: dict[str, Any], answer: str
) -> None:
    add_failed_row(database, "post-publisher")
    assert answer in post(client, "/rows", "/rows/retry", which="ticked", **form).text
    assert audited(database) == []


def test_events_are_retried_and_dropped(client: FlaskClient, database: TestDatabase) -> None:
    for number in (1, 2, 3):
        set_aside(database, number)
    assert "1 event will be published" in post(client, "/outbox", "/outbox/retry", id="1").text
    assert "1 event deleted" in post(client, "/outbox", "/outbox/drop", id="2").text
    content = client.get("/api/outbox").get_json()["content"]
    assert content["waiting"] == 1
    assert [each["id"] for each in content["found"]["rows"]] == [3]
    assert audited(database) == [("outbox retry", "", 1), ("outbox drop", "", 1)]


def test_the_outbox_is_counted_by_topic(client: FlaskClient, database: TestDatabase) -> None:
    for topic in ("link.expired", "link.expired", "blog.post.scheduled.published"):
        add_event(database, service=topic.partition(".")[0], topic=topic)
    topics = client.get("/api/outbox?service=link").get_json()["content"]["topics"]
    assert [(each["topic"], each["waiting"]) for each in topics] == [("link.expired", 2)]


def test_a_long_list_has_pages(client: FlaskClient, database: TestDatabase) -> None:
    for number in range(120):
        set_aside(database, number)
    seen: list[int] = []
    page: int | None = 0
    while page is not None:
        found = client.get(f"/api/outbox?before={page}").get_json()["content"]["found"]
        seen += [row["id"] for row in found["rows"]]
        page = found["older"]
    assert seen == list(range(120))


def test_dropping_needs_the_setting(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(database, monkeypatch, WEB_ACTIONS="safe")
    set_aside(database, 1)
    assert "Drop" not in client.get("/outbox").text
    refused = post(client, "/outbox", "/outbox/drop", id="1")
    assert refused.status_code == 403
    assert database.count("toast_outbox_set_aside") == 1
