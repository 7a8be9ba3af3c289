"""Where secrets are planted and something then fails: what each path works with and leaves."""

import signal
import socket
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from devservers.child_processes import PATIENCE, free_port, poll_until
from testing.database import TestDatabase
from testing.passes import GO_ZERO_TIME, NOW
from testing.processes import Process, environment, toast
from tests.promises.secrets.search import (
    BEARER,
    DISCORD_TOKEN,
    HMAC_SECRET,
    QUERY_TOKEN,
    SLACK_KEY,
    TEAMS_KEY,
)
from tests.support.scrapes import ask

# Where a text could have come from but for its shape, nothing would know it for a secret.
SHAPES = " ".join(
    (
        f"https://discord.com/api/webhooks/1/{DISCORD_TOKEN}",
        f"https://hooks.slack.com/services/T0PLNT7DW/B0PLNT8EX/{SLACK_KEY}",
        f"https://x.webhook.office.com/webhookb2/1@2/IncomingWebhook/{TEAMS_KEY}/3",
        f"https://receiver.example/in?v=1&sig={QUERY_TOKEN}",
        f"Authorization: Bearer {BEARER}",
    )
)


@dataclass(slots=True)
class Stage:
    """What a path has to work with, and what has been left so far, by place."""

    database: TestDatabase
    brokers: str
    settings: dict[str, str]
    places: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    exits: ExitStack = field(default_factory=ExitStack)

    def environment(self, **settings: str) -> dict[str, str]:
        return environment(self.database, self.brokers, **{**self.settings, **settings})

    def toast(self, *arguments: str, **settings: str) -> None:
        """Run a command, and keep its output."""
        answer = toast(*arguments, env=self.environment(**settings))
        name = " ".join(arguments)
        self.keep({f"output of {name}": answer.out, f"errors of {name}": answer.err})

    def once(self, service: str, scheduler: str, **settings: str) -> None:
        """Run one pass, and keep its output."""
        self.toast("once", service, scheduler, "--json", **settings)

    def worker(
        self,
        event: str,
        module: str = "workers.link",
        *arguments: str,
        pages: bool = True,
        **settings: str,
    ) -> None:
        """Run a worker until this is in its log, request its pages, and keep all it wrote."""
        port = free_port()
        manager = self.enter(Manager())
        ours = {"METRICS_PORT": str(port), "NOTIFY_SOCKET": manager.address}
        env = self.environment(**ours, **settings)
        with Process(module, *arguments, env=env) as worker:
            poll_until(lambda: event in worker.log, PATIENCE)
            if pages:
                poll_until(lambda: "metrics_port_opened" in worker.log, PATIENCE)
                for path in ("metrics", "healthz", "readyz"):
                    answer = ask(port, f"/{path}")
                    self.keep({path: f"{answer.status} {answer.text}"})
            worker.send(signal.SIGTERM)
            worker.exit_code()
        self.keep({"log": worker.log, "notifications to systemd": "\n".join(manager.messages)})

    def keep(self, places: Mapping[str, str]) -> None:
        for place, text in places.items():
            self.places[place] = self.places.get(place, "") + text

    def enter(self, server: Any) -> Any:
        """Run a server until the test ends."""
        return self.exits.enter_context(server)


class Manager:
    """systemd's end of the socket that workers notify."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # an abstract name of the kernel's choice

    @property
    def address(self) -> str:
        return "@" + bytes(self._socket.getsockname()[1:]).decode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        with self._socket:
            while datagram := self._socket.recv(65_536):
                self.messages.append(datagram.decode())


def add_notification(database: TestDatabase, url: str) -> UUID:
    """A notification that failed once, for a channel with this webhook."""
    channel = database.insert("notification_channels", name="news", webhook_url=url)
    notification: UUID = database.insert(
        "notification_notifications",
        channel_id=channel["id"],
        event_id="event",
        event_type="link.expired",
        event_payload='{"id": "event", "type": "link.expired", "data": {"n": 1}}',
        status="failed",
        attempt_count=1,
        created_at=NOW,
    )["id"]
    return notification


def add_delivery(database: TestDatabase, url: str, **columns: object) -> UUID:
    """A delivery that is due, to a webhook with this URL and the planted secret."""
    never = dict.fromkeys(("last_delivery_at", "last_success_at", "last_failure_at"), GO_ZERO_TIME)
    webhook = database.insert("webhook_webhooks", url=url, secret=HMAC_SECRET, **never)
    values = {"status": "retrying", "attempt_count": 1, "next_retry_at": NOW, **columns}
    added = database.insert("webhook_deliveries", webhook_id=webhook["id"], **values)
    delivery: UUID = added["id"]
    return delivery


def raise_on_update(database: TestDatabase, table: str, quoted: str, *, code: str) -> None:
    """Let every change of the table fail with this expression in each part of the error."""
    database.query(
        f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'refused: %', {quoted} USING ERRCODE = '{code}',
                DETAIL = {quoted}, HINT = {quoted}, TABLE = {quoted};
        END $$"""
    )
    database.query(
        f"CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
