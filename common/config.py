"""Settings: the only module of the workers that reads the environment.

A setting is declared once, as a `Variable`, and read by `load` from, lowest first: its
default, `/etc/toast/toast.env`, `/etc/toast/<service>.env`, `.env` in the working directory
(development), the process environment. An empty value counts as not set, wherever it
stands. A wrong value never falls back to the default: `load` reports every fault at once.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from common import spelling
from common.layers import CONFIG_DIR_VARIABLE, Layer, read_layers
from common.redact import redact
from common.variables import (
    Need,
    Variable,
    address,
    addresses,
    boolean,
    choice,
    days,
    duration,
    integer,
    interval,
    networks,
    text,
    unmet,
)

__all__ = [
    "COMMON",
    "CONFIG_DIR_VARIABLE",
    "Settings",
    "SettingsError",
    "Variable",
    "address",
    "addresses",
    "boolean",
    "choice",
    "days",
    "duration",
    "integer",
    "interval",
    "load",
    "metrics_port",
    "networks",
    "text",
]

T = TypeVar("T")

# Shorter names are two slips away from too many others.
_SHORTEST_RESEMBLED = 6
_MOST_SLIPS = 2


@dataclass(frozen=True, slots=True)
class _Found:
    value: object
    written: str
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one service, read and checked; `settings[VARIABLE]` is its value."""

    service: str
    _found: Mapping[str, _Found] = field(repr=False)
    warnings: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)

    def __getitem__(self, variable: Variable[T]) -> T:
        return cast(T, self._found[variable.name].value)

    def written(self, variable: Variable[Any]) -> str:
        """The value as its setting has it, for an operator to read; a secret is hidden."""
        written = self._found[variable.name].written
        return "(hidden)" if variable.secret and written else written

    def origin(self, variable: Variable[Any]) -> str:
        """Where the value was set: "environment", a file's path as used, or "default"."""
        return self._found[variable.name].origin


class SettingsError(Exception):
    """Settings that cannot be used; `faults` holds one line for each, str() all of them."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


def _log_level(text: str) -> str:
    level = text.lower()
    if level == "warn":  # the Go services' spelling
        return "warning"
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError("not one of them")
    return level


def _sentry_dsn(text: str) -> str:
    parts = urlsplit(text)
    if text and not (parts.scheme in ("http", "https") and parts.username and parts.path[1:]):
        raise ValueError("not a DSN")
    return text


DB_HOST = text("DB_HOST", None, "PostgreSQL: host name, address or socket directory")
DB_PORT = integer("DB_PORT", "5432", "PostgreSQL: port", minimum=1, maximum=65535)
DB_USER = text("DB_USER", None, "PostgreSQL: role")
DB_PASSWORD = text("DB_PASSWORD", "", "PostgreSQL: password of the role", secret=True)
DB_NAME = text("DB_NAME", "toxictoast", "PostgreSQL: database")
DB_SSL_MODE = choice(
    "DB_SSL_MODE",
    ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "prefer",
    "PostgreSQL: how far TLS is demanded (libpq's sslmode)",
    aliases=("DB_SSLMODE",),
)
KAFKA_BROKERS = addresses("KAFKA_BROKERS", "localhost:19092", "Kafka: bootstrap brokers")
LOG_LEVEL = Variable(
    "LOG_LEVEL",
    _log_level,
    "one of debug, info, warning (or warn), error",
    "info",
    "the least severe log records to write",
)
LOG_FORMAT = choice(
    "LOG_FORMAT",
    ("auto", "text", "json"),
    "auto",
    "text for people, json for machines; auto is text at a terminal and json elsewhere",
)
ENVIRONMENT = text("ENVIRONMENT", "production", "name of the installation, for error reports")
SENTRY_DSN = Variable(
    "SENTRY_DSN",
    _sentry_dsn,
    "the DSN that Sentry shows, such as https://key@sentry.example.org/1, or nothing",
    "",
    "where errors are reported to; empty: nowhere",
    secret=True,
)
TOAST_MIGRATE = boolean("TOAST_MIGRATE", "true", "apply the migrations of toast's tables at start")

COMMON: tuple[Variable[Any], ...] = (
    DB_HOST,
    DB_PORT,
    DB_USER,
    DB_PASSWORD,
    DB_NAME,
    DB_SSL_MODE,
    KAFKA_BROKERS,
    LOG_LEVEL,
    LOG_FORMAT,
    ENVIRONMENT,
    SENTRY_DSN,
    TOAST_MIGRATE,
)


def metrics_port(default: int) -> Variable[int]:
    """The setting of the port for metrics and health; every service has a default of its own."""
    return integer(
        "METRICS_PORT",
        str(default),
        "port on 127.0.0.1 for metrics and health; 0: none. Set it per service, if at all",
        minimum=0,
        maximum=65535,
    )


def load(
    service: str,
    variables: Iterable[Variable[Any]],
    *,
    common: Iterable[Variable[Any]] = COMMON,
    needs: Iterable[Need] = (),
) -> Settings:
    """Read the common settings and these of the service; raises SettingsError with every fault."""
    declared = {variable.name: variable for variable in (*common, *variables)}
    layers, faults = read_layers(service, os.environ)
    found: dict[str, _Found] = {}
    for variable in declared.values():
        try:
            found[variable.name] = _find(variable, layers)
        except ValueError as fault:
            faults.append(str(fault))
    faults += unmet(needs, {name: each.value for name, each in found.items()})
    if faults:
        raise SettingsError(faults)
    secrets = (str(found[name].value) for name, variable in declared.items() if variable.secret)
    warnings = _resemblances(layers, declared.values())
    return Settings(service, found, warnings, tuple(filter(None, secrets)))


def environment_default(name: str, value: str) -> None:
    """Set an environment variable of a library, unless the operator has set it."""
    os.environ.setdefault(name, value)


def _find(variable: Variable[Any], layers: Iterable[Layer]) -> _Found:
    """Take the highest layer that sets the variable, under its name or an alias."""
    for layer in layers:
        names = (variable.name, *variable.aliases)
        given = {name: layer.values[name] for name in names if layer.values.get(name)}
        if len(set(given.values())) > 1:
            raise ValueError(f"{' and '.join(given)} in {layer.place} differ; expected only one")
        for name, value in given.items():
            return _Found(_parse(variable, name, value, layer.place), value, layer.origin)
    if variable.default is None:
        raise ValueError(
            f"{variable.name} is not set; expected {variable.expected} ({variable.help})"
        )
    return _Found(variable.parse(variable.default), variable.default, "default")


def _parse(variable: Variable[T], name: str, value: str, place: str) -> T:
    try:
        return variable.parse(value)
    except ValueError as reason:
        found = "(hidden)" if variable.secret else f"{redact(value)[:100]!r} ({reason})"
        fault = f"{name} in {place} is {found}; expected {variable.expected}"
        raise ValueError(fault) from reason


def _resemblances(layers: Iterable[Layer], declared: Iterable[Variable[Any]]) -> tuple[str, ...]:
    """Name the variables that are set but unknown, and look like a slip in a known one."""
    known = {CONFIG_DIR_VARIABLE}
    known.update(name for variable in declared for name in (variable.name, *variable.aliases))
    long = [name for name in known if len(name) >= _SHORTEST_RESEMBLED]
    return tuple(
        f"{name} in {layer.place} is not a setting; did you mean {meant}?"
        for layer in layers
        for name in layer.values
        if name not in known and name.isprintable()
        if (meant := spelling.nearest(name, long, slips=_MOST_SLIPS))
    )
