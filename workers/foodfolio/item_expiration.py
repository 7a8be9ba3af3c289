"""item-expiration: alerts about food that has expired or soon will.

Due: items, not deleted (that is: not consumed), whose ``expiry_date`` has come, or comes within
ITEM_EXPIRATION_WARNING_DAYS, without an alert within the interval. Changes: only the raised
alerts (``toast_alerts``). Events: ``foodfolio.detail.expired`` or
``foodfolio.detail.expiring.soon``, one per item. A step from soon to expired, or another date,
is a new alert; the alert of an item that is consumed or no longer expires is deleted. A crash
leaves complete batches in ``toast_alerts``, with their events in the outbox.
"""

from datetime import timedelta
from typing import Any

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.events import envelope
from common.scheduling import Pass, Scheduler
from common.scheduling.alerts import Alerts, alerts_to_raise, store_alerts
from workers.foodfolio.tables import DETAILS

EXPIRED = "foodfolio.detail.expired"
EXPIRING_SOON = "foodfolio.detail.expiring.soon"

INTERVAL = config.interval(
    "ITEM_EXPIRATION_INTERVAL",
    "24h",
    "time from one look at expiry dates to the next, and between two alerts about one item",
)
WARNING_DAYS = config.integer(
    "ITEM_EXPIRATION_WARNING_DAYS",
    "7",
    "days before its expiry date that an item is announced as expiring soon",
    minimum=0,
    maximum=3650,
)

_IS_EXPIRING = """
    detail.deleted_at IS NULL AND detail.expiry_date <= %(now)s + %(warning)s"""

_FACTS = f"""
    CASE WHEN detail.expiry_date <= %(now)s THEN 'expired ' ELSE 'expiring ' END
        || {envelope.rfc3339("detail.expiry_date")}"""

_SELECT_CANDIDATES = f"""
    SELECT detail.id, detail.item_variant_id, detail.expiry_date,
           detail.expiry_date <= %(now)s AS has_expired, {_FACTS} AS facts
    FROM foodfolio_item_details AS detail
    WHERE {_IS_EXPIRING} AND detail.id <> ALL (%(failed_rows)s::uuid[])"""

# The items that the next pass alerts about, for a dry run.
DUE = f"""
SELECT id, item_variant_id, expiry_date, has_expired
FROM ({alerts_to_raise(_SELECT_CANDIDATES)}) AS due"""

_FIELDS = {
    "detail_id": "id",
    "variant_id": "item_variant_id",
    "expiry_date": envelope.rfc3339("expiry_date"),
    "detected_at": envelope.rfc3339("%(now)s::timestamptz"),
}

_IN_RANGE = f"""{_SELECT_CANDIDATES}
      AND {ctid.in_range("detail.")}"""

# Raise the alerts of one batch of items and announce each.
RAISE = f"""
WITH {store_alerts(_IN_RANGE)}, expired AS (
    SELECT * FROM raised WHERE has_expired
), expiring AS (
    SELECT * FROM raised WHERE NOT has_expired
), announced_expired AS ({
    envelope.announce("foodfolio", EXPIRED, rows="expired", key="detail_id", fields=_FIELDS)
}), announced_expiring AS ({
    envelope.announce(
        "foodfolio",
        EXPIRING_SOON,
        rows="expiring",
        key="detail_id",
        fields={
            **_FIELDS,
            "days_left": "floor(extract(epoch FROM expiry_date - %(now)s) / 86400)::bigint",
        },
    )
})
SELECT (SELECT count(*) FROM due) AS found,
       (SELECT count(*) FROM raised) AS processed,
       (SELECT count(*) FROM raised) AS events,
       (SELECT count(*) FROM announced_expired) AS expired,
       (SELECT count(*) FROM announced_expiring) AS expiring_soon"""


def _parameters(current: Pass) -> dict[str, Any]:
    return {"warning": timedelta(days=current.settings[WARNING_DAYS])}


ALERTS = Alerts(
    table="foodfolio_item_details",
    due=DUE,
    batch=RAISE,
    still_true=f"""
        SELECT FROM foodfolio_item_details AS detail
        WHERE detail.id = alert.subject_id AND {_IS_EXPIRING}""",
    interval=INTERVAL,
    parameters=_parameters,
)

SCHEDULER = Scheduler(
    name="item-expiration",
    summary="alerts about food that has expired or soon will",
    enabled=config.boolean("ITEM_EXPIRATION_ENABLED", "true", "whether expiry dates are looked at"),
    interval=INTERVAL,
    run=ALERTS.run,
    preview=ALERTS.preview,
    backlog=ALERTS.backlog,
    settings=(WARNING_DAYS,),
    topics=(EXPIRED, EXPIRING_SOON),
    tables=(
        TableAccess(
            DETAILS,
            select=("ctid", "id", "item_variant_id", "expiry_date", "deleted_at"),
            profits=(Index(("expiry_date",), "deleted_at IS NULL"),),
        ),
        own_tables.ALERTS,
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
