"""Fixtures of the warcraft syncs: the worker and its stand-in for Battle.net."""

from collections.abc import Iterator

import pytest

from devservers.standins.battle_net import BattleNetServer
from testing.database import TestDatabase
from testing.warcraft_worker import WarcraftWorker, empty


@pytest.fixture
def battle_net() -> Iterator[BattleNetServer]:
    with BattleNetServer() as server:
        yield server


@pytest.fixture
def worker(module_database: TestDatabase, battle_net: BattleNetServer) -> WarcraftWorker:
    """On the database of the test file, emptied: a new one takes much longer."""
    empty(module_database)
    return WarcraftWorker(module_database, battle_net)


@pytest.fixture
def own_worker(database: TestDatabase, battle_net: BattleNetServer) -> WarcraftWorker:
    """For tests that change tables, or leave processes behind that hold on to them."""
    return WarcraftWorker(database, battle_net)
