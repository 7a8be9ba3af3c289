"""The live tables of blog: the columns that its schedulers use."""

from common.database import TEXT, TIME, UUID, Table

POSTS = Table(
    "blog_posts",
    {
        "id": UUID,
        "title": TEXT,
        "slug": TEXT,
        "status": TEXT,
        "published_at": TIME,
        "updated_at": TIME,
        "deleted_at": TIME,
    },
)
