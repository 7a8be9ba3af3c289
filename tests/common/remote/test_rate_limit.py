"""The sliding window: it is full after its requests, and free when the oldest leaves it."""

from common.remote.rate_limit import SlidingWindow


def test_a_window_is_free_again_when_its_oldest_request_leaves_it() -> None:
    window = SlidingWindow(2, 10.0)
    window.add(100.0)
    assert window.free_at < 100.0
    window.add(103.0)
    assert window.free_at == 110.0
    window.add(111.0)
    assert window.free_at == 113.0


def test_a_window_counts_earlier_requests_and_tells_what_still_counts() -> None:
    window = SlidingWindow(3, 10.0, [100.0, 101.0])
    window.add(105.0)
    assert window.free_at == 110.0
    assert window.since(100.0) == [101.0, 105.0]
