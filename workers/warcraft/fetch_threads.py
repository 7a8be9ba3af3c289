"""The threads that ask Battle.net while the pass's own thread records what they bring."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, Self, TypeVar
from uuid import UUID

from common.database.row_guard import RowGuard
from common.errors import PassError
from common.scheduling import Pass
from workers.warcraft.battle_net.errors import BattleNetError
from workers.warcraft.battle_net.rate_limit import MOST_IN_FLIGHT, StopRequested

if TYPE_CHECKING:
    from common.http import Client

T = TypeVar("T")

# What is asked for ahead of the threads: enough that none waits for the one that records.
MOST_ASKED = 2 * MOST_IN_FLIGHT
SIGN_OF_LIFE_SECONDS = 1.0

DIED = "a thread that asks Battle.net has died; the log says of what"


@dataclass(frozen=True, slots=True)
class Subject:
    """One character or guild that is to be synced; ``region`` is where to ask."""

    id: UUID
    name: str
    realm: str
    region: str

    def __str__(self) -> str:
        return f"{self.name} of {self.realm} ({self.region})"


Fetch = Callable[["Client", Subject], T]


@dataclass(frozen=True, slots=True)
class FetchResult(Generic[T]):
    """What came of one subject: what was fetched, or why nothing was."""

    subject: Subject
    outcome: T | Exception

    @property
    def is_broken(self) -> bool:
        """Whether it met an error of our own, rather than of Battle.net."""
        return isinstance(self.outcome, Exception) and not isinstance(self.outcome, BattleNetError)


class FetchThreads(Generic[T]):
    """As many threads as requests may be in flight and have a subject, each with its connections.

    They are daemons: a reply that does not come must not hold up the end of the process.
    """

    def __init__(self, fetch: Fetch[T]) -> None:
        self._fetch = fetch
        self._open = True
        self._threads = 0
        # Those that have given their last answer and not ended yet.
        self._dying = 0
        self._asked: queue.SimpleQueue[Subject | None] = queue.SimpleQueue()
        # None says that a thread has ended.
        self._answers: queue.SimpleQueue[FetchResult[T] | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open = False
        for _ in range(self._threads):
            self._asked.put(None)

    def answers(self, subjects: Iterator[Subject], current: Pass) -> Iterator[FetchResult[T]]:
        """Every subject's answer as it comes in; ends early where the worker is to stop.

        The subjects are taken from their iterator, in this thread, as threads become free.
        Raises PassError where a thread has died without an answer about its subject.
        """
        waiting = 0
        while not current.stopping():
            for subject in islice(subjects, MOST_ASKED - waiting):
                self._asked.put(subject)
                waiting += 1
            if not waiting:
                return
            self._start_threads(min(waiting, MOST_IN_FLIGHT))
            try:
                answer = self._answers.get(timeout=SIGN_OF_LIFE_SECONDS)
            except queue.Empty:
                current.report_progress()  # the wait may be long: Battle.net may ask for an hour
                continue
            if answer is not None:
                waiting -= 1
                self._dying += answer.is_broken
                yield answer
            elif self._dying:
                self._dying -= 1
                self._threads -= 1  # another takes its place
            elif not current.stopping():
                raise PassError(DIED)

    def _start_threads(self, needed: int) -> None:
        for number in range(self._threads, needed):
            # With the pass's context: what its thread has bound to log records.
            threading.Thread(
                target=copy_context().run, args=(self._run,), name=f"sender-{number}", daemon=True
            ).start()
        self._threads = max(self._threads, needed)

    def _run(self) -> None:
        # Only here: a worker that has nothing to ask need not carry `requests` in memory.
        from common.http import Client

        try:
            self._serve(Client())
        except StopRequested:
            return
        finally:
            self._answers.put(None)

    def _serve(self, http: "Client") -> None:
        while (subject := self._asked.get()) is not None and self._open:
            with RowGuard() as guard:
                self._answers.put(FetchResult(subject, self._fetch(http, subject)))
            if isinstance(guard.error, StopRequested):
                raise guard.error
            if guard.error:
                self._answers.put(FetchResult(subject, guard.error))
                if not isinstance(guard.error, BattleNetError):
                    # Of our own: it may be this subject that is odd, and the log gets it whole.
                    raise guard.error
