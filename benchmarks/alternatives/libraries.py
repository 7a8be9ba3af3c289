"""The alternatives' libraries: in their own virtual environment, created at the first use."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from devservers.checkout import CACHE
from devservers.needs import Unavailable

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def version(library: str) -> str:
    """The pinned version of a library."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines())
    return pins[library]


def python() -> Path:
    """The interpreter of their environment; installs them from the package index if needed.

    Raises Unavailable if that fails.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"alternatives-{digest}"
    interpreter, stamp = folder / "bin" / "python", folder / ".installed"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "alternatives.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not stamp.exists():
            _run(sys.executable, "-m", "venv", "--clear", folder)
            pip = (interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            _run(*pip, "--requirement", REQUIREMENTS)
            # Last, so that an interrupted installation starts again.
            stamp.touch()
    return interpreter


def _run(*command: str | Path) -> None:
    finished = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        why = f"{command[2]} failed: {finished.stdout}{finished.stderr}"[-2000:]
        raise Unavailable("the alternatives' libraries", why, "let pip reach a package index")
