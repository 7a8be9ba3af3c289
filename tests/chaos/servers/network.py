"""A bad network: PostgreSQL, Kafka and the remote side, each behind a proxy with faults."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from devservers.child_processes import PATIENCE, free_port
from devservers.kafka import KafkaServer
from devservers.tcp_proxy import TcpProxy
from testing.arena import Arena
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.stage import NOTHING_LOST, SCHEDULERS, Stage, staged
from tests.support.background import in_background

DUE_ROWS = 100
# Longer than any attempt of a workload takes, with what is written down of it.
UNDER_WAY_SECONDS = 5.0
# Where the address of a remote side is in rows, not in settings.
_IN_ROWS = {
    "notification-retry": ("notification_channels", "webhook_url"),
    "webhook-delivery": ("webhook_webhooks", "url"),
}
_IN_SETTINGS = ("SSE_GRPC_ADDR", "BLIZZARD_API_URL", "BLIZZARD_OAUTH_URL")


def play(arena: Arena, current: Round) -> Figures:
    """Work off one scheduler's rows over bad connections, then over good ones."""
    scheduler = SCHEDULERS[current.number % len(SCHEDULERS)]
    with (
        TcpProxy(arena.postgres.port) as to_postgres,
        _proxy_of_kafka(arena) as to_kafka,
        staged(
            arena,
            scheduler,
            DUE_ROWS,
            apart=30.0,
            brokers=f"127.0.0.1:{to_kafka.port}",
            DB_PORT=str(to_postgres.port),
        ) as stage,
        ExitStack() as stack,
    ):
        workload, proxies = stage.workload, [to_postgres, to_kafka, *_remote(stack, stage)]
        with stage.worker() as worker:
            worker.wait_for("scheduler_started")
            with _disturbing(proxies, current.dice) as disturbances:
                time.sleep(current.size(10, 4))
            # What was under way may still fail, and be put off by a minute.
            workload.wait(UNDER_WAY_SECONDS)
            workload.time_passes()
            workload.wait(PATIENCE)
            exits = worker.ended is not None
        return {
            **stage.judge(),
            "disturbances": len(disturbances),
            "process exits": exits,
        }


def _proxy_of_kafka(arena: Arena) -> TcpProxy:
    """The proxy to which a broker, the same for all rounds, sends its clients."""
    port = arena.once("port of the proxy", free_port)
    advertised = f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
    kafka = arena.once("kafka behind a proxy", lambda: arena.enter(KafkaServer(advertised)))
    return TcpProxy(int(kafka.address.rpartition(":")[2]), port)


def _remote(stack: ExitStack, stage: Stage) -> list[TcpProxy]:
    """Put a proxy in front of what the scheduler calls, if it calls any."""
    table, column = _IN_ROWS.get(stage.scheduler.name, ("", ""))
    named = [name for name in _IN_SETTINGS if name in stage.workload.settings]
    addresses = [stage.env[name] for name in named]
    if table:
        rows = stage.database.query(f"SELECT {column} AS url FROM {table} LIMIT 1")
        addresses = [row["url"] for row in rows]
    if not addresses:
        return []
    port = int(addresses[0].split(":")[-1].split("/")[0])
    proxy = stack.enter_context(TcpProxy(port))
    for name in named:
        stage.env[name] = stage.env[name].replace(f":{port}", f":{proxy.port}")
    if table:
        change = f"{column} = replace({column}, ':{port}/', ':{proxy.port}/')"
        stage.database.query(f"UPDATE {table} SET {change}")
    return [proxy]


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
        *NOTHING_LOST,
        Limit("process exits", most=0),
        Limit("duplicates"),
    ),
    play=play,
    rounds=len(SCHEDULERS) * 10,
    small_rounds=2,
)
