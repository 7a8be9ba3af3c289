"""The places at which a test may end a worker (what comes of it is in the campaign "kills")."""

import re
import signal

import pytest

from common import failpoints
from devservers.checkout import ROOT
from testing.database import TestDatabase
from testing.processes import Process, environment
from tests.chaos.processes import kills

REACHED = re.compile(r'failpoints\.reach\("(\w+)"\)')


def test_every_place_is_in_the_code_and_in_the_campaign() -> None:
    code = "".join(
        path.read_text("utf-8")
        for folder in ("common", "workers")
        for path in (ROOT / folder).rglob("*.py")
    )
    assert set(REACHED.findall(code)) == set(failpoints.PLACES)
    assert {killing.place for killing in kills.KILLINGS} == set(failpoints.PLACES)


def test_a_worker_ends_at_its_failpoint(database: TestDatabase) -> None:
    env = environment(database, TOAST_FAILPOINT="connected", LINK_EXPIRATION_INTERVAL="100ms")
    with Process("workers.link", env=env) as worker:
        assert worker.exit_code() == -signal.SIGKILL
        assert worker.records("pass_finished") == []


def test_a_failpoint_may_be_the_third_time_and_after_a_delay(database: TestDatabase) -> None:
    settings = {"TOAST_FAILPOINT": "connected:3:0.2", "LINK_EXPIRATION_INTERVAL": "100ms"}
    with Process("workers.link", env=environment(database, **settings)) as worker:
        assert worker.exit_code() == -signal.SIGKILL
        assert len(worker.records("pass_finished")) >= 2


@pytest.mark.parametrize("text", ["nowhere", "connected:0", "connected:soon", "connected:1:2:3"])
def test_an_unknown_failpoint_is_a_bad_setting(database: TestDatabase, text: str) -> None:
    with Process("workers.link", env=environment(database, TOAST_FAILPOINT=text)) as worker:
        assert worker.exit_code() == 78
        assert f"TOAST_FAILPOINT is '{text}'; expected PLACE" in worker.log
