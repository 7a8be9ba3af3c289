"""stock-level: alerts about items that have run out or are running low.

A variant's stock is the number of its items that are not opened, not deleted and not opened
more than 30 days ago. Due: variants, not deleted, with a stock of 0 or below ``min_sku``,
without an alert within the interval. Changes: only the raised alerts (``toast_alerts``). Events:
``foodfolio.variant.stock.empty``, or else ``...stock.low``, one per variant. Another stock or
minimum is a new alert; the alert of a variant with enough stock is deleted. A crash leaves
complete batches in ``toast_alerts``, with their events in the outbox.

The items of a variant are spread over their table, so all stocks are counted in one scan: batch
by batch, each batch would need a scan, or a look-up per item.
"""

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.events import envelope
from common.scheduling import Scheduler
from common.scheduling.alerts import Alerts, alerts_to_raise, store_alerts
from workers.foodfolio.tables import DETAILS, VARIANTS

EMPTY = "foodfolio.variant.stock.empty"
LOW = "foodfolio.variant.stock.low"

INTERVAL = config.interval(
    "STOCK_LEVEL_INTERVAL",
    "6h",
    "time from one look at stock levels to the next, and between two alerts about one variant",
)

_COUNTS = """
    NOT detail.is_opened AND detail.deleted_at IS NULL
    AND (detail.opened_date IS NULL OR detail.opened_date >= %(now)s - interval '30 days')"""

_FACTS = "'stock ' || stock.current_stock || ' of ' || stock.min_sku"

_IS_SHORT = "(stock.current_stock = 0 OR stock.current_stock < stock.min_sku)"

_SELECT_SHORT = f"""
    SELECT stock.*, {_FACTS} AS facts
    FROM (
        SELECT variant.id, variant.item_id, variant.variant_name, variant.min_sku,
               coalesce(counted.items, 0) AS current_stock
        FROM foodfolio_item_variants AS variant
        LEFT JOIN (
            SELECT detail.item_variant_id, count(*) AS items
            FROM foodfolio_item_details AS detail WHERE {_COUNTS}
            GROUP BY detail.item_variant_id
        ) AS counted ON counted.item_variant_id = variant.id
        WHERE variant.deleted_at IS NULL AND variant.id <> ALL (%(failed_rows)s::uuid[])
    ) AS stock
    WHERE {_IS_SHORT}"""

# The variants that the next pass alerts about, for a dry run.
DUE = f"""
SELECT id, variant_name, current_stock, min_sku
FROM ({alerts_to_raise(_SELECT_SHORT)}) AS due"""

# All variants with too little stock, for this pass's batches. See ``collecting`` below: without
# statistics the planner takes the tables for small, and would choose a nested loop.
COLLECTED = "pg_temp.toast_short_variants"
COLLECT = (
    """
CREATE TEMPORARY TABLE toast_short_variants (
    id uuid, item_id uuid, variant_name text, min_sku bigint, current_stock bigint, facts text
)""",
    f"INSERT INTO {COLLECTED} {_SELECT_SHORT}",
)

_FIELDS = {
    "variant_id": "id",
    "item_id": "item_id",
    "variant_name": "variant_name",
    "detected_at": envelope.rfc3339("%(now)s::timestamptz"),
}

_IN_RANGE = f"""
    SELECT * FROM {COLLECTED}
    WHERE {ctid.in_range()} AND id <> ALL (%(failed_rows)s::uuid[])"""

# Raise the alerts of one batch of variants and announce each.
RAISE = f"""
WITH {store_alerts(_IN_RANGE)}, empty AS (
    SELECT * FROM raised WHERE current_stock = 0
), low AS (
    SELECT * FROM raised WHERE current_stock > 0
), announced_empty AS ({
    envelope.announce("foodfolio", EMPTY, rows="empty", key="variant_id", fields=_FIELDS)
}), announced_low AS ({
    envelope.announce(
        "foodfolio",
        LOW,
        rows="low",
        key="variant_id",
        fields={**_FIELDS, "current_stock": "current_stock", "min_sku": "min_sku"},
    )
})
SELECT (SELECT count(*) FROM due) AS found,
       (SELECT count(*) FROM raised) AS processed,
       (SELECT count(*) FROM raised) AS events,
       (SELECT count(*) FROM announced_empty) AS empty,
       (SELECT count(*) FROM announced_low) AS low"""

ALERTS = Alerts(
    table="foodfolio_item_variants",
    due=DUE,
    batch=RAISE,
    still_true=f"""
        SELECT FROM (
            SELECT variant.min_sku,
                   (SELECT count(*) FILTER (WHERE {_COUNTS})
                    FROM foodfolio_item_details AS detail
                    WHERE detail.item_variant_id = variant.id) AS current_stock
            FROM foodfolio_item_variants AS variant
            WHERE variant.id = alert.subject_id AND variant.deleted_at IS NULL
        ) AS stock
        WHERE {_IS_SHORT}""",
    interval=INTERVAL,
    collect=COLLECT,
    collected=COLLECTED,
    collecting={"enable_nestloop": "off"},
)

SCHEDULER = Scheduler(
    name="stock-level",
    summary="alerts about items that have run out or are running low",
    enabled=config.boolean("STOCK_LEVEL_ENABLED", "true", "whether stock levels are looked at"),
    interval=INTERVAL,
    run=ALERTS.run,
    preview=ALERTS.preview,
    backlog=ALERTS.backlog,
    topics=(EMPTY, LOW),
    collects=True,
    tables=(
        TableAccess(VARIANTS, select=("id", "item_id", "variant_name", "min_sku", "deleted_at")),
        TableAccess(
            DETAILS,
            select=("id", "item_variant_id", "is_opened", "opened_date", "deleted_at"),
            needs=(Index(("item_variant_id",)),),
        ),
        own_tables.ALERTS,
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
