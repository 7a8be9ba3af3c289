"""The page of `make run`, `toast web`, at a free port of this machine."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from demo.supervisor import Supervisor
from devservers.child_processes import free_port, poll_until

PROGRAM = "toast-web"
_START_SECONDS = 15


def settings(run_folder: Path) -> dict[str, str]:
    """Its settings, which are also those of this process from now on."""
    chosen = {
        "WEB_LISTEN": f"127.0.0.1:{free_port()}",
        "WEB_SECRET_FILE": str(run_folder / "web.secret"),
        "WEB_ACTIONS": "all",
    }
    os.environ.update(chosen)
    return chosen


def start(supervisor: Supervisor) -> str:
    """Start it; returns what to open, or where the reason is if it cannot be opened."""
    supervisor.start_program(PROGRAM)
    if not poll_until(_listens, _START_SECONDS):
        return "The page does not start; see .run/log/toast-web.log"
    link = subprocess.run(
        [sys.executable, "-m", "workers", "web", "link"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_START_SECONDS,
        check=False,
    )
    return f"The page, by a link that works once: {link.stdout.strip()}"


def _listens() -> bool:
    host, _, port = os.environ["WEB_LISTEN"].partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
        return True
    return False
