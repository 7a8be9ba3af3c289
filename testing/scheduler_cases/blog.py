"""Rows that are due for the schedulers of blog, and rows that stay."""

from testing.passes import DAY, GO_ZERO_TIME, HOUR, MICROSECOND, NOW
from testing.scheduler_rows import Case, Row
from workers.blog import post_publisher


def post(**columns: object) -> Row:
    return Row("blog_posts", {"status": "draft", "published_at": NOW - DAY, **columns})


POST_PUBLISHER = Case(
    post_publisher.SCHEDULER,
    due={
        "for a day": post(),
        "for a microsecond": post(published_at=NOW - MICROSECOND),
        "exactly now": post(published_at=NOW),
        "featured": post(featured=True, author_id="ada"),
    },
    stays={
        "in a microsecond": post(published_at=NOW + MICROSECOND),
        "not scheduled": post(published_at=None),
        "published already": post(status="published"),
        "soft-deleted": post(deleted_at=NOW - HOUR),
        "soft-deleted, as Go's zero time": post(deleted_at=GO_ZERO_TIME),
    },
    changes={"status": "published", "updated_at": NOW},
    announces=True,
    unique="slug",
)

CASES = (POST_PUBLISHER,)
