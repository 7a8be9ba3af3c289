"""Looking up names within a time: what is given up leaves nothing behind."""

import threading
from collections.abc import Iterator

import pytest

from common.remote.http import name_lookup
from common.remote.http.name_lookup import MOST_LOOK_UPS, NameUnknown
from devservers.child_processes import PATIENCE, poll_until


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Threads that are started from now on do not run before this event is set."""
    opened = threading.Event()
    threading.setprofile(lambda *_: opened.wait(PATIENCE))
    yield opened
    threading.setprofile(None)
    opened.set()


def test_a_look_up_whose_thread_runs_too_late_uses_none_of_the_allowed_ones(
    gate: threading.Event,
) -> None:
    before = threading.active_count()
    for _ in range(MOST_LOOK_UPS):
        with pytest.raises(NameUnknown, match="not resolved in time"):
            name_lookup.addresses("name.example", 0.0, lambda host: ["192.0.2.1"])
    gate.set()
    threading.setprofile(None)
    assert poll_until(lambda: threading.active_count() <= before, PATIENCE)

    found = name_lookup.addresses("name.example", PATIENCE, lambda host: ["192.0.2.1"])

    assert [str(address) for address in found] == ["192.0.2.1"]
