"""A database as a busy installation has it: a month of runs, and events that wait."""

from __future__ import annotations

from collections.abc import Iterator

import workers
from benchmarks.rows import FilledDatabase
from common.events.envelope import Event

# Runs of each scheduler, one a minute.
RUNS_OF_A_DAY = 24 * 60

# The number of an event that is set aside; those that wait have lower ones.
EVENT = 10**12

# Those of one minute are together, as they are written. One of a hundred has failed, and of a
# thousand one was stopped.
_RUNS = """
INSERT INTO toast_runs (id, service, scheduler, host, process, started_at, finished_at, result,
    counts, error, version, clock_ahead)
SELECT gen_random_uuid(), service, scheduler, 'vm-' || 1 + minute %% 3, 1000 + minute %% 3,
       started_at, started_at + interval '1 ms' * (50 + minute * 37 %% 400),
       CASE WHEN minute %% 1000 = 7 THEN 'stopped' WHEN minute %% 100 = 3 THEN 'failed'
            ELSE 'ok' END,
       jsonb_build_object('due', minute %% 7, 'processed', minute %% 7, 'events', minute %% 7),
       CASE WHEN minute %% 100 = 3
            THEN 'OperationalError: connection to server at "10.0.0.7", port 5432 failed: '
                 'Connection refused. Is the server running on that host?'
            ELSE '' END,
       '0.2.0', 0.01
FROM generate_series(%(size)s, 1, -1) AS minute,
     unnest({services}, {schedulers}) AS job (service, scheduler),
     LATERAL (SELECT date_trunc('minute', now()) - interval '1 min' * minute + interval '1 s')
         AS start (started_at)"""

_FAILED_ROWS = """
INSERT INTO toast_failed_rows (scheduler, row_id, reason, failures, since, failed_at, retry_at)
SELECT 'post-publisher', gen_random_uuid(), 'value too long for type character varying(100)',
       1 + number %% 9, now() - interval '1 min' * number, now(), now() + interval '1 hour'
FROM generate_series(1, {number}) AS number"""

_EVENTS_ASIDE = """
INSERT INTO toast_outbox_set_aside (id, service, topic, key, event_id, occurred_at, payload, tries,
    error, set_aside_at)
SELECT {first} + number, 'link', 'link.expired', gen_random_uuid(), gen_random_uuid(), now(),
       '{{}}', 5, 'Broker: Message size too large', now() - interval '1 min' * number
FROM generate_series(0, {number} - 1) AS number"""

_AUDIT = """
INSERT INTO toast_audit (login, host, action, subject, rows, first_rows, reason, done_at)
SELECT 'ada', 'vm-1', 'rows retry', 'post-publisher', 1, ARRAY[gen_random_uuid()::text], '',
       now() - interval '1 min' * number
FROM generate_series(1, {number}) AS number"""


def busy(days: int, events: int, others: int) -> FilledDatabase:
    """All schedulers with a run a minute for so many days, so many events that wait, and so many
    ``others``: rows and events set aside, and lines of the audit."""
    of_others = (
        each.format(number=others, first=EVENT) for each in (_FAILED_ROWS, _EVENTS_ASIDE, _AUDIT)
    )
    statements = (_runs(), *_events(events), *of_others)
    return FilledDatabase(statements, days * RUNS_OF_A_DAY)


def _runs() -> str:
    jobs = [
        (name, each.name) for name in workers.SERVICES for each in workers.load(name).schedulers
    ]
    services, schedulers = (f"ARRAY{list(names)}" for names in zip(*jobs, strict=True))
    return _RUNS.format(services=services, schedulers=schedulers)


def _events(number: int) -> Iterator[str]:
    """The same number for each topic, written as a pass does."""
    topics = [topic for name in workers.SERVICES for topic in workers.load(name).topics]
    for topic in topics:
        event = Event(topic, "id", {"id": "id", "name": "'a name of a row'", "changed_at": "now()"})
        rows = f"SELECT gen_random_uuid() AS id FROM generate_series(1, {number // len(topics)})"
        yield f"WITH changed AS ({rows}) {event.insert('changed')}".replace(
            "%(now)s", "(now() - interval '1 hour')"
        )
