"""Rows that are due for the schedulers of foodfolio, and rows that stay."""

from testing.passes import DAY, HOUR, MICROSECOND, NOW
from testing.scheduler_rows import Case, Row
from workers.foodfolio import item_expiration, stock_level


def item(**columns: object) -> Row:
    return Row("foodfolio_item_details", {"expiry_date": NOW - DAY, **columns})


ITEM_EXPIRATION = Case(
    item_expiration.SCHEDULER,
    due={
        "expired a day ago": item(),
        "expires now": item(expiry_date=NOW),
        "expires in a microsecond": item(expiry_date=NOW + MICROSECOND),
        "expires in seven days": item(expiry_date=NOW + 7 * DAY),
        "opened": item(is_opened=True, opened_date=NOW - DAY),
    },
    stays={
        "expires in seven days and a microsecond": item(expiry_date=NOW + 7 * DAY + MICROSECOND),
        "does not expire": item(expiry_date=None),
        "consumed": item(deleted_at=NOW - HOUR),
    },
    changes={},
    announces=True,
)


def variant(min_sku: int, *items: Row, **columns: object) -> Row:
    children = {"item_variant_id": items}
    return Row("foodfolio_item_variants", {"min_sku": min_sku, **columns}, children)


def stored(**columns: object) -> Row:
    return Row("foodfolio_item_details", columns)


STOCK_LEVEL = Case(
    stock_level.SCHEDULER,
    due={
        "none, with no minimum": variant(0),
        "one of a minimum of two": variant(2, stored()),
        "none but an opened one": variant(1, stored(is_opened=True)),
        "none but a consumed one": variant(1, stored(deleted_at=NOW - HOUR)),
        "none but one opened long ago": variant(
            0, stored(opened_date=NOW - 30 * DAY - MICROSECOND)
        ),
    },
    stays={
        "exactly the minimum": variant(2, stored(), stored()),
        "one, with no minimum": variant(0, stored()),
        "one opened thirty days ago": variant(1, stored(opened_date=NOW - 30 * DAY)),
        "soft-deleted": variant(2, deleted_at=NOW - HOUR),
    },
    changes={},
    announces=True,
    unique="slug",
)

CASES = (ITEM_EXPIRATION, STOCK_LEVEL)
