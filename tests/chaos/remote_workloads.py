"""Work for the schedulers that call others, and stand-ins for those."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from common.scheduling.scheduler import Scheduler
from devservers.standins.battle_net import BattleNetServer
from devservers.standins.battle_net_game import Character, Guild, letters
from devservers.standins.discord import DiscordServer
from devservers.standins.sse import SseServer, new_client
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import MINUTE
from testing.scheduler_cases.webhook import delivery, webhook
from testing.warcraft_worker import CLIENT_ID, CLIENT_SECRET, SILVERMOON, WarcraftWorker
from testing.workload import Workload
from workers.notification import notification_retry
from workers.sse import client_cleanup
from workers.warcraft import character_sync, guild_sync
from workers.webhook import webhook_delivery

# Few enough for the limits of those who are called.
MOST_DUE = 40
RECEIVERS = 4
# More than a bad network uses up.
MOST_ATTEMPTS = 20

# A failed attempt is followed by another, as the network has it; one that succeeded by none.
_AFTER_SUCCESS = """{attempts} AS attempt WHERE EXISTS (
    SELECT FROM {attempts} AS other
    WHERE other.{of} = attempt.{of} AND other.id <> attempt.id AND other.success
      AND other.attempt_number <= attempt.attempt_number)"""


class Notifications(Workload):
    """Failed notifications, one for each of many channels."""

    def __init__(self, database: TestDatabase, discord: DiscordServer) -> None:
        super().__init__(notification_retry.SCHEDULER, database)
        self._discord = discord
        self.settings = {
            "NOTIFICATION_ALLOW_LOOPBACK_HTTP": "true",
            # The longest that a pass may send.
            "NOTIFICATION_RETRY_INTERVAL": "2s",
            "NOTIFICATION_RETRY_MAX_RETRIES": str(MOST_ATTEMPTS),
        }

    def fill(self, rows: int) -> None:
        for number in range(min(rows, MOST_DUE)):
            name = f"channel{number}"
            channel = self.database.insert(
                "notification_channels", name=name, webhook_url=self._discord.webhook_url(name)
            )["id"]
            for status in ("failed", "success"):
                self.database.insert(
                    "notification_notifications",
                    channel_id=channel,
                    event_payload='{"id": "e", "type": "link.expired"}',
                    status=status,
                    attempt_count=1,
                )
        self.watch("notification_notifications")

    def undone(self) -> int:
        return self.database.count("notification_notifications WHERE status <> 'success'")

    def changed_twice(self) -> int:
        attempts = "notification_attempts"
        without_attempt = sum(self.changes().values()) - self.database.count(attempts)
        return abs(without_attempt) + self.database.count(
            _AFTER_SUCCESS.format(attempts=attempts, of="notification_id")
        )


class Clients(Workload):
    """Clients of the SSE service, of which most have gone quiet."""

    def __init__(self, database: TestDatabase, sse: SseServer) -> None:
        super().__init__(client_cleanup.SCHEDULER, database)
        self._sse = sse
        self._active: frozenset[str] = frozenset()
        self.settings = {"SSE_GRPC_ADDR": sse.address}

    def fill(self, rows: int) -> None:
        self.connect_active(MOST_DUE)
        now = datetime.now(UTC)
        self._sse.connect(*(new_client(now, idle=timedelta(hours=1)) for _ in range(rows)))

    def connect_active(self, clients: int) -> None:
        """Connect clients that have to stay."""
        now = datetime.now(UTC)
        active = [new_client(now, idle=MINUTE) for _ in range(clients)]
        self._active |= {client.id for client in active}
        self._sse.connect(*active)

    def undone(self) -> int:
        return len(set(self._sse.clients) - self._active)

    def changed_twice(self) -> int:
        return len(self._active.intersection(self._sse.cuts))


class BattleNet(Workload):
    """Characters or guilds that were never synced."""

    def __init__(
        self, scheduler: Scheduler, database: TestDatabase, battle_net: BattleNetServer
    ) -> None:
        super().__init__(scheduler, database)
        self._worker = WarcraftWorker(database, battle_net)
        self._table, self._synced = "guilds", "guilds"
        if scheduler is character_sync.SCHEDULER:
            self._table, self._synced = "characters", "character_details"
        self.topics = tuple((topic,) for topic in scheduler.topics)
        self.settings = {
            "BLIZZARD_CLIENT_ID": CLIENT_ID,
            "BLIZZARD_CLIENT_SECRET": CLIENT_SECRET,
            "BLIZZARD_API_URL": battle_net.url,
            "BLIZZARD_OAUTH_URL": battle_net.url,
            # Synced once, and then not again.
            scheduler.interval.name: "6h",
        }

    def fill(self, rows: int) -> None:
        for number in range(min(rows, MOST_DUE)):
            character = Character(f"Name{letters(number)}", SILVERMOON)
            guild = Guild(f"Guild {letters(number)}", SILVERMOON)
            guild.add(character)
            self._worker.game.add(character)
            self._worker.track(character if self._table == "characters" else guild)
        self.due = self.ids(self._table)
        self.watch(self._synced)

    def undone(self) -> int:
        return len(self.due) - self.database.count(
            f"{self._synced} WHERE last_synced_at IS NOT NULL"
        )

    def changed_twice(self) -> int:
        return sum(changes - 1 for changes in self.changes().values())


class Deliveries(Workload):
    """Deliveries that are due, to some receivers."""

    def __init__(self, database: TestDatabase, receiver: WebhookReceiver) -> None:
        super().__init__(webhook_delivery.SCHEDULER, database)
        self._receiver = receiver
        self.settings = {
            "WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8",
            "WEBHOOK_DELIVERY_TIMEOUT": "1s",
        }

    def fill(self, rows: int) -> None:
        due = {"status": "retrying", "next_retry_at": datetime.now(UTC) - MINUTE}
        for number in range(RECEIVERS):
            hook = webhook(url=f"{self._receiver.url}/{number}").insert(self.database)["id"]
            for _ in range(min(rows, MOST_DUE) // RECEIVERS):
                delivery(webhook_id=hook, **due).insert(self.database)

    def undone(self) -> int:
        return self.database.count("webhook_deliveries WHERE status <> 'success'")

    def changed_twice(self) -> int:
        return self.database.count(
            _AFTER_SUCCESS.format(attempts="webhook_delivery_attempts", of="delivery_id")
        )

    def time_passes(self) -> None:
        """Let the leases run out of what was taken by the dead, and webhook-retry have its turn."""
        self.database.query(
            "UPDATE webhook_deliveries SET status = 'retrying', next_retry_at = now() "
            "WHERE status IN ('retrying', 'failed')"
        )


_StandIn = TypeVar("_StandIn")
RemoteWorkload = Notifications | Clients | BattleNet | Deliveries


@dataclass(frozen=True, slots=True)
class Remote:
    """A scheduler that calls others: where it can be killed, and a workload for it."""

    scheduler: Scheduler
    places: tuple[str, ...]
    open: Callable[[TestDatabase], AbstractContextManager[RemoteWorkload]]


def _remote(
    scheduler: Scheduler,
    places: tuple[str, ...],
    stand_in: Callable[[], AbstractContextManager[_StandIn]],
    workload: Callable[[TestDatabase, _StandIn], RemoteWorkload],
) -> Remote:
    @contextmanager
    def opened(database: TestDatabase) -> Iterator[RemoteWorkload]:
        with stand_in() as server:
            yield workload(database, server)

    return Remote(scheduler, places, opened)


_REACHED = ("claimed", "asked", "answered", "committed")
_SYNC_REACHED = (*_REACHED[:-1], "commit", "committed")

_CHARACTERS = partial(BattleNet, character_sync.SCHEDULER)
_GUILDS = partial(BattleNet, guild_sync.SCHEDULER)

REMOTE: Mapping[str, Remote] = {
    remote.scheduler.name: remote
    for remote in (
        _remote(
            notification_retry.SCHEDULER, _REACHED, partial(DiscordServer, scale=0.1), Notifications
        ),
        _remote(client_cleanup.SCHEDULER, _REACHED, SseServer, Clients),
        _remote(character_sync.SCHEDULER, _SYNC_REACHED, BattleNetServer, _CHARACTERS),
        _remote(guild_sync.SCHEDULER, _SYNC_REACHED, BattleNetServer, _GUILDS),
        _remote(webhook_delivery.SCHEDULER, _REACHED, WebhookReceiver, Deliveries),
    )
}
