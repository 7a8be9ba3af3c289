"""The threads that fetch from Battle.net while the pass's own thread records the results."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, Self, TypeVar
from uuid import UUID

from common.database.row_guard import RowGuard
from common.errors import LimitReached, PassError, naming_limits
from common.scheduling import Pass
from workers.warcraft.battle_net.errors import BattleNetError
from workers.warcraft.battle_net.rate_limit import MOST_IN_FLIGHT, StopRequested

if TYPE_CHECKING:
    from common.http import Client

T = TypeVar("T")

# Subjects queued for the threads: enough that no thread waits for the one that records.
MOST_QUEUED = 2 * MOST_IN_FLIGHT
PROGRESS_SECONDS = 1.0

DIED = "a thread that asks Battle.net has died; the log says of what"


@dataclass(frozen=True, slots=True)
class SyncSubject:
    """One character or guild to sync; ``region`` is that of the API to call."""

    id: UUID
    name: str
    realm: str
    region: str

    def __str__(self) -> str:
        return f"{self.name} of {self.realm} ({self.region})"


Fetch = Callable[["Client", SyncSubject], T]


@dataclass(frozen=True, slots=True)
class FetchResult(Generic[T]):
    """The result for one subject: what was fetched, or the error."""

    subject: SyncSubject
    outcome: T | Exception

    @property
    def is_own_error(self) -> bool:
        """Whether it is an error of our own, not one of Battle.net."""
        return isinstance(self.outcome, Exception) and not isinstance(self.outcome, BattleNetError)


class FetchThreads(Generic[T]):
    """One thread per subject, at most MOST_IN_FLIGHT, each with its own connections.

    They are daemons: a missing reply must not delay the end of the process.
    """

    def __init__(self, fetch: Fetch[T]) -> None:
        self._fetch = fetch
        self._open = True
        self._threads = 0
        # Threads that have put their last result and not ended yet.
        self._ending = 0
        self._subjects: queue.SimpleQueue[SyncSubject | None] = queue.SimpleQueue()
        # None means that a thread has ended.
        self._results: queue.SimpleQueue[FetchResult[T] | LimitReached | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open = False
        for _ in range(self._threads):
            self._subjects.put(None)

    def results(self, subjects: Iterator[SyncSubject], current: Pass) -> Iterator[FetchResult[T]]:
        """Every subject's result as it is ready; ends early if the worker stops.

        The subjects are taken from their iterator, in this thread, as threads become free.
        Raises PassError if a thread has died without a result for its subject, LimitReached if this
        process may open no more files or threads.
        """
        waiting = 0
        while not current.stopping():
            for subject in islice(subjects, MOST_QUEUED - waiting):
                self._subjects.put(subject)
                waiting += 1
            if not waiting:
                return
            self._start_threads(min(waiting, MOST_IN_FLIGHT))
            try:
                result = self._results.get(timeout=PROGRESS_SECONDS)
            except queue.Empty:
                current.report_progress()  # the wait may be long: Battle.net may ask for an hour
                continue
            if isinstance(result, LimitReached):
                raise result
            if result is not None:
                waiting -= 1
                self._ending += result.is_own_error
                yield result
            elif self._ending:
                self._ending -= 1
                self._threads -= 1  # another takes its place
            elif not current.stopping():
                raise PassError(DIED)

    def _start_threads(self, needed: int) -> None:
        for number in range(self._threads, needed):
            # In the pass's context, so that log records have its fields.
            thread = threading.Thread(
                target=copy_context().run, args=(self._run,), name=f"sender-{number}", daemon=True
            )
            with naming_limits():
                thread.start()
        self._threads = max(self._threads, needed)

    def _run(self) -> None:
        try:
            with naming_limits():
                # Imported here: a worker with nothing to fetch does not load `requests`.
                from common.http import Client

                self._serve(Client())
        except StopRequested:
            return
        except LimitReached as limit:
            self._results.put(limit)
        finally:
            self._results.put(None)

    def _serve(self, http: "Client") -> None:
        while (subject := self._subjects.get()) is not None and self._open:
            with RowGuard() as guard:
                self._results.put(FetchResult(subject, self._fetch(http, subject)))
            if isinstance(guard.error, StopRequested):
                raise guard.error
            if guard.error:
                self._results.put(FetchResult(subject, guard.error))
                if not isinstance(guard.error, BattleNetError):
                    # An error of our own: it ends the thread, so that the traceback is logged.
                    raise guard.error
