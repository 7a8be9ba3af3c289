"""Child processes that end with their parent, their ports and their temporary folders."""

import ctypes
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# The checkout.
ROOT = Path(__file__).parent.parent
# The longest that anything awaited may take on a busy machine; usually it is there at once.
PATIENCE = 40.0

PR_SET_PDEATHSIG = 1  # linux/prctl.h
FOLDER_PREFIX = "toast-server-"

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 2**30

_libc = ctypes.CDLL(None)


class ServerError(Exception):
    """A server cannot run here; the message says which one and why."""


def bound_to_parent(signal_number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` after which the kernel sends `signal_number` when the parent dies.

    Linux ties this to the *thread* that started the child: start servers from the main
    thread, or from one that outlives them. It survives exec, and works across a change of
    user because subprocess changes the user before it calls the function.
    """
    parent = os.getpid()

    def bind() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return bind


def free_port() -> int:
    """A TCP port free on 127.0.0.1 now.

    Below the kernel's ephemeral range, so that no outgoing connection takes it while its
    server restarts.
    """
    candidates = random.SystemRandom().sample(range(20_000, 32_000), 100)
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError("no free port between 20000 and 32000 on 127.0.0.1")


def end(process: subprocess.Popen[bytes], stop: signal.Signals, seconds: float) -> None:
    """Ask `process` to stop, and kill it when it has not after `seconds`."""
    if process.poll() is None:
        process.send_signal(stop)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def poll_until(done: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Call `done` until it is true; False when it still is not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


class TemporaryFolder:
    """A folder that is this process's while it lives and is swept up after it if it crashed."""

    def __init__(self, name: str, *, in_memory: bool = False) -> None:
        """``in_memory``: where this machine has a file system in memory with room to spare."""
        parent = MEMORY if in_memory and _has_room(MEMORY) else shared_folder()
        for folder in (shared_folder(), MEMORY):
            _sweep(folder)
        self.path = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{name}-", dir=parent))
        # The kernel lets go of this lock with the process, however it ends.
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Delete the folder with all it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def shared_folder() -> Path:
    """The system's temporary folder, or /tmp where other users cannot reach that one."""
    folder = Path(tempfile.gettempdir()).resolve()
    open_to_all = all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))
    return folder if open_to_all else Path("/tmp")


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= MEMORY_BYTES


def _sweep(parent: Path) -> None:
    """Remove what processes left behind that could not clean up (kill -9)."""
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        try:
            # A younger folder may be about to be locked.
            if time.time() - folder.stat().st_mtime > 60:
                _remove_unlocked(folder)
        except OSError:
            continue  # in use, another user's, or already gone


def _remove_unlocked(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
