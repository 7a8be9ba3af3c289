"""The alternatives' libraries: a virtual environment of their own, made when first needed."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from devservers.needs import Unavailable

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CACHE = Path(__file__).parents[2] / ".cache"


def version(library: str) -> str:
    """The version of a library that is pinned."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines())
    return pins[library]


def python() -> Path:
    """The interpreter that has them; installs them first, from the package index, if need be.

    Raises Unavailable where that fails.
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
            # Last: an installation that was cut short is begun again.
            stamp.touch()
    return interpreter


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        why = f"{command[2]} failed: {done.stdout}{done.stderr}"[-2000:]
        raise Unavailable("the alternatives' libraries", why, "let pip reach a package index")
