"""The threads on which a pass calls another server while its own thread records the results."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Generic, Self, TypeVar

from common.errors import LimitReached, PassError, naming_limits

S = TypeVar("S")
R = TypeVar("R")


class ThreadPool(Generic[S, R]):
    """Calls ``call`` with each submitted subject, on at most ``size`` threads.

    If the system allows fewer, those do all the work. If a call raises LimitReached, the pool is
    full from then on, and raises it itself when it has handed out the results of all other calls.

    Only the thread that created the pool may use it. The others are started as they are needed and
    end with the ``with`` block. They are daemons: a call without an end must not delay the end of
    the process.
    """

    def __init__(
        self,
        call: Callable[[S], R],
        size: int,
        name: str,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        """``name`` is that of the threads; errors that are not ``expected`` are reported."""
        self._expected: tuple[type[Exception], ...] = (LimitReached, *expected)
        self.in_flight = 0
        self._call = call
        self._size = size
        self._name = name
        self._threads = 0
        self._limit: LimitReached | None = None
        self._is_open = True
        self._subjects: queue.SimpleQueue[S | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[S, R | Exception]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Let the threads end: idle ones now, the others after their call; wait for none."""
        self._is_open = False
        for _ in range(self._threads):
            self._subjects.put(None)

    @property
    def is_full(self) -> bool:
        """Whether another subject would have to wait for a thread."""
        return self._limit is not None or self.in_flight >= self._size

    def submit(self, subject: S) -> None:
        """Call for this subject, which is not None, as soon as a thread is free.

        Raises LimitReached if there is no thread and none can be started.
        """
        self.in_flight += 1
        self._subjects.put(subject)
        if self._threads < min(self.in_flight, self._size):
            self._start_thread()

    def _start_thread(self) -> None:
        # In this thread's context, so that log records have its fields.
        thread = threading.Thread(
            target=copy_context().run, args=(self._serve,), name=self._name, daemon=True
        )
        try:
            with naming_limits():
                thread.start()
            self._threads += 1
        except LimitReached:
            self._size = self._threads
            if not self._size:
                raise

    def finished(self, seconds: float) -> Iterator[tuple[S, R | Exception]]:
        """Subjects with their results; waits at most ``seconds`` for the first, for no other.

        An error that ``call`` raised is its result, except LimitReached.
        """
        while self.in_flight:
            try:
                subject, result = self._results.get(timeout=max(0.0, seconds))
            except queue.Empty:
                return
            self.in_flight -= 1
            if isinstance(result, LimitReached):
                self._limit = result
            else:
                yield subject, result
            seconds = 0.0
        if self._limit:
            raise self._limit

    def last(self, seconds: float) -> Iterator[tuple[S, R | Exception]]:
        """As ``finished``, for all that is in flight and ends within ``seconds``."""
        deadline = time.monotonic() + seconds
        while self.in_flight and time.monotonic() < deadline:
            yield from self.finished(deadline - time.monotonic())

    def _serve(self) -> None:
        while (subject := self._subjects.get()) is not None and self._is_open:
            self._results.put((subject, self._result(subject)))

    def _result(self, subject: S) -> R | Exception:
        """Call; an error is reported, but does not end the thread, for which the pass waits."""
        try:
            with naming_limits():
                return self._call(subject)
        except self._expected as error:
            return error
        except BaseException as error:
            threading.excepthook(
                threading.ExceptHookArgs(
                    (type(error), error, error.__traceback__, threading.current_thread())
                )
            )
            if isinstance(error, Exception):
                return error
            return PassError(f"the call was ended by {type(error).__name__}")
