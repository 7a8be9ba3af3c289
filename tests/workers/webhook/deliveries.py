"""Rows of webhook-delivery, its passes, and what both leave, for the tests of this folder."""

from collections import Counter
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from common.scheduling.scheduler import PassResult
from devservers.standins.webhook_receiver import WebhookReceiver
from testing.database import TestDatabase
from testing.passes import HOUR, NOW, run_pass
from workers.webhook.webhook_delivery import SCHEDULER

SECRET = "Pl4nted-Secret-0f-the-w3bhook"
OPEN = {"WEBHOOK_ALLOW_PRIVATE_CIDRS": "127.0.0.0/8"}


def add_webhook(database: TestDatabase, url: str, **columns: object) -> UUID:
    row = database.insert(
        "webhook_webhooks", **{"url": url, "secret": SECRET, "active": True, **columns}
    )
    return UUID(str(row["id"]))


def add(database: TestDatabase, webhook: UUID | str, **columns: object) -> UUID:
    """A delivery that is due, to a webhook or to a new one of this URL."""
    if isinstance(webhook, str):
        webhook = add_webhook(database, webhook)
    given = {"webhook_id": webhook, "status": "retrying", "next_retry_at": NOW - HOUR, **columns}
    return UUID(str(database.insert("webhook_deliveries", **given)["id"]))


def deliver(database: TestDatabase, **details: Any) -> PassResult:
    return run_pass(database, SCHEDULER, **{**OPEN, **details})


def rows(database: TestDatabase, statement: str, *values: object) -> list[DictRow]:
    """As the workers read them: with text and times that psycopg alone does not understand."""
    with database.session() as session:
        return session.execute(statement, values).fetchall()


def delivery(database: TestDatabase, row: UUID) -> DictRow:
    [found] = rows(database, "SELECT * FROM webhook_deliveries WHERE id = %s", row)
    return found


def attempt(database: TestDatabase, row: UUID) -> DictRow:
    """The only attempt at a delivery."""
    [found] = rows(database, "SELECT * FROM webhook_delivery_attempts WHERE delivery_id = %s", row)
    return found


def states(database: TestDatabase) -> dict[UUID, DictRow]:
    return {row["id"]: row for row in rows(database, "SELECT * FROM webhook_deliveries")}


def statuses(database: TestDatabase) -> dict[UUID, str]:
    return {row: state["status"] for row, state in states(database).items()}


def received(receiver: WebhookReceiver) -> Counter[UUID]:
    """How often each delivery has arrived."""
    return Counter(UUID(request.headers["webhook-id"]) for request in receiver.received)
