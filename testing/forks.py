"""Starts our processes as forks of one that has imported what they need.

To start Python and import a worker takes a third of a second of a core; the tests start more than a
thousand processes. A fork is a process like any other - own pid, signals, files, environment, exit
code - but it has loaded more than it uses: where that, the start itself or the interpreter's own
settings matter, a process is started afresh.

While `opened` is in effect, `start` is used by testing.processes.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import re
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import common
from devservers.checkout import ROOT
from devservers.child_processes import bound_to_parent

# What the interpreter and the libraries beneath it read once, at their start.
_READ_ONCE = re.compile(r"(PYTHON|LC_|LD_|MALLOC_|OPENSSL_|GRPC_)\w+|LANG|LANGUAGE|TZ")
_MOST_BYTES = 150_000


class Fork:
    """A running fork, with the methods of subprocess.Popen that testing.processes needs."""

    def __init__(self, status: int) -> None:
        self._status = os.fdopen(status, "rb", buffering=0)
        self.pid = int(self._status.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that killed it; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


_requests: socket.socket | None = None


@contextlib.contextmanager
def opened() -> Iterator[None]:
    """Let processes be forks until the block ends."""
    global _requests
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(theirs.fileno())]
    # It ends when it can be asked no more.
    with (
        ours,
        subprocess.Popen(
            command,
            env=_own_environment(),
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        ),
    ):
        theirs.close()
        _requests = ours
        yield
        _requests = None
        ours.close()


def _own_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def possible(env: Mapping[str, str]) -> bool:
    """Whether a process with this environment may be a fork."""
    return _requests is not None and _read_once(env) == _read_once(_own_environment())


def _read_once(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if _READ_ONCE.fullmatch(name)}


def start(
    module: str,
    arguments: Sequence[str],
    env: Mapping[str, str],
    out: IO[str],
    err: IO[str],
) -> Fork:
    """Start `python -m MODULE ARGUMENT...` in this folder, with these files for its output.

    It is killed when this process ends.
    """
    assert _requests is not None
    request = json.dumps([[module, *arguments], os.getcwd(), dict(env)]).encode()
    reader, writer = os.pipe()
    try:
        socket.send_fds(_requests, [request], [out.fileno(), err.fileno(), writer])
    finally:
        os.close(writer)
    return Fork(reader)


def _serve(requests: socket.socket) -> None:
    """Answer each request by a fork, in which this function returns after preparing it."""
    while True:
        _bury_watchers()
        request, files, _, _ = socket.recv_fds(requests, _MOST_BYTES, 3)
        if not request:
            sys.exit()
        bind = bound_to_parent(signal.SIGKILL)
        if os.fork() == 0:
            bind()
            _watch(files)
            _prepare(request, files[:2])
            return
        for file in files:
            os.close(file)


def _bury_watchers() -> None:
    """Take note of the ends of watchers, for which nobody waits."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _watch(files: Sequence[int]) -> None:
    """Fork once more; report the pid of the fork and its exit code, and return in the fork."""
    bind = bound_to_parent(signal.SIGKILL)
    pid = os.fork()
    if pid == 0:
        bind()
        return
    *output, status = files
    for file in output:
        os.close(file)  # so that it ends with the fork
    os.write(status, b"%d\n" % pid)
    _, ended = os.waitpid(pid, 0)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
    os._exit(0)


def _prepare(request: bytes, output: Sequence[int]) -> None:
    """Become what is asked for: its files, folder, environment and arguments."""
    arguments, folder, env = json.loads(request)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), *output)):
        os.dup2(file, number)
    os.closerange(3, 64)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = arguments


def _import_all() -> None:
    """All of common, with the libraries of Kafka and HTTP; no service, whose metrics would show."""
    for module in pkgutil.walk_packages(common.__path__, "common."):
        importlib.import_module(module.name)
    gc.freeze()


if __name__ == "__main__":
    _import_all()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
