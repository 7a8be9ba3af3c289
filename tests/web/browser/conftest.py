"""Fixtures of the tests in a real browser.

browser        Chromium, one for all tests
installation   workers and the page, one for all tests: whoever changes it changes own rows
visit          opens the page for a new reader who is logged in:
               `with visit(width=390, color_scheme="dark") as page:` (visiting.py has the rest)
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from devservers.child_processes import PATIENCE
from devservers.postgres import PostgresServer
from testing.database import fresh_database
from testing.web.chromium import chromium
from tests import own_settings
from tests.web.browser.installation import Installation, installed
from tests.web.browser.visiting import visiting

Visit = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="session")
def browser(servers: None) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE * 1000)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def installation(
    browser: Browser,
    postgres_server: PostgresServer,
    mock_broker: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("installation")
    with pytest.MonkeyPatch.context() as patch, fresh_database(postgres_server) as database:
        own_settings.use_only(patch, folder)
        with installed(database, mock_broker, folder) as installation:
            patch.undo()
            yield installation


@pytest.fixture(scope="session")
def login(browser: Browser, installation: Installation) -> Any:
    """The cookies of a reader who has used a login link."""
    with visiting(browser, installation.url) as page:
        page.goto(installation.login_link())
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Schedulers")).to_be_visible()
        return page.context.storage_state()


@pytest.fixture
def visit(browser: Browser, installation: Installation, login: Any) -> Visit:
    return partial(visiting, browser, installation.url, login)
