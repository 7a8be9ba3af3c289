"""An alternative in one or two processes, which print a line for each pass."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from benchmarks.alternatives import libraries
from devservers.child_processes import TemporaryFolder, bound_to_parent, poll_until

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PassReport:
    """The report of one pass: ``seconds`` from its start to the last delivery, and the peak
    memory of its process."""

    seconds: float
    rows: int
    events: int
    megabytes: float


class Program:
    """`python ARGUMENT...` for each of ``commands``, in a temporary folder.

    `start` and `kill` may be called repeatedly; files in the folder stay. The end of the `with`
    block kills what still runs.
    """

    def __init__(self, commands: Sequence[Sequence[str]], env: Mapping[str, str]) -> None:
        self._commands = commands
        self._env = {**os.environ, **env, "PYTHONPATH": str(FOLDER)}
        self._folder = TemporaryFolder("alternative")
        self._reports = self._folder.path / "passes"
        self._log = self._folder.path / "log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._folder.remove()

    def start(self) -> None:
        """Start its processes."""
        with self._reports.open("ab") as reports, self._log.open("ab") as log:
            for command in self._commands:
                self._processes.append(self._start(command, reports, log))

    def kill(self) -> None:
        """Kill it, like a power cut, with the processes that it has started."""
        for process in self._processes:
            with suppress(ProcessLookupError):  # it has ended by itself, with its children
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def passes(self) -> list[PassReport]:
        """Every pass that has ended so far."""
        # Celery also writes a banner there; and the last line may be incomplete.
        lines = self._reports.read_text().splitlines(keepends=True)
        reports = (line for line in lines if line.startswith("{") and line.endswith("\n"))
        return [PassReport(**json.loads(line)) for line in reports]

    def wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait until ``done()`` is true. AssertionError if it is not in time."""
        poll_until(lambda: done() or self._has_ended(), seconds)
        assert done(), f"ended, or not done in time:\n{self._log.read_text()[-4000:]}"

    def _has_ended(self) -> bool:
        return any(process.poll() is not None for process in self._processes)

    def _start(
        self, command: Sequence[str], reports: IO[bytes], log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [libraries.python(), *command],
            cwd=self._folder.path,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=reports,
            stderr=log,
            start_new_session=True,
            preexec_fn=bound_to_parent(signal.SIGKILL),
        )
