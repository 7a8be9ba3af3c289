"""A condition that lasts is logged at first, and then once a minute."""

import time

import pytest

from common.logging.throttle import REPEAT_SECONDS, LogThrottle


def test_a_condition_is_logged_at_once_then_once_a_minute_and_at_once_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        outage = LogThrottle()

        assert [outage.admit() for _ in range(4)] == [0, None, None, None]
        now += REPEAT_SECONDS
        assert [outage.admit() for _ in range(3)] == [3, None, None]
        outage.reset()
        assert outage.admit() == 0
