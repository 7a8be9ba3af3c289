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
from common.database import Index, TableAccess
from common.events.envelope import NOW, Event
from common.scheduling import Condition, Scheduler
from common.scheduling.work.alerts import Alerts, Kind
from workers.foodfolio.tables import DETAILS, VARIANTS

INTERVAL = config.interval(
    "STOCK_LEVEL_INTERVAL",
    "6h",
    "time from one look at stock levels to the next, and between two alerts about one variant",
)

_FIELDS = {
    "variant_id": "id",
    "item_id": "item_id",
    "variant_name": "variant_name",
    "detected_at": NOW,
}
EMPTY = Event("foodfolio.variant.stock.empty", key="variant_id", fields=_FIELDS)
LOW = Event(
    "foodfolio.variant.stock.low",
    key="variant_id",
    fields={**_FIELDS, "current_stock": "current_stock", "min_sku": "min_sku"},
)

_COUNTS = """
    NOT detail.is_opened AND detail.deleted_at IS NULL
    AND (detail.opened_date IS NULL OR detail.opened_date >= %(now)s - interval '30 days')"""

_VARIANTS = f"""(
        SELECT variant.id, variant.item_id, variant.variant_name, variant.min_sku,
               variant.deleted_at, coalesce(counted.items, 0) AS current_stock
        FROM foodfolio_item_variants AS variant
        LEFT JOIN (
            SELECT detail.item_variant_id, count(*) AS items
            FROM foodfolio_item_details AS detail WHERE {_COUNTS}
            GROUP BY detail.item_variant_id
        ) AS counted ON counted.item_variant_id = variant.id
    )"""
_IS_SHORT = "stock.current_stock = 0 OR stock.current_stock < stock.min_sku"
_COLUMNS = ("id", "item_id", "variant_name", "min_sku", "current_stock")

ALERTS = Alerts(
    table=VARIANTS,
    rows=_VARIANTS,
    row="stock",
    due=(
        Condition("not deleted", "stock.deleted_at IS NULL"),
        Condition(
            "no stock, or less than min_sku",
            _IS_SHORT,
            shows={name: f"stock.{name}" for name in ("current_stock", "min_sku")},
        ),
    ),
    columns=_COLUMNS,
    facts="'stock ' || stock.current_stock || ' of ' || stock.min_sku",
    kinds={"empty": Kind("current_stock = 0", EMPTY), "low": Kind("current_stock > 0", LOW)},
    shows=("id", "variant_name", "current_stock", "min_sku"),
    interval=INTERVAL,
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
    collect="""
CREATE TEMPORARY TABLE toast_short_variants (
    id uuid, item_id uuid, variant_name text, min_sku bigint, current_stock bigint, facts text
)""",
    collected="pg_temp.toast_short_variants",
    # Without statistics the planner takes the tables for small, and would choose a nested loop.
    collecting={"enable_nestloop": "off"},
    reads=(
        TableAccess.reading(VARIANTS, "variant", _VARIANTS),
        TableAccess.reading(DETAILS, "detail", _VARIANTS, needs=(Index(("item_variant_id",)),)),
    ),
)

SCHEDULER = Scheduler(
    name="stock-level",
    summary="alerts about items that have run out or are running low",
    enabled=config.boolean("STOCK_LEVEL_ENABLED", "true", "whether stock levels are looked at"),
    interval=INTERVAL,
    work=ALERTS,
)
