"""Whatever stands in a column or an address: on the page it is text, and changes nothing else.

Each page has the same elements and attributes with hostile texts as with a harmless one.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from tests.web.browsing import client_of, post
from tests.web.planting import EMPTY, EVENT, JOBS, NOW, plant
from web.pages.search import MOST_CHARACTERS

HOSTILE = (
    "<script>alert(1)</script>",
    "</title></style></textarea></script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    "x onclick=alert(1) y=`z`",
    "<svg/onload=alert(1)><title>a</title>",
    "--><!-- ]]> <![CDATA[ <?php ?>",
    "javascript:alert(1)//",
    "{{ 7 * 7 }} {% raw %} ${7*7} #{7*7}",
    "&lt;b&gt; &amp; &#60;script&#62; &quot",
    "\u202ereversed\u202c \ufeff\u2028\u2029 e\u0301 \U0001f35e",
    "a\tb\r\nc\x07\x1b[31m\x7f",
    "/../../etc/passwd?x=1&y=2#z%00%3C",
    "unbroken" * 60,
)
HARMLESS = [f"harmless {number:02}" for number in range(len(HOSTILE))]
# Of a column that is short.
CODES = ("<br><hr>", '" x="', "' y='", "&lt;&#60;", "{{7*7}}", "<!-- `$")
SCHEDULER = "/schedulers/link/link-expiration"
TRIED = f"{SCHEDULER}/dry-run"
HOUR = timedelta(hours=1)


# Attributes whose address a browser opens.
_LEADS = ("href", "src", "action", "formaction")


class Document(HTMLParser):
    """What a browser reads: ``elements`` with the names of their attributes, all ``texts``, and the
    ``addresses`` to which it leads."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attributes)))
        self.texts += [value or "" for _, value in attributes]
        self.addresses += [value or "" for name, value in attributes if name in _LEADS]

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}",))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.append(("!--",))

    def handle_decl(self, decl: str) -> None:
        self.elements.append(("!", decl))

    def has(self, text: str) -> bool:
        """Whether this text stands there, in an element or an attribute."""
        return any(text.strip() in each for each in self.texts)


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    module_database.query(f"{EMPTY}; DELETE FROM link_links")
    return module_database


@pytest.fixture
def client(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    return client_of(database, monkeypatch, WEB_ACTIONS="all")


def read(client: FlaskClient, page: str, status: int = 200) -> Document:
    answer = client.get(page)
    assert answer.status_code == status, page
    document = Document(answer.text)
    # No address but those of this page: not javascript: either.
    assert all(address.startswith(("/", "#")) for address in document.addresses)
    return document


def pages(texts: Sequence[str], runs: Sequence[UUID]) -> Iterator[str]:
    """Every page that shows the columns of these texts."""
    yield from ("/", "/outbox", "/rows", "/sync-failures", "/discord-channels", "/alerts")
    yield from ("/machines", "/audit")
    for number, (text, run) in enumerate(zip(texts, runs, strict=True)):
        yield "/schedulers/{}/{}".format(*JOBS[number % len(JOBS)])
        yield f"/outbox/{EVENT + number}"
        yield f"/search?q={run}"
        if HOSTILE[number].isprintable() and len(HOSTILE[number]) <= MOST_CHARACTERS:
            yield f"/search?q={quote(text, safe='')}"


def wait_for_counts(client: FlaskClient) -> None:
    """Wait for the rows that are due: they are counted behind the page, once a minute."""
    assert poll_until(lambda: "counted at" in client.get("/").text, PATIENCE)


def test_a_column_is_only_text(client: FlaskClient, database: TestDatabase) -> None:
    wait_for_counts(client)
    harmless = [read(client, page) for page in pages(HARMLESS, plant(database, HARMLESS))]
    database.query(EMPTY)
    for page, expected in zip(pages(HOSTILE, plant(database, HOSTILE)), harmless, strict=True):
        document = read(client, page)
        assert document.elements == expected.elements, page
        found = [document.has(text) for text in HOSTILE]
        assert found == [expected.has(text) for text in HARMLESS], page


ADDRESSES = (
    "/search?q={}",
    "/rows?reason={}",
    "/rows?scheduler={}",
    "/outbox?service={0}&topic={0}",
    "/audit?since={}",
    "/schedulers/{0}/{0}",
    "/schedulers/link/{}",
    SCHEDULER + "?outcome={}",
    SCHEDULER + "?before={}",
    "/nowhere/{}",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_only_text(client: FlaskClient, address: str) -> None:
    # One that is fine, one that is too long, and one that nobody could type.
    others = [client.get(address.format(text)) for text in ("harmless", "long" * 60, "%07")]
    expected = {answer.status_code: Document(answer.text).elements for answer in others}
    for text in HOSTILE:
        answer = client.get(address.format(quote(text, safe="")))
        assert Document(answer.text).elements == expected[answer.status_code], text


def test_the_answer_to_a_form_is_only_text(client: FlaskClient) -> None:
    wait_for_counts(client)
    form = {"end": "span", "reason": "x", "back": SCHEDULER}
    expected = Document(post(client, SCHEDULER, f"{SCHEDULER}/pause", span="harmless", **form).text)
    for text in HOSTILE:
        answer = post(client, SCHEDULER, f"{SCHEDULER}/pause", span=text, **form)
        assert "message refused" in answer.text
        assert Document(answer.text).elements == expected.elements, text


def test_who_acts_is_only_text(client: FlaskClient) -> None:
    client.environ_base["toast.peer"] = "harmless"
    expected = read(client, "/alerts").elements
    for text in HOSTILE:
        client.environ_base["toast.peer"] = text
        document = read(client, "/alerts")
        assert document.elements == expected
        assert document.has(text)


def test_a_setting_is_only_text(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = []
    for text in ("harmless", " ".join(HOSTILE)):
        client = client_of(database, monkeypatch, LINK_EXPIRATION_INTERVAL=text)
        documents.append([read(client, page) for page in ("/", SCHEDULER)])
        assert documents[-1][1].has(text)
    for harmless, hostile in zip(*documents, strict=True):
        assert hostile.elements == harmless.elements


def test_a_live_row_is_only_text(client: FlaskClient, database: TestDatabase) -> None:
    documents = []
    for codes in ([f"code {number}" for number in range(len(CODES))], CODES):
        database.query("DELETE FROM link_links")
        for code in codes:
            link = database.insert(
                "link_links", short_code=code, is_active=True, expires_at=NOW - HOUR
            )
        post(client, SCHEDULER, f"{SCHEDULER}/try")
        assert poll_until(lambda: "6 rows are due" in client.get(TRIED).text, PATIENCE)
        tried, found = (read(client, page) for page in (TRIED, f"/search?q={link['id']}"))
        assert all(tried.has(code) for code in codes)
        assert found.has(codes[-1])
        documents.append([tried, found])
    for harmless, hostile in zip(*documents, strict=True):
        assert hostile.elements == harmless.elements
