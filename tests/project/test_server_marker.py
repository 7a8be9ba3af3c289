"""The tests of `make check`, those without the marker `servers`, start no server process."""

import subprocess
import sys
from collections.abc import Callable

import pytest

import workers
from devservers.mock_broker import Broker
from testing.processes import Process, bare


@pytest.mark.parametrize(
    "start",
    [lambda: Broker([]).start(), lambda: Process(f"workers.{workers.SERVICES[0]}", env=bare())],
    ids=["broker", "worker"],
)
def test_a_test_without_the_marker_cannot_start_a_server(start: Callable[[], object]) -> None:
    with pytest.raises(pytest.fail.Exception, match="marker `servers`"):
        start()


def test_a_test_without_the_marker_can_run_a_command_to_its_end() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def test_a_test_is_marked_by_its_fixtures(request: pytest.FixtureRequest, servers: None) -> None:
    assert request.node.get_closest_marker("servers") is not None
