"""Tables full of rows, none of them due.

Ids and unique texts grow with the row's number, so that ten million fill their indexes page by
page; random ones would need a read and a write each.
"""

from __future__ import annotations

from benchmarks.rows import HOUSEHOLD, STREAM, WEBHOOKS, variants

_ID = "('00000000-0000-4000-8000-' || lpad(to_hex(number), 12, '0'))::uuid"
_CODE = "lpad(to_hex(number), 10, '0')"

# Active, to expire later.
LINKS = (
    f"""
INSERT INTO link_links (id, original_url, short_code, expires_at, click_count, created_at,
    updated_at)
SELECT {_ID}, 'https://example.com/articles/' || number, {_CODE},
       now() + interval '30 days' + interval '1 second' * number, 0, now(), now()
FROM generate_series(1, %(size)s) AS number""",
)

# One of a hundred is a draft for a later day.
POSTS = (
    f"""
INSERT INTO blog_posts (id, title, slug, content, excerpt, markdown, html, status, featured,
    author_id, reading_time, view_count, published_at, created_at, updated_at, meta_title,
    meta_description, meta_keywords, og_title, og_description, og_image, canonical_url)
SELECT {_ID}, 'Post ' || number, {_CODE}, 'Some words', '', '', '',
       CASE number %% 100 WHEN 0 THEN 'draft' ELSE 'published' END, false, 'ada', 5, 0,
       CASE number %% 100 WHEN 0 THEN now() + interval '30 days' ELSE now() END,
       now(), now(), '', '', '', '', '', '', ''
FROM generate_series(1, %(size)s) AS number""",
)

# None is old enough to be deleted.
MESSAGES = (
    *STREAM,
    f"""
INSERT INTO twitchbot_messages (id, stream_id, user_id, username, display_name, message,
    is_moderator, is_subscriber, is_v_ip, is_broadcaster, sent_at, created_at)
SELECT {_ID}, stream.id, '1', 'ada', 'Ada', 'message number ' || number, false, false, false,
       false, now() - interval '1 day', now() - interval '1 day'
FROM twitchbot_streams AS stream, generate_series(1, %(size)s) AS number""",
)

# One of a hundred has failed, with no attempt left.
DELIVERIES = (
    WEBHOOKS,
    f"""
INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, event_payload, status,
    attempt_count, last_error, created_at, updated_at)
SELECT {_ID}, webhook.ids[1 + number %% 100], 'event-' || number, 'link.expired', '{{}}',
       CASE number %% 100 WHEN 0 THEN 'failed' ELSE 'success' END, 3, '', now(), now()
FROM (SELECT array_agg(id) AS ids FROM webhook_webhooks) AS webhook,
     generate_series(1, %(size)s) AS number""",
)

# All expire in months.
ITEMS = (
    *HOUSEHOLD,
    variants("100"),
    f"""
INSERT INTO foodfolio_item_details (id, item_variant_id, warehouse_id, location_id,
    purchase_price, purchase_date, expiry_date, is_opened, has_deposit, is_frozen, created_at,
    updated_at)
SELECT {_ID}, variant.ids[1 + number %% 100], warehouse.id, location.id, 1.99, now(),
       now() + interval '60 days' + interval '1 second' * number, false, false, false, now(), now()
FROM (SELECT array_agg(id) AS ids FROM foodfolio_item_variants) AS variant,
     foodfolio_warehouses AS warehouse, foodfolio_locations AS location,
     generate_series(1, %(size)s) AS number""",
)
