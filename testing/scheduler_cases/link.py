"""Rows that are due for the schedulers of link, and rows that stay."""

from testing.passes import DAY, HOUR, MICROSECOND, NOW
from testing.scheduler_rows import Case, Row
from workers.link import link_expiration


def link(**columns: object) -> Row:
    return Row("link_links", {"expires_at": NOW - DAY, **columns})


LINK_EXPIRATION = Case(
    link_expiration.SCHEDULER,
    due={
        "for a day": link(),
        "for a microsecond": link(expires_at=NOW - MICROSECOND),
        "exactly now": link(expires_at=NOW),
        "clicked": Row("link_links", link().columns, {"link_id": [Row("link_clicks")]}),
    },
    stays={
        "in a microsecond": link(expires_at=NOW + MICROSECOND),
        "never expires": link(expires_at=None),
        "switched off already": link(is_active=False),
        "soft-deleted": link(deleted_at=NOW - HOUR),
    },
    changes={"is_active": False, "updated_at": NOW},
    announces=True,
    unique="short_code",
)

CASES = (LINK_EXPIRATION,)
