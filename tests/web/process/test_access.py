"""Who gets in, and what a stranger's website, a used link or a wrong proxy cannot do."""

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from devservers.child_processes import free_port
from testing.database import TestDatabase
from testing.processes import Process, bare, environment, toast
from tests.web.process.browser import Browser, at_port, at_socket, serving, serving_well, who
from web.access.link import LINK_SECONDS
from web.access.sessions import SESSION_HOURS

pytestmark = pytest.mark.servers

FORM = "/rows/retry"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def env(module_database: TestDatabase, folder: Path, port: int) -> dict[str, str]:
    more = {"WEB_HOSTS": "Page.example.org, fd00::5", "WEB_ACTIONS": "all"}
    return environment(module_database, **at_port(folder, port), **more)


@pytest.fixture(scope="module")
def page(env: dict[str, str]) -> Iterator[Process]:
    """The page at a port; its log must have no traceback in the end."""
    with serving_well(env) as page:
        yield page


@pytest.fixture
def stranger(page: Process, port: int) -> Browser:
    """A browser that is not logged in."""
    return Browser(f"127.0.0.1:{port}")


@pytest.fixture
def browser(stranger: Browser, env: dict[str, str]) -> Browser:
    """A browser that is logged in."""
    assert use(stranger, link(env)) == 303
    stranger.get("/rows")
    return stranger


def link(env: dict[str, str]) -> str:
    """The path of a login link."""
    made = toast("web", "link", env=env)
    assert made.code == 0, made.err
    parts = urlsplit(made.out.strip())
    assert f"http://{parts.netloc}" == f"http://{env['WEB_LISTEN']}"
    return f"{parts.path}?{parts.query}"


def use(browser: Browser, path: str) -> int:
    """Open a login link and press the button; the status of what follows."""
    assert browser.get(path).status == 200
    return browser.post("/login", link=path.partition("link=")[2]).status


# --- login ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/rows", "/audit", "/api/audit", "/nothing"])
def test_without_a_login_nothing_is_shown(stranger: Browser, path: str) -> None:
    answer = stranger.get(path)

    assert answer.status == 401
    assert "toast web link" in answer.text
    assert stranger.get(path, Cookie="toast_00000000=e30.aaaaaa.bbbbbb").status == 401


def test_a_link_logs_in_once_whoever_looked_at_it(
    page: Process, stranger: Browser, port: int, env: dict[str, str]
) -> None:
    path = link(env)
    for _ in range(3):  # as the preview of a chat program does
        assert Browser(f"127.0.0.1:{port}").get(path).status == 200
    assert use(stranger, path) == 303
    [cookie] = stranger.cookies.values()
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    shown = stranger.get("/audit")
    assert shown.status == 200
    [login] = {record["login"] for record in page.records("login_accepted")}
    assert who(shown.text) == login

    other = Browser(f"127.0.0.1:{port}")
    assert use(other, path) == 401
    assert other.get("/audit").status == 401
    page.wait_for("login_refused")


def test_a_link_is_worth_nothing_when_it_is_old_or_of_another_server(
    stranger: Browser, folder: Path
) -> None:
    def path(secret: bytes, age: float) -> str:
        class Earlier(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(time.time() - age)

        signed = URLSafeTimedSerializer(secret, salt="toast web link", signer=Earlier)
        return f"/login?link={signed.dumps(['root', 'x'])}"

    secret = (folder / "secret").read_bytes()
    assert use(stranger, path(secret, LINK_SECONDS + 5)) == 401
    assert use(stranger, path(b"another", 0)) == 401
    assert use(stranger, "/login?link=nonsense") == 401
    assert use(stranger, path(secret, LINK_SECONDS - 5)) == 303


def test_a_session_ends_after_twelve_hours_and_at_the_log_out(
    browser: Browser, folder: Path
) -> None:
    [name] = browser.cookies
    signer = URLSafeTimedSerializer(
        (folder / "secret").read_bytes(),
        salt="cookie-session",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )
    since = int(time.time()) - SESSION_HOURS * 3600
    for age, status in ((60, 200), (-60, 401)):
        cookie = signer.dumps({"login": "root", "since": since + age, "id": "x"})
        fresh = Browser(browser.address)
        assert fresh.get("/audit", Cookie=f"{name}={cookie}").status == status

    copied = f"{name}={browser.cookies[name].value}"
    assert Browser(browser.address).get("/audit", Cookie=copied).status == 200
    assert browser.post("/logout").status == 303
    assert browser.get("/audit").status == 401
    assert Browser(browser.address).get("/audit", Cookie=copied).status == 401


def test_there_is_no_link_for_a_socket_and_none_without_a_page(
    folder: Path, tmp_path: Path
) -> None:
    nowhere = {"DB_HOST": "127.0.0.1", "DB_USER": "toast"}
    at = toast("web", "link", env=bare(**nowhere, **at_socket(folder)))
    assert at.code == 1
    assert f"`ssh -NL 9180:{folder}/web.sock THIS-MACHINE`" in at.err
    none = toast("web", "link", env=bare(**nowhere, **at_port(tmp_path, 9180)))
    assert none.code == 1
    assert "the page does not run" in none.err


# --- other websites ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((name, 401) for name in ("localhost", "127.0.0.1:9180", "[::1]", "LOCALHOST:9180")),
        *((name, 401) for name in ("page.example.org", "PAGE.example.org:443", "[fd00::5]:9180")),
        *(
            (name, 421)
            for name in ("evil.example", "localhost.evil.example", "10.0.0.1", "", ":80")
        ),
        *((name, 421) for name in ("localhost:x", "user@localhost", "[::2]", "*", "", ":80")),
    ],
)
def test_only_known_names_are_answered(stranger: Browser, host: str, status: int) -> None:
    assert stranger.get("/audit", Host=host).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_form_counts_only_from_this_page(
    browser: Browser, headers: dict[str, str], status: int
) -> None:
    assert browser.post(FORM, headers).status == status


def test_a_form_needs_the_token_of_this_session(
    browser: Browser, page: Process, env: dict[str, str]
) -> None:
    other = Browser(browser.address)
    use(other, link(env))
    other.get("/rows")
    assert other.token not in ("", browser.token)
    for token in ("", "x", other.token):
        browser.token = token
        refused = browser.post(FORM)
        assert refused.status == 400
        assert "reload the page" in refused.text


@pytest.mark.parametrize("path", ["/", "/rows", "/audit", "/search", "/login", "/static/style.css"])
def test_a_page_changes_nothing_when_it_is_only_asked_for(browser: Browser, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert browser.ask(method, path, None, {"Sec-Fetch-Site": "cross-site"}).status == 200
    for method in ("PUT", "DELETE", "PATCH"):
        refused = browser.ask(method, path, None, {"Sec-Fetch-Site": "same-origin"})
        assert refused.status in (400, 405)
    assert browser.get(FORM).status == 405


@pytest.mark.parametrize(
    ("back", "location"),
    [
        ("/rows?before=7&scheduler=link-expiration", None),
        ("/", None),
        *(
            (back, "/")
            for back in (
                *("https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example"),
                *("/\t/evil.example", "/\n/evil.example", " //evil.example", "javascript:alert(1)"),
                *("/\r\nSet-Cookie: x=y", "evil", "", "/\u2028/evil.example"),
            )
        ),
    ],
)
def test_a_form_leads_back_to_this_page_alone(
    browser: Browser, back: str, location: str | None
) -> None:
    answer = browser.post(FORM, back=back)

    assert answer.status == 303
    assert answer.headers["location"] == (location or back)


@pytest.mark.parametrize("path", ["/", "/login", "/nothing", "/static/style.css", "/api/audit"])
def test_every_answer_forbids_the_browser_what_the_page_does_not_need(
    browser: Browser, path: str
) -> None:
    headers = browser.get(path).headers

    policy = headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_errors_have_the_look_of_the_page_and_of_the_api(browser: Browser) -> None:
    for path, status, text in (("/nothing", 404, "no such page"), (FORM, 405, "for a form")):
        answer = browser.get(path)
        assert (answer.status, text in answer.text) == (status, True)
        assert "style.css" in answer.text
    answer = browser.get("/api/nothing")
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == '{"error": "There is no such page."}'


# --- a proxy ----------------------------------------------------------------------------------


def test_a_proxy_names_the_user_and_nobody_else_does(
    module_database: TestDatabase, tmp_path: Path, folder: Path
) -> None:
    port = free_port()
    of_proxy = {"WEB_BEHIND_PROXY": "true", "WEB_USER_HEADER": "X-Remote-User"}
    env = environment(module_database, **at_port(tmp_path, port), **of_proxy)
    with serving(env) as page:
        browser = Browser(f"127.0.0.1:{port}")
        assert who(browser.get("/audit", X_Remote_User="anna").text) == "anna"
        assert browser.get("/audit").status == 403
        for name in ("", " ", "x" * 65, "a\xa0b"):
            assert browser.get("/audit", X_Remote_User=name).status == 403
        assert browser.get("/login").status == 403
        assert browser.get("/login", X_Remote_User="anna").status == 404
        assert "no links" in toast("web", "link", env=env).err
        page.stop()
    with serving({**env, "WEB_PROXIES": "10.0.0.0/8,::1"}):
        refused = Browser(f"127.0.0.1:{port}").get("/audit", X_Remote_User="anna")
        assert refused.status == 403
        assert "WEB_PROXIES" in refused.text


def test_without_a_proxy_no_header_names_the_user(stranger: Browser, browser: Browser) -> None:
    shown = browser.get("/audit", X_Remote_User="anna", Remote_User="anna", X_Forwarded_User="anna")
    assert not re.search("anna", shown.text)
    assert Browser(stranger.address).get("/audit", X_Remote_User="anna").status == 401
