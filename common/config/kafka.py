"""The settings of Kafka's clients, named as librdkafka's properties are.

KAFKA_SSL_CA_LOCATION is the property ``ssl.ca.location``, and so on: common/events/kafka_client.py
makes the configuration of every client from these names.
"""

from collections.abc import Mapping
from typing import Any

from common.config.kinds import Variable, addresses, choice, file, text, url

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

_TLS = (
    KAFKA_SSL_CA_LOCATION,
    KAFKA_SSL_CERTIFICATE_LOCATION,
    KAFKA_SSL_KEY_LOCATION,
    KAFKA_SSL_KEY_PASSWORD,
)
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


def combination_faults(values: Mapping[str, object]) -> list[str]:
    """One line for each setting that is missing beside the others, or that they leave unused.

    ``values`` are the parsed values by name; a setting that could not be parsed is missing there.
    """
    if not all(variable.name in values for variable in KAFKA):
        return []  # its own fault comes first
    protocol = str(values[KAFKA_SECURITY_PROTOCOL.name])
    mechanism = str(values[KAFKA_SASL_MECHANISM.name])
    is_sasl, is_tls = protocol.startswith("sasl"), protocol.endswith("ssl")
    is_oauth = is_sasl and mechanism == "oauthbearer"
    has_password = is_sasl and mechanism not in ("", "oauthbearer")
    faults: list[str] = []

    def require(needed: tuple[Variable[Any], ...], beside: str) -> None:
        faults.extend(
            f"{each.name} is not set; expected {each.expected} with {beside}"
            for each in needed
            if not values[each.name]
        )

    def refuse(unused: tuple[Variable[Any], ...], wanted: str) -> None:
        faults.extend(
            f"{each.name} is set, but not used; expected {wanted}"
            for each in unused
            if values[each.name]
        )

    if is_sasl:
        require((KAFKA_SASL_MECHANISM,), f"KAFKA_SECURITY_PROTOCOL={protocol.upper()}")
    else:
        sasl = "KAFKA_SECURITY_PROTOCOL=SASL_SSL (or SASL_PLAINTEXT)"
        refuse((KAFKA_SASL_MECHANISM, *_PASSWORD, *_OAUTH), sasl)
    if has_password:
        require(_PASSWORD, f"KAFKA_SASL_MECHANISM={mechanism.upper()}")
        refuse(_OAUTH, "KAFKA_SASL_MECHANISM=OAUTHBEARER")
    if is_oauth:
        require(_OAUTH_NEEDED, "KAFKA_SASL_MECHANISM=OAUTHBEARER")
        refuse(_PASSWORD, "KAFKA_SASL_MECHANISM=PLAIN or SCRAM-SHA-512")
    if not is_tls:
        refuse(_TLS, "KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL")
    elif values[KAFKA_SSL_CERTIFICATE_LOCATION.name]:
        require((KAFKA_SSL_KEY_LOCATION,), KAFKA_SSL_CERTIFICATE_LOCATION.name)
    else:
        refuse(_TLS[2:], f"{KAFKA_SSL_CERTIFICATE_LOCATION.name} beside it")
    return faults
