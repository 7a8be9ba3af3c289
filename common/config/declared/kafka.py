"""The settings of Kafka's clients, named as librdkafka's properties are.

KAFKA_SSL_CA_LOCATION is the property ``ssl.ca.location``, and so on: common/events/kafka_client.py
makes the configuration of every client from these names.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from common.config.combinations import Rule, broken, of_key
from common.config.kinds import Variable, choice, file, integer, text, url
from common.config.network_kinds import addresses

KAFKA_BROKERS = addresses("KAFKA_BROKERS", "localhost:19092", "Kafka: bootstrap brokers")
KAFKA_SECURITY_PROTOCOL = choice(
    "KAFKA_SECURITY_PROTOCOL",
    ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
    "plaintext",
    "Kafka: whether connections use TLS (ssl) and log in (sasl)",
)
KAFKA_SASL_MECHANISM = choice(
    "KAFKA_SASL_MECHANISM",
    ("plain", "scram-sha-256", "scram-sha-512", "oauthbearer"),
    "",
    "Kafka: how to log in",
)
KAFKA_SASL_USERNAME = text("KAFKA_SASL_USERNAME", "", "Kafka: user, for PLAIN and SCRAM")
KAFKA_SASL_PASSWORD = text(
    "KAFKA_SASL_PASSWORD", "", "Kafka: password, for PLAIN and SCRAM", secret=True
)
KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL = url(
    "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "", "Kafka: where OAUTHBEARER gets its token"
)
KAFKA_SASL_OAUTHBEARER_CLIENT_ID = text(
    "KAFKA_SASL_OAUTHBEARER_CLIENT_ID", "", "Kafka: client id, for OAUTHBEARER"
)
KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET = text(
    "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", "", "Kafka: client secret, for OAUTHBEARER", secret=True
)
KAFKA_SASL_OAUTHBEARER_SCOPE = text(
    "KAFKA_SASL_OAUTHBEARER_SCOPE", "", "Kafka: scope of the token, for OAUTHBEARER"
)
KAFKA_SSL_CA_LOCATION = file(
    "KAFKA_SSL_CA_LOCATION", "Kafka: PEM file of the CA of the brokers; empty: the system's CAs"
)
KAFKA_SSL_CERTIFICATE_LOCATION = file(
    "KAFKA_SSL_CERTIFICATE_LOCATION", "Kafka: PEM file of the client's certificate"
)
KAFKA_SSL_KEY_LOCATION = file(
    "KAFKA_SSL_KEY_LOCATION", "Kafka: PEM file of the key of the client's certificate"
)
KAFKA_SSL_KEY_PASSWORD = text(
    "KAFKA_SSL_KEY_PASSWORD", "", "Kafka: password of the client's key", secret=True
)
KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM = choice(
    "KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM",
    ("https", "none"),
    "https",
    "Kafka: whether a broker's certificate must name its host (https)",
)

_KEY = (KAFKA_SSL_KEY_LOCATION, KAFKA_SSL_KEY_PASSWORD)
_TLS = (KAFKA_SSL_CA_LOCATION, KAFKA_SSL_CERTIFICATE_LOCATION, *_KEY)
_PASSWORD = (KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD)
_OAUTH_NEEDED = (
    KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL,
    KAFKA_SASL_OAUTHBEARER_CLIENT_ID,
    KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET,
)
_OAUTH = (*_OAUTH_NEEDED, KAFKA_SASL_OAUTHBEARER_SCOPE)

KAFKA: tuple[Variable[Any], ...] = (
    KAFKA_BROKERS,
    KAFKA_SECURITY_PROTOCOL,
    KAFKA_SASL_MECHANISM,
    *_PASSWORD,
    *_OAUTH,
    *_TLS,
    KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM,
)

KAFKA_TOPIC_PARTITIONS = integer(
    "KAFKA_TOPIC_PARTITIONS",
    "3",
    "Kafka: partitions of a topic that is created",
    minimum=1,
    maximum=10_000,
)
KAFKA_TOPIC_REPLICATION_FACTOR = integer(
    "KAFKA_TOPIC_REPLICATION_FACTOR",
    "0",
    "Kafka: how many brokers keep a topic that is created; 0: as the brokers are set",
    minimum=0,
    maximum=100,
)
TOAST_EVENTS_PER_SECOND = integer(
    "TOAST_EVENTS_PER_SECOND",
    "0",
    "the most events that a worker sends in a second; 0: as fast as Kafka takes them",
    minimum=0,
    maximum=1_000_000,
)

# How the workers use Kafka, beside its clients' own settings.
PUBLISHING: tuple[Variable[Any], ...] = (
    KAFKA_TOPIC_PARTITIONS,
    KAFKA_TOPIC_REPLICATION_FACTOR,
    TOAST_EVENTS_PER_SECOND,
)


def combination_faults(values: Mapping[str, object]) -> list[str]:
    """One line for each setting that is missing beside the others, or that they leave unused.

    ``values`` are the parsed values by name; a setting that could not be parsed is missing there.
    """
    if not all(variable.name in values for variable in KAFKA):
        return []  # its own fault comes first
    protocol = str(values[KAFKA_SECURITY_PROTOCOL.name]).upper()
    mechanism = str(values[KAFKA_SASL_MECHANISM.name]).upper()
    return broken((*_login_rules(protocol, mechanism), *_tls_rules(protocol, values)), values)


def _login_rules(protocol: str, mechanism: str) -> Iterator[Rule]:
    if not protocol.startswith("SASL"):
        sasl = "KAFKA_SECURITY_PROTOCOL=SASL_SSL (or SASL_PLAINTEXT)"
        yield Rule((KAFKA_SASL_MECHANISM, *_PASSWORD, *_OAUTH), False, sasl)
    elif not mechanism:
        yield Rule((KAFKA_SASL_MECHANISM,), True, f"KAFKA_SECURITY_PROTOCOL={protocol}")
    elif mechanism == "OAUTHBEARER":
        yield Rule(_OAUTH_NEEDED, True, "KAFKA_SASL_MECHANISM=OAUTHBEARER")
        yield Rule(_PASSWORD, False, "KAFKA_SASL_MECHANISM=PLAIN or SCRAM-SHA-512")
    else:
        yield Rule(_PASSWORD, True, f"KAFKA_SASL_MECHANISM={mechanism}")
        yield Rule(_OAUTH, False, "KAFKA_SASL_MECHANISM=OAUTHBEARER")


def _tls_rules(protocol: str, values: Mapping[str, object]) -> Iterator[Rule]:
    if protocol.endswith("SSL"):
        yield from of_key(values, KAFKA_SSL_CERTIFICATE_LOCATION, *_KEY)
    else:
        yield Rule(_TLS, False, "KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL")
