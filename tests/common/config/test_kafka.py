"""Kafka's settings for TLS and logins: what belongs together, and files that cannot be read."""

import os
from pathlib import Path

import pytest

from common import config
from common.config import KAFKA, KAFKA_BROKERS, SettingsError
from common.events import kafka_client
from devservers.checkout import ROOT

HERE = str(ROOT / "setup.cfg")  # a file that can be read
PASSWORD = "pl4nted-password"
USER = {"SASL_USERNAME": "toast", "SASL_PASSWORD": PASSWORD}
OAUTH = {
    "SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "https://login.example.org/token",
    "SASL_OAUTHBEARER_CLIENT_ID": "toast",
    "SASL_OAUTHBEARER_CLIENT_SECRET": PASSWORD,
}


def load(monkeypatch: pytest.MonkeyPatch, **settings: str) -> config.Settings:
    for name, value in settings.items():
        monkeypatch.setenv(f"KAFKA_{name}", value)
    return config.load("link", (), common=KAFKA)


def test_every_setting_is_a_property_of_librdkafka(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        BROKERS="a:9093,b:9093",
        SECURITY_PROTOCOL="SASL_SSL",
        SASL_MECHANISM="SCRAM-SHA-512",
        **USER,
        SSL_CA_LOCATION=HERE,
        SSL_CERTIFICATE_LOCATION=HERE,
        SSL_KEY_LOCATION=HERE,
        SSL_KEY_PASSWORD="key",
    )
    assert kafka_client.configuration(settings) == {
        "bootstrap.servers": "a:9093,b:9093",
        "log_level": "0",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "toast",
        "sasl.password": PASSWORD,
        "ssl.ca.location": HERE,
        "ssl.certificate.location": HERE,
        "ssl.key.location": HERE,
        "ssl.key.password": "key",
        "ssl.endpoint.identification.algorithm": "https",
    }


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param(USER, ["SASL_USERNAME", "SASL_PASSWORD"], id="a password without SASL"),
        pytest.param(
            {"SECURITY_PROTOCOL": "SASL_SSL", **USER}, ["SASL_MECHANISM"], id="no mechanism"
        ),
        pytest.param(
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "toast"},
            ["SASL_PASSWORD"],
            id="no password",
        ),
        pytest.param(
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-1", **USER},
            ["SASL_MECHANISM"],
            id="SCRAM-SHA-1",
        ),
        pytest.param(
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"},
            list(OAUTH),
            id="no token endpoint",
        ),
        pytest.param(
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", **USER, **OAUTH},
            list(OAUTH),
            id="PLAIN with a token endpoint",
        ),
        pytest.param({"SSL_CA_LOCATION": HERE}, ["SSL_CA_LOCATION"], id="a CA without TLS"),
        pytest.param(
            {"SECURITY_PROTOCOL": "SSL", "SSL_CERTIFICATE_LOCATION": HERE},
            ["SSL_KEY_LOCATION"],
            id="a certificate without key",
        ),
        pytest.param(
            {"SECURITY_PROTOCOL": "SSL", "SSL_KEY_LOCATION": HERE},
            ["SSL_KEY_LOCATION"],
            id="a key without certificate",
        ),
        pytest.param({"SECURITY_PROTOCOL": "TLS"}, ["SECURITY_PROTOCOL"], id="no such protocol"),
        pytest.param(
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER", **OAUTH}
            | {"SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "login.example.org"},
            ["SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL"],
            id="a token endpoint that is no URL",
        ),
    ],
)
def test_what_does_not_belong_together_is_a_fault_of_each_setting(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(monkeypatch, **settings)
    assert [fault.split()[0] for fault in refused.value.faults] == [
        f"KAFKA_{name}" for name in named
    ]
    assert all("expected " in fault for fault in refused.value.faults)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing.pem", "No such file"), (".", "Is a directory"), ("pipe", "no regular file")],
)
def test_a_file_that_cannot_be_read_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(SettingsError) as refused:
        load(monkeypatch, SECURITY_PROTOCOL="SSL", SSL_CA_LOCATION=name)
    [fault] = refused.value.faults
    assert fault.startswith("KAFKA_SSL_CA_LOCATION in the environment is ")
    assert why in fault


def test_without_security_the_configuration_has_the_brokers_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch)
    assert settings[KAFKA_BROKERS] == ("localhost:19092",)
    assert kafka_client.configuration(settings) == {
        "bootstrap.servers": "localhost:19092",
        "log_level": "0",
        "security.protocol": "plaintext",
        "ssl.endpoint.identification.algorithm": "https",
    }
