"""Every page in a real browser: narrow and wide, light and dark, without a fault that axe finds."""

from collections.abc import Mapping

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from testing.web.places import places
from tests.web.browser.conftest import Visit
from tests.web.browser.installation import EVENT
from tests.web.browser.visiting import DESKTOP, PHONE, overflow, resize

PLACES = {**places(EVENT, "expired"), "log in": "/login?link=x", "none": "/nowhere"}
# The other rules do not depend on colours.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}

BACKGROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(250, 248, 245)", "rgb(24, 21, 18)"


def faults(page: Page, only: Mapping[str, object] | None = None) -> list[str]:
    """What axe finds that keeps people out."""
    found = page.evaluate("only => axe.run({resultTypes: ['violations'], ...only})", only or {})
    return [
        f"{each['id']}: {each['help']}: {[node['html'] for node in each['nodes']]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("name", PLACES)
def test_a_page_is_for_every_window_and_every_reader(name: str, visit: Visit) -> None:
    # A colour that is just changing is none that somebody reads.
    with visit(reduced_motion="reduce", expected=(404,)) as page:
        page.goto(PLACES[name])
        assert page.evaluate("typeof hacked") == "undefined"
        page.evaluate(AXE_SCRIPT)
        for width in (DESKTOP, PHONE):
            resize(page, width)
            assert overflow(page) <= 0, f"at {width}"
            page.emulate_media(color_scheme="light")
            assert page.evaluate(BACKGROUND) == LIGHT
            assert faults(page) == [], f"at {width}"
            page.emulate_media(color_scheme="dark")
            assert page.evaluate(BACKGROUND) == DARK
            assert faults(page, COLOURS) == [], f"dark, at {width}"


def test_a_fault_is_found(visit: Visit) -> None:
    with visit(viewport={"width": PHONE, "height": 800}) as page:
        page.goto("/audit")
        page.evaluate(AXE_SCRIPT)
        page.evaluate("document.querySelector('h1').style.cssText = 'color: #eee; width: 400px'")
        assert faults(page, COLOURS)[0].startswith("color-contrast")
        assert overflow(page) > 0
