"""A scheduler whose pass a test supplies, and the settings to run it with in this process."""

import cmath
from collections.abc import Callable, Sequence

import pytest

import workers
from common import config
from common.config import Settings
from common.errors import PassError
from common.scheduling.preview import Preview, Reasons
from common.scheduling.scheduler import Custom, Pass, PassResult, Scheduler
from testing.database import TestDatabase
from testing.processes import NO_BROKER

ENABLED = config.boolean("PROBE_ENABLED", "true", "whether the probe runs")
INTERVAL = config.interval("PROBE_INTERVAL", "1h", "time from one probe to the next")


def _nothing_is_due(current: Pass) -> Preview:
    return Preview(0, ())


def _has_no_rows(current: Pass, row: str) -> Reasons:
    raise PassError(f"no row {row}")


def probe(
    run: Callable[[Pass], PassResult],
    preview: Callable[[Pass], Preview] = _nothing_is_due,
) -> Scheduler:
    """A scheduler whose pass is `run`."""
    work = Custom(run=run, preview=preview, why=_has_no_rows)
    return Scheduler("probe", "does what a test supplies", ENABLED, INTERVAL, work)


def settings(
    database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    brokers: str = NO_BROKER,
    *,
    service: str = "link",
    **more: str,
) -> Settings:
    """The settings that a worker of this service on this database has."""
    for name, value in {**database.environment, "KAFKA_BROKERS": brokers, **more}.items():
        monkeypatch.setenv(name, value)
    return config.load(service, (ENABLED, INTERVAL, *workers.load(service).variables))


def steadiness(times: Sequence[float], interval: float) -> float:
    """How well these times, in seconds, keep to one beat: 1 where all lie a multiple of the
    interval apart, near 0 where they are spread over it. One that is late counts little."""
    turns = [cmath.exp(2j * cmath.pi * time / interval) for time in times]
    return abs(sum(turns)) / len(turns)
