"""Skips the tests that need what this machine lacks, and says at the end what was not tried.

With CI=true such a test fails: there, nothing may be missing.
"""

import os
from collections import Counter
from collections.abc import Generator

import pytest

from devservers.needs import Unavailable

NEEDS = "needs "


def _tried() -> Generator[None, object, object]:
    try:
        return (yield)
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have {missing}")
        pytest.skip(f"{NEEDS}{missing}")


# Around fixtures and tests alike: a test may start a server of its own.
pytest_runtest_setup = pytest.hookimpl(wrapper=True)(_tried)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(_tried)


# The outermost: after all that pytest tells, but for its last line.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, object, object]:
    result = yield
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    # Those of equal count by their text: worker processes report in any order.
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        tests = f"{count} {'test' if count == 1 else 'tests'}"
        need = reason.removeprefix(NEEDS)
        on = f": {reason}" if need == reason else f" on {need}"
        terminalreporter.line(f"Not tried: {tests}{on}", yellow=True)
    return result


def _reason(report: pytest.TestReport) -> str:
    assert isinstance(report.longrepr, tuple)
    _file, _line, reason = report.longrepr
    return str(reason).removeprefix("Skipped: ")
