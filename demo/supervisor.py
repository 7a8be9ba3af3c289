"""The supervisord that runs the eight workers, as a child of this process."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from devservers.child_processes import ServerError, bound_to_parent, end

# A worker drains for up to 10 s; the whole of `make run` has 15 s to stop.
STOP_SECONDS = 12
# Linux's limit for the path of a socket, less the suffix that supervisord appends at first.
LONGEST_SOCKET_PATH = 107 - len(".1234567")

PROGRAM_PREFIX = "toast-"


@dataclass(frozen=True, slots=True)
class WorkerProgram:
    """One program as supervisord sees it; `process` is 0 while it does not run."""

    process: int
    state: str
    exit_status: int


class Supervisor:
    """supervisord in its own session, not reached by Ctrl-C."""

    def __init__(self, folder: Path) -> None:
        self._configuration = folder / "supervisord.conf"
        self._socket = folder / ".run" / "supervisor.sock"
        self._process: subprocess.Popen[bytes] | None = None
        if len(str(self._socket)) > LONGEST_SOCKET_PATH:
            raise ServerError(f"the path of {self._socket} is too long for a socket")

    def start(self) -> None:
        """Start it with this process's environment; the workers start with it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self._configuration],
            cwd=self._configuration.parent,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=bound_to_parent(signal.SIGTERM),
        )

    def start_program(self, name: str) -> None:
        """Start a program that does not start with it."""
        self._call("startProcess", name)

    def stop(self) -> None:
        """Stop the workers in order; processes left after STOP_SECONDS are killed."""
        if self._process is not None:
            # All in parallel: at its own end supervisord stops one after another.
            self._call("stopAllProcesses", False)
            end(self._process, signal.SIGTERM, STOP_SECONDS)
            _kill_session(self._process.pid)
            self._process = None

    def has_ended(self) -> bool:
        """Whether it has ended without a call of stop()."""
        return self._process is not None and self._process.poll() is not None

    def answers(self) -> bool:
        """Whether any supervisord, ours or an earlier one, serves this checkout's socket."""
        return self._call("getPID") is not None

    def workers(self) -> dict[str, WorkerProgram]:
        """The workers by service name; empty while supervisord does not answer."""
        return {
            program["name"].removeprefix(PROGRAM_PREFIX): WorkerProgram(
                program["pid"], program["statename"], program["exitstatus"]
            )
            for program in self._call("getAllProcessInfo") or []
        }

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        # The address is not used: the transport has the socket.
        server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return None
        finally:
            transport.close()


def _kill_session(session: int) -> None:
    """Kill the workers of a supervisord that did not stop: each leads its own process group, but
    all are in its session."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            # The name in brackets may have any characters; state, parent, group, session follow.
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                os.kill(int(status.parent.name), signal.SIGKILL)
