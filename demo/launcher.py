"""`make run`: the eight workers in the foreground, on sample data if there are no settings.

All processes end with this one: on Ctrl-C, SIGTERM and SIGHUP in order and within 15 s; on
SIGKILL the kernel signals the children (devservers/child_processes.py).
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from common import config, exit_codes
from demo import embedded, page, report
from demo.event_stream import EventStream, PublishedEvent
from demo.first_round import FirstRound, read_plans
from demo.supervisor import Supervisor
from devservers.child_processes import ServerError, poll_until

# Not resolved: a checkout may consist of links.
ROOT = Path(__file__).parent.parent
RUN = ROOT / ".run"

PREDECESSOR_SECONDS = 15
POLL_SECONDS = 0.3
# The interval of the line that names the waiting schedulers.
REMINDER_SECONDS = 30.0
# The limit of the first round with --once.
ONCE_SECONDS = 600.0
# The time for the outbox to empty after the passes.
PUBLISH_SECONDS = 30.0

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A stop signal; not an Exception, so that no handler takes it for a failure."""


def main(*, once: bool) -> int:
    """Run until a signal, or through the first round; returns the exit code."""
    os.chdir(ROOT)
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(_only_run())
                return _run(stack, once=once)
            except Stopped:
                with contextlib.suppress(OSError):  # the terminal may have closed
                    say("\nStopping ...")
                raise
            finally:
                # The stop has its own time limits: a second Ctrl-C must not interrupt it.
                for number in STOP_SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
    except ServerError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except Stopped:
        return 0
    except BrokenPipeError:
        # The reader is gone; without this, Python's flush at exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def say(text: str) -> None:
    """Print and flush, for pipes."""
    print(text, flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


@contextlib.contextmanager
def _only_run() -> Iterator[None]:
    """Hold the lock of this checkout; the kernel releases it with the process."""
    RUN.mkdir(mode=0o700, exist_ok=True)
    (RUN / "log").mkdir(exist_ok=True)
    with (RUN / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ServerError(
                f"another `make run` is at work here (process {lock.read()}); stop it first"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _run(stack: ExitStack, *, once: bool) -> int:
    supervisor = Supervisor(ROOT)
    _await_predecessor(supervisor)
    found = embedded.settings_found()
    of_page = {} if once else page.settings(RUN)
    say(report.settings_banner(found) if found else embedded.start(stack, RUN, of_page))
    plans = read_plans()
    usable = [plan.settings for plan in plans if plan.settings is not None]
    if not usable:
        print("\n".join(dict.fromkeys(plans[0].faults)), file=sys.stderr)
        return exit_codes.BAD_SETTINGS
    topics = [topic for plan in plans for topic in plan.service.topics]
    stream = EventStream(usable[0][config.KAFKA_BROKERS], topics, from_beginning=not found)
    stack.callback(stream.close)
    first_round = FirstRound(plans)
    stack.callback(supervisor.stop)
    supervisor.start()
    _follow_first_round(first_round, supervisor, stream, seconds=ONCE_SECONDS if once else None)
    say(report.table(first_round.outcomes, datetime.now(UTC)))
    if once:
        return _exit_code(first_round)
    say(page.start(supervisor))
    say("Ctrl-C stops everything. Events:")
    while not supervisor.has_ended():
        _show(stream.poll(POLL_SECONDS))
    raise ServerError("supervisord ended by itself; see .run/log/supervisord.log")


def _await_predecessor(supervisor: Supervisor) -> None:
    """Wait for the supervisord of a killed run, which still stops its workers."""
    if supervisor.answers():
        say("Waiting for an earlier supervisord to stop ...")
        if not poll_until(lambda: not supervisor.answers(), PREDECESSOR_SECONDS):
            raise ServerError("a supervisord is already at work here; stop it first")


def _follow_first_round(
    first_round: FirstRound, supervisor: Supervisor, stream: EventStream, seconds: float | None
) -> None:
    """Show events until every first pass has ended and its events are published."""
    started = reminded = time.monotonic()
    while first_round.waiting and not supervisor.has_ended():
        _show(stream.poll(POLL_SECONDS))
        first_round.update(supervisor.workers())
        now = time.monotonic()
        if seconds is not None and now - started > seconds:
            return
        if now - reminded > REMINDER_SECONDS:
            reminded = now
            say(f"Still waiting for: {', '.join(first_round.waiting)}; see .run/log/")
    deadline = time.monotonic() + PUBLISH_SECONDS
    while first_round.waiting_events() and time.monotonic() < deadline:
        _show(stream.poll(POLL_SECONDS))
    _show(stream.drain(PUBLISH_SECONDS))


def _exit_code(first_round: FirstRound) -> int:
    unpublished = first_round.waiting_events()
    if unpublished:
        say(f"{unpublished} events still wait in the outbox: is Kafka there?")
    succeeded = all(outcome.succeeded for outcome in first_round.outcomes)
    return 0 if succeeded and not unpublished else 1


def _show(events: Iterable[PublishedEvent]) -> None:
    for event in events:
        say(report.event_line(event))
