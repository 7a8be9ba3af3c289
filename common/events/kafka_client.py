"""The configuration that every Kafka client of a worker begins with, and its connection errors."""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from confluent_kafka import KafkaError

from common.config import KAFKA, KAFKA_BROKERS, KAFKA_SASL_MECHANISM, Settings

_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL)
_UNREACHABLE = (KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT)

# Where in a client's life an error happened, and how often: another with each attempt.
_MOMENT = re.compile(r" \(after \d+ms in state \w+(?:, \d+ identical error\(s\) suppressed)?\)")
# How librdkafka names a broker of the metadata; before them, "bootstrap" has the place of the id.
_OF_BROKER = re.compile(r"(?:\w+://)?(?P<address>\S+:\d+)/(?P<id>\d+): (?P<reason>.*)", re.DOTALL)

_START = "start it, or let this host reach it"
_ADVERTISED = (
    "start it, or correct its advertised.listeners: clients connect to what it advertises, not to"
    " KAFKA_BROKERS"
)


class BrokerFault(NamedTuple):
    """Why a broker of the metadata cannot be used, by the host:port that it advertises.

    ``fix`` is what to do; "" if the broker can be reached, but refuses this client.
    """

    address: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.message} => {self.fix}" if self.fix else self.message


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


def broker_fault(
    number: int, address: str, reason: str, configured: Collection[str], *, is_refusal: bool = False
) -> BrokerFault:
    """The fault of a broker, by its id and the host:port that it advertises.

    ``configured`` are the addresses of KAFKA_BROKERS; ``is_refusal``: it can be reached.
    """
    if address in configured:
        place, fix = f"broker {number} at {address}", _START
    else:
        place, fix = f"broker {number}, advertised as {address}", _ADVERTISED
    return BrokerFault(address, f"{place}: {reason}", "" if is_refusal else fix)


class ConnectionErrors:
    """The callback ``error_cb`` of a client: keeps why it has no connection."""

    def __init__(self, configuration: Mapping[str, str]) -> None:
        """``configuration`` is the client's own."""
        self._configured = configuration["bootstrap.servers"].split(",")
        self._last: str | BrokerFault = ""
        # True once a broker has refused TLS or the login: waiting does not help.
        self.is_refused = False
        # The last of each broker of the metadata, by its id.
        self.of_brokers: dict[int, BrokerFault] = {}

    def __call__(self, error: KafkaError) -> None:
        self.is_refused |= error.code() in _REFUSALS
        # The summary that follows the errors of the brokers has no reason.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._last:
            self._last = self._kept(error)

    def forget(self) -> None:
        """Forget the errors so far."""
        self._last = ""
        self.of_brokers.clear()

    def explain(self, error: KafkaError) -> str:
        """The text of the error, with the reason if it is another one."""
        own = _text(error)
        if isinstance(self._last, BrokerFault):
            return f"{own}: {self._last}"
        return f"{own} ({self._last})" if self._last not in ("", own) else own

    def _kept(self, error: KafkaError) -> str | BrokerFault:
        """The error in words; that of a broker of the metadata with what to do."""
        text = _text(error)
        found = _OF_BROKER.fullmatch(text)
        if not found:
            return text
        number = int(found["id"])
        fault = self.of_brokers[number] = broker_fault(
            number,
            found["address"],
            found["reason"],
            self._configured,
            is_refusal=error.code() not in _UNREACHABLE,
        )
        return fault


def _text(error: KafkaError) -> str:
    """The error in words, the same for each attempt."""
    return _MOMENT.sub("", error.str())
