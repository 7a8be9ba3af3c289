"""The page of one scheduler: its passes, rows and settings, and what an operator does with it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.processes import Process, environment
from tests.support.expired_links import insert_expired
from tests.web.browsing import client_of, post
from tests.web.recorded_runs import add_run
from web.dry_runs import DryRuns
from web.site import Site

PAGE = "/schedulers/link/link-expiration"
NOW = datetime.now(UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
PAUSED = "paused until it is resumed, by anna on vm-1: a migration"


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    # Not TRUNCATE: rows may still be counted behind the page of the test before.
    module_database.query(
        "DELETE FROM toast_runs; DELETE FROM toast_failed_rows; DELETE FROM toast_pauses;"
        " DELETE FROM toast_audit; DELETE FROM link_links"
    )
    return module_database


@pytest.fixture
def client(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    client = client_of(database, monkeypatch)
    client.environ_base["toast.peer"] = "anna"
    return client


def content(client: FlaskClient, page: str = PAGE) -> dict[str, Any]:
    answer = client.get(f"/api{page}").get_json()
    assert answer["fault"] == ""
    found: dict[str, Any] = answer["content"]
    return found


def history(client: FlaskClient, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = content(client, f"{PAGE}{query}")["history"]
    return found


def audited(database: TestDatabase) -> list[tuple[str, str, str, str]]:
    found = database.query("SELECT login, action, subject, reason FROM toast_audit ORDER BY id")
    return [(row["login"], row["action"], row["subject"], row["reason"]) for row in found]


# --- what it shows ----------------------------------------------------------------------------


def test_the_strip_counts_each_day_by_outcome(client: FlaskClient, database: TestDatabase) -> None:
    midday = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - DAY / 2
    for days, result, error in (
        (0, "ok", ""),
        (0, "failed", "RemoteAway: no"),
        (1, "skipped", PAUSED),
        (1, "stopped", PAUSED),
        (1, "skipped", "another process runs it"),
        (1, "stopped", ""),
        (35, "ok", ""),
    ):
        add_run(database, midday - days * DAY, result, error=error)
    counts = [
        [day[outcome] for outcome in ("ok", "failed", "paused", "skipped", "stopped")]
        for day in history(client)["days"]
    ]
    assert counts == [[0, 0, 2, 1, 1], [1, 1, 0, 0, 0]]
    text = client.get(PAGE).text
    assert f"<title>{midday.date()}: 1 failed, 1 ok</title>" in text
    assert text.count("no pass</title>") == 28
    assert "The same as a table" in text


def test_runs_are_filtered_and_read_in_pages(client: FlaskClient, database: TestDatabase) -> None:
    # Two of each time: the order must not depend on it.
    made = [
        str(add_run(database, NOW - n // 2 * MINUTE, "failed" if n % 3 else "ok"))
        for n in range(60)
    ]
    seen: list[str] = []
    older: str | None = ""
    while older is not None:
        runs = history(client, f"?before={older}".replace("+", "%2B"))["runs"]
        seen += [run["id"] for run in runs["rows"]]
        older = runs["older"]
    assert sorted(seen) == sorted(made)
    assert len(seen) == 60
    oks = history(client, "?outcome=ok")["runs"]
    assert [run["outcome"] for run in oks["rows"]] == ["ok"] * 20
    assert oks["older"] is None
    add_run(database, NOW + MINUTE, None)
    assert len(history(client, "?outcome=not ended")["runs"]["rows"]) == 1
    # The link to the older ones keeps the filter.
    assert "outcome=failed&amp;before=" in client.get(f"{PAGE}?outcome=failed").text


@pytest.mark.parametrize(
    ("page", "status"),
    [
        (f"{PAGE}?outcome=nice", 400),
        (f"{PAGE}?before=yesterday", 400),
        (f"{PAGE}?before=2026-01-01/7", 400),
        ("/schedulers/link/link-expirations", 404),
        ("/schedulers/links/link-expiration", 404),
        ("/schedulers/links/link-expiration/dry-run", 404),
    ],
)
def test_what_is_not_there_is_no_defect(client: FlaskClient, page: str, status: int) -> None:
    assert client.get(page).status_code == status
    assert client.get(f"/api{page}").status_code == status


def test_rows_set_aside_are_counted_and_the_first_are_shown(
    client: FlaskClient, database: TestDatabase
) -> None:
    for number in range(12):
        database.insert(
            "toast_failed_rows",
            scheduler="link-expiration",
            row_id=UUID(int=number),
            reason="<b>no</b>",
            since=NOW,
        )
    found = history(client)["rows_aside"]
    assert found["count"] == 12
    assert [UUID(row["row_id"]).int for row in found["rows"]] == list(range(10))
    assert "&lt;b&gt;no&lt;/b&gt;" in client.get(PAGE).text


def test_settings_are_shown_with_their_origin_and_without_secrets(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLIZZARD_CLIENT_SECRET", "hunter2hunter2")
    monkeypatch.setenv("CHARACTER_SYNC_INTERVAL", "5h")
    page = "/schedulers/warcraft/character-sync"
    shown = {
        each["name"]: (each["value"], each["origin"]) for each in content(client, page)["settings"]
    }
    assert shown["CHARACTER_SYNC_INTERVAL"] == ("5h", "environment")
    assert shown["CHARACTER_SYNC_ENABLED"] == ("true", "default")
    assert shown["BLIZZARD_CLIENT_SECRET"] == ("(hidden)", "environment")
    assert "hunter2" not in client.get(page).text


def test_wrong_settings_are_named_and_shown(client: FlaskClient) -> None:
    file = Path(os.environ["TOAST_CONFIG_DIR"]) / "link.env"
    file.write_text("LINK_EXPIRATION_INTERVAL=soon\n")
    found = content(client)
    assert found["history"] is None
    assert "LINK_EXPIRATION_INTERVAL" in found["faults"][0]
    assert [
        each["value"] for each in found["settings"] if each["name"] == "LINK_EXPIRATION_INTERVAL"
    ] == ["soon"]
    assert "Its settings are wrong: LINK_EXPIRATION_INTERVAL" in client.get(PAGE).text


# --- what is done -----------------------------------------------------------------------------


def paused(database: TestDatabase) -> list[dict[str, Any]]:
    return database.query("SELECT scheduler, until - paused_at AS span, reason FROM toast_pauses")


def test_it_is_paused_and_resumed(client: FlaskClient, database: TestDatabase) -> None:
    form = {"end": "span", "span": "90m", "reason": "a migration"}
    answer = post(client, PAGE, f"{PAGE}/pause", **form)
    assert "link-expiration: paused until" in answer.text
    [pause] = paused(database)
    assert (pause["scheduler"], pause["reason"]) == ("link-expiration", "a migration")
    assert abs(pause["span"] - 90 * MINUTE) < MINUTE
    assert "by anna on" in client.get(PAGE).text
    form = {"end": "resumed", "reason": "a longer one"}
    post(client, PAGE, f"{PAGE}/pause", **form)
    assert [(each["span"], each["reason"]) for each in paused(database)] == [(None, "a longer one")]
    assert "link-expiration is resumed" in post(client, PAGE, f"{PAGE}/resume").text
    assert paused(database) == []
    assert "was not paused" in post(client, PAGE, f"{PAGE}/resume").text
    subject = "link link-expiration"
    assert audited(database) == [
        ("anna", "pause for 1:30:00", subject, "a migration"),
        ("anna", "pause indefinitely", subject, "a longer one"),
        ("anna", "resume", subject, ""),
    ]


def test_a_pause_ends_at_a_time_in_utc(client: FlaskClient, database: TestDatabase) -> None:
    until = (NOW + DAY).replace(second=0, microsecond=0)
    form = {"end": "until", "until": f"{until:%Y-%m-%dT%H:%M}", "reason": "a migration"}
    post(client, PAGE, f"{PAGE}/pause", **form)
    assert database.one("SELECT until FROM toast_pauses")["until"] == until


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ({"end": "span", "span": "soon", "reason": "x"}, "expected a number of days"),
        ({"end": "until", "until": "", "reason": "x"}, "expected a time to come"),
        ({"end": "until", "until": "2001-01-01T00:00", "reason": "x"}, "is over"),
        ({"end": "resumed", "reason": " "}, "say why"),
        ({"reason": "x"}, "choose how long"),
    ],
)
def test_a_wrong_form_pauses_nothing(
    client: FlaskClient, database: TestDatabase, form: dict[str, str], answer: str
) -> None:
    assert answer in post(client, PAGE, f"{PAGE}/pause", **form).text
    assert paused(database) == []
    assert audited(database) == []


def test_it_runs_now_by_the_worker_of_this_machine(
    client: FlaskClient, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no worker of link runs on this machine" in post(client, PAGE, f"{PAGE}/run-now").text
    assert audited(database) == []
    with Process("workers.link", env=environment(database)) as worker:
        worker.wait_for("pass_finished", scheduler="link-expiration")
        answer = post(client, PAGE, f"{PAGE}/run-now")
        assert f"process {worker.pid} runs link-expiration now" in answer.text
        worker.wait_for("pass_finished", count=2, scheduler="link-expiration")
    assert audited(database) == [("anna", "trigger", "link link-expiration", "")]
    runs = history(client)["runs"]["rows"]
    assert [(run["process"], run["outcome"]) for run in runs] == [(worker.pid, "ok")] * 2


def dry_run(client: FlaskClient) -> dict[str, Any]:
    """The last dry run, when it has ended."""

    def last() -> dict[str, Any]:
        run: dict[str, Any] = content(client, f"{PAGE}/dry-run")["run"]
        return run

    assert poll_until(lambda: last()["ended_at"], PATIENCE)
    return last()


def test_what_it_would_do_is_tried_in_a_child(client: FlaskClient, database: TestDatabase) -> None:
    insert_expired(database, 12)
    assert "There is no dry run yet" in client.get(f"{PAGE}/dry-run").text
    assert "is being tried" in post(client, PAGE, f"{PAGE}/try").text
    run = dry_run(client)
    assert (run["login"], run["error"], run["due"], len(run["rows"])) == ("anna", "", 12, 10)
    text = client.get(f"{PAGE}/dry-run").text
    assert "12 rows are due. Nothing was changed" in text
    assert database.count("link_links WHERE is_active") == 12
    assert database.count("toast_runs") == 0
    assert audited(database) == []


def test_a_dry_run_that_takes_too_long_is_ended(
    client: FlaskClient, database: TestDatabase
) -> None:
    site = client.application.jinja_env.globals["site"]
    assert isinstance(site, Site)
    site.dry_runs = DryRuns(seconds=1.0)
    with database.connect() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE link_links")
        post(client, PAGE, f"{PAGE}/try")
        run = dry_run(client)
    assert run["error"].startswith("it took longer than 1 s and was ended")
    # Killed: by itself it waits longer for the lock.
    began, ended = (datetime.fromisoformat(run[name]) for name in ("began_at", "ended_at"))
    assert ended - began < timedelta(seconds=4)


def test_only_a_few_dry_runs_are_at_a_time(client: FlaskClient, database: TestDatabase) -> None:
    with database.connect() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE link_links, blog_posts")
        post(client, PAGE, f"{PAGE}/try")
        assert "under way" in client.get(f"{PAGE}/dry-run").text
        assert "is being tried already" in post(client, PAGE, f"{PAGE}/try").text
        post(client, PAGE, "/schedulers/blog/post-publisher/try")
        answer = post(client, PAGE, "/schedulers/twitchbot/stream-closer/try")
        assert "link link-expiration and blog post-publisher are being tried now" in answer.text
    dry_run(client)


def test_a_dry_run_that_fails_says_why(client: FlaskClient, database: TestDatabase) -> None:
    database.query("ALTER TABLE link_links RENAME TO elsewhere")
    try:
        post(client, PAGE, f"{PAGE}/try")
        run = dry_run(client)
    finally:
        database.query("ALTER TABLE elsewhere RENAME TO link_links")
    assert "there is no table link_links" in run["error"]
    assert "the dry run failed: there is no table" in client.get(f"{PAGE}/dry-run").text


def test_nothing_is_offered_or_done_where_actions_are_off(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = client_of(database, monkeypatch)
    reader = client_of(database, monkeypatch, WEB_ACTIONS="none")
    assert "Run now" in allowed.get(PAGE).text
    assert '<form class="act"' not in reader.get(PAGE).text
    with reader.session_transaction() as session:
        session["csrf"] = "token"
    form = {"csrf": "token", "end": "resumed", "reason": "x"}
    assert reader.post(f"{PAGE}/pause", data=form).status_code == 403
    assert paused(database) == []
