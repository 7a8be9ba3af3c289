"""PostgreSQL with TLS and certificates: passes work every way, and every wrong setting is named."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from common import config
from common.config import Settings
from common.database.connection import Database
from devservers.tls.certificates import CLIENT, KEY_PASSWORD, Certificates
from devservers.tls.secure_postgres import OTHER_HOST, SecurePostgres
from testing.database import TestDatabase, create_template, fresh_database
from testing.processes import environment, toast
from tests.support.expired_links import insert_expired, one_pass
from workers.link import SERVICE

pytestmark = pytest.mark.usefixtures("only_link_expiration")

WRONG = "geheim-4711"


@dataclass(frozen=True, slots=True)
class Secured:
    """A database on the server, the certificates, and the settings that lead there."""

    database: TestDatabase
    server: SecurePostgres
    certificates: Certificates

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment of a process with these settings, given without their prefix DB_."""
        files = {f"@{name}": str(path) for name, path in vars(self.certificates).items()}
        files["@socket"] = str(self.server.socket_folder)
        given = {f"DB_{name}": files.get(value, value) for name, value in settings.items()}
        return environment(self.database, **given)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(servers: None, certificates: Certificates) -> Iterator[SecurePostgres]:
    with SecurePostgres(certificates) as server:
        create_template(server)
        yield server


@pytest.fixture
def secured(server: SecurePostgres, certificates: Certificates) -> Iterator[Secured]:
    with fresh_database(server) as database:
        yield Secured(database, server, certificates)


TLS = {"SSL_MODE": "verify-full", "SSL_ROOT_CERT": "@authority"}
KEY = {"SSL_KEY": "@key", "SSL_KEY_PASSWORD": KEY_PASSWORD}
CERTIFICATE = {**TLS, "USER": CLIENT, "PASSWORD": "", "SSL_CERT": "@certificate", **KEY}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(CERTIFICATE, id="verify-full, a client's certificate"),
        pytest.param({**TLS, "CHANNEL_BINDING": "require"}, id="a password, bound to TLS"),
        pytest.param({**TLS, "SSL_MODE": "verify-ca", "HOST": OTHER_HOST}, id="any name"),
        pytest.param({"HOST": "@socket"}, id="a socket"),
        pytest.param({**TLS, "HOST": f"{OTHER_HOST},localhost"}, id="the second host"),
    ],
)
def test_a_pass_works_and_check_finds_nothing(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    env = secured.environment(**settings)
    insert_expired(secured.database, 1)

    checked = toast("check", "link", "--json", env=env)
    run = one_pass(load(monkeypatch, env))

    [found] = [one for one in json.loads(checked.out) if one["check"] == "postgres"]
    assert found["level"] == "ok", found
    assert (run.result, run.counts["processed"]) == ("ok", 1), run


def test_the_certificates_of_the_system_can_verify(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a system that has our CA among its own."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "")  # so that it is as before, after the test
        monkeypatch.delenv(name)
    paths = ssl.get_default_verify_paths()._replace(cafile=str(secured.certificates.authority))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    env = secured.environment(SSL_MODE="verify-full", SSL_ROOT_CERT="system")
    with Database(load(monkeypatch, env)).connect() as connection:
        assert connection.pgconn.ssl_in_use


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({**CERTIFICATE, "SSL_ROOT_CERT": "@other_authority"}, "set DB_SSL_ROOT_CERT to the PEM"),
        ({**CERTIFICATE, "SSL_ROOT_CERT": "system"}, "set DB_SSL_ROOT_CERT to the PEM"),
        ({**CERTIFICATE, "SSL_ROOT_CERT": "@key"}, "set DB_SSL_ROOT_CERT to the PEM"),
        ({**CERTIFICATE, "HOST": OTHER_HOST}, "set DB_HOST to the name in the server's"),
        ({**CERTIFICATE, "SSL_KEY": "@strange_key"}, "set DB_SSL_KEY to the key of the"),
        ({**CERTIFICATE, "SSL_KEY": "@authority"}, "chmod 600 the file of DB_SSL_KEY"),
        ({**CERTIFICATE, "SSL_KEY_PASSWORD": WRONG}, "correct DB_SSL_KEY_PASSWORD"),
        ({**CERTIFICATE, "SSL_KEY_PASSWORD": ""}, "correct DB_SSL_KEY_PASSWORD"),
        ({**CERTIFICATE, "SSL_CERT": "@key"}, "set DB_SSL_CERT to a PEM file"),
        ({**TLS, "USER": CLIENT, "PASSWORD": ""}, "set DB_SSL_CERT and DB_SSL_KEY to a"),
        (
            {**CERTIFICATE, "SSL_CERT": "@strange_certificate", "SSL_KEY": "@strange_key"},
            "set DB_SSL_CERT and DB_SSL_KEY to a",
        ),
        ({**CERTIFICATE, "CHANNEL_BINDING": "require"}, "set DB_CHANNEL_BINDING=prefer"),
        ({**TLS, "PASSWORD": WRONG}, "set DB_PASSWORD to the password"),
        ({"USER": CLIENT, "SSL_MODE": "disable"}, "set DB_SSL_MODE=require, or let pg_hba.conf"),
    ],
)
def test_check_and_a_failed_pass_name_the_setting_to_change(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], fix: str
) -> None:
    refused(secured.environment(**settings), monkeypatch, fix)


@pytest.mark.servers
def test_a_certificate_that_has_expired_is_to_be_renewed(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SecurePostgres(certificates, "EXPIRED") as server:
        secured = Secured(TestDatabase(server, "postgres"), server, certificates)
        env = secured.environment(**CERTIFICATE)
        refused(env, monkeypatch, "renew the certificate of the server")


def test_a_server_without_tls_is_told_from_one_that_refuses(
    database: TestDatabase, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = {"DB_SSL_MODE": "verify-full", "DB_SSL_ROOT_CERT": str(certificates.authority)}
    fix = "set DB_SSL_MODE=prefer, or ssl = on at the server"
    refused(environment(database, **tls), monkeypatch, fix)


def refused(env: dict[str, str], monkeypatch: pytest.MonkeyPatch, fix: str) -> None:
    """Compare the advice of `toast check` and of a pass, and search both for secrets."""
    checked = toast("check", "link", "--json", env=env)
    run = one_pass(load(monkeypatch, env))

    [found] = [one for one in json.loads(checked.out) if one["check"] == "postgres"]
    assert (checked.code, checked.err, found["level"]) == (1, "", "error")
    assert found["fix"].startswith(fix), found
    assert f"=> {fix}" in run.error
    written = f"{checked} {run}"
    assert not [secret for secret in (KEY_PASSWORD, WRONG, "PRIVATE KEY") if secret in written]


def load(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> Settings:
    """The settings of a process with this environment."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return config.load("link", SERVICE.variables)


def test_files_that_are_missing_end_a_command_with_78(secured: Secured, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    env = secured.environment(**{**CERTIFICATE, "SSL_ROOT_CERT": missing, "SSL_KEY": missing})
    ended = toast("run", "link", env=env)
    assert ended.code == 78
    assert [line for line in ("DB_SSL_ROOT_CERT", "DB_SSL_KEY") if line not in ended.err] == []
