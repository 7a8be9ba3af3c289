"""Metrics of a worker process: every name, and Prometheus' text format.

``metrics.NAME`` is a counter, gauge or histogram of the catalogue; a service declares its own ones
by ``metrics.REGISTRY``. ``metrics.remote_call`` times a call of another server,
``metrics.exposition`` is the text of a scrape.
"""

from common.metrics.catalogue import (
    BACKLOG,
    BUILD,
    CLOCK_DIFFERENCE,
    CONSECUTIVE_FAILURES,
    DATABASE_ERROR_KINDS,
    DATABASE_ERRORS,
    DURATION,
    ENABLED,
    EXECUTIONS,
    FAILED_ROWS,
    FAILURES,
    IN_PROGRESS,
    INTERVAL,
    ITEMS,
    KAFKA_ERRORS,
    LAST_RUN,
    LAST_SUCCESS,
    OUTBOX_OLDEST,
    OUTBOX_SET_ASIDE,
    OUTBOX_WAITING,
    PUBLISH_FAILURES,
    PUBLISHED,
    PUBLISHER_FAILURES,
    REGISTRY,
    RETRIES,
    count_call,
    count_database_error,
    exposition,
    http_outcome,
    rate_limited,
    remote_call,
)
