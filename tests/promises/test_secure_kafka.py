"""Kafka with TLS and logins: events arrive every way, wait where they must, and every wrong setting
is named."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from devservers.child_processes import PATIENCE, free_port, poll_until
from devservers.standins.token_endpoint import CLIENT_ID, CLIENT_SECRET, TokenEndpoint
from devservers.tls.certificates import KEY_PASSWORD
from devservers.tls.secure_kafka import (
    LIMITED_PASSWORD,
    LIMITED_USER,
    PASSWORD,
    USER,
    SecureKafka,
)
from testing.database import TestDatabase
from testing.processes import Process, environment, toast
from testing.topics import Topic
from tests.support.expired_links import insert_expired
from tests.support.outbox_rows import add_event
from tests.support.scrapes import ask
from workers.link.link_expiration import EXPIRED

WRONG = "geheim-4711"
TOKEN_SECONDS = 4
SECRETS = (PASSWORD, LIMITED_PASSWORD, KEY_PASSWORD, CLIENT_SECRET, WRONG)


@dataclass(frozen=True, slots=True)
class Kafka:
    """The broker, the token endpoint, and the settings that lead to them."""

    server: SecureKafka
    tokens: TokenEndpoint

    def environment(self, database: TestDatabase, listener: str, **settings: str) -> dict[str, str]:
        """The environment for one of its listeners; settings without their prefix KAFKA_."""
        certificates = self.server.certificates
        files = {
            "@ca": certificates.authority,
            "@other_ca": certificates.other_authority,
            "@certificate": certificates.certificate,
            "@key": certificates.key,
            "@tokens": self.tokens.url,
        }
        given = {f"KAFKA_{name}": str(files.get(value, value)) for name, value in settings.items()}
        return environment(database, self.server.listeners[listener], **given)


@pytest.fixture(scope="module")
def kafka(servers: None) -> Iterator[Kafka]:
    with SecureKafka() as server, TokenEndpoint() as tokens:
        server.create_topic(EXPIRED.topic)
        yield Kafka(server, tokens)


TLS = {"SECURITY_PROTOCOL": "SSL", "SSL_CA_LOCATION": "@ca"}
MUTUAL = {
    **TLS,
    "SSL_CERTIFICATE_LOCATION": "@certificate",
    "SSL_KEY_LOCATION": "@key",
    "SSL_KEY_PASSWORD": KEY_PASSWORD,
}
CLEAR = {
    "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "SASL_MECHANISM": "PLAIN",
    "SASL_USERNAME": USER,
    "SASL_PASSWORD": PASSWORD,
}
LOGIN = {**CLEAR, "SECURITY_PROTOCOL": "SASL_SSL", "SSL_CA_LOCATION": "@ca"}
OAUTH = {
    "SECURITY_PROTOCOL": "SASL_SSL",
    "SSL_CA_LOCATION": "@ca",
    "SASL_MECHANISM": "OAUTHBEARER",
    "SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "@tokens",
    "SASL_OAUTHBEARER_CLIENT_ID": CLIENT_ID,
    "SASL_OAUTHBEARER_CLIENT_SECRET": CLIENT_SECRET,
    "SASL_OAUTHBEARER_SCOPE": "kafka",
}


@pytest.mark.parametrize(
    ("listener", "settings"),
    [
        pytest.param("MUTUAL", MUTUAL, id="mutual TLS"),
        pytest.param("LOGIN", LOGIN, id="TLS, PLAIN"),
        pytest.param("LOGIN", {**LOGIN, "SASL_MECHANISM": "SCRAM-SHA-256"}, id="TLS, SCRAM 256"),
        pytest.param("LOGIN", {**LOGIN, "SASL_MECHANISM": "scram-sha-512"}, id="TLS, SCRAM 512"),
        pytest.param("LOGIN", OAUTH, id="TLS, OAUTHBEARER"),
        pytest.param("CLEAR", CLEAR, id="PLAIN without TLS"),
        pytest.param(
            "WRONG_NAME",
            {**TLS, "SSL_ENDPOINT_IDENTIFICATION_ALGORITHM": "none"},
            id="TLS, names not compared",
        ),
    ],
)
def test_events_arrive_and_check_finds_nothing(
    kafka: Kafka, database: TestDatabase, listener: str, settings: dict[str, str]
) -> None:
    env = kafka.environment(database, listener, **settings)
    insert_expired(database, 1)
    arrived = Topic(kafka.server.address, EXPIRED.topic)

    checked = toast("check", "link", "--json", env=env)
    finished = toast("once", "link", "--json", env=env)

    found = [one for one in json.loads(checked.out) if one["check"] in ("kafka", "topics")]
    assert [one["level"] for one in found] == ["ok", "ok"], found
    assert json.loads(finished.out)["published"] == 1, finished
    arrived.read(1)


@pytest.mark.parametrize(
    ("listener", "settings", "named"),
    [
        ("LOGIN", {**LOGIN, "SASL_PASSWORD": WRONG}, "KAFKA_SASL_PASSWORD"),
        (
            "LOGIN",
            {**LOGIN, "SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "nobody"},
            "KAFKA_SASL_USERNAME",
        ),
        ("LOGIN", {**OAUTH, "SASL_OAUTHBEARER_CLIENT_SECRET": WRONG}, "_CLIENT_SECRET"),
        (
            "LOGIN",
            {**OAUTH, "SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": "http://127.0.0.1:1/"},
            "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL",
        ),
        ("LOGIN", {**LOGIN, "SSL_CA_LOCATION": "@other_ca"}, "KAFKA_SSL_CA_LOCATION"),
        ("LOGIN", {**LOGIN, "SSL_CA_LOCATION": "@key"}, "KAFKA_SSL_CA_LOCATION"),
        ("MUTUAL", {**MUTUAL, "SSL_CA_LOCATION": ""}, "KAFKA_SSL_CA_LOCATION"),
        ("MUTUAL", TLS, "KAFKA_SSL_CERTIFICATE_LOCATION"),
        (
            "MUTUAL",
            {**MUTUAL, "SSL_CERTIFICATE_LOCATION": "@key"},
            "KAFKA_SSL_CERTIFICATE_LOCATION",
        ),
        ("MUTUAL", {**MUTUAL, "SSL_KEY_PASSWORD": WRONG}, "KAFKA_SSL_KEY_PASSWORD"),
        ("WRONG_NAME", TLS, "KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM"),
        ("EXPIRED", TLS, "renew the certificate"),
        ("LOGIN", {}, "KAFKA_SECURITY_PROTOCOL=SSL"),
        ("CLEAR", {}, "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT"),
        ("PLAINTEXT", TLS, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
        ("LOGIN", TLS, "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        (
            "WRONG_NAME",
            {**LOGIN, "SSL_ENDPOINT_IDENTIFICATION_ALGORITHM": "none"},
            "KAFKA_SECURITY_PROTOCOL=SSL",
        ),
    ],
)
def test_check_names_the_setting_to_change(
    kafka: Kafka, database: TestDatabase, listener: str, settings: dict[str, str], named: str
) -> None:
    env = kafka.environment(database, listener, **settings)

    checked = toast("check", "link", "--json", env=env)

    assert (checked.code, checked.err) == (1, "")
    [found] = [one for one in json.loads(checked.out) if one["check"] == "kafka"]
    assert found["level"] == "error"
    assert named in found["fix"], found
    assert not [secret for secret in SECRETS if secret in checked.out]


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 200), (WRONG, 503)])
def test_a_worker_is_ready_if_it_can_log_in_though_no_event_waits(
    kafka: Kafka, database: TestDatabase, password: str, status: int
) -> None:
    env = kafka.environment(database, "LOGIN", **{**LOGIN, "SASL_PASSWORD": password})
    port = free_port()
    with Process("workers.link", env={**env, "METRICS_PORT": str(port)}) as worker:
        worker.wait_for("pass_finished")
        answer = ask(port, "/readyz")
    assert answer.status == status, answer
    assert ("Authentication failed" in answer.text) == (status == 503)
    assert password not in answer.text


def test_a_password_that_is_no_longer_right_costs_no_change_and_no_event(
    kafka: Kafka, database: TestDatabase
) -> None:
    wrong = {**LOGIN, "SASL_PASSWORD": WRONG}
    arrived = Topic(kafka.server.address, EXPIRED.topic)
    insert_expired(database, 3)

    with Process("workers.link", env=kafka.environment(database, "LOGIN", **wrong)) as worker:
        worker.wait_for("pass_finished", processed=3)
        failed = worker.wait_for("publish_failed")
        assert worker.stop() == 0

    assert "Authentication failed" in failed["reason"]
    assert not [secret for secret in SECRETS if secret in worker.log]
    assert database.count("toast_outbox") == 3

    with Process("workers.link", env=kafka.environment(database, "LOGIN", **LOGIN)) as worker:
        arrived.read(3)
        assert worker.stop() == 0


def test_a_token_that_runs_out_is_renewed(
    kafka: Kafka, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka.tokens, "seconds", TOKEN_SECONDS)
    env = kafka.environment(database, "LOGIN", **OAUTH)
    arrived, before = Topic(kafka.server.address, EXPIRED.topic), len(kafka.tokens.scopes)
    begun, events = time.monotonic(), 1
    insert_expired(database, 1)

    with Process("workers.link", env={**env, "LINK_EXPIRATION_INTERVAL": "500ms"}) as worker:
        while time.monotonic() < begun + 3 * TOKEN_SECONDS:
            arrived.read(events)
            events += 1
            database.query("UPDATE link_links SET is_active = true")
        assert worker.stop() == 0

    assert len(kafka.tokens.scopes) >= before + 3
    assert "publish_failed" not in worker.log


def test_events_of_a_topic_that_may_not_be_written_wait_and_the_others_go_on(
    kafka: Kafka, database: TestDatabase
) -> None:
    """What has no right waits for it: it is no fault of the event."""
    limited = {**LOGIN, "SASL_USERNAME": LIMITED_USER, "SASL_PASSWORD": LIMITED_PASSWORD}
    env = kafka.environment(database, "LOGIN", **limited)
    allowed, refused = "blog.post.scheduled.published", "blog.post.other"
    for topic in (allowed, refused):
        kafka.server.create_topic(topic)
    allow_write(kafka, allowed)
    arrived, later = Topic(kafka.server.address, allowed), Topic(kafka.server.address, refused)
    for topic in (refused, allowed):
        add_event(database, service="blog", topic=topic)
    # As after many refusals: it is not set aside with the next one.
    database.query("UPDATE toast_outbox SET tries = 30 WHERE topic = %s", refused)

    with Process("workers.blog", env=env) as worker:
        arrived.read(1)
        poll_until(lambda: database.query("SELECT error FROM toast_outbox")[0]["error"] != "", 30)
        [waiting] = database.query("SELECT topic, error FROM toast_outbox")
        assert waiting["topic"] == refused
        assert "authorization failed" in waiting["error"]
        assert database.count("toast_outbox_set_aside") == 0
        allow_write(kafka, refused)
        database.query("UPDATE toast_outbox SET retry_at = now()")
        worker.send(signal.SIGUSR1)
        later.read(1)
        assert worker.stop() == 0


def allow_write(kafka: Kafka, topic: str) -> None:
    """Add the access list entries that a producer of LIMITED_USER needs."""
    admin = AdminClient({"bootstrap.servers": kafka.server.address})
    bindings = [
        AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            f"User:{LIMITED_USER}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for operation in (AclOperation.DESCRIBE, AclOperation.WRITE)
    ]
    for done in admin.create_acls(bindings).values():
        done.result(PATIENCE)
