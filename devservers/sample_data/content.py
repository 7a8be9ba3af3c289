"""Sample rows of blog and link."""

from devservers.sample_data.source import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Source,
    ago,
    ahead,
    between,
    of,
    one_in,
    one_of,
    text,
)

CATEGORIES = ("travel", "kitchen", "workshop")
TAGS = ("how-to", "opinion", "photos", "review")
AUTHORS = one_of("ada", "grace", "barbara", "radia")

POST = {
    "title": text("The {name}"),
    "slug": text("post-{n}"),
    "content": text("What became of the {name}."),
    "status": "draft",
    "featured": one_in(10, True, False),
    "author_id": AUTHORS,
    "reading_time": between(1, 20),
    "published_at": None,
    "created_at": ago(90 * DAY, 800 * DAY),
}
MEDIA = {
    "filename": text("{n}.jpg"),
    "original_filename": text("{name}.jpg"),
    "mime_type": "image/jpeg",
    "size": between(20_000, 900_000),
    "path": text("uploads/{n}.jpg"),
    "url": text("https://blog.example/uploads/{n}.jpg"),
    "uploaded_by": AUTHORS,
}
COMMENT = {
    "author_name": text("reader {n}"),
    "author_email": text("reader-{n}@mail.example"),
    "content": text("What a {name}!"),
    "status": one_of("pending", "approved"),
    "created_at": ago(HOUR, 90 * DAY),
}
LINK = {
    "original_url": text("https://shop.example/{n}"),
    "short_code": text("s{n:05d}"),
    "custom_alias": one_in(5, text("alias-{n}"), None),
    "title": one_in(2, text("{name}"), None),
    "expires_at": None,
    "is_active": True,
    "click_count": between(0, 900),
    "created_at": ago(301 * DAY, 900 * DAY),
}
CLICK = {
    "ip_address": one_of("192.0.2.7", "192.0.2.77", "192.0.2.177"),
    "user_agent": "Mozilla/5.0",
    "device_type": one_of("desktop", "mobile"),
    "clicked_at": ago(MINUTE, 300 * DAY),
}


def add_rows(source: Source) -> None:
    """The tables of blog, then those of link."""
    _add_blog(source)
    _add_links(source)


def _add_blog(source: Source) -> None:
    add, now, posts = source.add, source.now, "blog_posts"
    add(posts, 14, POST, published_at=ago(SECOND, 3 * DAY))  # due
    for minute in range(1, 31):  # due soon, one after another
        add(posts, 1, POST, published_at=now + minute * MINUTE)
    add(posts, 40, POST, published_at=ahead(DAY, 60 * DAY))
    add(posts, 150, POST)  # never scheduled
    add(posts, 120, POST, status="published", published_at=ago(HOUR, 700 * DAY))
    # Not due, because deleted.
    add(posts, 12, POST, published_at=ago(HOUR, 9 * DAY), deleted_at=ago(SECOND, HOUR))
    for table, names, column, joined in (
        ("blog_categories", CATEGORIES, "category_entity_id", "blog_post_categories"),
        ("blog_tags", TAGS, "tag_entity_id", "blog_post_tags"),
    ):
        named = [row for name in names for row in add(table, name=name, slug=name)]
        for post in source.rows[posts]:
            add(joined, post_entity_id=post["id"], **{column: of(named)})
    add("blog_media", 20, MEDIA)
    add("blog_comments", 60, COMMENT, post_id=of(source.rows[posts]))


def _add_links(source: Source) -> None:
    add, links = source.add, "link_links"
    add(links, 24, LINK, expires_at=ago(SECOND, 20 * DAY))  # due
    for minute in range(5, 65, 3):  # due soon
        add(links, 1, LINK, expires_at=source.now + minute * MINUTE)
    add(links, 80, LINK, expires_at=ahead(DAY, 300 * DAY))
    add(links, 140, LINK)  # never expire
    # Expired and switched off before.
    add(links, 90, LINK, expires_at=ago(DAY, 300 * DAY), is_active=False)
    # Not due, because deleted.
    add(links, 15, LINK, expires_at=ago(DAY, 9 * DAY), deleted_at=ago(SECOND, DAY))
    add("link_clicks", 400, CLICK, link_id=of(source.rows[links]))
