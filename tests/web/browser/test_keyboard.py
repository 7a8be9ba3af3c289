"""The page by keyboard alone: every control can be reached and seen, and everything done."""

from uuid import uuid4

from playwright.sync_api import Locator, Page, expect

from tests.web.browser.conftest import Visit
from tests.web.browser.installation import Installation

MOST_TABS = 100
BLOG = "/schedulers/blog/post-publisher"

# Of radio buttons that belong together, Tab stops at the one that is chosen.
CONTROLS = """
[...document.querySelectorAll('a[href], button, input, select, summary')].filter(
    it => it.checkVisibility() && it.type !== 'hidden' && !(it.type === 'radio' && !it.checked))"""
OUTLINE = "getComputedStyle(document.activeElement).outlineStyle"


def go_to(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Press the key until this has the focus."""
    for _ in range(MOST_TABS):
        if wanted.evaluate("it => it === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {wanted}")


def test_each_control_is_reached_and_shows_it(visit: Visit) -> None:
    for place in ("/outbox", BLOG):
        with visit() as page:
            page.goto(place)
            page.evaluate(f"missed = new Set({CONTROLS})")
            for _ in range(page.evaluate("missed.size")):
                page.keyboard.press("Tab")
                assert page.evaluate(OUTLINE) == "solid"
                page.evaluate("missed.delete(document.activeElement)")
            assert page.evaluate("[...missed].map(it => it.outerHTML)") == []


def test_the_first_control_leads_past_the_navigation(visit: Visit) -> None:
    with visit() as page:
        page.goto("/rows")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Scheduler")).to_be_focused()


def test_a_scheduler_is_paused_and_resumed(visit: Visit, installation: Installation) -> None:
    reason = f"a migration, {uuid4().hex[:8]}"
    with visit() as page:
        page.goto(BLOG)
        go_to(page, page.locator("summary", has_text="Pause"))
        page.keyboard.press("Enter")
        go_to(page, page.get_by_label("How long, such as"))
        page.keyboard.press("Control+A")
        page.keyboard.type("45m")
        go_to(page, page.get_by_label("Reason, shown to everybody"))
        page.keyboard.type(reason)
        page.keyboard.press("Enter")
        resume = page.get_by_role("button", name="Resume")
        expect(resume).to_be_visible()
        assert installation.audited(action="pause for 0:45:00", reason=reason)
        go_to(page, resume)
        page.keyboard.press("Enter")
        expect(resume).to_have_count(0)
    assert installation.database.count("toast_pauses WHERE service = 'blog'") == 0


def test_a_row_is_ticked_and_retried(visit: Visit, installation: Installation) -> None:
    row = installation.add_failed_row("stream-closer")
    with visit() as page:
        page.goto("/rows?scheduler=stream-closer")
        go_to(page, page.get_by_label(f"row {row}"))
        page.keyboard.press("Space")
        go_to(page, page.get_by_role("button", name="Retry"), "Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 row will be tried again")).to_be_visible()
    assert installation.audited(action="rows retry", first_rows=[row])
