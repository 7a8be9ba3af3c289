"""What the commands of the stand-ins share: serve until a signal."""

import argparse
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


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
