"""Databases full of rows, filled once and copied for every run, so that all runs start equal.

Every second row is due, or the older two thirds of rows that are deleted by age.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from testing.arena import Arena
from testing.database import TestDatabase, fresh_database

_numbers = itertools.count(1)

# References are not checked while a table is filled: that would take longer than the filling.
_UNCHECKED = "SET session_replication_role = replica"


@dataclass(frozen=True, slots=True)
class FilledDatabase:
    """A database filled by ``statements``, which may use the parameter ``size``.

    That is the number of due rows or, if none is due, of all rows.
    """

    statements: tuple[str, ...]
    size: int

    @contextmanager
    def database(self, arena: Arena) -> Iterator[TestDatabase]:
        """A copy of it, written to the disk; dropped at the end of the block."""
        filled = self.original(arena)
        copy = TestDatabase(arena.postgres, f"bench_{next(_numbers)}")
        with psycopg.connect(**arena.postgres.connection(), autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {copy.name} TEMPLATE {filled.name} STRATEGY file_copy"
            )
            connection.execute("CHECKPOINT")
            try:
                yield copy
            finally:
                connection.execute(f"DROP DATABASE {copy.name} WITH (FORCE)")

    def original(self, arena: Arena) -> TestDatabase:
        """The database itself, filled at its first use; callers must not change it."""
        return arena.once(repr(self), lambda: self._filled(arena))

    def fill(self, database: TestDatabase) -> None:
        """Insert the rows into an empty database, then vacuum it."""
        with database.connect() as connection:
            connection.execute(_UNCHECKED)
            for statement in self.statements:
                connection.execute(statement, {"size": self.size})
            connection.execute("VACUUM ANALYZE")

    def _filled(self, arena: Arena) -> TestDatabase:
        database = arena.enter(fresh_database(arena.postgres))
        self.fill(database)
        return database


LINKS = (
    """
INSERT INTO link_links (original_url, short_code, title, expires_at, click_count, created_at,
    updated_at)
SELECT 'https://example.com/articles/' || number || '?utm_source=newsletter', 'l' || number,
       'Article ' || number,
       now() + CASE number %% 2 WHEN 0 THEN -interval '1 hour' ELSE interval '30 days' END,
       number %% 1000, now() - interval '90 days', now() - interval '90 days'
FROM generate_series(1, 2 * %(size)s) AS number""",
)

# Pages half empty, with room for changed rows on the same page.
ROOMY_LINKS = ("ALTER TABLE link_links SET (fillfactor = 50)", *LINKS)

# The due ones have expired over the last months: one every two minutes, since a day ago.
OLD_LINKS = (
    LINKS[0].replace("-interval '1 hour'", "-interval '1 day' - number * interval '1 min'"),
)

POSTS = (
    """
INSERT INTO blog_posts (title, slug, content, excerpt, markdown, html, status, featured, author_id,
    reading_time, view_count, published_at, created_at, updated_at, meta_title, meta_description,
    meta_keywords, og_title, og_description, og_image, canonical_url)
SELECT 'Post ' || number, 'post-' || number, repeat('words ', 50), 'An excerpt',
       repeat('words ', 50), repeat('words ', 50), 'draft', false, 'ada', 5, 0,
       now() + CASE number %% 2 WHEN 0 THEN -interval '1 hour' ELSE interval '30 days' END,
       now() - interval '9 days', now() - interval '9 days', '', '', '', '', '', '', ''
FROM generate_series(1, 2 * %(size)s) AS number""",
)

# A variant's id follows from its number, for the items that refer to it.
_VARIANT = "md5('variant' || number)::uuid"

HOUSEHOLD = (
    *(
        f"""
INSERT INTO foodfolio_{table} (id, name, slug, created_at, updated_at)
VALUES ('00000000-0000-0000-0000-000000000001', '{name}', '{name}', now(), now())"""
        for table, name in (
            ("categories", "dairy"),
            ("companies", "farm"),
            ("types", "drink"),
            ("warehouses", "kitchen"),
            ("locations", "fridge"),
        )
    ),
    """
INSERT INTO foodfolio_sizes (id, name, value, unit, created_at, updated_at)
VALUES ('00000000-0000-0000-0000-000000000001', '1 l', 1, 'l', now(), now())""",
    """
INSERT INTO foodfolio_items (id, name, slug, category_id, company_id, type_id, created_at,
    updated_at)
SELECT category.id, 'Milk', 'milk', category.id, company.id, type.id, now(), now()
FROM foodfolio_categories AS category, foodfolio_companies AS company, foodfolio_types AS type""",
)


def variants(count: str) -> str:
    """SQL for variants, numbered from 0.

    Every second one has too little stock; of these every second one has only opened items.
    """
    return f"""
INSERT INTO foodfolio_item_variants (id, item_id, size_id, variant_name, slug, min_sku,
    is_normally_frozen, created_at, updated_at)
SELECT {_VARIANT}, item.id, size.id, 'Variant ' || number, 'variant-' || number,
       CASE number %% 2 WHEN 0 THEN 20 ELSE 5 END, false, now(), now()
FROM foodfolio_items AS item, foodfolio_sizes AS size, generate_series(0, {count} - 1) AS number"""


def _details(count: str, variants: str) -> str:
    """SQL for items in the order of purchase, those of a variant far apart."""
    return f"""
INSERT INTO foodfolio_item_details (item_variant_id, warehouse_id, location_id, purchase_price,
    purchase_date, expiry_date, is_opened, has_deposit, is_frozen, created_at, updated_at)
SELECT {_VARIANT}, warehouse.id, location.id, 1.99, now(),
       now() + CASE item %% 2 WHEN 1 THEN interval '60 days'
                             ELSE interval '1 day' * (item %% 14 - 8) - interval '1 hour' END,
       number %% 4 = 0, false, false, now(), now()
FROM foodfolio_warehouses AS warehouse, foodfolio_locations AS location,
     generate_series(1, {count}) AS item, LATERAL (SELECT item %% ({variants})) AS of (number)"""


ITEMS = (*HOUSEHOLD, variants("1000"), _details("2 * %(size)s", "1000"))
# Ten items for each variant.
STOCK = (*HOUSEHOLD, variants("2 * %(size)s"), _details("20 * %(size)s", "2 * %(size)s"))

WEBHOOKS = """
INSERT INTO webhook_webhooks (url, secret, event_types, description, created_at, updated_at,
    last_delivery_at, last_success_at, last_failure_at)
SELECT 'https://example.com/hooks/' || number, 'secret', 'link.expired', '', now(), now(),
       now(), now(), now()
FROM generate_series(1, 100) AS number"""


def _deliveries(count: str, status: str, created_at: str) -> str:
    """SQL for deliveries of all webhooks in turn; ``created_at`` may use ``number``."""
    return f"""
INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, event_payload, status,
    attempt_count, last_error, created_at, updated_at)
SELECT md5('delivery' || number)::uuid, webhook.ids[1 + number %% 100], 'event-' || number,
       'link.expired', repeat('x', 300), {status}, 1, '', {created_at}, now()
FROM (SELECT array_agg(id) AS ids FROM webhook_webhooks) AS webhook,
     generate_series(1, {count}) AS number"""


FAILED_DELIVERIES = (
    WEBHOOKS,
    _deliveries(
        "2 * %(size)s", "CASE number %% 2 WHEN 0 THEN 'failed' ELSE 'success' END", "now()"
    ),
)


def _age(days: int) -> str:
    """SQL for a time by ``number``: two thirds are more than so many days ago."""
    return f"""
       CASE WHEN number <= %(size)s
            THEN now() - interval '{days} days' - interval '1 hour'
                 - interval '1 second' * (%(size)s - number)
            ELSE now() - interval '1 day' END"""


OLD_DELIVERIES = (
    WEBHOOKS,
    _deliveries("%(size)s * 3 / 2", "'success'", _age(30)),
    """
INSERT INTO webhook_delivery_attempts (delivery_id, attempt_number, request_url, request_headers,
    request_body, response_status, response_headers, response_body, success, error, duration_ms,
    created_at)
SELECT md5('delivery' || number)::uuid, attempt, 'https://example.com/hooks', '{}',
       repeat('x', 300), 500, '{}', 'no', attempt = 3, '', 120, now()
FROM generate_series(1, %(size)s * 3 / 2) AS number, generate_series(1, 3) AS attempt""",
)

STREAM = (
    """
INSERT INTO twitchbot_streams (title, game_name, game_id, started_at, peak_viewers,
    average_viewers, total_messages, created_at, updated_at)
VALUES ('Stream', 'Chess', '1', now(), 0, 0, 0, now(), now())""",
    """
INSERT INTO twitchbot_viewers (twitch_id, username, display_name, first_seen, last_seen,
    created_at, updated_at)
VALUES ('1', 'ada', 'Ada', now(), now(), now(), now())""",
)

OLD_MESSAGES = (
    *STREAM,
    f"""
INSERT INTO twitchbot_messages (stream_id, user_id, username, display_name, message, is_moderator,
    is_subscriber, is_v_ip, is_broadcaster, sent_at, created_at)
SELECT stream.id, '1', 'ada', 'Ada', 'message number ' || number || ' of a long evening', false,
       false, false, false, {_age(90)}, {_age(90)}
FROM twitchbot_streams AS stream, generate_series(1, %(size)s * 3 / 2) AS number""",
)
