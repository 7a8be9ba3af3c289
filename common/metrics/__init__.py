"""The metrics of a worker process; their names are an interface.

``metrics.NAME`` is a counter, gauge or histogram; a service declares its own ones by
``metrics.REGISTRY``. ``metrics.remote_call`` times a call of another server, and
``metrics.exposition`` is the text of a scrape.

Names that begin with ``background_job_`` are those of the live services, for existing rules and
dashboards; ours begin with ``toast_``. Labels have few values: no ids, no URLs, no texts. Durations
are in seconds, times are Unix times.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import psycopg

from common.database.error_classification import connection_lost, contended
from common.metrics.prometheus import Registry

REGISTRY = Registry()

_JOB = ("service", "scheduler")

# From an idle pass to one of an hour.
_PASS_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)
# From a pass that waited for its row to one at a tick that comes once a day.
LATENESS_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 10_000, 86_400)
_CALL_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)

BUILD = REGISTRY.gauge("toast_build_info", "Always 1; says the version.", ("version",))

# --- passes -----------------------------------------------------------------------------------

EXECUTIONS = REGISTRY.counter(
    "background_job_executions_total",
    "Passes that ended, by result: ok, failed, stopped (by a stop or pause), skipped (paused,"
    " another process runs it, or it waits for `toast takeover`).",
    (*_JOB, "result"),
)
FAILURES = REGISTRY.counter("background_job_failures_total", "Passes that failed.", _JOB)
CONSECUTIVE_FAILURES = REGISTRY.gauge(
    "toast_job_consecutive_failures", "Passes that failed since the last that ended well.", _JOB
)
DURATION = REGISTRY.histogram(
    "background_job_duration_seconds", "How long passes took.", _JOB, _PASS_SECONDS
)
LAST_RUN = REGISTRY.gauge(
    "toast_job_last_run_timestamp_seconds", "When this process last began a pass.", _JOB
)
LAST_SUCCESS = REGISTRY.gauge(
    "toast_job_last_success_timestamp_seconds",
    "When a pass last ended well, of any process and before a restart too.",
    _JOB,
)
INTERVAL = REGISTRY.gauge("toast_job_interval_seconds", "Time from one pass to the next.", _JOB)
ENABLED = REGISTRY.gauge("toast_job_enabled", "1 where the scheduler is on.", _JOB)
IN_PROGRESS = REGISTRY.gauge("toast_job_in_progress", "1 while a pass runs.", _JOB)
WAITS = REGISTRY.gauge(
    "toast_job_waits_for_takeover", "1 while a first pass waits for `toast takeover`.", _JOB
)
PAUSED = REGISTRY.gauge(
    "toast_scheduler_paused",
    "1 while an operator has paused the scheduler, by `toast pause`; seen by its passes, and"
    " sampled like the backlog.",
    _JOB,
)
ITEMS = REGISTRY.counter(
    "toast_job_items_total",
    "What passes did: processed, events, failed, and the scheduler's own counts.",
    (*_JOB, "outcome"),
)
LATENESS = REGISTRY.histogram(
    "toast_lateness_seconds",
    "How long after the moment at which they were due rows were processed.",
    _JOB,
    LATENESS_SECONDS,
)
RETRIES = REGISTRY.counter(
    "toast_retry_attempts_total",
    "Retries, by kind: pass, event (that Kafka refused), or one of the service's own.",
    ("service", "kind"),
)
CLOCK_DIFFERENCE = REGISTRY.gauge(
    "toast_clock_difference_seconds",
    "The database's clock less this host's, as of the last pass.",
    ("service",),
)

LOG_LINES_DROPPED = REGISTRY.counter(
    "toast_log_lines_dropped_total",
    "Lines of the log that could not be written: not read, disk full, or reader gone.",
    ("service",),
)

# --- backlog: sampled, and absent while the database is unreachable ---------------------------

BACKLOG = REGISTRY.gauge(
    "toast_backlog_rows", "Rows that are due, counted no further than 10,000.", _JOB
)
FAILED_ROWS = REGISTRY.gauge(
    "toast_failed_rows",
    "Rows that could not be changed and are set aside, counted no further than 10,000.",
    _JOB,
)
OUTBOX_WAITING = REGISTRY.gauge(
    "toast_outbox_waiting_events",
    "Events that wait for Kafka, counted no further than 100,000.",
    ("service",),
)
OUTBOX_OLDEST = REGISTRY.gauge(
    "toast_outbox_oldest_event_age_seconds",
    "How long the oldest of them has waited; 0 where none waits.",
    ("service",),
)
OUTBOX_SET_ASIDE = REGISTRY.gauge(
    "toast_outbox_set_aside_events",
    "Events that Kafka refused for good, and that wait for an operator.",
    ("service",),
)

# --- dependencies -----------------------------------------------------------------------------

PUBLISHED = REGISTRY.counter(
    "toast_events_published_total", "Events that Kafka has confirmed.", ("service", "topic")
)
PUBLISH_FAILURES = REGISTRY.counter(
    "toast_event_failures_total",
    "Events that were sent and not confirmed; they wait and are sent again, or are set aside.",
    ("service", "topic"),
)
KAFKA_ERRORS = REGISTRY.counter(
    "toast_kafka_errors_total", "Rounds that Kafka ended early.", ("service",)
)
PUBLISHER_FAILURES = REGISTRY.counter(
    "toast_publisher_failures_total",
    "Rounds of the publisher that ended by a defect, neither Kafka's nor PostgreSQL's.",
    ("service",),
)
DATABASE_ERROR_KINDS = ("connection", "contention", "other")
DATABASE_ERRORS = REGISTRY.counter(
    "toast_database_errors_total",
    "Errors of PostgreSQL that ended something: connection (lost), contention, or other.",
    ("service", "kind"),
)
REMOTE_CALLS = REGISTRY.counter(
    "toast_remote_calls_total",
    "Calls of remote APIs, by outcome: 2xx to 5xx, 429, no_answer (no complete one), refused (not"
    " sent, for where it leads); for gRPC its status codes.",
    ("service", "remote", "outcome"),
)
REMOTE_SECONDS = REGISTRY.histogram(
    "toast_remote_call_duration_seconds",
    "How long calls of remote APIs took.",
    ("service", "remote"),
    _CALL_SECONDS,
)
RATE_LIMIT_WAITS = REGISTRY.counter(
    "toast_rate_limit_waits_total",
    "Waits that a remote API asked for, by 429 or otherwise.",
    ("service", "remote"),
)
RATE_LIMIT_SECONDS = REGISTRY.counter(
    "toast_rate_limit_wait_seconds_total",
    "How long those waits were meant to be; several calls can report the same wait.",
    ("service", "remote"),
)


def count_database_error(service: str, error: BaseException) -> None:
    """Count an error by its kind if it is PostgreSQL's."""
    if not isinstance(error, psycopg.Error):
        return
    kind = "contention" if contended(error) else "other"
    DATABASE_ERRORS.labels(service, "connection" if connection_lost(error) else kind).inc()


@contextmanager
def remote_call(service: str, remote: str) -> Iterator[Callable[[str], None]]:
    """Count and time one call of a remote API; the block sets the outcome label if there was a
    reply."""
    started = time.monotonic()
    outcomes = ["no_answer"]
    try:
        yield outcomes.append
    finally:
        count_call(service, remote, outcomes[-1], time.monotonic() - started)


def count_call(service: str, remote: str, outcome: str, seconds: float) -> None:
    """Count one call of a remote API that took ``seconds``."""
    REMOTE_CALLS.labels(service, remote, outcome).inc()
    REMOTE_SECONDS.labels(service, remote).observe(seconds)


def http_outcome(status: int) -> str:
    """An HTTP status as a label: 429, or the class such as 2xx."""
    return "429" if status == 429 else f"{status // 100}xx"


def rate_limited(service: str, remote: str, seconds: float) -> None:
    """Count a wait of ``seconds`` that a remote API asked for."""
    RATE_LIMIT_WAITS.labels(service, remote).inc()
    RATE_LIMIT_SECONDS.labels(service, remote).inc(seconds)


def exposition() -> str:
    """All metrics in Prometheus' text format, version 0.0.4."""
    # Imported here so that an idle worker without scrapes does not load it.
    from common.metrics import process_usage

    lines = chain(process_usage.lines(), *(metric.lines() for metric in REGISTRY.metrics))
    return "".join(f"{line}\n" for line in lines)
