"""What the Go services do, as statements that play it: facts about them, in one place.

They were seen in a run of all nine services, built from source, on PostgreSQL 15 and Kafka 3.9. The
pages and their order are those of the services' code, in the SQL that GORM 1.31 makes of it. A fact
here is right if a live service does it; it does not follow from ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from testing.database import TestDatabase


@dataclass(frozen=True, slots=True)
class LivePass:
    """A pass of a live scheduler: it reads a page of rows, then changes some of them by their id.

    ``page`` is its query after WHERE, ``picks`` what its Go code takes of the rows that came.
    ``changes`` is what it sets, without a look at what the row has become since: None if it deletes
    the row for good, "" if it only publishes an event.
    """

    table: str
    page: str
    changes: str | None
    picks: str = "true"

    def read(self, database: TestDatabase, now: datetime) -> list[UUID]:
        """The rows that a pass at this time takes."""
        page = f"SELECT * FROM {self.table} WHERE {self.page}"
        found = database.query(at(now, f"SELECT id FROM ({page}) AS page WHERE {self.picks}"))
        return [row["id"] for row in found]

    def change(self, database: TestDatabase, now: datetime, rows: Sequence[UUID]) -> int:
        """Do to rows what a pass does to those that it has read; returns how many it changed."""
        if self.changes == "":
            return len(rows)
        change = f"UPDATE {self.table} SET {self.changes}"
        if self.changes is None:
            change = f"DELETE FROM {self.table}"
        return len(database.query(at(now, f"{change} WHERE id = ANY (%s) RETURNING id"), rows))

    def run(self, database: TestDatabase, now: datetime) -> int:
        """A whole pass; returns how many rows it changed, or published an event of."""
        return self.change(database, now, self.read(database, now))


def at(now: datetime, statement: str) -> str:
    """The statement with this time for its now()."""
    return statement.replace("now()", f"timestamptz '{now.isoformat()}'")


SCHEDULERS: Mapping[str, LivePass] = MappingProxyType(
    {
        # The newest 100 drafts, most of which are not scheduled.
        "post-publisher": LivePass(
            "blog_posts",
            "status = 'draft' AND deleted_at IS NULL ORDER BY created_at DESC LIMIT 100",
            picks="published_at < now()",
            changes="status = 'published', updated_at = now()",
        ),
        # Any 1,000 items; it announces each of them again at every pass.
        "item-expiration": LivePass(
            "foodfolio_item_details",
            "deleted_at IS NULL LIMIT 1000",
            picks="expiry_date < now() + interval '7 days'",
            changes="",
        ),
        # Any 1,000 variants, without their items: each has a stock of 0, and is announced as empty.
        "stock-level": LivePass(
            "foodfolio_item_variants", "deleted_at IS NULL LIMIT 1000", changes=""
        ),
        # The query of its list, which shows no expired links; then those that have expired.
        "link-expiration": LivePass(
            "link_links",
            "is_active AND (expires_at IS NULL OR expires_at > now()) AND deleted_at IS NULL"
            " ORDER BY created_at DESC LIMIT 1000",
            picks="expires_at < now()",
            changes="is_active = false, updated_at = now()",
        ),
        # GORM's Delete of a table with deleted_at, which also adds the last condition.
        "notification-cleanup": LivePass(
            "notification_notifications",
            "status = 'success' AND created_at < now() - interval '30 days' AND deleted_at IS NULL",
            changes="deleted_at = now()",
        ),
        # The newest 10,000 messages, soft-deleted ones too; what is old among them is deleted.
        "message-cleanup": LivePass(
            "twitchbot_messages",
            "true ORDER BY sent_at DESC LIMIT 10000",
            picks="created_at < now() - interval '90 days'",
            changes=None,
        ),
        # It knows of no row that must stay active.
        "stream-closer": LivePass(
            "twitchbot_streams",
            "is_active AND deleted_at IS NULL ORDER BY started_at DESC LIMIT 100",
            picks="updated_at < now() - interval '24 hours'",
            changes="is_active = false, ended_at = now(), updated_at = now()",
        ),
        # The newest 100 failed deliveries, whatever has become of their webhook.
        "webhook-retry": LivePass(
            "webhook_deliveries",
            "status = 'failed' AND deleted_at IS NULL ORDER BY created_at DESC LIMIT 100",
            picks="attempt_count < 3",
            changes="status = 'retrying', updated_at = now(),"
            " next_retry_at = now() + power(2, attempt_count) * interval '1 minute'",
        ),
        # As notification-cleanup.
        "webhook-cleanup": LivePass(
            "webhook_deliveries",
            "status IN ('success', 'failed') AND created_at < now() - interval '30 days'"
            " AND deleted_at IS NULL",
            changes="deleted_at = now()",
        ),
    }
)

_ATTEMPT = """
INSERT INTO webhook_delivery_attempts (delivery_id, attempt_number, request_url, response_status,
    response_body, success, error, duration_ms, created_at)
SELECT id, number, '', %s, '', %s, '', 1, now()
FROM unnest(%s::uuid[]) AS id, generate_series(1, %s) AS number"""


@dataclass(frozen=True, slots=True)
class LivePool:
    """The delivery pool, which takes the retries that are due once a minute.

    It keeps what it has read in memory and claims nothing in the table. It numbers the attempts of
    each retry from 1 up to its own ``maximum``, and stores the last number.
    """

    maximum: int = 3

    def read(self, database: TestDatabase, now: datetime) -> list[UUID]:
        """The deliveries that it takes at this time."""
        return LivePass(
            "webhook_deliveries",
            "status = 'retrying' AND next_retry_at <= now() AND deleted_at IS NULL LIMIT 100",
            changes="",
        ).read(database, now)

    def deliver(self, database: TestDatabase, now: datetime, rows: Sequence[UUID]) -> None:
        """Deliver what it has read: each at the first attempt."""
        database.query(at(now, _ATTEMPT), 200, True, rows, 1)
        self._end(database, now, rows, "'success', next_retry_at = NULL, attempt_count = 1")

    def fail(self, database: TestDatabase, now: datetime, rows: Sequence[UUID]) -> None:
        """Use up its attempts on what it has read: the receiver is dead."""
        database.query(at(now, _ATTEMPT), 503, False, rows, self.maximum)
        outcome = f"'failed', next_retry_at = NULL, attempt_count = {self.maximum}"
        self._end(database, now, rows, outcome)

    def refuse(self, database: TestDatabase, now: datetime, rows: Sequence[UUID]) -> None:
        """Fail what it has read without an attempt: the webhook is not active."""
        self._end(database, now, rows, "'failed', last_error = 'Webhook is no longer active'")

    @staticmethod
    def _end(database: TestDatabase, now: datetime, rows: Sequence[UUID], outcome: str) -> None:
        changes = f"status = {outcome}, updated_at = now()"
        LivePass("webhook_deliveries", "", changes).change(database, now, rows)


# The topics that the SSE, notification and webhook services read unless KAFKA_TOPICS names others:
# those that all three have.
DEFAULT_TOPICS = frozenset(
    f"{subject}.{action}"
    for subject, actions in {
        "blog.post": "created updated published deleted",
        "blog.category": "created updated deleted",
        "blog.tag": "created updated deleted",
        "blog.comment": "created approved rejected deleted",
        "blog.media": "uploaded deleted thumbnail.generated",
        "twitchbot.stream": "started ended updated",
        "twitchbot.message": "received deleted timeout",
        "twitchbot.viewer": "joined left banned unbanned mod.added mod.removed vip.added"
        " vip.removed",
        "twitchbot.clip": "created updated deleted",
        "twitchbot.command": "created updated deleted executed",
        "link": "created updated deleted expired activated deactivated clicked"
        " click.fraud.detected",
        "foodfolio.category": "created updated deleted",
        "foodfolio.company": "created updated deleted",
        "foodfolio.item": "created updated deleted",
        "foodfolio.variant": "created updated deleted stock.low stock.empty",
        "foodfolio.detail": "created opened expired expiring.soon consumed moved frozen thawed",
        "foodfolio.location": "created updated deleted",
        "foodfolio.warehouse": "created updated deleted",
        "foodfolio.receipt": "created scanned deleted",
        "foodfolio.shoppinglist": "created updated deleted item.added item.removed item.purchased",
    }.items()
    for action in actions.split()
)
