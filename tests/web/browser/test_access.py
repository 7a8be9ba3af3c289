"""Logging in and out in a real browser, and that nothing inline runs there."""

import pytest
from playwright.sync_api import Browser, expect

from tests.web.browser.conftest import Visit
from tests.web.browser.installation import Installation
from tests.web.browser.visiting import visiting

HACKS = """
document.body.append(Object.assign(document.createElement('script'), {text: 'hacked = 1'}));
document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="hacked = 2">');
document.body.insertAdjacentHTML('beforeend', '<h1 style="display: none" id=styled>text</h1>');"""


@pytest.mark.parametrize("javascript", [True, False])
def test_a_link_logs_in_once(
    browser: Browser, installation: Installation, javascript: bool
) -> None:
    with visiting(browser, installation.url, javascript=javascript, expected=(401,)) as page:
        page.goto("/")
        expect(page.get_by_text("toast web link")).to_be_visible()
        link = installation.login_link()
        page.goto(link)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Schedulers")).to_be_visible()
        [cookie] = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_text("You are logged out.")).to_be_visible()
        page.goto("/rows")
        expect(page.get_by_role("heading", name="Unauthorized")).to_be_visible()
        page.goto(link)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_text("has been used")).to_be_visible()


def test_nothing_that_is_written_into_a_page_runs(visit: Visit) -> None:
    blocked = pytest.raises(AssertionError, match="violates the following Content Security Policy")
    with blocked, visit(expected=(404,)) as page:
        page.goto("/")
        page.evaluate(HACKS)
        expect(page.locator("#styled")).to_be_visible()
        assert page.evaluate("typeof hacked") == "undefined"
