"""A condition that lasts is logged at first, and then once a minute."""

import time

import pytest

from common.logging.throttle import REPEAT_SECONDS, LogThrottle


def test_a_condition_is_logged_at_once_then_once_a_minute_and_at_once_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    written: list[object] = []
    outage = LogThrottle(
        lambda event, **fields: written.append((event, fields)),
        lambda event, **fields: written.append(None),
    )

    def logged(times: int) -> list[object]:
        written.clear()
        for _ in range(times):
            outage.write("failed", reason="away")
        return list(written)

    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        first = ("failed", {"reason": "away"})
        assert logged(4) == [first, None, None, None]
        now += REPEAT_SECONDS
        assert logged(3) == [("failed", {"reason": "away", "repeated": 3}), None, None]
        outage.reset()
        assert logged(1) == [first]
