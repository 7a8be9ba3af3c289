"""The page as JSON: every page has it, it only reads, and docs/web-api.md names all of it."""

import dataclasses
import re
from typing import get_type_hints

import pytest
from flask.testing import FlaskClient

from devservers.checkout import ROOT
from testing.database import TestDatabase
from tests.web.browsing import client_of
from web.pages import PAGES
from web.pages.page import Page

DOCUMENT = (ROOT / "docs" / "web-api.md").read_text("utf-8")
ROW = re.compile(r"^\| `/api(/[^`]+)` \|([^|]*)\|([^|]*)\|$", re.MULTILINE)


def address(page: Page) -> str:
    """Its address as the document has it."""
    name = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: found[1].upper(), page.rule)
    return "/schedulers" if name == "/" else name


def test_every_page_and_its_content_are_documented() -> None:
    documented = {
        where: set(re.findall(r"`(\w+)`", content)) for where, _, content in ROW.findall(DOCUMENT)
    }
    assert list(documented) == [address(page) for page in PAGES]
    for page in PAGES:
        fields = {each.name for each in dataclasses.fields(get_type_hints(page.load)["return"])}
        assert fields <= documented[address(page)], page.name


def test_every_argument_that_a_page_reads_is_documented() -> None:
    arguments = {
        name for _, about, _ in ROW.findall(DOCUMENT) for name in re.findall(r"`(\w+)`", about)
    }
    read = {
        name
        for path in (ROOT / "web" / "pages").glob("*.py")
        for name in re.findall(r'query\.get\("(\w+)"', path.read_text("utf-8"))
    }
    assert read <= arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_it_only_reads(
    module_database: TestDatabase, monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    client: FlaskClient = client_of(module_database, monkeypatch)
    names = {"SERVICE": "link", "SCHEDULER": "link-expiration", "NUMBER": "1"}
    path = "/api" + re.sub(r"[A-Z]+", lambda found: names[found[0]], address(page))
    answer = client.get(path)
    assert answer.mimetype == "application/json"
    if answer.status_code == 200:
        assert list(answer.get_json()) == ["read_at", "fault", "away_since", "content"]
    else:
        assert (page.name, answer.status_code, list(answer.get_json())) == ("event", 404, ["error"])
    with client.session_transaction() as session:
        session["csrf"] = "token"
    assert client.post(path, data={"csrf": "token"}).status_code == 405
