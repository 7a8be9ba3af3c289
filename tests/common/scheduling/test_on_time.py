"""On time: a pass runs when the next row is due, by the database's clock, whatever happens to
others and to the host's clock."""

import random
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self
from uuid import UUID

import pytest
from psycopg.rows import DictRow

from common.database import run_history
from common.database.connection import Database
from common.scheduling import pass_runner
from common.scheduling.cadence import LEAST_SECONDS, Cadence
from common.scheduling.due.next_due import NextDue
from common.scheduling.loop import Loop
from common.scheduling.pass_runner import PassRunner
from devservers.child_processes import PATIENCE, poll_until
from testing.database import TestDatabase
from testing.passes import HOUR, NOW, open_pass, outbox
from testing.scheduler_cases.link import link
from tests.support import probes
from tests.support.row_faults import locked_by_another_session
from workers.link import link_expiration

EXPIRATION = link_expiration.SCHEDULER
HOURLY = 3600.0
# Far below the interval, and above what a machine needs that runs all other tests beside.
SOON = 10.0

EXPIRE_IN = """
INSERT INTO link_links (original_url, short_code, expires_at, click_count, created_at, updated_at)
SELECT '', left(gen_random_uuid()::text, 8), clock_timestamp() + span * interval '1 s', 0, now(),
       now()
FROM unnest(%s::float8[]) AS span RETURNING id"""

LATE = """
SELECT date_part('epoch', updated_at - expires_at) AS late FROM link_links WHERE NOT is_active"""

RUNS = """
SELECT started_at, result, next_at, date_part('epoch', next_at - started_at) AS planned,
       date_part('epoch', started_at - lag(started_at) OVER (ORDER BY started_at)) AS gap
FROM toast_runs ORDER BY started_at"""

# The time of this database is another one than the server's.
OTHER_CLOCK = """
CREATE TABLE clock AS SELECT interval '0' AS difference;
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
'SELECT pg_catalog.clock_timestamp() + (SELECT difference FROM public.clock)';
ALTER DATABASE {name} SET search_path = public, pg_catalog"""

SLOW = """
CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql AS
'SELECT pg_sleep(0.05) IS NOT NULL';
CREATE POLICY slow ON link_links USING (slow());
ALTER TABLE link_links ENABLE ROW LEVEL SECURITY;
CREATE ROLE {role} LOGIN PASSWORD 'slow';
GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"""


class Machine:
    """The loop of link-expiration on one machine."""

    def __init__(self, database: TestDatabase, interval: float, settings: Any) -> None:
        self._database = database
        self._stopping = threading.Event()
        runner = PassRunner(EXPIRATION, settings, Database(settings), stop=self._stopping)
        self.loop = Loop(runner, interval, self._stopping)

    def start(self) -> None:
        """Start it, and wait for the end of its first pass."""
        passes = len(runs(self._database))
        self.loop.start()
        assert poll_until(lambda: len(runs(self._database)) > passes, PATIENCE, 0.02)

    def stop(self) -> None:
        self._stopping.set()
        self.loop.wake()
        self.loop.thread.join(PATIENCE)
        assert not self.loop.thread.is_alive()


class Place:
    """A database, and the machines that work on it."""

    def __init__(self, database: TestDatabase, patch: pytest.MonkeyPatch) -> None:
        self.database = database
        self._patch = patch
        self._machines: list[Machine] = []

    def machine(self, interval: float = HOURLY, **settings: str) -> Machine:
        """Start a machine, and wait for the end of its first pass."""
        loaded = probes.settings(self.database, self._patch, **settings)
        machine = Machine(self.database, interval, loaded)
        self._machines.append(machine)
        machine.start()
        return machine

    def expire_in(self, *spans: float) -> list[UUID]:
        """Insert links that expire in so many seconds."""
        return [row["id"] for row in self.database.query(EXPIRE_IN, list(map(float, spans)))]

    def late(self) -> list[float]:
        """How late links were switched off, in seconds."""
        return [row["late"] for row in self.database.query(LATE)]

    def wait_for(self, links: int, seconds: float = PATIENCE) -> list[float]:
        """Wait until so many links are switched off; returns how late they were."""
        assert poll_until(lambda: len(self.late()) >= links, seconds, 0.02), runs(self.database)
        return self.late()

    def stop(self) -> None:
        for machine in self._machines:
            machine.stop()


@pytest.fixture
def place(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(database, monkeypatch)
    yield place
    place.stop()


def runs(database: TestDatabase) -> list[DictRow]:
    """The passes that have ended."""
    return [run for run in database.query(RUNS) if run["result"]]


# --- the next pass ----------------------------------------------------------------------------


def test_a_row_is_done_when_it_is_due_and_not_at_the_next_tick(place: Place) -> None:
    place.expire_in(2, 4000)
    place.machine()

    [late] = place.wait_for(1)

    assert 0 <= late < SOON
    assert poll_until(lambda: len(runs(place.database)) == 2, PATIENCE)
    first, second = runs(place.database)
    assert first["next_at"] <= second["started_at"]
    tick = second["planned"] + second["gap"]
    assert tick == pytest.approx(HOURLY, abs=1)  # it stays where it is


def test_rows_that_are_due_all_the_time_are_done_once_a_second(place: Place) -> None:
    place.expire_in(*(0.5 + 0.1 * number for number in range(35)))
    place.machine()

    late = place.wait_for(35)

    assert max(late) < SOON
    gaps = [run["gap"] for run in runs(place.database) if run["gap"]]
    # The start of a pass is when it has connected, which takes different times.
    assert sum(gaps) / len(gaps) > 0.95 * LEAST_SECONDS
    assert len(outbox(place.database)) == 35


def test_a_row_that_is_locked_when_it_is_due_is_done_soon_after(place: Place) -> None:
    [row] = place.expire_in(1)
    with locked_by_another_session(place.database, "link_links", row):
        place.machine()
        assert poll_until(lambda: len(runs(place.database)) == 3, PATIENCE, 0.02)
        assert place.late() == []

    [late] = place.wait_for(1)

    assert late < PATIENCE


@pytest.mark.parametrize(("punctual", "seconds"), [("true", 600), ("false", HOURLY)])
def test_while_it_is_switched_off_only_ticks_count(
    punctual: str, seconds: float, place: Place
) -> None:
    place.expire_in(600)
    place.machine(TOAST_PUNCTUAL=punctual)
    [run] = runs(place.database)
    assert run["planned"] == pytest.approx(seconds, abs=SOON)


def test_a_pause_holds_when_a_row_is_due(place: Place) -> None:
    place.expire_in(2)
    machine = place.machine()
    place.database.insert(
        "toast_pauses",
        service="link",
        scheduler=EXPIRATION.name,
        reason="",
        paused_by="eve",
        host="host",
    )
    assert poll_until(lambda: len(runs(place.database)) == 2, PATIENCE, 0.02)
    assert runs(place.database)[1]["result"] == "skipped"
    time.sleep(LEAST_SECONDS)
    assert (place.late(), len(runs(place.database))) == ([], 2)

    place.database.query("DELETE FROM toast_pauses")
    machine.loop.wake()

    place.wait_for(1)


# --- two machines -----------------------------------------------------------------------------


def test_two_machines_that_wake_at_the_same_moment_do_each_row_once(place: Place) -> None:
    links = place.expire_in(*(1.5 + 0.2 * number for number in range(15)))
    for _ in range(2):
        place.machine()

    late = place.wait_for(len(links))
    place.stop()

    assert max(late) < SOON
    assert sorted(event["key"] for event in outbox(place.database)) == sorted(map(str, links))
    assert "failed" not in {run["result"] for run in runs(place.database)}


# --- clocks -----------------------------------------------------------------------------------


class Stepping(datetime):
    """A clock of the host that is wrong by up to years, by another time whenever it is read."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(days=random.uniform(-4000, 4000))


def test_a_wrong_clock_of_the_host_makes_no_row_late(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_runner, "datetime", Stepping)
    monkeypatch.setattr(run_history, "datetime", Stepping)
    monkeypatch.setattr(time, "time", lambda: random.uniform(0, 1e10))
    place.expire_in(1, 1.1, 2.5)
    place.machine()

    late = place.wait_for(3)

    assert max(late) < SOON
    assert len(outbox(place.database)) == 3


def test_a_step_of_the_databases_clock_skips_no_row_and_repeats_none(place: Place) -> None:
    place.database.query(OTHER_CLOCK.format(name=place.database.name))
    tick = 4.0
    place.expire_in(2)
    place.machine(tick)

    place.database.query("UPDATE clock SET difference = -interval '1 hour'")
    # When the row would have been due it is not any more, and then there are ticks.
    assert poll_until(lambda: len(runs(place.database)) == 3, PATIENCE, 0.02)
    assert place.late() == []
    place.database.query("UPDATE clock SET difference = interval '1 hour'")
    stepped = time.monotonic()
    place.wait_for(1)

    assert time.monotonic() - stepped < tick + SOON
    assert len(outbox(place.database)) == 1


# --- what is not known ------------------------------------------------------------------------


def test_a_question_that_would_take_long_has_no_answer(database: TestDatabase) -> None:
    for _ in range(20):
        link(expires_at=NOW + HOUR).insert(database)
    database.query(SLOW.format(role=database.name))
    ask = EXPIRATION.work.next_due
    assert ask is not None
    with open_pass(database, EXPIRATION, DB_USER=database.name, DB_PASSWORD="slow") as current:
        started = time.monotonic()
        assert ask(current, 2 * HOUR) == NextDue(is_known=False)
        assert time.monotonic() - started < 1.0  # as long as all rows would take
        # The pass goes on.
        assert current.connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def in_seconds(cadence: Cadence) -> float:
    return cadence.next_pass() - time.monotonic()


def test_without_an_answer_the_next_tick_has_to_do() -> None:
    cadence = Cadence(HOURLY)
    cadence.begin(time.monotonic(), is_woken=False)
    cadence.expect(NextDue(is_known=False))
    assert in_seconds(cadence) == pytest.approx(HOURLY, abs=1)


def test_an_answer_that_is_lost_for_once_is_asked_for_again_soon_and_then_rarely() -> None:
    cadence = Cadence(HOURLY)
    waits = []
    for answer in [NextDue(seconds=50), *(NextDue(is_known=False),) * 40]:
        cadence.begin(time.monotonic(), is_woken=False)
        cadence.expect(answer)
        waits.append(in_seconds(cadence))
    assert waits[0] == pytest.approx(50, abs=1)
    assert all(0.9 < wait < 2.1 for wait in waits[1:2])
    assert max(waits[-20:]) > HOURLY / 4


def test_moments_of_the_past_and_near_ones_are_at_least_a_second_after_the_last_pass() -> None:
    cadence = Cadence(HOURLY)
    for seconds in (-5, 0, 0.5):
        cadence.begin(time.monotonic(), is_woken=False)
        cadence.expect(NextDue(seconds=seconds))
        assert in_seconds(cadence) == pytest.approx(LEAST_SECONDS, abs=0.1)
