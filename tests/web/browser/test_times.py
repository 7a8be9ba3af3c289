"""Times are in the reader's zone, with UTC on hover; in UTC where JavaScript is off."""

from datetime import datetime, timedelta, timezone

from playwright.sync_api import Page

from tests.web.browser.conftest import Visit

TOKYO = timezone(timedelta(hours=9))


def times(page: Page) -> list[tuple[str, datetime, str]]:
    """Each time on the page: its text, the time, and its text on hover."""
    found = page.locator("time")
    return [
        (each.inner_text(), datetime.fromisoformat(moment), each.get_attribute("title") or "")
        for each in found.all()
        if (moment := each.get_attribute("datetime"))
    ]


def test_times_are_those_of_the_reader(visit: Visit) -> None:
    with visit(timezone_id="Asia/Tokyo") as page:
        page.goto("/schedulers/link/link-expiration")
        shown = times(page)
        assert shown
        for text, moment, hover in shown:
            there = moment.astimezone(TOKYO)
            assert text in (f"{there:%H:%M:%S}", f"{there:%Y-%m-%d %H:%M:%S}")
            assert hover == f"{moment:%Y-%m-%d %H:%M:%S} UTC"
        assert "Times are in Asia/Tokyo, those of today without their date" in page.inner_text(
            "footer"
        )


def test_only_times_of_today_are_without_a_date(visit: Visit) -> None:
    with visit(timezone_id="Asia/Tokyo") as page:
        # In two days: the next run that the page shows may be tomorrow.
        page.clock.set_fixed_time(datetime.now(TOKYO) + timedelta(days=2))
        page.goto("/schedulers/link/link-expiration")
        for text, moment, _ in times(page):
            assert text == f"{moment.astimezone(TOKYO):%Y-%m-%d %H:%M:%S}"


def test_without_javascript_times_are_in_utc(visit: Visit) -> None:
    with visit(javascript=False, timezone_id="Asia/Tokyo") as page:
        page.goto("/schedulers/link/link-expiration")
        assert times(page)
        assert all(text == hover for text, _, hover in times(page))
        assert "Times are in UTC." in page.inner_text("footer")
