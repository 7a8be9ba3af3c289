"""The page renews itself without a jump: what is typed, ticked, opened and focused stays."""

from datetime import UTC, datetime
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.web.browser.conftest import Visit
from tests.web.browser.installation import Installation
from tests.web.recorded_runs import add_run

# So low that every page can be scrolled.
LOW = {"width": 1000, "height": 300}
SCROLLED = 120
CLOSER = ("twitchbot", "stream-closer")
NOW = datetime.now(UTC)


def opened(page: Page, place: str) -> None:
    """Open it, with timers that `page.clock` moves on."""
    page.clock.install()
    page.goto(place)
    page.evaluate(f"scrollTo(0, {SCROLLED})")


def stayed(page: Page) -> bool:
    return bool(page.evaluate(f"scrollY === {SCROLLED}"))


def test_ticks_and_typed_text_stay_in_a_list(visit: Visit, installation: Installation) -> None:
    ticked, other = (installation.add_event_aside("warcraft.guild.synced") for _ in range(2))
    with visit(viewport=LOW) as page:
        opened(page, "/outbox?service=warcraft")
        page.get_by_label(f"event {ticked}").check()
        page.get_by_label("all 2 events that match").check()
        topic = page.get_by_label("Topic")
        topic.fill("warcraft.")
        topic.press("ArrowLeft")
        page.evaluate(f"scrollTo(0, {SCROLLED})")
        new = installation.add_event_aside("warcraft.guild.synced")
        page.clock.fast_forward(5000)
        expect(page.get_by_label(f"event {new}")).to_be_visible()
        expect(page.get_by_label("all 3 events that match")).to_be_checked()
        expect(page.get_by_label(f"event {ticked}")).to_be_checked()
        expect(page.get_by_label(f"event {other}")).not_to_be_checked()
        expect(topic).to_have_value("warcraft.")
        expect(topic).to_be_focused()
        assert topic.evaluate("it => it.selectionStart") == len("warcraft")
        assert stayed(page)


def test_an_open_form_stays_open(visit: Visit, installation: Installation) -> None:
    with visit(viewport=LOW) as page:
        opened(page, "/schedulers/twitchbot/stream-closer")
        page.locator("summary", has_text="Pause").click()
        reason = page.get_by_label("Reason, shown to everybody")
        reason.fill("half a sente")
        page.evaluate(f"scrollTo(0, {SCROLLED})")
        error = f"RemoteAway: {uuid4()}"
        add_run(installation.database, NOW, "failed", job=CLOSER, error=error)
        page.clock.fast_forward(5000)
        expect(page.get_by_role("cell", name=error)).to_be_visible()
        expect(reason).to_have_value("half a sente")
        expect(reason).to_be_focused()
        assert stayed(page)


def test_a_row_that_moves_keeps_the_focus(visit: Visit, installation: Installation) -> None:
    with visit() as page:
        page.clock.install()
        page.goto("/")
        link = page.get_by_role("link", name="character-sync")
        link.focus()
        order = "[...document.querySelectorAll('tbody tr')].map(it => it.dataset.key)"
        before = page.evaluate(order).index("character-sync")
        add_run(installation.database, NOW, job=("warcraft", "character-sync"))
        page.clock.fast_forward(5000)
        row = page.get_by_role("row", name="character-sync")
        expect(row.locator(".state")).to_have_text("ok")
        assert page.evaluate(order).index("character-sync") > before
        expect(link).to_be_focused()


def test_it_says_that_the_server_does_not_answer(visit: Visit) -> None:
    with visit() as page:
        page.clock.install()
        page.goto("/")
        stale = page.get_by_text("This is no longer current")
        expect(stale).to_be_hidden()
        page.route("**/*", lambda route: route.abort())
        page.clock.fast_forward(5000)
        expect(stale).to_be_visible()
        page.unroute("**/*")
        page.clock.fast_forward(5000)
        expect(stale).to_be_hidden()


def test_without_javascript_pages_with_no_form_are_loaded_again(visit: Visit) -> None:
    with visit(javascript=False) as page:
        for place, seconds in (("/", "30"), ("/machines", "60")):
            page.goto(place)
            assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == seconds
        page.goto("/rows")
        assert page.locator("meta[http-equiv=refresh]").count() == 0
