"""Dry runs: `toast once --dry-run` in a child process, which a deadline ends.

A dry run may count a whole table, so it is no part of a request, and few run at a time.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from common.cli.status.run_periods import JobKey
from common.errors import PassError, naming_limits
from common.logging.redaction import redact

MOST_AT_ONCE = 2
SECONDS = 60.0

# -P: nothing is imported from the folder in which the page was started.
_COMMAND = (sys.executable, "-P", "-m", "workers", "once", "--dry-run", "--json")


@dataclass(frozen=True, slots=True)
class DryRun:
    """A dry run of one scheduler, asked for by ``login``; ``ended_at`` is None while it runs.

    ``due`` rows were found, of which the first are ``rows``; with an ``error`` there are none.
    """

    login: str
    began_at: datetime
    ended_at: datetime | None = None
    due: int | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    error: str = ""


@dataclass
class DryRuns:
    """The last dry run of each scheduler; safe to share between threads."""

    seconds: float = SECONDS
    _last: dict[JobKey, DryRun] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def of(self, job: JobKey) -> DryRun | None:
        """The last one of this (service, scheduler), or the one that runs."""
        with self._lock:
            return self._last.get(job)

    def start(self, job: JobKey, login: str) -> None:
        """Start one; returns at once. Raises PassError if it or too many others run already."""
        with self._lock:
            running = [each for each, run in self._last.items() if run.ended_at is None]
            if job in running:
                raise PassError("it is being tried already")
            if len(running) >= MOST_AT_ONCE:
                names = " and ".join(f"{service} {scheduler}" for service, scheduler in running)
                raise PassError(f"{names} are being tried now; try again in a minute")
            run = DryRun(login, datetime.now(UTC))
            thread = threading.Thread(
                target=self._run, args=(job, run), name="dry-run", daemon=True
            )
            with naming_limits():
                thread.start()
            self._last[job] = run

    def _run(self, job: JobKey, run: DryRun) -> None:
        found: dict[str, Any] = {"error": "the dry run has broken down"}
        try:
            found = _try(job, self.seconds)
        finally:
            with self._lock:
                self._last[job] = replace(run, ended_at=datetime.now(UTC), **found)


def _try(job: JobKey, seconds: float) -> dict[str, Any]:
    """Run the command; returns the fields of the DryRun."""
    try:
        child = subprocess.Popen(
            [*_COMMAND, *job],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
    except OSError as error:
        return {"error": f"`toast once` cannot be started: {error.strerror}"}
    with child:
        try:
            answer, complaint = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return {
                "error": f"it took longer than {seconds:g} s and was ended; in a terminal"
                f" `toast once {' '.join(job)} --dry-run` may take as long as it needs"
            }
        finally:
            _end(child)
    return _read(answer, complaint)


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


def _read(answer: str, complaint: str) -> dict[str, Any]:
    try:
        report = json.loads(answer)
    except ValueError:
        last = (complaint.strip().splitlines() or ["it has written nothing"])[-1]
        return {"error": redact(last)}
    if "error" in report:
        return {"error": report["error"]}
    [outcome] = report["schedulers"]
    if outcome["error"]:
        return {"error": outcome["error"]}
    return {"due": outcome["counts"]["due"], "rows": outcome["rows"]}
