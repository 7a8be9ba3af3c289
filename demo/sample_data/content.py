"""Sample rows of blog and link."""

from collections.abc import Iterator
from datetime import datetime

from demo.sample_data.source import DAY, HOUR, MINUTE, SECOND, Row, Source


def rows(source: Source) -> Iterator[Row]:
    """blog_posts, link_links, link_clicks."""
    yield from _posts(source)
    links = list(_links(source))
    yield from links
    yield from (_click(source, source.one_of(links)) for _ in range(400))


def _posts(source: Source) -> Iterator[Row]:
    for _ in range(14):  # due
        yield _post(source, "draft", source.ago(SECOND, 3 * DAY))
    for minute in range(1, 31):  # due soon: a passing reader sees them go out
        yield _post(source, "draft", source.now + minute * MINUTE)
    for _ in range(40):
        yield _post(source, "draft", source.ahead(DAY, 60 * DAY))
    for _ in range(150):  # never scheduled
        yield _post(source, "draft", None)
    for _ in range(120):
        yield _post(source, "published", source.ago(HOUR, 700 * DAY))
    for _ in range(12):  # would be due, were it not deleted
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
    for _ in range(140):  # for ever
        yield _link(source, None)
    for _ in range(90):  # expired and switched off before
        yield _link(source, source.ago(DAY, 300 * DAY), active=False)
    for _ in range(15):  # would be due, were it not deleted
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
    values = {"id": source.id(), "link_id": link.id, "created_at": source.ago(MINUTE, 300 * DAY)}
    return Row("link_clicks", values)
