-- The tables of the live system, as its Go services have made them: types, references, and
-- no default or index that is not there too. GORM writes every column of a new row, so most
-- have no default: an insert of ours that leaves one out must fail here as it would there.

-- blog

CREATE TABLE blog_posts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title varchar(255) NOT NULL,
    slug varchar(255) NOT NULL UNIQUE,
    content text NOT NULL,
    excerpt text NOT NULL,
    markdown text NOT NULL,
    html text NOT NULL,
    status varchar(50) NOT NULL DEFAULT 'draft',
    featured boolean NOT NULL,
    author_id varchar(255) NOT NULL,
    featured_image_id uuid,
    reading_time bigint NOT NULL,
    view_count bigint NOT NULL,
    published_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    meta_title text NOT NULL,
    meta_description text NOT NULL,
    meta_keywords text NOT NULL,
    og_title text NOT NULL,
    og_description text NOT NULL,
    og_image text NOT NULL,
    canonical_url text NOT NULL
);
CREATE INDEX ON blog_posts (deleted_at);

-- link

CREATE TABLE link_links (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    original_url text NOT NULL,
    short_code varchar(10) NOT NULL UNIQUE,
    custom_alias varchar(50) UNIQUE,
    title varchar(255),
    description text,
    expires_at timestamptz,
    is_active boolean NOT NULL DEFAULT true,
    click_count bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON link_links (deleted_at);

CREATE TABLE link_clicks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    link_id uuid NOT NULL REFERENCES link_links ON DELETE CASCADE,
    created_at timestamptz NOT NULL
);

-- foodfolio

CREATE TABLE foodfolio_items (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);

CREATE TABLE foodfolio_sizes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);

CREATE TABLE foodfolio_warehouses (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);

CREATE TABLE foodfolio_locations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);

CREATE TABLE foodfolio_item_variants (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    item_id uuid NOT NULL REFERENCES foodfolio_items,
    size_id uuid NOT NULL REFERENCES foodfolio_sizes,
    variant_name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL UNIQUE,
    barcode varchar(255) UNIQUE,
    min_sku bigint NOT NULL DEFAULT 0,
    max_sku bigint NOT NULL DEFAULT 0,
    is_normally_frozen boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON foodfolio_item_variants (item_id);
CREATE INDEX ON foodfolio_item_variants (size_id);
CREATE INDEX ON foodfolio_item_variants (deleted_at);

CREATE TABLE foodfolio_item_details (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    item_variant_id uuid NOT NULL REFERENCES foodfolio_item_variants,
    warehouse_id uuid NOT NULL REFERENCES foodfolio_warehouses,
    location_id uuid NOT NULL REFERENCES foodfolio_locations,
    article_number varchar(255),
    purchase_price numeric(10,2) NOT NULL,
    purchase_date timestamptz NOT NULL,
    expiry_date timestamptz,
    opened_date timestamptz,
    is_opened boolean NOT NULL,
    has_deposit boolean NOT NULL,
    is_frozen boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON foodfolio_item_details (item_variant_id);
CREATE INDEX ON foodfolio_item_details (warehouse_id);
CREATE INDEX ON foodfolio_item_details (location_id);
CREATE INDEX ON foodfolio_item_details (deleted_at);

-- notification

CREATE TABLE notification_channels (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    webhook_url varchar(500) NOT NULL UNIQUE,
    event_types text NOT NULL,
    color bigint NOT NULL DEFAULT 3447003,
    active boolean NOT NULL DEFAULT true,
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    total_notifications bigint NOT NULL DEFAULT 0,
    success_notifications bigint NOT NULL DEFAULT 0,
    failed_notifications bigint NOT NULL DEFAULT 0,
    last_notification_at timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz
);
CREATE INDEX ON notification_channels (active);
CREATE INDEX ON notification_channels (deleted_at);

CREATE TABLE notification_notifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    channel_id uuid NOT NULL REFERENCES notification_channels,
    event_id varchar(255) NOT NULL,
    event_type varchar(255) NOT NULL,
    event_payload text NOT NULL,
    discord_message_id varchar(255) NOT NULL,
    status varchar(50) NOT NULL DEFAULT 'pending',
    attempt_count bigint NOT NULL DEFAULT 0,
    last_error text NOT NULL,
    sent_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON notification_notifications (channel_id);
CREATE INDEX ON notification_notifications (event_type);
CREATE INDEX ON notification_notifications (status);
CREATE INDEX ON notification_notifications (deleted_at);

CREATE TABLE notification_attempts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    notification_id uuid NOT NULL REFERENCES notification_notifications ON DELETE NO ACTION,
    attempt_number bigint NOT NULL,
    response_status bigint NOT NULL,
    response_body text NOT NULL,
    discord_message_id varchar(255) NOT NULL,
    success boolean NOT NULL,
    error text NOT NULL,
    duration_ms bigint NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON notification_attempts (notification_id);
CREATE INDEX ON notification_attempts (deleted_at);

-- twitchbot

CREATE TABLE twitchbot_streams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title varchar(255) NOT NULL,
    game_name varchar(255) NOT NULL,
    game_id varchar(100) NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    peak_viewers bigint NOT NULL,
    average_viewers bigint NOT NULL,
    total_messages bigint NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON twitchbot_streams (deleted_at);

CREATE TABLE twitchbot_viewers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    twitch_id varchar(100) NOT NULL UNIQUE,
    username varchar(100) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);

CREATE TABLE twitchbot_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    stream_id uuid NOT NULL REFERENCES twitchbot_streams,
    user_id varchar(100) NOT NULL REFERENCES twitchbot_viewers (twitch_id),
    username varchar(100) NOT NULL,
    display_name varchar(100) NOT NULL,
    message text NOT NULL,
    is_moderator boolean NOT NULL,
    is_subscriber boolean NOT NULL,
    is_vip boolean NOT NULL,
    is_broadcaster boolean NOT NULL,
    sent_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON twitchbot_messages (stream_id);
CREATE INDEX ON twitchbot_messages (user_id);
CREATE INDEX ON twitchbot_messages (sent_at);
CREATE INDEX ON twitchbot_messages (deleted_at);

-- webhook

CREATE TABLE webhook_webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    url varchar(500) NOT NULL UNIQUE,
    secret varchar(255) NOT NULL,
    event_types text NOT NULL,
    description text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    total_deliveries bigint NOT NULL DEFAULT 0,
    success_deliveries bigint NOT NULL DEFAULT 0,
    failed_deliveries bigint NOT NULL DEFAULT 0,
    -- Never NULL: a Go zero time, 0001-01-01 00:00:00+00, says never.
    last_delivery_at timestamptz NOT NULL,
    last_success_at timestamptz NOT NULL,
    last_failure_at timestamptz NOT NULL
);
CREATE INDEX ON webhook_webhooks (deleted_at);

CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    webhook_id uuid NOT NULL REFERENCES webhook_webhooks,
    event_id varchar(255) NOT NULL,
    event_type varchar(255) NOT NULL,
    event_payload text NOT NULL,
    status varchar(50) NOT NULL DEFAULT 'pending',
    attempt_count bigint NOT NULL DEFAULT 0,
    next_retry_at timestamptz,
    last_attempt_at timestamptz,
    completed_at timestamptz,
    last_error text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON webhook_deliveries (webhook_id);
CREATE INDEX ON webhook_deliveries (event_type);
CREATE INDEX ON webhook_deliveries (status);
CREATE INDEX ON webhook_deliveries (deleted_at);

CREATE TABLE webhook_delivery_attempts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE NO ACTION,
    attempt_number bigint NOT NULL,
    request_url varchar(500) NOT NULL,
    request_headers text NOT NULL,
    request_body text NOT NULL,
    response_status bigint NOT NULL,
    response_headers text NOT NULL,
    response_body text NOT NULL,
    success boolean NOT NULL,
    error text NOT NULL,
    duration_ms bigint NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX ON webhook_delivery_attempts (delivery_id);
CREATE INDEX ON webhook_delivery_attempts (deleted_at);

-- warcraft (no prefix)

CREATE TABLE factions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE races (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    faction_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE classes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE characters (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    realm text NOT NULL,
    region text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    UNIQUE (name, realm, region)
);
CREATE INDEX ON characters (deleted_at);

CREATE TABLE character_details (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    character_id uuid NOT NULL UNIQUE,
    display_name text NOT NULL,
    display_realm text NOT NULL,
    level bigint NOT NULL,
    item_level bigint NOT NULL,
    class_id uuid NOT NULL,
    race_id uuid NOT NULL,
    faction_id uuid NOT NULL,
    guild_id uuid,
    thumbnail_url text,
    achievement_points bigint NOT NULL DEFAULT 0,
    last_synced_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX ON character_details (class_id);
CREATE INDEX ON character_details (race_id);
CREATE INDEX ON character_details (faction_id);
CREATE INDEX ON character_details (guild_id);

CREATE TABLE character_equipment (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    character_id uuid NOT NULL UNIQUE,
    equipment_json jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE character_stats (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    character_id uuid NOT NULL UNIQUE,
    stats_json jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE guilds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    realm text NOT NULL,
    region text NOT NULL,
    faction_id uuid NOT NULL,
    member_count bigint NOT NULL DEFAULT 0,
    achievement_points bigint NOT NULL DEFAULT 0,
    last_synced_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    UNIQUE (name, realm, region)
);
CREATE INDEX ON guilds (faction_id);
CREATE INDEX ON guilds (deleted_at);
