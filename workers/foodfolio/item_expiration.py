"""item-expiration: alerts about food that has expired or soon will.

Due: items, not deleted (that is: not consumed), whose ``expiry_date`` has come, or comes within
ITEM_EXPIRATION_WARNING_DAYS, without an alert within the interval. Changes: only the raised
alerts (``toast_alerts``). Events: ``foodfolio.detail.expired`` or
``foodfolio.detail.expiring.soon``, one per item. A step from soon to expired, or another date,
is a new alert; the alert of an item that is consumed or no longer expires is deleted. A crash
leaves complete batches in ``toast_alerts``, with their events in the outbox.
"""

from common import config
from common.database import Index
from common.events.envelope import NOW, Event, rfc3339
from common.scheduling import Condition, Scheduler, has_come
from common.scheduling.work.alerts import Alerts, Kind
from workers.foodfolio.tables import DETAILS

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

_FIELDS = {
    "detail_id": "id",
    "variant_id": "item_variant_id",
    "expiry_date": rfc3339("expiry_date"),
    "detected_at": NOW,
}
_DAYS_LEFT = "floor(extract(epoch FROM expiry_date - %(now)s) / 86400)::bigint"

EXPIRED = Event("foodfolio.detail.expired", key="detail_id", fields=_FIELDS)
EXPIRING_SOON = Event(
    "foodfolio.detail.expiring.soon",
    key="detail_id",
    fields={**_FIELDS, "days_left": _DAYS_LEFT},
)

_WARNING = "%(warning_days)s * interval '1 day'"
_HAS_EXPIRED = has_come("expired", "detail.expiry_date")
_COLUMNS = ("detail.id", "detail.item_variant_id", "detail.expiry_date")

ALERTS = Alerts(
    table=DETAILS,
    rows=DETAILS.name,
    row="detail",
    due=(
        Condition("not consumed", "detail.deleted_at IS NULL"),
        has_come("expired, or will soon", "detail.expiry_date", f"%(now)s + {_WARNING}"),
    ),
    columns=(*_COLUMNS, f"{_HAS_EXPIRED.sql} AS has_expired"),
    facts=f"""CASE WHEN {_HAS_EXPIRED.sql} THEN 'expired ' ELSE 'expiring ' END
        || {rfc3339("detail.expiry_date")}""",
    kinds={
        "expired": Kind("has_expired", EXPIRED),
        "expiring_soon": Kind("NOT has_expired", EXPIRING_SOON),
    },
    shows=("id", "item_variant_id", "expiry_date", "has_expired"),
    # Not for an expired one: the days before the earliest date of all are no dates.
    since=f"""
        (CASE WHEN has_expired THEN expiry_date ELSE expiry_date - {_WARNING} END)""",
    interval=INTERVAL,
    turns=(_HAS_EXPIRED,),
    parameters={"warning_days": WARNING_DAYS},
    index=Index(("expiry_date",), "deleted_at IS NULL"),
)

SCHEDULER = Scheduler(
    name="item-expiration",
    summary="alerts about food that has expired or soon will",
    enabled=config.boolean("ITEM_EXPIRATION_ENABLED", "true", "whether expiry dates are looked at"),
    interval=INTERVAL,
    work=ALERTS,
)
