"""The settings of connections to PostgreSQL; most are parameters of libpq by another name."""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from common.config.combinations import Rule, broken, of_key
from common.config.kinds import Variable, choice, file, integer, items, text

# The value of DB_SSL_ROOT_CERT for the system's CAs.
SYSTEM = "system"
# The file that libpq takes without DB_SSL_ROOT_CERT.
LIBPQS_ROOT_CERT = "~/.postgresql/root.crt"

_NAME = re.compile(r"[\w.-]+")
_WITH_PORT = re.compile(r"(?P<host>[^\s:=@/]+|\[[^\s\]]+\]):(?P<port>\d+)")
_SOCKET = re.compile(r"(?P<folder>/.*)/\.s\.PGSQL\.(?P<port>\d+)")


def _hosts(written: str) -> tuple[str, ...]:
    return items(written, _host)


def _host(item: str) -> str:
    """A host or a folder. Raises ValueError that says what to write instead."""
    text("", None, "").parse(item)
    if not item:
        raise ValueError("an item is empty")
    if "://" in item or "=" in item:
        raise ValueError("write only the host of this URL or connection string")
    if found := _SOCKET.fullmatch(item):
        raise ValueError(f"write DB_HOST={found['folder']} and DB_PORT={found['port']}")
    if found := _WITH_PORT.fullmatch(item):
        host = found["host"].strip("[]")
        raise ValueError(f"write DB_HOST={host} and DB_PORT={found['port']}")
    if item.startswith("["):
        raise ValueError(f"write it without brackets: {item.strip('[]')}")
    if ":" in item:
        ipaddress.IPv6Address(item)
    elif not item.startswith("/") and not _NAME.fullmatch(item):
        raise ValueError("no host name, address or absolute path of a folder")
    return item


def _ports(written: str) -> tuple[int, ...]:
    return items(written, _PORT.parse)


_PORT = integer("", None, "", minimum=1, maximum=65535)

DB_HOST = Variable(
    "DB_HOST",
    _hosts,
    "host names, addresses or folders of a socket, such as db-1.example.org,db-2.example.org or ::1"
    " or /run/postgresql; the port is in DB_PORT, the rest of a URL in the other DB_ settings",
    None,
    "PostgreSQL: host name, address or folder of its socket; several: joined by commas",
)
DB_PORT = Variable(
    "DB_PORT",
    _ports,
    f"{_PORT.expected}, or one for each host in DB_HOST, joined by commas",
    "5432",
    "PostgreSQL: port, or a port for each host",
)
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
DB_SSL_ROOT_CERT = file(
    "DB_SSL_ROOT_CERT",
    "PostgreSQL: PEM file of the CA of the server; system: the system's CAs",
    word=SYSTEM,
)
DB_SSL_CERT = file("DB_SSL_CERT", "PostgreSQL: PEM file of the client's certificate")
DB_SSL_KEY = file("DB_SSL_KEY", "PostgreSQL: PEM file of the key of the client's certificate")
DB_SSL_KEY_PASSWORD = text(
    "DB_SSL_KEY_PASSWORD", "", "PostgreSQL: password of the client's key", secret=True
)
DB_CHANNEL_BINDING = choice(
    "DB_CHANNEL_BINDING",
    ("disable", "prefer", "require"),
    "prefer",
    "PostgreSQL: whether the login is tied to the TLS connection (libpq's channel_binding)",
)
DB_TARGET_SESSION_ATTRS = choice(
    "DB_TARGET_SESSION_ATTRS",
    ("any", "read-write", "primary"),
    "primary",
    "PostgreSQL: the host to work on; primary or read-write: the first that is no standby",
)

_KEY = (DB_SSL_KEY, DB_SSL_KEY_PASSWORD)
_TLS = (DB_SSL_ROOT_CERT, DB_SSL_CERT, *_KEY)

POSTGRES: tuple[Variable[Any], ...] = (
    *(DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, DB_SSL_MODE),
    *_TLS,
    DB_CHANNEL_BINDING,
    DB_TARGET_SESSION_ATTRS,
)


def combination_faults(values: Mapping[str, object]) -> list[str]:
    """One line for each setting that the others exclude, or that they need.

    ``values`` are the parsed values by name; a setting that could not be parsed is missing there.
    """
    return [*_port_faults(values), *broken(_tls_rules(values), values), *_binding_faults(values)]


def _port_faults(values: Mapping[str, object]) -> Iterator[str]:
    hosts, ports = (
        len(cast(tuple[object, ...], values.get(n, ()))) for n in ("DB_HOST", "DB_PORT")
    )
    if hosts and ports not in (0, 1, hosts):
        yield f"DB_PORT has {ports} ports for {hosts} hosts; expected one, or one for each host"


def _tls_rules(values: Mapping[str, object]) -> Iterator[Rule]:
    mode = str(values.get(DB_SSL_MODE.name, ""))
    root = values.get(DB_SSL_ROOT_CERT.name)
    if why := _without_tls(values):
        yield Rule(_TLS, False, why)
        return
    yield from of_key(values, DB_SSL_CERT, *_KEY)
    if root == SYSTEM and mode != "verify-full":
        yield Rule((DB_SSL_ROOT_CERT,), False, "DB_SSL_MODE=verify-full with the system's CAs")
    has_default = os.path.exists(os.path.expanduser(LIBPQS_ROOT_CERT))
    if mode.startswith("verify-") and not has_default:
        yield Rule((DB_SSL_ROOT_CERT,), True, f"DB_SSL_MODE={mode}")


def _binding_faults(values: Mapping[str, object]) -> Iterator[str]:
    if values.get(DB_CHANNEL_BINDING.name) == "require" and (why := _without_tls(values)):
        yield f"DB_CHANNEL_BINDING is require, but there is no TLS to bind to; expected {why}"


def _without_tls(values: Mapping[str, object]) -> str:
    """What a connection needs to be certain to have TLS; "" if it has that."""
    if values.get(DB_SSL_MODE.name) in ("disable", "allow", "prefer"):
        return "DB_SSL_MODE=verify-full (or verify-ca, require)"
    hosts = cast(tuple[str, ...], values.get(DB_HOST.name, ("",)))
    if all(host.startswith("/") for host in hosts):
        return "a host in DB_HOST: a connection to a socket's folder has no TLS"
    return ""
