"""Work for every service, of every kind that it does: due rows, rows that cannot be changed,
events that Kafka refuses, and the servers on the other side. All of it is due by the real clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow

import workers
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.battle_net_game import Character, Guild
from devservers.standins.discord import DiscordServer
from devservers.standins.discord_answers import UNKNOWN_WEBHOOK, rate_limited
from devservers.standins.sse import SseServer, new_client
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import DAY, HOUR, MINUTE
from testing.scheduler_cases import CASES
from testing.scheduler_cases.webhook import delivery, webhook
from testing.warcraft_worker import SILVERMOON, WarcraftWorker, empty
from tests.support.outbox_rows import add_event

# Refuses to change, insert or delete a row that bad_rows names; as its owner, for a worker has
# no right to that table.
REFUSE = """
CREATE TABLE bad_rows (at text, id uuid);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    touched jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
    IF EXISTS (SELECT FROM public.bad_rows
               WHERE at = TG_TABLE_NAME AND id::text IN (
                   touched ->> 'id', touched ->> 'subject_id', touched ->> 'delivery_id')) THEN
        RAISE EXCEPTION 'refused';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$"""

TRIGGER = """
CREATE OR REPLACE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION refuse()"""

# librdkafka sends no message beyond a megabyte.
TOO_LARGE = '{"n": "' + "x" * 1_100_000 + '"}'


@dataclass(slots=True)
class AsRole(TestDatabase):
    """The same database as a worker's own role sees it."""

    role: str = ""
    password: str = ""

    @property
    def environment(self) -> dict[str, str]:
        own = {"DB_USER": self.role, "DB_PASSWORD": self.password}
        return {**TestDatabase(self.server, self.name, self.port).environment, **own}

    @classmethod
    def of(cls, database: TestDatabase, role: str, password: str) -> AsRole:
        """The view of this role, in the same world."""
        world = (database.port, database.options, database.greeting)
        return cls(database.server, database.name, *world, role=role, password=password)

    def login(self) -> psycopg.Connection[DictRow]:
        """A connection as this role."""
        return self.connect(user=self.role, password=self.password)


def install_refusals(database: TestDatabase) -> None:
    """Let rows be marked as bad."""
    database.query(REFUSE)


def refuse(database: TestDatabase, table: str, row: UUID) -> None:
    """Let no change of this row succeed: it is an ``id``, ``subject_id`` or ``delivery_id``."""
    database.query(TRIGGER.format(table=table))
    database.query("INSERT INTO bad_rows VALUES (%s, %s)", table, row)


@contextmanager
def work(service: str, database: TestDatabase, topics: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Give a service work; yields the settings that it needs beside the database's."""
    add_rows(service, database)
    remote = _REMOTES.get(service)
    opened: AbstractContextManager[Mapping[str, str]] = (
        remote(database) if remote else nullcontext({})
    )
    with opened as settings:
        if topics:
            add_refused_events(database, service, topics[0])
        yield {**settings}


def add_rows(service: str, database: TestDatabase) -> None:
    """Due rows of the service's schedulers that only change rows, and a bad one for each."""
    schedulers = workers.load(service).schedulers
    cases = [case for case in CASES if case.scheduler in schedulers]
    for case in cases:
        for row in case.due.values():
            row.insert(database)
        bad = case.first_due.insert(database)["id"]
        if case.changes == {}:
            refuse(database, "toast_alerts", bad)
            add_alerts_that_are_over(database, case.scheduler.name)
        else:
            refuse(database, case.table, bad)


def add_alerts_that_are_over(database: TestDatabase, scheduler: str) -> None:
    """One that can be forgotten, and one that cannot."""
    for subject in (uuid4(), bad := uuid4()):
        database.insert("toast_alerts", scheduler=scheduler, subject_id=subject, facts="gone")
    refuse(database, "toast_alerts", bad)


def add_refused_events(database: TestDatabase, service: str, topic: str) -> None:
    """One that is to be tried again, and one that is to be set aside."""
    for tries in (0, 4):
        add_event(
            database,
            service=service,
            topic=topic,
            key=f"too large {uuid4()}",
            payload=TOO_LARGE,
            tries=tries,
        )


@contextmanager
def _notification(database: TestDatabase) -> Iterator[dict[str, str]]:
    now = datetime.now(UTC)
    with DiscordServer() as discord:
        names = ("fine", "bad", "gone", "busy", "back")
        channels = {
            name: database.insert(
                "notification_channels", name=name, webhook_url=discord.webhook_url(name)
            )["id"]
            for name in names
        }
        for _ in range(2):
            rows = {
                name: database.insert(
                    "notification_notifications",
                    channel_id=channel,
                    event_payload='{"id": "e", "type": "link.expired"}',
                    status="failed",
                    attempt_count=1,
                    created_at=now - HOUR,
                )["id"]
                for name, channel in channels.items()
            }
        refuse(database, "notification_notifications", rows["bad"])
        database.insert("toast_discord_channels", channel_id=channels["back"], gone_row="other")
        discord.order_always("gone", UNKNOWN_WEBHOOK)
        discord.order("busy", rate_limited(0.1))
        yield {"NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true"}


@contextmanager
def _webhook(database: TestDatabase) -> Iterator[dict[str, str]]:
    due = {"status": "retrying", "next_retry_at": datetime.now(UTC) - MINUTE}
    with WebhookReceiver() as receiver:
        for path in ("/fine", "/status/500"):
            hook = webhook(url=f"{receiver.url}{path}")
            delivery(webhook_id=hook, **due).insert(database)
        delivery(webhook_id=webhook(url=f"off {uuid4()}", active=False), **due).insert(database)
        hook = webhook(url=f"{receiver.url}/bad")
        bad = delivery(webhook_id=hook, **due).insert(database)["id"]
        refuse(database, "webhook_delivery_attempts", bad)
        yield {"WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8"}


@contextmanager
def _sse(database: TestDatabase) -> Iterator[dict[str, str]]:
    with SseServer() as sse:
        now = datetime.now(UTC)
        sse.connect(*(new_client(now, idle=timedelta(hours=number)) for number in range(4)))
        yield {"SSE_GRPC_ADDR": sse.address}


@contextmanager
def _warcraft(database: TestDatabase) -> Iterator[dict[str, str]]:
    empty(database)
    with BattleNetServer() as battle_net:
        worker = WarcraftWorker(database, battle_net)
        guild = Guild("Order", SILVERMOON)
        member = Character("Arthas", SILVERMOON)
        guild.add(member, Character("Jaina", SILVERMOON))
        worker.track(guild)
        worker.track(member)
        database.insert("characters", name="nobody", realm="silvermoon", region="eu")
        old = database.insert("guilds", name="nowhere", realm="silvermoon", region="eu")["id"]
        departed = database.insert("characters", name="uther", realm="silvermoon")["id"]
        synced = {"guild_id": old, "last_synced_at": datetime.now(UTC) + DAY}
        database.insert("character_details", character_id=departed, **synced)
        yield worker.of_battle_net


@contextmanager
def _twitchbot(database: TestDatabase) -> Iterator[dict[str, str]]:
    """A locked message makes its cleanup pass over locked rows."""
    locked = "SELECT FROM twitchbot_messages ORDER BY created_at LIMIT 1 FOR UPDATE"
    with database.connect(autocommit=False) as connection:
        connection.execute(locked)
        yield {}


_REMOTES = {
    "twitchbot": _twitchbot,
    "notification": _notification,
    "webhook": _webhook,
    "sse": _sse,
    "warcraft": _warcraft,
}
