"""The Chromium of this machine, driven by Playwright, whose own download is not used."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from devservers.needs import program


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Raises Unavailable."""
    path = program("chromium", of="a browser", packages="chromium")
    with sync_playwright() as playwright:
        # Its sandbox does not work for root; it opens nothing but our own page.
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False)
        yield browser
        browser.close()
