"""A reader of the page in a real browser, which complains about nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Response

from devservers.child_processes import PATIENCE

DESKTOP, PHONE = 1280, 390
HEIGHT = 800


@contextmanager
def visiting(
    browser: Browser,
    url: str,
    login: Any = None,
    *,
    javascript: bool = True,
    expected: tuple[int, ...] = (),
    **options: Any,
) -> Iterator[Page]:
    """A new reader, with the cookies ``login``.

    AssertionError at the end if the console has an error, a script has failed, the browser has
    blocked something, or an answer had a status from 400 on that is not ``expected``.
    """
    options.setdefault("viewport", {"width": DESKTOP, "height": HEIGHT})
    context: BrowserContext = browser.new_context(
        base_url=url, storage_state=login, java_script_enabled=javascript, **options
    )
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    complaints: list[str] = []

    def answered(response: Response) -> None:
        if response.status >= 400 and response.status not in expected:
            complaints.append(f"{response.status} {response.url}")

    def asked(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("response", answered)
    page.on("dialog", asked)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    # An answer that is expected is an error of the console, too.
    page.on(
        "console",
        lambda line: (
            complaints.append(f"console: {line.text}")
            if line.type in ("error", "warning") and "Failed to load resource" not in line.text
            else None
        ),
    )
    try:
        yield page
        if complaints:
            raise AssertionError("\n".join(complaints))
    finally:
        context.close()


def resize(page: Page, width: int) -> None:
    """Make the window so wide."""
    page.set_viewport_size({"width": width, "height": HEIGHT})


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
