"""PostgreSQL's settings: what DB_HOST may hold, and what belongs together for TLS."""

import os
from pathlib import Path

import pytest

from common import config
from common.config import POSTGRES, SettingsError
from devservers.checkout import ROOT

HERE = str(ROOT / "setup.cfg")  # a file that can be read
PASSWORD = "pl4nted-password"
VERIFIED = {"SSL_MODE": "verify-full", "SSL_ROOT_CERT": HERE}


@pytest.fixture(autouse=True)
def _home_without_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def load(monkeypatch: pytest.MonkeyPatch, **settings: str) -> config.Settings:
    for name, value in {"HOST": "db", "USER": "toast", **settings}.items():
        monkeypatch.setenv(f"DB_{name}", value)
    return config.load("link", (), common=POSTGRES)


def faults(monkeypatch: pytest.MonkeyPatch, **settings: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load(monkeypatch, **settings)
    return refused.value.faults


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("db.example.org", ("db.example.org",)),
        ("db_1,10.0.0.1, ::1", ("db_1", "10.0.0.1", "::1")),
        ("fe80::1%eth0", ("fe80::1%eth0",)),
        ("/run/postgresql", ("/run/postgresql",)),
        ("bücher.example", ("bücher.example",)),
    ],
)
def test_hosts_are_names_addresses_and_folders(
    monkeypatch: pytest.MonkeyPatch, written: str, hosts: tuple[str, ...]
) -> None:
    assert load(monkeypatch, HOST=written)[config.DB_HOST] == hosts


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (f"postgres://toast:{PASSWORD}@db:6000/toast", "the rest of a URL in the other DB_"),
        (f"host=db password='{PASSWORD}'", "write only the host of this URL or connection string"),
        ("a:5432", "write DB_HOST=a and DB_PORT=5432"),
        ("a,b:5433", "write DB_HOST=b and DB_PORT=5433"),
        ("[::1]", "write it without brackets: ::1"),
        ("[::1]:5432", "write DB_HOST=::1 and DB_PORT=5432"),
        (
            "/run/postgresql/.s.PGSQL.5433",
            "write DB_HOST=/run/postgresql and DB_PORT=5433",
        ),
        ("a,,b", "an item is empty"),
        ("a b", "no host name"),
        ("run/postgresql", "absolute path"),
        ("::zz", "expected host names"),
    ],
)
def test_what_is_no_host_is_a_fault_that_says_what_to_write(
    monkeypatch: pytest.MonkeyPatch, written: str, instead: str
) -> None:
    [fault] = faults(monkeypatch, HOST=written)
    assert fault.startswith("DB_HOST in the environment is ")
    assert instead in fault
    assert "the port is in DB_PORT" in fault
    assert PASSWORD not in fault


@pytest.mark.parametrize("written", ["5432", "5432,5433"])
def test_ports_are_one_or_one_for_each_host(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    ports = load(monkeypatch, HOST="a,b", PORT=written)[config.DB_PORT]
    assert ports == tuple(map(int, written.split(",")))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"HOST": "a,b,c", "PORT": "1,2"}, ["PORT"], id="2 ports for 3 hosts"),
        pytest.param({"PORT": "1,2"}, ["PORT"], id="2 ports for 1 host"),
        pytest.param({"PORT": "5432,x"}, ["PORT"], id="a port that is no number"),
        pytest.param({"SSL_MODE": "verify-full"}, ["SSL_ROOT_CERT"], id="verify-full, no CA"),
        pytest.param({"SSL_MODE": "verify-ca"}, ["SSL_ROOT_CERT"], id="verify-ca, no CA"),
        pytest.param({"SSL_ROOT_CERT": HERE}, ["SSL_ROOT_CERT"], id="a CA, TLS by chance"),
        pytest.param(
            {"SSL_MODE": "verify-ca", "SSL_ROOT_CERT": "system"},
            ["SSL_ROOT_CERT"],
            id="the system's CAs without names",
        ),
        pytest.param({**VERIFIED, "SSL_KEY": HERE}, ["SSL_KEY"], id="a key, no certificate"),
        pytest.param({**VERIFIED, "SSL_CERT": HERE}, ["SSL_KEY"], id="a certificate, no key"),
        pytest.param({**VERIFIED, "SSL_KEY_PASSWORD": PASSWORD}, ["SSL_KEY_PASSWORD"], id="no key"),
        pytest.param(
            {"SSL_CERT": HERE, "SSL_KEY": HERE, "SSL_KEY_PASSWORD": PASSWORD},
            ["SSL_CERT", "SSL_KEY", "SSL_KEY_PASSWORD"],
            id="a certificate, TLS by chance",
        ),
        pytest.param({"CHANNEL_BINDING": "require"}, ["CHANNEL_BINDING"], id="nothing to bind to"),
        pytest.param(
            {**VERIFIED, "HOST": "/run/postgresql", "CHANNEL_BINDING": "require"},
            ["SSL_ROOT_CERT", "CHANNEL_BINDING"],
            id="a socket has no TLS",
        ),
        pytest.param(
            {"TARGET_SESSION_ATTRS": "standby"}, ["TARGET_SESSION_ATTRS"], id="a standby to work on"
        ),
        pytest.param(
            {
                "HOST": "a:1",
                "SSL_MODE": "disable",
                "SSL_ROOT_CERT": "missing.pem",
                "SSL_CERT": HERE,
                "SSL_KEY": ".",
                "CHANNEL_BINDING": "require",
            },
            ["HOST", "SSL_ROOT_CERT", "SSL_KEY", "SSL_CERT", "CHANNEL_BINDING"],
            id="all at once",
        ),
    ],
)
def test_what_does_not_belong_together_is_a_fault_of_each_setting(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: list[str]
) -> None:
    found = faults(monkeypatch, **settings)
    assert [fault.split()[0] for fault in found] == [f"DB_{name}" for name in named]
    assert all("expected " in fault for fault in found)
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    "settings",
    [
        {**VERIFIED, "SSL_CERT": HERE, "SSL_KEY": HERE, "SSL_KEY_PASSWORD": PASSWORD},
        {"SSL_MODE": "verify-full", "SSL_ROOT_CERT": "system", "CHANNEL_BINDING": "require"},
        {"SSL_MODE": "require", "SSL_CERT": HERE, "SSL_KEY": HERE},
        {"HOST": "a,b", "TARGET_SESSION_ATTRS": "read-write"},
    ],
)
def test_what_belongs_together_can_be_used(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    loaded = load(monkeypatch, **settings)
    assert {loaded.origin(getattr(config, f"DB_{name}")) for name in settings} == {"environment"}


def test_the_root_certificate_of_libpq_can_verify_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()
    assert load(monkeypatch, SSL_MODE="verify-full")[config.DB_SSL_ROOT_CERT] == ""


def test_a_pipe_as_certificate_is_a_fault_and_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("ca.pem")
    [fault] = faults(monkeypatch, SSL_MODE="verify-ca", SSL_ROOT_CERT="ca.pem")
    assert "no regular file" in fault
