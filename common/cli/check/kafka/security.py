"""Which setting to change when Kafka refuses a connection.

librdkafka gives one text for every certificate that it does not accept, so a TLS handshake of our
own finds out why.
"""

import re
import ssl
from collections.abc import Sequence
from typing import NamedTuple

from common import config, tls
from common.config import Settings

_START = "start it, or correct KAFKA_BROKERS"

# Texts of librdkafka, and what to do; the first match counts.
_REMEDIES = (
    (
        r"supported mechanisms: *\)?$",
        "set KAFKA_SECURITY_PROTOCOL=SSL, or PLAINTEXT: this listener has no login",
    ),
    (r"supported mechanisms: (?P<these>[^)]+)", r"set KAFKA_SASL_MECHANISM to one of \g<these>"),
    (
        "OAUTHBEARER token",
        "correct KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL, or _CLIENT_ID and _CLIENT_SECRET",
    ),
    ("authentication (error|failed)", "correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
    (
        r"alert (bad certificate|certificate|unknown ca|handshake failure)",
        "set KAFKA_SSL_CERTIFICATE_LOCATION to a certificate that the brokers accept",
    ),
    (r"ssl\.key\.location", "correct KAFKA_SSL_KEY_LOCATION or KAFKA_SSL_KEY_PASSWORD"),
    (r"ssl\.certificate\.location", "set KAFKA_SSL_CERTIFICATE_LOCATION to a PEM file"),
    (r"ssl\.ca\.location failed", "set KAFKA_SSL_CA_LOCATION to a PEM file"),
)


class Fault(NamedTuple):
    """Why there is no connection, and what to do."""

    message: str
    fix: str


def explain(reason: str, settings: Settings, brokers: Sequence[str]) -> Fault:
    """The fault behind librdkafka's ``reason``; ``brokers`` are those that accept connections."""
    for pattern, fix in _REMEDIES:
        if found := re.search(pattern, reason, re.IGNORECASE):
            return Fault(reason, found.expand(fix))
    uses_tls = settings[config.KAFKA_SECURITY_PROTOCOL].endswith("ssl")
    for broker in brokers:
        speaks_tls = _speaks_tls(broker)
        if uses_tls and not speaks_tls:
            fix = "set KAFKA_SECURITY_PROTOCOL=PLAINTEXT, or SASL_PLAINTEXT for a login"
            return Fault(f"{broker} does not speak TLS", fix)
        if speaks_tls and not uses_tls:
            fix = "set KAFKA_SECURITY_PROTOCOL=SSL, or SASL_SSL for a login"
            return Fault(f"{broker} speaks TLS", fix)
        if uses_tls and (fault := _certificate_fault(broker, settings)):
            return fault
    if brokers and not settings[config.KAFKA_SECURITY_PROTOCOL].startswith("sasl"):
        login = "SASL_SSL" if uses_tls else "SASL_PLAINTEXT"
        return Fault(reason, f"{_START}; if it asks for a login: KAFKA_SECURITY_PROTOCOL={login}")
    return Fault(reason, _START)


def _certificate_fault(broker: str, settings: Settings) -> Fault | None:
    """Why the broker's certificate is not accepted; None if it is."""
    authority = settings[config.KAFKA_SSL_CA_LOCATION]
    context = ssl.create_default_context(cafile=authority or None)
    algorithm = settings[config.KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM]
    context.check_hostname = algorithm == "https"
    try:
        _handshake(broker, context)
    except ssl.SSLCertVerificationError as error:
        message = f"{broker}: its certificate is refused: {error.verify_message}"
        if error.verify_code in tls.EXPIRED:
            return Fault(message, "renew the certificate of the broker")
        if error.verify_code in tls.OTHER_NAME:
            return Fault(
                message,
                "write a name of its certificate in KAFKA_BROKERS and advertised.listeners, or set"
                " KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM=none",
            )
        return Fault(message, "set KAFKA_SSL_CA_LOCATION to the PEM file of the CA that issued it")
    except OSError:
        return None
    return None


def _speaks_tls(broker: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        _handshake(broker, context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # such as: a certificate is required
    except OSError:
        return False
    return True


def _handshake(broker: str, context: ssl.SSLContext) -> None:
    """Raises OSError, of which ssl's errors are kinds."""
    host, _, port = broker.rpartition(":")
    tls.handshake(host.strip("[]"), int(port), context)
