"""Only a test with the marker ``servers`` may start a process that serves.

`make check` runs the tests without it. A fixture that starts such a process requests the fixture
``servers``, which marks every test that uses it; a test that starts one itself has the marker.
Commands that subprocess.run waits for, and servers in a thread of the test, need none.
"""

import subprocess
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from testing import forks


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "servers: starts a process that serves, such as PostgreSQL")


# First: the selection by -m is another plugin's hook of this name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """Requested by every fixture that starts a process that serves."""
    with forks.opened():
        yield


# Around the whole of a test, for its fixtures of a wider scope may start servers, too.
@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("servers") is None:
            patch.setattr(subprocess.Popen, "__init__", _guarded(subprocess.Popen.__init__))
            patch.setattr(forks, "possible", lambda env: False)
        return (yield)


def _guarded(start: Any) -> Any:
    def guarded_start(self: Any, *arguments: Any, **keywords: Any) -> None:
        if sys._getframe(1).f_globals["__name__"] != "subprocess":
            pytest.fail("a test that starts a process beside it needs the marker `servers`")
        start(self, *arguments, **keywords)

    return guarded_start
