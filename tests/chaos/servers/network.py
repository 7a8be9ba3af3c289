"""A bad network: PostgreSQL, Kafka and the remote side, each behind a proxy with faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from random import Random

from devservers.child_processes import PATIENCE, free_port
from devservers.kafka import KafkaServer
from devservers.tcp_proxy import TcpProxy
from testing.arena import Arena
from testing.processes import Process, environment
from testing.workload import Workload, only, service_of
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.consumed_events import Consumers
from tests.chaos.workloads import SCHEDULERS, loss_figures, open_workload
from tests.support.background import in_background

DUE_ROWS = 100
# Longer than any attempt of a workload takes, with what is written down of it.
UNDER_WAY_SECONDS = 5.0
# Where the address of a remote side is in rows, not in settings.
_IN_ROWS = {
    "notification-retry": "UPDATE notification_channels SET webhook_url = ",
    "webhook-delivery": "UPDATE webhook_webhooks SET url = ",
}
_IN_SETTINGS = ("SSE_GRPC_ADDR", "BLIZZARD_API_URL", "BLIZZARD_OAUTH_URL")


def play(arena: Arena, current: Round) -> Figures:
    """Work off one scheduler's rows over bad connections, then over good ones."""
    scheduler = SCHEDULERS[current.number % len(SCHEDULERS)]
    with (
        arena.database() as database,
        open_workload(scheduler, database) as workload,
        ExitStack() as stack,
    ):
        workload.apart = 30.0
        workload.fill(DUE_ROWS)
        kafka, to_kafka = _kafka(arena, stack)
        to_postgres = stack.enter_context(TcpProxy(database.server.port))
        settings = {**only(scheduler), **workload.settings, "DB_PORT": str(to_postgres.port)}
        remote = _remote(stack, workload, settings)
        consumers = Consumers(kafka.address, workload.topics)
        address = f"127.0.0.1:{to_kafka.port}"
        env = environment(database, address, **settings)
        proxies = [to_postgres, to_kafka, *remote]
        with Process(f"workers.{service_of(scheduler)}", env=env) as worker:
            worker.wait_for("scheduler_started")
            with _disturbing(proxies, current.dice) as disturbances:
                time.sleep(current.size(10, 4))
            # What was under way may still fail, and be put off by a minute.
            workload.wait(UNDER_WAY_SECONDS)
            workload.time_passes()
            left = workload.wait(PATIENCE)
            exits = worker.ended is not None
        return {
            **loss_figures(workload, consumers.events()),
            "disturbances": len(disturbances),
            "events left": left,
            "process exits": exits,
        }


def _kafka(arena: Arena, stack: ExitStack) -> tuple[KafkaServer, TcpProxy]:
    """A broker that sends its clients to a proxy, once for all rounds, and that proxy."""
    port = arena.once("port of the proxy", free_port)
    kafka = arena.once("kafka behind a proxy", lambda: arena.enter(_advertising(port)))
    return kafka, stack.enter_context(TcpProxy(int(kafka.address.rpartition(":")[2]), port))


def _advertising(port: int) -> KafkaServer:
    return KafkaServer(f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n")


def _remote(stack: ExitStack, workload: Workload, settings: dict[str, str]) -> list[TcpProxy]:
    """Put a proxy in front of what the scheduler calls, if it calls any."""
    port = _port_of_remote(workload, settings)
    if port is None:
        return []
    proxy = stack.enter_context(TcpProxy(port))
    for name in _IN_SETTINGS:
        if name in settings:
            settings[name] = settings[name].replace(f":{port}", f":{proxy.port}")
    if workload.scheduler.name in _IN_ROWS:
        update, column = _IN_ROWS[workload.scheduler.name], _column(workload)
        workload.database.query(f"{update} replace({column}, ':{port}/', ':{proxy.port}/')")
    return [proxy]


def _column(workload: Workload) -> str:
    return _IN_ROWS[workload.scheduler.name].split()[-2]


def _port_of_remote(workload: Workload, settings: Mapping[str, str]) -> int | None:
    addresses = [settings[name] for name in _IN_SETTINGS if name in settings]
    if workload.scheduler.name in _IN_ROWS:
        table = _IN_ROWS[workload.scheduler.name].split()[1]
        rows = workload.database.query(f"SELECT {_column(workload)} AS url FROM {table} LIMIT 1")
        addresses = [row["url"] for row in rows]
    return int(addresses[0].split(":")[-1].split("/")[0]) if addresses else None


@contextmanager
def _disturbing(proxies: list[TcpProxy], dice: Random) -> Iterator[list[str]]:
    """Do something to one of the connections several times a second, and mend all in the end."""
    done, disturbances = threading.Event(), list[str]()

    def disturb() -> None:
        while not done.wait(dice.uniform(0.05, 0.3)):
            proxy, kind = dice.choice(proxies), dice.choice(("cut", "freeze", "delay", "half"))
            disturbances.append(kind)
            if kind == "cut":
                proxy.cut()
            elif kind == "half":
                proxy.half_close()
            elif kind == "freeze":
                proxy.freeze()
                done.wait(dice.uniform(0.1, 1.0))
                proxy.thaw()
            else:
                proxy.delay = dice.uniform(0.01, 0.2)
                done.wait(dice.uniform(0.1, 1.0))
                proxy.delay = 0.0

    with in_background(done, disturb):
        yield disturbances


CAMPAIGN = Campaign(
    name="network",
    promise="a bad network loses nothing and changes nothing twice",
    faults="connections to PostgreSQL, Kafka and the remote side cut, frozen, delayed, half-closed",
    limits=(
        Limit("disturbances", least=1),
        Limit("lost", most=0),
        Limit("second change", most=0),
        Limit("other bytes", most=0),
        Limit("events left", most=0),
        Limit("process exits", most=0),
        Limit("duplicates"),
    ),
    play=play,
    rounds=len(SCHEDULERS) * 10,
    small_rounds=2,
)
