"""post-publisher: a scheduled post whose time has come is published.

Due: drafts, not deleted, whose ``published_at`` has come; a draft without one is not
scheduled. Changes: ``status`` published, ``updated_at`` now; ``published_at`` stays what the
author chose. Event: ``blog.post.scheduled.published``, one per post. A crash leaves complete
batches with their events in the outbox; the rest is still due.
"""

from common import config
from common.database import Index, TableAccess, ctid, own_tables
from common.events import envelope
from common.scheduling import Scheduler
from common.scheduling.batched_change import BatchedChange
from workers.blog.tables import POSTS

TOPIC = "blog.post.scheduled.published"

_IS_DUE = """
    status = 'draft' AND deleted_at IS NULL AND published_at <= %(now)s
    AND id <> ALL (%(failed_rows)s::uuid[])"""

# The posts that the next pass publishes, for a dry run.
DUE = f"SELECT id, slug, published_at FROM blog_posts WHERE {_IS_DUE}"

# Publish one batch of posts and announce each.
PUBLISH = f"""
WITH due AS (
    SELECT id, ctid FROM blog_posts
    WHERE {ctid.in_range()} AND {_IS_DUE}
    FOR UPDATE SKIP LOCKED
), published AS (
    UPDATE blog_posts SET status = 'published', updated_at = %(now)s
    WHERE {ctid.same_rows("due")} AND {_IS_DUE}
    RETURNING id, title, slug, published_at
), announced AS ({
    envelope.announce(
        "blog",
        TOPIC,
        rows="published",
        key="post_id",
        fields={
            "post_id": "id",
            "title": "title",
            "slug": "slug",
            "scheduled_at": envelope.rfc3339("published_at"),
            "published_at": envelope.rfc3339("%(now)s::timestamptz"),
        },
    )
})
SELECT (SELECT count(*) FROM due) AS found,
       (SELECT count(*) FROM published) AS processed,
       (SELECT count(*) FROM announced) AS events"""

CHANGE = BatchedChange(table="blog_posts", due=DUE, batch=PUBLISH)

SCHEDULER = Scheduler(
    name="post-publisher",
    summary="publishes scheduled posts whose time has come",
    enabled=config.boolean(
        "POST_PUBLISHER_ENABLED", "true", "whether scheduled posts are published"
    ),
    interval=config.interval(
        "POST_PUBLISHER_INTERVAL", "5m", "time from one look for scheduled posts to the next"
    ),
    run=CHANGE.run,
    preview=CHANGE.preview,
    backlog=CHANGE.backlog,
    topics=(TOPIC,),
    tables=(
        TableAccess(
            POSTS,
            select=("ctid", "id", "title", "slug", "status", "published_at", "deleted_at"),
            update=("status", "updated_at"),
            profits=(Index(("published_at",), "status = 'draft' AND deleted_at IS NULL"),),
        ),
        own_tables.SETTING_ROWS_ASIDE,
    ),
)
