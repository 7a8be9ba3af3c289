"""Workers and the command `toast` as real child processes, observed through their log.

with Process("workers.link", env=environment(database, mock_broker)) as worker:
    worker.wait_for("pass_finished", processed=1)
    assert worker.stop() == 0
answer = toast("once", "link", "--json", env=environment(database, mock_broker))
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE, bound_to_parent
from testing import forks
from testing.database import TestDatabase

# A worker ends within this time after the signal.
STOP_SECONDS = 10.0

# The least that Linux allows.
FROZEN_PIPE_BYTES = 4096

# No process listens on this port.
NO_BROKER = "127.0.0.1:1"


def bare(**settings: str) -> dict[str, str]:
    """The environment of a process with only these settings."""
    # Without a port: workers of several tests run at once.
    return {**os.environ, "PYTHONPATH": str(ROOT), "METRICS_PORT": "0", **settings}


def environment(
    database: TestDatabase, brokers: str = NO_BROKER, /, **settings: str
) -> dict[str, str]:
    """The environment of a process for this database, with these settings."""
    return bare(**{**database.environment, "KAFKA_BROKERS": brokers, **settings})


class Process:
    """`python -m MODULE ARGUMENT...`; killed at the end of the `with` block if it still runs."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        env: Mapping[str, str],
        redirect: str = "",
        fresh: bool = False,
    ) -> None:
        """``redirect`` is how a shell writes where other files than the log's go: `2>&-`.

        ``fresh``: not as a fork (forks.py), where it matters what the process inherits or loads.
        """
        self._lines: list[str] = []
        self._grown = threading.Condition()
        self._may_read = threading.Event()
        self._may_read.set()
        self._is_abandoned = False
        reader, writer = os.pipe()
        self._stderr = os.fdopen(reader)
        with open(os.devnull, "w") as nowhere, os.fdopen(writer, "w") as log:
            self._process: forks.Fork | subprocess.Popen[bytes]
            if forks.possible(env) and not (redirect or fresh):
                self._process = forks.start(module, arguments, env, nowhere, log)
            else:
                command = [sys.executable, "-m", module, *arguments]
                shell = ["sh", "-c", f'exec "$0" "$@" {redirect}']
                self._process = subprocess.Popen(
                    [*shell, *command] if redirect else command,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=nowhere,
                    stderr=log,
                    preexec_fn=bound_to_parent(signal.SIGKILL),
                )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit code, or minus the signal that killed it; None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """Its output so far."""
        with self._grown:
            return "".join(self._lines)

    @property
    def peak_memory(self) -> int:
        """The most memory that it has used so far, in MiB."""
        return self._status("VmHWM")

    @property
    def memory(self) -> int:
        """The memory that it uses now, in MiB."""
        return self._status("VmRSS")

    @property
    def threads(self) -> int:
        """Its number of threads now."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    @property
    def open_files(self) -> int:
        """Its number of open file descriptors now."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def records(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The log records of this event with these fields, in order."""
        records = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [
            record
            for record in records
            if record["event"] == event and fields.items() <= record.items()
        ]

    def wait_for(
        self, event: str, *, count: int = 1, seconds: float = PATIENCE, **fields: object
    ) -> dict[str, Any]:
        """Wait for the count-th record of this event with these fields, and return it."""
        deadline = time.monotonic() + seconds
        with self._grown:
            while len(found := self.records(event, **fields)) < count:
                left = deadline - time.monotonic()
                ended = not self._reader.is_alive()
                if left <= 0 or ended:
                    state = f"ended ({self._process.poll()})" if ended else "runs"
                    raise AssertionError(f"no {event} {fields}; it {state}:\n{self.log[-8000:]}")
                self._grown.wait(min(left, 1.0))
        return found[count - 1]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit code. AssertionError after STOP_SECONDS."""
        self.send(number)
        return self.exit_code(STOP_SECONDS)

    def exit_code(self, seconds: float = PATIENCE) -> int:
        """Wait for its end and return its exit code; its log is then complete."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.log[-8000:]}") from None
        self.read_log()
        self._reader.join()
        return code

    def kill(self) -> None:
        """Kill it, like a power cut."""
        self._process.kill()
        self._process.wait()
        self.read_log()
        self._reader.join()

    def freeze_log(self) -> None:
        """Read its log no longer; a few lines then fill its pipe."""
        fcntl.fcntl(self._stderr, fcntl.F_SETPIPE_SZ, FROZEN_PIPE_BYTES)
        self._may_read.clear()

    def read_log(self) -> None:
        """Read its log again."""
        self._may_read.set()

    def abandon_log(self) -> None:
        """Close the pipe of its log, as a reader that is killed."""
        self._is_abandoned = True
        self.read_log()

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) // 1024

    def _read(self) -> None:
        with self._stderr as stream:
            for line in stream:
                self._may_read.wait()
                if self._is_abandoned:
                    break
                with self._grown:
                    self._lines.append(line)
                    self._grown.notify_all()


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a command."""

    code: int
    out: str
    err: str


def toast(*arguments: str, env: Mapping[str, str], seconds: float = 2 * PATIENCE) -> Finished:
    """Run the command `toast` to its end, which must come within so many seconds."""
    if forks.possible(env):
        return _toast_as_fork(arguments, env, seconds)
    finished = subprocess.run(
        [sys.executable, "-m", "workers", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def _toast_as_fork(arguments: Sequence[str], env: Mapping[str, str], seconds: float) -> Finished:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        command = forks.start("workers", arguments, env, out, err)
        try:
            code = command.wait(seconds)
        finally:
            command.kill()
        out.seek(0)
        err.seek(0)
        return Finished(code, out.read(), err.read())
