"""The stand-ins as commands: what they share, and how one is started in a process of its own."""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from devservers.checkout import ROOT
from devservers.child_processes import Server, ServerError, bound_to_parent, end

STOP_SECONDS = 5


def parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with ``--port``, 0 by default."""
    arguments = argparse.ArgumentParser(prog=program, description=description)
    arguments.add_argument("--port", type=int, default=0, help="0, the default: any that is free")
    return arguments


def serve(server: AbstractContextManager[Any], address: Callable[[], str]) -> int:
    """Start the server, print its address, serve until SIGTERM or SIGINT; the exit code."""
    # Blocked before the server's threads start: they inherit it, and only sigwait() gets a signal.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with server:
        print(address(), flush=True)
        signal.sigwait(signals)
    return 0


class ServedModule(Server):
    """`python -m devservers.MODULE ARGUMENT...` in a `with` block, or from start() to stop().

    The module prints its ``address`` when it is ready, and serves until SIGTERM.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.address = ""
        self._module = module
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with its own data; raises ServerError if it ends at once."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"devservers.{self._module}", *self._arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Not reached by the terminal's Ctrl-C: the workers stop first.
            start_new_session=True,
            preexec_fn=bound_to_parent(signal.SIGTERM),
        )
        assert self._process.stdout is not None
        with self._process.stdout as output:
            self.address = output.readline().decode().strip()
        if not self.address:
            raise ServerError(f"devservers.{self._module} did not start")

    def stop(self) -> None:
        """Stop it; its data is lost."""
        if self._process is not None:
            end(self._process, signal.SIGTERM, STOP_SECONDS)
            self._process = None
