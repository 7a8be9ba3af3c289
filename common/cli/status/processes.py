"""The state of the worker processes, from supervisord, systemd or the worker itself."""

import http.client
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Limit of each request.
ANSWER_SECONDS = 3.0

# In a checkout, and in an installation.
SUPERVISOR_FILES = (Path("supervisord.conf"), Path(sys.prefix) / "etc" / "supervisord.conf")

_UNIT_FIELDS = "Id,LoadState,ActiveState,SubState,MainPID,StatusText"
_PROGRAM = "toast-"
_RUNNING = re.compile(r"RUNNING pid (?P<pid>\d+),")

# METRICS_BIND and METRICS_PORT.
Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Process:
    """The process of a service; ``manager`` is supervisord, systemd, itself, or "" if unknown.

    ``is_up`` and ``pid`` are None if unknown.
    """

    service: str
    manager: str
    state: str
    is_up: bool | None
    pid: int | None = None


def processes(endpoints: Mapping[str, Endpoint]) -> list[Process]:
    """The process of each service, by name; ``endpoints`` are those of the workers."""
    known: dict[str, list[Process]] = {}
    for process in managed(endpoints):
        known.setdefault(process.service, []).append(process)
    return [
        process
        for service, endpoint in endpoints.items()
        for process in known.get(service) or [_itself(service, endpoint)]
    ]


def managed(services: Iterable[str]) -> list[Process]:
    """The processes that supervisord and systemd have for services, of these at least."""
    return [*_supervisord(), *_systemd(services)]


def _supervisord() -> Iterator[Process]:
    control = Path(sys.executable).with_name("supervisorctl")
    for file in SUPERVISOR_FILES:
        if control.exists() and file.exists():
            for line in _answer([str(control), "-c", str(file), "status"]):
                name, _, rest = line.partition(" ")
                state = " ".join(rest.split())
                if name.startswith(_PROGRAM):
                    service = name.removeprefix(_PROGRAM)
                    is_up = state.startswith(("RUNNING", "STARTING"))
                    running = _RUNNING.match(state)
                    pid = int(running["pid"]) if running else None
                    yield Process(service, "supervisord", state, is_up, pid)


def _systemd(services: Iterable[str]) -> Iterator[Process]:
    control = shutil.which("systemctl")
    if control is None:
        return
    units = [f"{_PROGRAM}{service}.service" for service in services]
    for unit in _blocks(_answer([control, "show", f"--property={_UNIT_FIELDS}", *units])):
        if unit.get("LoadState") == "loaded":
            text = unit.get("StatusText", "")
            state = f"{unit.get('ActiveState', '')} ({unit.get('SubState', '')})"
            yield Process(
                unit["Id"].removeprefix(_PROGRAM).removesuffix(".service"),
                "systemd",
                f"{state}: {text}" if text else state,
                unit.get("ActiveState") in ("active", "activating", "reloading"),
                int(unit.get("MainPID", "0")) or None,
            )


def _blocks(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    """The blocks of NAME=value lines, separated by empty lines."""
    block: dict[str, str] = {}
    for line in (*lines, ""):
        if line:
            name, _, value = line.partition("=")
            block[name] = value
        elif block:
            yield block
            block = {}


def _answer(command: Sequence[str]) -> list[str]:
    """The output of the command; empty if it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()


def _itself(service: str, endpoint: Endpoint) -> Process:
    """Ask the worker itself, if it has an endpoint on this machine."""
    bind, port = endpoint
    if not port:
        return Process(service, "", "not known: METRICS_PORT is 0, and no manager runs it", None)
    # The name is for the Host header: a worker answers to this one wherever it listens.
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = _connected(bind, port)
        connection.request("GET", "/healthz")
        reply = connection.getresponse()
        text = reply.read(1_000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        place = bind if bind.startswith("/") else f"port {port}"
        return Process(service, "", f"not seen on this machine ({place})", False)
    finally:
        connection.close()
    return Process(service, "itself", text, reply.status == 200)


def _connected(bind: str, port: int) -> socket.socket:
    if not bind.startswith("/"):
        return socket.create_connection((bind, port), ANSWER_SECONDS)
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(ANSWER_SECONDS)
    connected.connect(bind)
    return connected
