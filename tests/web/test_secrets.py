"""No secret is on any page or in its JSON: more than 30 are planted wherever one could stand.

They are in settings files, in live rows, and in every column that is shown, beside a word that must
be shown: hiding everything would be no art.
"""

import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import workers
from common import config
from testing.database import TestDatabase
from tests.promises.secrets.search import (
    BEARER,
    DISCORD_TOKEN,
    HMAC_SECRET,
    QUERY_TOKEN,
    SLACK_KEY,
    TEAMS_KEY,
    leaks,
)
from tests.promises.secrets.stage import SHAPES, add_delivery, add_notification
from tests.web.browsing import client_of
from tests.web.planting import EVENT, JOBS, plant
from web.site import Site

KAFKA_LOGIN = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SASL_USERNAME": "toast",
    "KAFKA_SASL_PASSWORD": "SECRET",
}
KAFKA_OAUTH = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "https://login.example.org/",
    "KAFKA_SASL_OAUTHBEARER_CLIENT_ID": "toast",
    "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET": "SECRET",
}
KAFKA_TLS = {
    "KAFKA_SECURITY_PROTOCOL": "SSL",
    "KAFKA_SSL_CERTIFICATE_LOCATION": "FILE",
    "KAFKA_SSL_KEY_LOCATION": "FILE",
    "KAFKA_SSL_KEY_PASSWORD": "SECRET",
}
DB_TLS = {
    "DB_SSL_MODE": "require",
    "DB_SSL_CERT": "FILE",
    "DB_SSL_KEY": "FILE",
    "DB_SSL_KEY_PASSWORD": "SECRET",
}
# Of every service, and of some.
EVERY = {
    "DB_USER": "toast",
    "DB_PASSWORD": "SECRET",
    "SENTRY_DSN": "https://SECRET@sentry.example.org/1",
}
OWN = {
    "link": KAFKA_LOGIN,
    "blog": KAFKA_OAUTH,
    "foodfolio": KAFKA_TLS,
    "sse": DB_TLS,
    "notification": {"OUTBOUND_PROXY": "http://toast:SECRET@proxy.example.org:3128"},
    "warcraft": {"BLIZZARD_CLIENT_ID": "SECRET", "BLIZZARD_CLIENT_SECRET": "SECRET"},
    "webhook": {"WEBHOOK_PROXY": "http://toast:SECRET@proxy.example.org:3128"},
}
# What only its shape gives away.
SHAPED = {
    "Discord's token": DISCORD_TOKEN,
    "Slack's key": SLACK_KEY,
    "Teams' key": TEAMS_KEY,
    "token of a query": QUERY_TOKEN,
    "bearer token": BEARER,
}
WORD = "connecting"


def secret(name: str) -> str:
    """One that is like no other text, without the characters that a URL does not have."""
    return b64encode(sha256(name.encode()).digest()).decode().translate({43: 65, 47: 66})[:22]


def write_settings(folder: Path) -> dict[str, str]:
    """Write settings files with secrets; returns these by name."""
    (folder / "some.pem").write_text("no certificate")
    planted = {}
    for service in workers.SERVICES:
        lines = []
        for name, value in {**EVERY, **OWN.get(service, {})}.items():
            if "SECRET" in value:
                planted[f"{name} of {service}"] = secret(f"{name} of {service}")
                value = value.replace("SECRET", secret(f"{name} of {service}"))
            lines.append(f"{name}={value.replace('FILE', f'{folder}/some.pem')}\n")
        (folder / f"{service}.env").write_text("".join(lines))
    return planted


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The secrets of settings files."""
    return write_settings(Path(os.environ["TOAST_CONFIG_DIR"]))


@pytest.fixture
def client(
    database: TestDatabase, planted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> FlaskClient:
    page = Path(os.environ["TOAST_CONFIG_DIR"]) / "web.env"
    page.write_text(
        f"DB_USER={database.server.user}\nDB_PASSWORD={database.server.password}\n"
        f"DB_SSL_MODE=disable\nWEB_ACTIONS=all\n"
    )
    return client_of(database, monkeypatch, DB_USER="", DB_PASSWORD="", DB_SSL_MODE="")


def test_every_secret_setting_is_planted(client: FlaskClient, planted: dict[str, str]) -> None:
    names = {name.partition(" of ")[0] for name in planted}
    for service in map(workers.load, workers.SERVICES):
        variables = (*config.COMMON, *service.variables)
        assert {each.name for each in variables if each.secret} <= names
    site = client.application.jinja_env.globals["site"]
    assert isinstance(site, Site)
    loaded, faults = site.services_with_settings()
    assert faults == []
    used = {value for _, settings in loaded for value in settings.secrets}
    assert all(any(value in each for each in used) for value in planted.values())


def test_no_secret_is_shown(
    client: FlaskClient, planted: dict[str, str], database: TestDatabase
) -> None:
    known = " ".join(f"{WORD} {value}" for value in planted.values())
    text = f"{known} {SHAPES} password={secret('password')} http://a:{secret('user')}@host/"
    runs = plant(database, [text, text])
    hook = f"https://discord.com/api/webhooks/1/{DISCORD_TOKEN}"
    live = [add_delivery(database, hook), add_notification(database, hook)]
    # The first two when no settings of a service were read yet.
    pages = ["/audit", f"/outbox/{EVENT}", "/", "/outbox", "/rows", "/sync-failures"]
    pages += ["/discord-channels", "/alerts", "/machines", f"/outbox/{EVENT + 1}"]
    pages += ["/schedulers/{}/{}".format(*job) for job in JOBS]
    pages += [f"/search?q={each}" for each in (*runs, *live)]
    places = {}
    for page in pages:
        places[page] = client.get(page).text
        places[f"/api{page}"] = client.get("/api/schedulers" if page == "/" else f"/api{page}").text
    secrets = {
        **planted,
        **SHAPED,
        "a password": secret("password"),
        "a password in a URL": secret("user"),
        "secret of a webhook": HMAC_SECRET,
        "password of the page": database.server.password,
    }
    assert len(secrets) > 30
    assert leaks(places, secrets) == []
    assert all(WORD in places[page] for page in pages[:10])


def test_the_secrets_of_wrong_settings_are_not_shown(
    client: FlaskClient, database: TestDatabase
) -> None:
    hidden = secret("a password beside a wrong setting")
    file = Path(os.environ["TOAST_CONFIG_DIR"]) / "link.env"
    file.write_text(f"DB_PASSWORD={hidden}\nLINK_EXPIRATION_INTERVAL=soon\n")
    plant(database, [f"{WORD} {hidden}"])
    pages = ("/audit", "/", "/schedulers/link/link-expiration")
    places = {page: client.get(page).text for page in pages}
    assert "LINK_EXPIRATION_INTERVAL in" in places["/"]
    assert leaks(places, {"it": hidden}) == []
