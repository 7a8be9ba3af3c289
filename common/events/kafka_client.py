"""The configuration that every Kafka client of a worker begins with, and a first connection."""

import re
import time

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ClusterMetadata,
)

from common.config import KAFKA, KAFKA_BROKERS, KAFKA_SASL_MECHANISM, Settings
from common.events.messages import KafkaUnavailable

_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL)
# How often a connection that is not there yet is looked at.
_TICK_SECONDS = 0.5

# Where in a client's life an error happened: it differs from one attempt to the next.
_MOMENT = re.compile(r" \(after \d+ms in state \w+\)")


def configuration(settings: Settings) -> dict[str, str]:
    """librdkafka's properties for the brokers, TLS and login; contains secrets.

    A setting is the property of the same name: KAFKA_SSL_CA_LOCATION is ``ssl.ca.location``. An
    empty one is left to librdkafka's default.
    """
    properties = {
        variable.name.removeprefix("KAFKA_").lower().replace("_", "."): settings[variable]
        for variable in KAFKA
        if variable is not KAFKA_BROKERS and settings[variable]
    }
    if mechanism := settings[KAFKA_SASL_MECHANISM]:
        properties["sasl.mechanism"] = mechanism.upper()  # the only spelling that it knows
    if mechanism == "oauthbearer":
        properties["sasl.oauthbearer.method"] = "oidc"
    return {
        "bootstrap.servers": ",".join(settings[KAFKA_BROKERS]),
        # Its log would repeat every failed connection on standard error.
        "log_level": "0",
        **properties,
    }


class ConnectionErrors:
    """The callback ``error_cb`` of a client: keeps why it has no connection."""

    def __init__(self) -> None:
        self._last = ""
        # True once a broker has refused TLS or the login: waiting does not help.
        self.is_refused = False

    def __call__(self, error: KafkaError) -> None:
        self.is_refused |= error.code() in _REFUSALS
        # The summary that follows the errors of the brokers has no reason.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._last:
            self._last = _text(error)

    def forget(self) -> None:
        """Forget the errors so far."""
        self._last = ""

    def explain(self, error: KafkaError) -> str:
        """The text of the error, with the reason if it is another one."""
        own = _text(error)
        return f"{own} ({self._last})" if self._last not in ("", own) else own


def _text(error: KafkaError) -> str:
    """The error in words, the same for each attempt."""
    return _MOMENT.sub("", error.str())


def connect(settings: Settings, seconds: float) -> tuple[AdminClient, ClusterMetadata]:
    """A client for questions, and the brokers and topics of its cluster.

    Raises KafkaUnavailable with the reason if no broker answers within ``seconds``, or if
    librdkafka cannot use the settings.
    """
    errors, deadline = ConnectionErrors(), time.monotonic() + seconds
    try:
        client = AdminClient({**configuration(settings), "error_cb": errors})  # type: ignore[dict-item]
        while True:
            try:
                return client, client.list_topics(timeout=_TICK_SECONDS)
            except KafkaException:
                client.poll(0)  # calls errors
                if errors.is_refused or time.monotonic() > deadline:
                    raise
    except KafkaException as error:
        raise KafkaUnavailable(errors.explain(error.args[0])) from error
