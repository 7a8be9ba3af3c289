"""The work of schedulers, each with its floor: one statement with the same result.

The statement changes the same rows as the pass and, if there are events, selects their messages.
Alerts are stored in toast_alerts here too, but not compared: the table is empty.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import rows
from benchmarks.floor import messages
from benchmarks.rows import FilledDatabase
from common.events.envelope import rfc3339
from common.scheduling.scheduler import Scheduler
from workers.blog import post_publisher
from workers.foodfolio import item_expiration, stock_level
from workers.link import link_expiration
from workers.webhook import webhook_retry


@dataclass(frozen=True, slots=True)
class Work:
    """One scheduler, the statements that fill its tables, and its floor."""

    scheduler: Scheduler
    filled: tuple[str, ...]
    floor: str

    def rows(self, due: int) -> FilledDatabase:
        return FilledDatabase(self.filled, due)


def _links(filled: tuple[str, ...]) -> Work:
    expire = f"""
WITH expired AS (
    UPDATE link_links SET is_active = false, updated_at = %(now)s
    WHERE is_active AND deleted_at IS NULL AND expires_at <= %(now)s
    RETURNING id, short_code, expires_at
) {messages(link_expiration.EXPIRED, "expired")}"""
    return Work(link_expiration.SCHEDULER, filled, expire)


LINK_EXPIRATION = _links(rows.LINKS)
OLD_LINK_EXPIRATION = _links(rows.OLD_LINKS)
ROOMY_LINK_EXPIRATION = _links(rows.ROOMY_LINKS)

POST_PUBLISHER = Work(
    post_publisher.SCHEDULER,
    rows.POSTS,
    f"""
WITH published AS (
    UPDATE blog_posts SET status = 'published', updated_at = %(now)s
    WHERE status = 'draft' AND deleted_at IS NULL AND published_at <= %(now)s
    RETURNING id, title, slug, published_at
) {messages(post_publisher.PUBLISHED, "published")}""",
)

ITEM_EXPIRATION = Work(
    item_expiration.SCHEDULER,
    rows.ITEMS,
    f"""
WITH due AS (
    SELECT id, item_variant_id, expiry_date FROM foodfolio_item_details
    WHERE deleted_at IS NULL AND expiry_date <= %(now)s + interval '7 days'
), raised AS (
    INSERT INTO toast_alerts (scheduler, subject_id, facts, raised_at)
    SELECT 'item-expiration', id, 'expired ' || {rfc3339("expiry_date")}, %(now)s FROM due
), expired AS (
    SELECT * FROM due WHERE expiry_date <= %(now)s
), expiring AS (
    SELECT * FROM due WHERE expiry_date > %(now)s
) {messages(item_expiration.EXPIRED, "expired")}
  UNION ALL {messages(item_expiration.EXPIRING_SOON, "expiring")}""",
)

STOCK_LEVEL = Work(
    stock_level.SCHEDULER,
    rows.STOCK,
    f"""
WITH due AS (
    SELECT variant.id, variant.item_id, variant.variant_name, variant.min_sku,
           coalesce(stock.current_stock, 0) AS current_stock
    FROM foodfolio_item_variants AS variant
    LEFT JOIN (
        SELECT item_variant_id, count(*) AS current_stock FROM foodfolio_item_details
        WHERE NOT is_opened AND deleted_at IS NULL
          AND (opened_date IS NULL OR opened_date >= %(now)s - interval '30 days')
        GROUP BY item_variant_id
    ) AS stock ON stock.item_variant_id = variant.id
    WHERE variant.deleted_at IS NULL
      AND (coalesce(stock.current_stock, 0) = 0 OR stock.current_stock < variant.min_sku)
), raised AS (
    INSERT INTO toast_alerts (scheduler, subject_id, facts, raised_at)
    SELECT 'stock-level', id, 'stock ' || current_stock || ' of ' || min_sku, %(now)s FROM due
), empty AS (
    SELECT * FROM due WHERE current_stock = 0
), low AS (
    SELECT * FROM due WHERE current_stock > 0
) {messages(stock_level.EMPTY, "empty")}
  UNION ALL {messages(stock_level.LOW, "low")}""",
)

WEBHOOK_RETRY = Work(
    webhook_retry.SCHEDULER,
    rows.FAILED_DELIVERIES,
    """
UPDATE webhook_deliveries
SET status = 'retrying', updated_at = %(now)s,
    next_retry_at = %(now)s + least(interval '24 hours',
        interval '1 minute' * power(2, least(attempt_count, 11)))
WHERE status = 'failed' AND deleted_at IS NULL AND attempt_count < 3
  AND EXISTS (SELECT FROM webhook_webhooks AS webhook
              WHERE webhook.id = webhook_id AND webhook.active AND webhook.deleted_at IS NULL)
  AND (SELECT count(*)
       FROM (SELECT FROM webhook_delivery_attempts AS attempt
             WHERE attempt.delivery_id = webhook_deliveries.id LIMIT 3) AS made) < 3""",
)
