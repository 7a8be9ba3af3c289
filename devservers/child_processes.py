"""Child processes that end with their parent, their ports, logs and temporary folders."""

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
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

# The longest wait for a result on a busy machine, in seconds; usually it is there at once.
PATIENCE = 40.0

PR_SET_PDEATHSIG = 1  # linux/prctl.h
FOLDER_PREFIX = "toast-server-"

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 2**30

_libc = ctypes.CDLL(None)


class ServerError(Exception):
    """A server cannot run here; the message names it and the reason."""


def bound_to_parent(signal_number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` after which the kernel sends `signal_number` when the parent dies.

    Linux ties this to the *thread* that started the child: start servers from the main
    thread, or from one that outlives them. It survives exec, and works across a change of
    user because subprocess changes the user before it calls the function.
    """
    parent = os.getpid()

    def bind() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # the parent died before the line above
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
    """Send `process` the signal `stop`, and kill it if it runs for `seconds` more."""
    if process.poll() is None:
        process.send_signal(stop)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def poll_until(done: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Call `done` until it is true; return False if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


class Server(ABC):
    """What every server has: it runs in a `with` block, or from start() to remove()."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    @abstractmethod
    def start(self) -> None:
        """Start, and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop; what it can keep, it keeps for the next start."""

    def remove(self) -> None:
        """Stop for good."""
        self.stop()


class ServerProcess:
    """A server as a child process, with its output in the file ``log``."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process number; None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def log_end(self) -> str:
        """The last 2,000 characters of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def start(
        self,
        command: Sequence[str | Path],
        *,
        on_parent_death: signal.Signals = signal.SIGKILL,
        **options: Any,
    ) -> None:
        """Start it out of reach of the terminal's Ctrl-C; ``options`` are those of Popen."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=bound_to_parent(on_parent_death),
                **options,
            )

    def wait_until(self, answers: Callable[[], bool], seconds: float) -> bool:
        """Wait until it answers; False if it ends, or is killed after ``seconds``."""
        if not poll_until(lambda: self.pid is None or answers(), seconds):
            self.kill()
        return self.pid is not None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, stop: signal.Signals, seconds: float) -> None:
        """Stop it by a signal; kill it if it runs for ``seconds`` more."""
        if self._process is not None:
            end(self._process, stop, seconds)
            self._process = None

    def kill(self) -> None:
        """Kill it, like a power cut."""
        self.stop(signal.SIGKILL, PATIENCE)


class TemporaryFolder:
    """A folder of this process; if the process crashes, a later one removes the folder."""

    def __init__(self, name: str, *, in_memory: bool = False) -> None:
        """``in_memory``: in a file system in memory, if this machine has one with enough room."""
        parent = MEMORY if in_memory and _has_room(MEMORY) else shared_folder()
        for folder in (shared_folder(), MEMORY):
            _sweep(folder)
        self.path = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{name}-", dir=parent))
        # The kernel releases this lock when the process ends in any way.
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Delete the folder with its contents."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def shared_folder() -> Path:
    """The system's temporary folder, or /tmp if other users cannot enter that one."""
    folder = Path(tempfile.gettempdir()).resolve()
    open_to_all = all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))
    return folder if open_to_all else Path("/tmp")


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= MEMORY_BYTES


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that could not clean up (kill -9)."""
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        try:
            # A newer folder may not be locked yet.
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


class FolderServer(Server):
    """A server as a child process with a temporary folder, in which its log is."""

    def __init__(self, name: str, *, in_memory: bool = False) -> None:
        self._folder = TemporaryFolder(name, in_memory=in_memory)
        self._process = ServerProcess(self._folder.path / f"{name}.log")

    @property
    def is_running(self) -> bool:
        """False before the start and after the end, also one of its own."""
        return self._process.pid is not None

    def kill(self) -> None:
        """Kill it, like a power cut; its data stays."""
        self._process.kill()

    def remove(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        self._folder.remove()
