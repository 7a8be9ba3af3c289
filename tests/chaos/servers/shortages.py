"""Servers that have no more of something: room on the disk, connections, rights, a standby."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

import psycopg

from devservers.child_processes import PATIENCE, poll_until
from devservers.kafka import KafkaServer
from devservers.postgres import PostgresServer
from testing.arena import Arena
from testing.database import TestDatabase, create_template, fresh_database
from testing.processes import Process
from testing.workload import DUE_BY, ROWS
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.servers.small_disk import SmallDisk
from tests.chaos.stage import NOTHING_LOST, Stage, open_workload

# Room for an empty server and the rows of a round.
POSTGRES_MEGABYTES, KAFKA_MEGABYTES = 300, 100
SETTINGS = """
wal_level = replica
max_wal_senders = 1
max_wal_size = 64MB
max_connections = 30
"""
# Not a superuser, who has connections of its own and every right.
ROLE = "shortage_worker"
CREATE_ROLE = f"""
CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}';
GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE};
GRANT ALL ON SCHEMA public TO {ROLE};
GRANT TEMPORARY ON DATABASE {{database}} TO {ROLE}"""

_WAITS_FOR_STANDBY = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' LIMIT 1"


@dataclass(frozen=True, slots=True)
class Scene:
    """One round: the worker's database, the servers, and the disk of one of them."""

    database: TestDatabase
    worker: Process
    broker: KafkaServer
    disk: SmallDisk | None

    @property
    def has_failed(self) -> bool:
        """Whether the worker has logged a failure."""
        return any(self.worker.records(event) for event in ("pass_failed", "publish_failed"))

    @property
    def waits_for_standby(self) -> bool:
        """Whether a COMMIT hangs."""
        return bool(self.database.query(_WAITS_FOR_STANDBY))


@contextmanager
def _full_disk(scene: Scene) -> Iterator[None]:
    """No room; the server may end, and runs again when there is room."""
    assert scene.disk
    scene.disk.fill()
    yield
    scene.disk.free()
    for server in (scene.database.server, scene.broker):
        if not server.is_running:
            server.start()


@contextmanager
def _no_connection_left(scene: Scene) -> Iterator[None]:
    with ExitStack() as taken:

        def take_one() -> bool:
            with suppress(psycopg.OperationalError):
                taken.enter_context(scene.database.connect(user=ROLE, password=ROLE))
            return scene.has_failed

        # Also those that the worker gives up between two passes.
        poll_until(take_one, PATIENCE, 0.01)
        yield


@contextmanager
def _altered(scene: Scene, begin: str, end: str) -> Iterator[None]:
    scene.database.query(begin)
    scene.database.query("SELECT pg_reload_conf()")
    yield
    scene.database.query(end)
    scene.database.query("SELECT pg_reload_conf()")


def _between(begin: str, end: str) -> Callable[[Scene], AbstractContextManager[None]]:
    return lambda scene: _altered(scene, begin, end)


# What there is no more of, and how that begins and ends.
SHORTAGES: Mapping[str, Callable[[Scene], AbstractContextManager[None]]] = {
    "PostgreSQL's disk full": _full_disk,
    "a synchronous standby away": _between(
        "ALTER SYSTEM SET synchronous_standby_names = 'away'",
        "ALTER SYSTEM RESET synchronous_standby_names",
    ),
    "connections used up": _no_connection_left,
    "one connection for the role": _between(
        f"ALTER ROLE {ROLE} CONNECTION LIMIT 1", f"ALTER ROLE {ROLE} CONNECTION LIMIT -1"
    ),
    "a role that may only read": _between(
        f"REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM {ROLE}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}",
    ),
    "Kafka's disk full": _full_disk,
}


def play(arena: Arena, current: Round) -> Figures:
    """One shortage, for some time, while rows of one scheduler become due."""
    name = list(SHORTAGES)[current.number % len(SHORTAGES)]
    # Whose passes are many, and have events.
    candidates = [each for each in DUE_BY if ROWS[each].scheduler.topics]
    scheduler = ROWS[current.dice.choice(candidates)].scheduler
    seconds, rows = current.size(60, 3), int(current.size(2000, 300))
    with ExitStack() as stack:
        disk, server, broker = _servers(arena, name, stack)
        create_template(server)
        database = stack.enter_context(fresh_database(server))
        database.query(CREATE_ROLE.format(database=database.name))
        workload = stack.enter_context(open_workload(scheduler, database))
        workload.apart = 1.5 * seconds * 1000 / rows  # before, during and after the shortage
        role = {"DB_USER": ROLE, "DB_PASSWORD": ROLE}
        stage = Stage(workload, broker.address, **role)
        workload.fill(rows)
        worker = stack.enter_context(stage.worker())
        worker.wait_for("pass_finished")
        scene = Scene(database, worker, broker, disk)
        standby = "standby" in name
        with SHORTAGES[name](scene):
            bitten = poll_until(
                lambda: scene.waits_for_standby if standby else scene.has_failed, PATIENCE
            )
            time.sleep(seconds)
            if standby:
                assert worker.stop() == 0
        exits = int(worker.ended is not None and not standby)
        return {
            **stage.settle(),
            "shortages felt": bitten,
            "process exits": exits,
        }


def _servers(
    arena: Arena, name: str, stack: ExitStack
) -> tuple[SmallDisk | None, PostgresServer, KafkaServer]:
    """The servers of a round, one of them on a small disk if that is to be full."""
    if name == "Kafka's disk full":
        disk = stack.enter_context(SmallDisk(KAFKA_MEGABYTES))
        broker = stack.enter_context(KafkaServer(data=disk.path / "data"))
        server = stack.enter_context(PostgresServer(durable=False, settings=SETTINGS))
        return disk, server, broker
    if name == "PostgreSQL's disk full":
        disk = stack.enter_context(SmallDisk(POSTGRES_MEGABYTES))
        data = disk.path / "data"
        server = stack.enter_context(PostgresServer(data=data, settings=SETTINGS))
        return disk, server, arena.kafka
    server = stack.enter_context(PostgresServer(durable=False, settings=SETTINGS))
    return None, server, arena.kafka


CAMPAIGN = Campaign(
    name="shortages",
    promise="a server that has no more of something loses nothing",
    faults=f"a minute each: {', '.join(SHORTAGES)}",
    limits=(Limit("shortages felt", least=1), Limit("process exits", most=0), *NOTHING_LOST),
    play=play,
    rounds=2 * len(SHORTAGES),
    small_rounds=3,
)
