"""post-publisher: a scheduled post whose time has come is published.

Due: drafts, not deleted, whose ``published_at`` has come; a draft without one is not
scheduled. Changes: ``status`` published, ``updated_at`` now; ``published_at`` stays what the
author chose. Event: ``blog.post.scheduled.published``, one per post. A crash leaves complete
batches with their events in the outbox; the rest is still due.
"""

from common import config
from common.database import Index
from common.events.envelope import NOW, Event, rfc3339
from common.scheduling import Condition, Scheduler, has_come
from common.scheduling.work.batched_change import BatchedChange
from workers.blog.tables import POSTS

PUBLISHED = Event(
    "blog.post.scheduled.published",
    key="post_id",
    fields={
        "post_id": "id",
        "title": "title",
        "slug": "slug",
        "scheduled_at": rfc3339("published_at"),
        "published_at": NOW,
    },
)

PUBLICATION = BatchedChange(
    POSTS,
    due=(
        Condition("a draft", "status = 'draft'"),
        Condition("not deleted", "deleted_at IS NULL"),
        has_come("published_at has come", "published_at"),
    ),
    changes={"status": "'published'", "updated_at": "%(now)s"},
    event=PUBLISHED,
    shows=("id", "slug", "published_at"),
    since="published_at",
    index=Index(("published_at",), "status = 'draft' AND deleted_at IS NULL"),
)

SCHEDULER = Scheduler(
    name="post-publisher",
    summary="publishes scheduled posts whose time has come",
    enabled=config.boolean(
        "POST_PUBLISHER_ENABLED", "true", "whether scheduled posts are published"
    ),
    interval=config.interval(
        "POST_PUBLISHER_INTERVAL", "5m", "time from one look for scheduled posts to the next"
    ),
    work=PUBLICATION,
)
