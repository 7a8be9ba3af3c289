"""The page with the roles of db/roles.sql: its own for every page and action, and those of the
services for what only they may read."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import url_for
from flask.testing import FlaskClient

import workers
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from tests.support.expired_links import insert_expired
from tests.support.row_faults import add_failed_row
from tests.web.browsing import client_of, post
from web.pages import PAGES

PASSWORD = "not-in-any-file"
ROLES = [f"toast_{name}" for name in (*workers.SERVICES, "operator", "webhook_delivery")]
# Where the services and the page have their own DB_USER.
FILES = {name: f"toast_{name}" for name in workers.SERVICES} | {"web": "toast_operator"}
PAGE = "/schedulers/link/link-expiration"


@pytest.fixture(scope="module")
def granted(module_database: TestDatabase) -> Iterator[TestDatabase]:
    module_database.query((ROOT / "db" / "roles.sql").read_text())
    for role in ROLES:
        module_database.query(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
    yield module_database
    for role in ROLES:
        module_database.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
def client(granted: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    for name, role in FILES.items():
        file = Path(os.environ["TOAST_CONFIG_DIR"]) / f"{name}.env"
        file.write_text(f"DB_USER={role}\nDB_PASSWORD={PASSWORD}\n")
    return client_of(granted, monkeypatch, DB_USER="", DB_PASSWORD="", WEB_ACTIONS="all")


def test_every_page_can_be_read(client: FlaskClient) -> None:
    names: dict[str, Any] = {"service": "link", "scheduler": "link-expiration", "number": 1}
    for page in PAGES:
        with client.application.test_request_context():
            path = url_for(f"api_{page.name}", **names).partition("?")[0]
        answer = client.get(path, query_string={"q": "1"})
        if page.name != "event":
            assert answer.get_json()["fault"] == "", page.name


def test_what_is_due_is_read_as_the_service(client: FlaskClient, granted: TestDatabase) -> None:
    insert_expired(granted, 3)

    def backlogs() -> dict[str, int | None]:
        rows = client.get("/api/schedulers").get_json()["content"]["rows"]
        return {row["job"]["scheduler"]: row["backlog"] and row["backlog"]["rows"] for row in rows}

    assert poll_until(lambda: backlogs()["link-expiration"] == 3, PATIENCE)
    uncounted = {scheduler for scheduler, rows in backlogs().items() if rows is None}
    assert uncounted == {"client-cleanup", "webhook-delivery"}
    row = granted.query("SELECT id FROM link_links LIMIT 1")[0]["id"]
    found = client.get("/api/search", query_string={"q": str(row)}).get_json()["content"]
    assert [answer["scheduler"] for answer in found["answers"]] == ["link-expiration"]
    assert found["faults"] == []


def test_actions_are_done_as_the_operator(client: FlaskClient, granted: TestDatabase) -> None:
    form = {"end": "span", "span": "1h", "reason": "a migration"}
    assert "paused until" in post(client, PAGE, f"{PAGE}/pause", **form).text
    assert "is resumed" in post(client, PAGE, f"{PAGE}/resume").text
    add_failed_row(granted)
    assert "1 row will be tried again" in post(client, "/rows", "/rows/retry", which="all").text
    roles = granted.query(
        "SELECT DISTINCT role::text AS role FROM toast_audit WHERE action <> 'migrate'"
    )
    assert roles == [{"role": "toast_operator"}]
