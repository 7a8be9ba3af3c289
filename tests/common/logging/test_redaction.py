"""Secrets do not leave the process in text; what is no secret stays readable."""

import html
import json
import time
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.logging import redaction as redact_module
from common.logging.redaction import cut, redact, register, tokens

SECRET = "S3cr3t-Xyzzy_42"

# Every text holds SECRET where the left side has %s.
HIDDEN = {
    # URLs and DSNs
    "postgresql://toast:%s@db:5432/toxictoast": "postgresql://toast:***@db:5432/toxictoast",
    "redis://:%s@cache/0": "redis://:***@cache/0",
    "at https://user:p@%s@host/ and on": "at https://user:***@host/ and on",
    "two: a://b:%s@c d://e:%s@f": "two: a://b:***@c d://e:***@f",
    '{"dsn":"kafka+sasl://u:%s@k:9092","x":"y@z"}': '{"dsn":"kafka+sasl://u:***@k:9092","x":"y@z"}',
    # libpq connection strings
    "host=db password=%s dbname=t": "host=db password=*** dbname=t",
    "host=db password = '%s with \\' blank' port=1": "host=db password = '***' port=1",
    "password=a&b;c,d%s port=1": "password=*** port=1",
    "password=a\\ b%s port=1": "password=*** port=1",
    "sslpassword=%s": "sslpassword=***",
    "DB_PASSWORD=%s": "DB_PASSWORD=***",
    "PGPASSWORD: %s": "PGPASSWORD: ***",
    "password='never closed %s": "password='***'",
    # Discord webhooks, under any host and version, with what may follow the token
    "https://discord.com/api/webhooks/123/%s": "https://discord.com/api/webhooks/123/***",
    "https://discord.com/api/v10/webhooks/123/%s?wait=true": (
        "https://discord.com/api/v10/webhooks/123/***?wait=true"
    ),
    "https://canary.discordapp.com/api/webhooks/1/%s/slack": (
        "https://canary.discordapp.com/api/webhooks/1/***/slack"
    ),
    "http://127.0.0.1:8080/api/v6/webhooks/1/%s": "http://127.0.0.1:8080/api/v6/webhooks/1/***",
    "Max retries exceeded with url: /api/webhooks/1/%s (Caused by": (
        "Max retries exceeded with url: /api/webhooks/1/*** (Caused by"
    ),
    '"HTTPS:\\/\\/DISCORD.COM\\/API\\/WEBHOOKS\\/1\\/%s"': (
        '"HTTPS:\\/\\/DISCORD.COM\\/API\\/WEBHOOKS\\/1\\/***"'
    ),
    "?u=discord.com%%2Fapi%%2Fwebhooks%%2F1%%2F%s&x=1": (
        "?u=discord.com%2Fapi%2Fwebhooks%2F1%2F***&x=1"
    ),
    "POST /api/webhooks/{id}/%s": "POST /api/webhooks/{id}/***",
    # Webhooks of Slack, Teams, Zapier and IFTTT
    "https://hooks.slack.com/services/T024BE7LD/B024BE7LE/%s EOF": (
        "https://hooks.slack.com/services/T024BE7LD/B024BE7LE/*** EOF"
    ),
    "url: /services/T024BE7LD/B024BE7LE/%s (Caused by": (
        "url: /services/T024BE7LD/B024BE7LE/*** (Caused by"
    ),
    '"https:\\/\\/hooks.slack.com\\/triggers\\/E024BE7LD\\/123\\/%s"': (
        '"https:\\/\\/hooks.slack.com\\/triggers\\/E024BE7LD\\/123\\/***"'
    ),
    "https://x.webhook.office.com/webhookb2/1@2/IncomingWebhook/%s/3": (
        "https://x.webhook.office.com/webhookb2/1@2/IncomingWebhook/***/3"
    ),
    "https://hooks.zapier.com/hooks/catch/12345/%s/": (
        "https://hooks.zapier.com/hooks/catch/12345/***/"
    ),
    "https://maker.ifttt.com/trigger/x/with/key/%s?value1=a": (
        "https://maker.ifttt.com/trigger/x/with/key/***?value1=a"
    ),
    # Keys in the place of a user, passwords that no URL should hold as they are
    "https://0f1e2d3c4b5a6978%s@sentry.example.org/1": "https://***@sentry.example.org/1",
    "'https://user:a\"b/c'%s@kafka:9092' (not": "'https://user:***@kafka:9092' (not",
    # Queries, by names that elsewhere are words
    "https://a.example/in?v=1&sig=%s&b=2": "https://a.example/in?v=1&sig=***&b=2",
    "?code=%s\\u0026key=%s and &amp;signature=%s": "?code=***\\u0026key=*** and &amp;signature=***",
    # Cookies
    "Set-Cookie: sid=%s; Path=/\r\nHost: a": "Set-Cookie: ***\r\nHost: a",
    '{"Cookie": "a=1; sid=%s", "b": "c"}': '{"Cookie": "***", "b": "c"}',
    # What begins as only a secret does
    "key whsec_%s, and": "key ***, and",
    "got eyJhbGciOi.eyJzdWIi.%s-x.": "got ***.",
    # Authorization, as header, repr, JSON and alone
    "Authorization: Bearer %s": "Authorization: Bearer ***",
    "authorization: basic %s==\r\nHost: a": "authorization: basic ***\r\nHost: a",
    "{'Authorization': 'Bot %s', 'A': 'b'}": "{'Authorization': 'Bot ***', 'A': 'b'}",
    '{\\"Authorization\\": \\"Basic %s\\"}': '{\\"Authorization\\": \\"Basic ***\\"}',
    "Proxy-Authorization=%s, b": "Proxy-Authorization=***, b",
    "sent BEARER %s.e30/x+y= twice": "sent BEARER *** twice",
    # Forms and JSON
    "client_id=a&client_secret=%s&grant_type=b": "client_id=a&client_secret=***&grant_type=b",
    "GET /profile?access_token=%s&locale=en_US": "GET /profile?access_token=***&locale=en_US",
    '{"access_token":"%s","token_type":"bearer"}': '{"access_token":"***","token_type":"bearer"}',
    "{'refresh_token': '%s', 'expires_in': 86399}": "{'refresh_token': '***', 'expires_in': 86399}",
    '{"token" : "a\\"b%s"}': '{"token" : "***"}',
    '{\\"token\\":\\"%s\\",\\"a\\":1}': '{\\"token\\":\\"***\\",\\"a\\":1}',
    "{'secret': '%s'} api_key=%s X-Api-Key: %s": "{'secret': '***'} api_key=*** X-Api-Key: ***",
}

# Near misses: nothing in them is a secret.
PLAIN = [
    "",
    'FATAL: password authentication failed for user "toast"',
    "https://discord.com/api/v10/webhooks/123",
    "http://localhost:9094/a@b and mail a@b",
    "https://user@host/path, postgresql://db:5432/toxictoast",
    "token_type=bearer, max_tokens=5 tokens: 7",
    "the bearer, the secret and the token of the password",
    "event_type=link.expired run_id=0b6f processed=3",
    "DB_PASSWORD in the environment is (hidden)",
    "2026-11-23T17:32:46.123Z",
    "https://[::1]:9094/a@b",
    "/services/tools/backup/run, /hooks/catch, with/keys/a, the cookie, cookies: 3",
    "primary key=1, HTTP 404: code=10015, a signature",
]


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What one test registers must not hide another one's text."""
    with monkeypatch.context() as patch:
        patch.setattr(redact_module, "_registry", redact_module._Registry())
        yield


@pytest.mark.parametrize(("text", "redacted"), HIDDEN.items())
def test_the_shapes_of_secrets_are_hidden(text: str, redacted: str) -> None:
    filled = text.replace("%s", SECRET).replace("%%", "%")
    assert redact(filled) == redacted
    assert redact(redacted) == redacted


@pytest.mark.parametrize("shape", redact_module._SHAPES, ids=lambda shape: shape.name)
def test_each_shape_hides_its_example(
    shape: redact_module._Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shape.example.replace("SECRET", SECRET)
    assert SECRET not in redact(text)
    others = tuple(each for each in redact_module._SHAPES if each != shape)
    monkeypatch.setattr(redact_module, "_SHAPES", others)
    assert SECRET in redact(text)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_registered_value_is_hidden_wherever_it_stands() -> None:
    text = f"a{SECRET}b, {SECRET}{SECRET} and {SECRET.lower()}"
    assert SECRET in redact(text)
    register([SECRET])
    assert redact(text) == f"a***b, ****** and {SECRET.lower()}"


def test_registering_adds_to_what_is_registered() -> None:
    register(["first-one"])
    register(iter(["second-one"]))
    register([])
    assert redact("first-one second-one") == "*** ***"


def test_a_value_that_contains_another_one_is_hidden_whole() -> None:
    register(["toast", "toast-and-butter"])
    assert redact("toast-and-butter, toast") == "***, ***"


def test_short_values_are_part_of_words_and_not_hidden() -> None:
    register(["", "a", "123", "four"])
    assert redact("a 123 four") == "a 123 ***"


@pytest.mark.parametrize(
    "secret", ["p@ss/w&rd", 'quo"te\\d', "it's\ttwo", "größe früh", 'grüß"e', "a.b*c+d"]
)
def test_a_registered_value_is_hidden_in_its_other_spellings_too(secret: str) -> None:
    register([secret])
    spellings = [
        secret,
        quote(secret),
        quote(secret, safe=""),
        urlencode({"": secret})[1:],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    ]
    assert [redact(f"<{spelling}>") for spelling in spellings] == ["<***>"] * len(spellings)


@pytest.mark.parametrize(
    "secret", ["p@ss/w&rd", 'quo"te\\d<>', "it's\ttwo", "größe früh", "key\U0001f511"]
)
def test_a_value_is_hidden_as_services_write_it(secret: str) -> None:
    once = json.dumps(secret)[1:-1]
    spellings = [
        html.escape(secret),
        once.replace("/", "\\/"),  # PHP
        once.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),  # Go
        quote(secret, safe="").lower(),
        json.dumps(once)[1:-1],  # JSON in JSON
        repr(repr(secret)[1:-1])[1:-1],
    ]
    assert [redact(f"<{each}>", secret) for each in spellings] == ["<***>"] * len(spellings)
    register([secret])
    assert [redact(f"<{each}>") for each in spellings] == ["<***>"] * len(spellings)


def test_a_value_for_one_text_is_hidden_in_that_text_only() -> None:
    assert redact("abc1 abc2", "abc1", "abc") == "*** abc2"
    assert redact("abc1 abc2") == "abc1 abc2"


def test_user_and_password_of_a_url_that_is_secret_are_secret_too() -> None:
    register(["https://key0:pa%2Fss@sentry.example.org/1"])
    assert redact("key0, pa/ss, pa%2Fss, sentry.example.org") == "***, ***, ***, sentry.example.org"


def test_half_a_secret_does_not_stay_at_the_end_of_a_text_that_is_cut() -> None:
    text = 'a "s3c\\"ret" b'
    left = [cut(text, most, 's3c"ret') for most in range(len(text) + 1)]
    assert left == [
        "",
        "a",
        "a ",
        *['a "'] * 8,
        *(text[:most] for most in range(11, len(text) + 1)),
    ]


def test_tokens_are_distinguished_from_words() -> None:
    assert tokens("https://a.example/hooks/T024BE7LD/aa?to=kafka-1&k=x9SlQkPl&v=2") == [
        "T024BE7LD",
        "x9SlQkPl",
    ]
    assert tokens("70000 five 1h30m broker-1:9092,[::1]:9092 10.1.0.0/16 production loud") == []
    assert tokens("onlylettersbutverymany") == ["onlylettersbutverymany"]


# --- properties -------------------------------------------------------------------------------

PIECES = [
    *("://", "/api/webhooks/", "/api/v10/webhooks/", "%2F", "/", "?", "#", "&", "@", ":", "="),
    *("password", "token", "client_secret", "Bearer ", "Basic ", "Authorization: ", "***"),
    *("/services/T024BE7LD/B024BE7LE/", "sig", "Cookie: ", "whsec_", "eyJhbGciOi.", "aaaaaaaaaa"),
    *("'", '"', "\\", " ", "\n", ",", "a", "1", "ü"),
]


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text())
@example("://x:token='a b'@host")
@example("://token:://'@=,")
def test_a_second_time_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(), st.text(), st.sampled_from(sorted(HIDDEN)))
def test_a_planted_secret_never_shows(before: str, after: str, shape: str) -> None:
    planted = shape.replace("%s", SECRET).replace("%%", "%")
    assert SECRET not in redact(f"{before} {planted} {after}")


@pytest.mark.parametrize(
    "piece",
    [
        *PIECES,
        *(
            "://a:",
            "://:@",
            "token=",
            "token =  ",
            'token="',
            "token\\",
            "password='\\",
            "password ",
        ),
        *(
            "://1a",
            "?sig=",
            "/services/T024BE7LD",
            "/triggers/E0000000/1",
            "cookie: \\x",
            "eyJ-",
            "\\u00",
        ),
        *("bearer bearer ", "authorization:", "authorization =", "/api/webhooks/1/", "api_key\\'"),
    ],
)
def test_hostile_text_takes_no_longer_than_its_length(piece: str) -> None:
    # A quadratic pattern takes a minute for this, a linear one some hundredths of a second.
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 5
