"""Each action in a real browser, with JavaScript and without: through to the row and the audit."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from devservers.child_processes import PATIENCE, poll_until
from testing.topics import Topic
from tests.web.browser.conftest import Visit
from tests.web.browser.installation import Installation

LINK = "/schedulers/link/link-expiration"
SUBJECT = "link link-expiration"


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without"])
def page(
    request: pytest.FixtureRequest, visit: Visit, installation: Installation
) -> Iterator[Page]:
    installation.database.query("DELETE FROM toast_pauses")
    with visit(javascript=request.param) as page:
        yield page


@pytest.fixture
def reason() -> str:
    """A reason that tells an action from those of other tests."""
    return f"a migration, {uuid4().hex[:8]}"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def says(page: Page, text: str) -> None:
    """The page that follows says so."""
    expect(page.locator(".message").filter(has_text=text)).to_be_visible()


def expire(installation: Installation) -> dict[str, Any]:
    """A link that is due."""
    expired = datetime(2026, 1, 2, tzinfo=UTC)
    code = uuid4().hex[:8]
    return installation.database.insert(
        "link_links", short_code=code, is_active=True, expires_at=expired
    )


def pauses(installation: Installation) -> list[str]:
    rows = installation.database.query("SELECT reason FROM toast_pauses")
    return [row["reason"] for row in rows]


def test_a_scheduler_is_paused_and_resumed(
    page: Page, installation: Installation, reason: str
) -> None:
    page.goto(LINK)
    page.get_by_text("Pause", exact=True).first.click()
    page.get_by_label("How long, such as").fill("90m")
    page.get_by_label("Reason, shown to everybody").fill(reason)
    press(page, "Pause")
    says(page, "link-expiration: paused until")
    expect(page.get_by_text("paused", exact=True).first).to_be_visible()
    assert pauses(installation) == [reason]
    [line] = installation.audited(action="pause for 1:30:00", reason=reason)
    assert line["subject"] == SUBJECT
    assert line["login"] in page.inner_text("header .who")
    press(page, "Resume")
    says(page, "link-expiration is resumed")
    assert pauses(installation) == []
    assert installation.audited(action="resume")[-1]["subject"] == SUBJECT


def test_a_scheduler_is_paused_until_a_time(
    page: Page, installation: Installation, reason: str
) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).replace(second=0, microsecond=0)
    page.goto(LINK)
    page.get_by_text("Pause", exact=True).first.click()
    page.get_by_label("until", exact=True).check()
    page.get_by_label("Until when, in UTC").fill(f"{until:%Y-%m-%dT%H:%M}")
    page.get_by_label("Reason, shown to everybody").fill(reason)
    press(page, "Pause")
    says(page, "link-expiration: paused until")
    pause = installation.database.one("SELECT until FROM toast_pauses")
    assert pause["until"] == until
    press(page, "Resume")
    says(page, "link-expiration is resumed")


def test_it_says_what_a_scheduler_would_do_and_then_runs_it(
    page: Page, installation: Installation, mock_broker: str
) -> None:
    link = expire(installation)
    code = link["short_code"]
    page.goto(LINK)
    press(page, "Show what it would do")
    says(page, "link-expiration is being tried")
    # The page renews itself until the dry run has ended.
    expect(page.get_by_text("1 row is due")).to_be_visible()
    expect(page.get_by_role("cell", name=code)).to_be_visible()
    is_active = "SELECT is_active FROM link_links WHERE short_code = %s"
    assert installation.database.one(is_active, code)["is_active"]

    before = len(installation.audited(action="trigger", subject=SUBJECT))
    topic = Topic(mock_broker, "link.expired")
    page.get_by_role("link", name=SUBJECT).click()
    press(page, "Run now")
    says(page, "runs link-expiration now")
    assert poll_until(lambda: not installation.database.one(is_active, code)["is_active"], PATIENCE)
    assert len(installation.audited(action="trigger", subject=SUBJECT)) == before + 1
    assert poll_until(lambda: str(link["id"]) in [each.key for each in topic.so_far()], PATIENCE)


def test_ticked_rows_are_retried_and_all_that_match_are_dropped(
    page: Page, installation: Installation, reason: str
) -> None:
    row, other = (installation.add_failed_row("stream-closer", reason) for _ in range(2))
    page.goto("/rows")
    page.get_by_label("Scheduler").select_option("stream-closer")
    page.get_by_label("Reason has").fill(reason)
    press(page, "Filter")
    page.get_by_label(f"row {row}").check()
    press(page, "Retry")
    says(page, "1 row will be tried again")
    retry = "SELECT row_id::text FROM toast_failed_rows WHERE reason = %s AND retry_at <= now()"
    found = installation.database.query(retry, reason)
    assert [each["row_id"] for each in found] == [row]
    [line] = installation.audited(action="rows retry", first_rows=[row])
    assert line["rows"] == 1

    page.get_by_label("all 2 rows that match").check()
    press(page, "Drop")
    says(page, "nothing is dropped: tick that you are certain")
    page.get_by_label("all 2 rows that match").check()
    page.get_by_label("I am certain").check()
    press(page, "Drop")
    says(page, "2 rows will not be tried again")
    dropped = "toast_failed_rows WHERE reason = %s AND retry_at > now() + interval '50 years'"
    assert installation.database.count(dropped, reason) == 2
    assert sorted(installation.audited(action="rows drop")[-1]["first_rows"]) == sorted(
        [row, other]
    )


def test_events_are_published_again_and_dropped(
    page: Page, installation: Installation, reason: str, mock_broker: str
) -> None:
    again, dropped = (installation.add_event_aside(error=reason) for _ in range(2))
    page.goto("/outbox?service=link")
    page.get_by_label(f"event {again}", exact=True).check()
    press(page, "Retry")
    says(page, "1 event will be published")
    [line] = installation.audited(action="outbox retry", first_rows=[str(again)])
    page.get_by_label(f"event {dropped}", exact=True).check()
    press(page, "Drop")
    says(page, "1 event deleted")
    [line] = installation.audited(action="outbox drop", first_rows=[str(dropped)])
    assert line["rows"] == 1
    assert installation.database.count("toast_outbox_set_aside WHERE error = %s", reason) == 0
    # The publisher is woken by a pass that has changed something.
    expire(installation)
    page.goto(LINK)
    press(page, "Run now")
    sent = "SELECT FROM toast_outbox WHERE id = %s"
    assert poll_until(lambda: not installation.database.query(sent, again), PATIENCE)


def test_a_row_is_searched_for(page: Page, installation: Installation, reason: str) -> None:
    row = installation.add_failed_row("stream-closer", reason)
    page.goto("/")
    page.get_by_label("Id of a row or event").fill(row)
    press(page, "Search")
    expect(page.get_by_role("cell", name=reason)).to_be_visible()
