"""Sample rows of blog and link."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from devservers.sample_data.source import DAY, HOUR, MINUTE, SECOND, Row, Source

CATEGORIES = ("travel", "kitchen", "workshop")
TAGS = ("how-to", "opinion", "photos", "review")


def rows(source: Source) -> Iterator[Row]:
    """The tables of blog, then those of link."""
    posts = list(_posts(source))
    yield from posts
    yield from _about_posts(source, posts)
    links = list(_links(source))
    yield from links
    yield from (_click(source, source.one_of(links)) for _ in range(400))


def _about_posts(source: Source, posts: Sequence[Row]) -> Iterator[Row]:
    """Categories, tags, pictures and comments."""
    top = {"description": "", "parent_id": None}
    categories = [_named(source, "blog_categories", name, **top) for name in CATEGORIES]
    tags = [_named(source, "blog_tags", name) for name in TAGS]
    yield from (*categories, *tags)
    for table, named, column in (
        ("blog_post_categories", categories, "category_entity_id"),
        ("blog_post_tags", tags, "tag_entity_id"),
    ):
        for post in posts:
            yield Row(table, {"post_entity_id": post.id, column: source.one_of(named).id})
    yield from (_picture(source) for _ in range(20))
    yield from (_comment(source, source.one_of(posts)) for _ in range(60))


def _named(source: Source, table: str, name: str, **columns: object) -> Row:
    values: dict[str, object] = {"id": source.id(), "name": name, "slug": name, **columns}
    return Row(table, values | source.times(source.ago(800 * DAY, 900 * DAY)))


def _picture(source: Source) -> Row:
    name = f"{source.number()}.jpg"
    values: dict[str, object] = {
        "id": source.id(),
        "filename": name,
        "original_filename": f"{source.name()}.jpg",
        "mime_type": "image/jpeg",
        "size": source.between(20_000, 900_000),
        "path": f"uploads/{name}",
        "url": f"https://blog.example/uploads/{name}",
        "thumbnail_url": "",
        "uploaded_by": f"author-{source.between(1, 5)}",
        "created_at": source.ago(DAY, 800 * DAY),
        "deleted_at": None,
    }
    return Row("blog_media", values)


def _comment(source: Source, post: Row) -> Row:
    reader = f"reader-{source.between(1, 30)}"
    values: dict[str, object] = {
        "id": source.id(),
        "post_id": post.id,
        "parent_id": None,
        "author_name": reader,
        "author_email": f"{reader}@mail.example",
        "content": f"What a {source.name()}!",
        "status": source.one_of(("pending", "approved")),
    }
    return Row("blog_comments", values | source.times(source.ago(HOUR, 90 * DAY)))


def _posts(source: Source) -> Iterator[Row]:
    for _ in range(14):  # due
        yield _post(source, "draft", source.ago(SECOND, 3 * DAY))
    for minute in range(1, 31):  # due soon, one after another
        yield _post(source, "draft", source.now + minute * MINUTE)
    for _ in range(40):
        yield _post(source, "draft", source.ahead(DAY, 60 * DAY))
    for _ in range(150):  # never scheduled
        yield _post(source, "draft", None)
    for _ in range(120):
        yield _post(source, "published", source.ago(HOUR, 700 * DAY))
    for _ in range(12):  # not due, because deleted
        yield _post(source, "draft", source.ago(HOUR, 9 * DAY), deleted=source.ago(SECOND, HOUR))


def _post(
    source: Source, status: str, published_at: datetime | None, deleted: datetime | None = None
) -> Row:
    title = f"The {source.name()}"
    slug = f"{title.lower().replace(' ', '-')}-{source.number()}"
    empty = dict.fromkeys(
        ("excerpt", "html", "meta_description", "meta_keywords", "og_description", "og_image"), ""
    )
    values: dict[str, object] = {
        "id": source.id(),
        "title": title,
        "slug": slug,
        "content": f"What became of the {source.name()}.",
        "markdown": f"# {title}",
        "status": status,
        "featured": source.between(1, 10) == 1,
        "author_id": f"author-{source.between(1, 5)}",
        "featured_image_id": None,
        "reading_time": source.between(1, 20),
        "view_count": source.between(0, 5000) if status == "published" else 0,
        "published_at": published_at,
        "meta_title": title,
        "og_title": title,
        "canonical_url": f"https://blog.example/{slug}",
    }
    return Row(
        "blog_posts", values | empty | source.times(source.ago(90 * DAY, 800 * DAY), deleted)
    )


def _links(source: Source) -> Iterator[Row]:
    for _ in range(24):  # due
        yield _link(source, source.ago(SECOND, 20 * DAY))
    for minute in range(5, 65, 3):  # due soon
        yield _link(source, source.now + minute * MINUTE)
    for _ in range(80):
        yield _link(source, source.ahead(DAY, 300 * DAY))
    for _ in range(140):  # never expire
        yield _link(source, None)
    for _ in range(90):  # expired and switched off before
        yield _link(source, source.ago(DAY, 300 * DAY), active=False)
    for _ in range(15):  # not due, because deleted
        yield _link(source, source.ago(DAY, 9 * DAY), deleted=source.ago(SECOND, DAY))


def _link(
    source: Source,
    expires_at: datetime | None,
    *,
    active: bool = True,
    deleted: datetime | None = None,
) -> Row:
    number = source.number()
    values: dict[str, object] = {
        "id": source.id(),
        "original_url": f"https://shop.example/{source.name().replace(' ', '/')}?ref={number}",
        "short_code": f"s{number:05d}",
        "custom_alias": f"alias-{number}" if number % 5 == 0 else None,
        "title": source.name() if number % 2 else None,
        "description": None,
        "expires_at": expires_at,
        "is_active": active,
        "click_count": source.between(0, 900),
    }
    return Row("link_links", values | source.times(source.ago(301 * DAY, 900 * DAY), deleted))


def _click(source: Source, link: Row) -> Row:
    clicked = source.ago(MINUTE, 300 * DAY)
    values: dict[str, object] = {
        "id": source.id(),
        "link_id": link.id,
        "ip_address": f"192.0.2.{source.between(1, 254)}",
        "user_agent": "Mozilla/5.0",
        "referer": "",
        "country": "",
        "city": "",
        "device_type": source.one_of(("desktop", "mobile")),
        "clicked_at": clicked,
        "created_at": clicked,
    }
    return Row("link_clicks", values)
