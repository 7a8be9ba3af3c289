"""The brokers of the metadata, each judged at the address that it advertises."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence

import pytest

from common import config
from common.config import Settings
from common.events import cluster
from common.events.cluster import Cluster
from common.events.messages import KafkaUnavailable
from devservers.child_processes import free_port
from devservers.mock_broker import Broker
from testing.advertised import advertised

SECONDS = 3.0


@pytest.fixture(scope="module")
def brokers(servers: None) -> Iterator[list[str]]:
    """The addresses of a cluster of two."""
    with Broker([], brokers=2) as broker:
        yield broker.address.split(",")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def load(monkeypatch: pytest.MonkeyPatch, brokers: str) -> Settings:
    monkeypatch.setenv("KAFKA_BROKERS", brokers)
    return config.load("link", (), common=config.KAFKA)


def connect(settings: Settings) -> Cluster | str:
    """The cluster, or why there is none."""
    try:
        return cluster.connect(settings, SECONDS)
    except KafkaUnavailable as error:
        return str(error)


@pytest.mark.parametrize("away", [(), (0,), (1,), (0, 1)], ids=["none", "first", "second", "both"])
def test_each_broker_that_cannot_be_reached_is_named_with_what_it_advertises(
    brokers: list[str], away: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = {brokers[number]: free_port() for number in away}
    with advertised(",".join(brokers), ports) as address:
        found = connect(load(monkeypatch, address))

    if isinstance(found, str):
        # With both away the metadata may be lost, with the connection by which they came.
        assert len(away) == 2
        assert any(
            f"advertised as 127.0.0.1:{port}: Connect to " in found for port in ports.values()
        )
        return
    assert len(found.metadata.brokers) == 2
    assert found.is_usable == (len(away) < 2)
    assert [fault.address for fault in found.faults] == [
        f"127.0.0.1:{ports[brokers[number]]}" for number in away
    ]
    for number, fault in zip(away, found.faults, strict=True):
        start = f"broker {number + 1}, advertised as {fault.address}: Connect to "
        assert fault.message.startswith(start), fault
        assert fault.message.endswith("failed: Connection refused")
        assert "correct its advertised.listeners" in fault.fix


def test_a_broker_that_says_nothing_is_waited_for_until_the_deadline(
    brokers: list[str], silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    with advertised(",".join(brokers), {brokers[1]: silent}) as address:
        found = cluster.connect(load(monkeypatch, address), SECONDS)

    [fault] = found.faults
    assert fault.message == f"broker 2, advertised as 127.0.0.1:{silent}: no answer within 3 s"
    assert SECONDS <= time.monotonic() - began < SECONDS + 2


def test_what_a_broker_is_to_do_that_kafka_brokers_names_is_not_to_advertise(
    brokers: list[str], silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with advertised(",".join(brokers), {brokers[1]: silent}) as address:
        both = f"{address},127.0.0.1:{silent}"
        [fault] = cluster.connect(load(monkeypatch, both), SECONDS).faults

    assert fault.message.startswith(f"broker 2 at 127.0.0.1:{silent}: ")
    assert fault.fix == "start it, or let this host reach it"
