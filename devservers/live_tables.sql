-- The live tables exactly as the live Go services create them in an empty database. Most columns
-- may be NULL, also those with a default, so that tests meet the same rows as the schedulers do on
-- a VM. live_schema.tsv has what those services created; a test compares.

-- blog

CREATE TABLE blog_categories (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    description text,
    parent_id uuid REFERENCES blog_categories (id),
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_blog_categories_slug ON blog_categories (slug);
CREATE INDEX idx_blog_categories_deleted_at ON blog_categories (deleted_at);

CREATE TABLE blog_media (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    filename varchar(255) NOT NULL,
    original_filename varchar(255) NOT NULL,
    mime_type varchar(100) NOT NULL,
    size bigint NOT NULL,
    path varchar(500) NOT NULL,
    url varchar(500) NOT NULL,
    thumbnail_url varchar(500),
    width bigint DEFAULT 0,
    height bigint DEFAULT 0,
    uploaded_by varchar(255) NOT NULL,
    created_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_blog_media_deleted_at ON blog_media (deleted_at);

CREATE TABLE blog_posts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    content text,
    excerpt text,
    markdown text,
    html text,
    status varchar(50) DEFAULT 'draft',
    featured boolean DEFAULT false,
    author_id varchar(255) NOT NULL,
    featured_image_id uuid,
    reading_time bigint DEFAULT 0,
    view_count bigint DEFAULT 0,
    published_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz,
    meta_title varchar(255),
    meta_description text,
    meta_keywords text,
    og_title varchar(255),
    og_description text,
    og_image varchar(500),
    canonical_url varchar(500)
);
CREATE UNIQUE INDEX idx_blog_posts_slug ON blog_posts (slug);
CREATE INDEX idx_blog_posts_deleted_at ON blog_posts (deleted_at);

CREATE TABLE blog_comments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    post_id uuid NOT NULL REFERENCES blog_posts (id),
    parent_id uuid REFERENCES blog_comments (id),
    author_name varchar(255) NOT NULL,
    author_email varchar(255) NOT NULL,
    content text NOT NULL,
    status varchar(50) DEFAULT 'pending',
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_blog_comments_deleted_at ON blog_comments (deleted_at);
CREATE INDEX idx_blog_comments_post_id ON blog_comments (post_id);

CREATE TABLE blog_post_categories (
    post_entity_id uuid DEFAULT gen_random_uuid() REFERENCES blog_posts (id),
    category_entity_id uuid DEFAULT gen_random_uuid() REFERENCES blog_categories (id),
    PRIMARY KEY (post_entity_id, category_entity_id)
);

CREATE TABLE blog_tags (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_blog_tags_name ON blog_tags (name);
CREATE UNIQUE INDEX idx_blog_tags_slug ON blog_tags (slug);
CREATE INDEX idx_blog_tags_deleted_at ON blog_tags (deleted_at);

CREATE TABLE blog_post_tags (
    post_entity_id uuid DEFAULT gen_random_uuid() REFERENCES blog_posts (id),
    tag_entity_id uuid DEFAULT gen_random_uuid() REFERENCES blog_tags (id),
    PRIMARY KEY (post_entity_id, tag_entity_id)
);

-- link

CREATE TABLE link_links (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    original_url text NOT NULL,
    short_code varchar(10) NOT NULL,
    custom_alias varchar(50),
    title varchar(255),
    description text,
    expires_at timestamptz,
    is_active boolean DEFAULT true,
    click_count bigint DEFAULT 0,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_link_links_custom_alias ON link_links (custom_alias);
CREATE UNIQUE INDEX idx_link_links_short_code ON link_links (short_code);
CREATE INDEX idx_link_links_deleted_at ON link_links (deleted_at);

CREATE TABLE link_clicks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    link_id uuid NOT NULL REFERENCES link_links (id) ON UPDATE CASCADE ON DELETE CASCADE,
    ip_address varchar(45) NOT NULL,
    user_agent text,
    referer text,
    country varchar(100),
    city varchar(100),
    device_type varchar(50),
    clicked_at timestamptz NOT NULL,
    created_at timestamptz
);
CREATE INDEX idx_link_clicks_clicked_at ON link_clicks (clicked_at);
CREATE INDEX idx_link_clicks_link_id ON link_clicks (link_id);

-- foodfolio

CREATE TABLE foodfolio_categories (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    parent_id uuid REFERENCES foodfolio_categories (id),
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_categories_name ON foodfolio_categories (name);
CREATE UNIQUE INDEX idx_foodfolio_categories_slug ON foodfolio_categories (slug);
CREATE INDEX idx_foodfolio_categories_deleted_at ON foodfolio_categories (deleted_at);

CREATE TABLE foodfolio_companies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_companies_name ON foodfolio_companies (name);
CREATE UNIQUE INDEX idx_foodfolio_companies_slug ON foodfolio_companies (slug);
CREATE INDEX idx_foodfolio_companies_deleted_at ON foodfolio_companies (deleted_at);

CREATE TABLE foodfolio_locations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    parent_id uuid REFERENCES foodfolio_locations (id),
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_locations_name ON foodfolio_locations (name);
CREATE UNIQUE INDEX idx_foodfolio_locations_slug ON foodfolio_locations (slug);
CREATE INDEX idx_foodfolio_locations_deleted_at ON foodfolio_locations (deleted_at);

CREATE TABLE foodfolio_shoppinglists (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_foodfolio_shoppinglists_deleted_at ON foodfolio_shoppinglists (deleted_at);

CREATE TABLE foodfolio_sizes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    value numeric NOT NULL,
    unit varchar(50) NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_sizes_name ON foodfolio_sizes (name);
CREATE INDEX idx_foodfolio_sizes_deleted_at ON foodfolio_sizes (deleted_at);

CREATE TABLE foodfolio_types (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_types_name ON foodfolio_types (name);
CREATE UNIQUE INDEX idx_foodfolio_types_slug ON foodfolio_types (slug);
CREATE INDEX idx_foodfolio_types_deleted_at ON foodfolio_types (deleted_at);

CREATE TABLE foodfolio_items (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    category_id uuid NOT NULL REFERENCES foodfolio_categories (id),
    company_id uuid NOT NULL REFERENCES foodfolio_companies (id),
    type_id uuid NOT NULL REFERENCES foodfolio_types (id),
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_items_slug ON foodfolio_items (slug);
CREATE INDEX idx_foodfolio_items_category_id ON foodfolio_items (category_id);
CREATE INDEX idx_foodfolio_items_company_id ON foodfolio_items (company_id);
CREATE INDEX idx_foodfolio_items_deleted_at ON foodfolio_items (deleted_at);
CREATE INDEX idx_foodfolio_items_type_id ON foodfolio_items (type_id);

CREATE TABLE foodfolio_item_variants (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    item_id uuid NOT NULL REFERENCES foodfolio_items (id),
    size_id uuid NOT NULL REFERENCES foodfolio_sizes (id),
    variant_name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    barcode varchar(255),
    min_sku bigint NOT NULL DEFAULT 0,
    max_sku bigint NOT NULL DEFAULT 0,
    is_normally_frozen boolean NOT NULL DEFAULT false,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_item_variants_barcode ON foodfolio_item_variants (barcode);
CREATE UNIQUE INDEX idx_foodfolio_item_variants_slug ON foodfolio_item_variants (slug);
CREATE INDEX idx_foodfolio_item_variants_deleted_at ON foodfolio_item_variants (deleted_at);
CREATE INDEX idx_foodfolio_item_variants_item_id ON foodfolio_item_variants (item_id);
CREATE INDEX idx_foodfolio_item_variants_size_id ON foodfolio_item_variants (size_id);

CREATE TABLE foodfolio_shoppinglist_items (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    shoppinglist_id uuid NOT NULL REFERENCES foodfolio_shoppinglists (id),
    item_variant_id uuid NOT NULL REFERENCES foodfolio_item_variants (id),
    quantity bigint NOT NULL DEFAULT 1,
    is_purchased boolean NOT NULL DEFAULT false,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_foodfolio_shoppinglist_items_deleted_at
    ON foodfolio_shoppinglist_items (deleted_at);
CREATE INDEX idx_foodfolio_shoppinglist_items_item_variant_id
    ON foodfolio_shoppinglist_items (item_variant_id);
CREATE INDEX idx_foodfolio_shoppinglist_items_shoppinglist_id
    ON foodfolio_shoppinglist_items (shoppinglist_id);

CREATE TABLE foodfolio_warehouses (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    slug varchar(255) NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_foodfolio_warehouses_name ON foodfolio_warehouses (name);
CREATE UNIQUE INDEX idx_foodfolio_warehouses_slug ON foodfolio_warehouses (slug);
CREATE INDEX idx_foodfolio_warehouses_deleted_at ON foodfolio_warehouses (deleted_at);

CREATE TABLE foodfolio_item_details (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    item_variant_id uuid NOT NULL REFERENCES foodfolio_item_variants (id),
    warehouse_id uuid NOT NULL REFERENCES foodfolio_warehouses (id),
    location_id uuid NOT NULL REFERENCES foodfolio_locations (id),
    article_number varchar(255),
    purchase_price numeric(10,2) NOT NULL,
    purchase_date timestamptz NOT NULL,
    expiry_date timestamptz,
    opened_date timestamptz,
    is_opened boolean NOT NULL DEFAULT false,
    has_deposit boolean NOT NULL DEFAULT false,
    is_frozen boolean NOT NULL DEFAULT false,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_foodfolio_item_details_deleted_at ON foodfolio_item_details (deleted_at);
CREATE INDEX idx_foodfolio_item_details_item_variant_id ON foodfolio_item_details (item_variant_id);
CREATE INDEX idx_foodfolio_item_details_location_id ON foodfolio_item_details (location_id);
CREATE INDEX idx_foodfolio_item_details_warehouse_id ON foodfolio_item_details (warehouse_id);

CREATE TABLE foodfolio_receipts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    warehouse_id uuid NOT NULL REFERENCES foodfolio_warehouses (id),
    scan_date timestamptz NOT NULL,
    total_price numeric(10,2) NOT NULL,
    image_path varchar(500),
    ocr_text text,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_foodfolio_receipts_deleted_at ON foodfolio_receipts (deleted_at);
CREATE INDEX idx_foodfolio_receipts_warehouse_id ON foodfolio_receipts (warehouse_id);

CREATE TABLE foodfolio_receipt_items (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    receipt_id uuid NOT NULL REFERENCES foodfolio_receipts (id),
    item_variant_id uuid REFERENCES foodfolio_item_variants (id),
    item_name varchar(255) NOT NULL,
    quantity bigint NOT NULL DEFAULT 1,
    unit_price numeric(10,2) NOT NULL,
    total_price numeric(10,2) NOT NULL,
    article_number varchar(255),
    is_matched boolean NOT NULL DEFAULT false,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_foodfolio_receipt_items_deleted_at ON foodfolio_receipt_items (deleted_at);
CREATE INDEX idx_foodfolio_receipt_items_item_variant_id
    ON foodfolio_receipt_items (item_variant_id);
CREATE INDEX idx_foodfolio_receipt_items_receipt_id ON foodfolio_receipt_items (receipt_id);

-- notification

CREATE TABLE notification_channels (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255) NOT NULL,
    webhook_url varchar(500) NOT NULL,
    event_types text,
    color bigint DEFAULT 3447003,
    active boolean DEFAULT true,
    description text,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz,
    total_notifications bigint DEFAULT 0,
    success_notifications bigint DEFAULT 0,
    failed_notifications bigint DEFAULT 0,
    last_notification_at timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz
);
CREATE UNIQUE INDEX idx_notification_channels_webhook_url ON notification_channels (webhook_url);
CREATE INDEX idx_notification_channels_active ON notification_channels (active);
CREATE INDEX idx_notification_channels_deleted_at ON notification_channels (deleted_at);

CREATE TABLE notification_notifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    channel_id uuid NOT NULL REFERENCES notification_channels (id),
    event_id varchar(255) NOT NULL,
    event_type varchar(255) NOT NULL,
    event_payload text NOT NULL,
    discord_message_id varchar(255),
    status varchar(50) NOT NULL DEFAULT 'pending',
    attempt_count bigint DEFAULT 0,
    last_error text,
    sent_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_notification_notifications_channel_id ON notification_notifications (channel_id);
CREATE INDEX idx_notification_notifications_deleted_at ON notification_notifications (deleted_at);
CREATE INDEX idx_notification_notifications_event_type ON notification_notifications (event_type);
CREATE INDEX idx_notification_notifications_status ON notification_notifications (status);

CREATE TABLE notification_attempts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    notification_id uuid NOT NULL REFERENCES notification_notifications (id),
    attempt_number bigint NOT NULL,
    response_status bigint,
    response_body text,
    discord_message_id varchar(255),
    success boolean,
    error text,
    duration_ms bigint,
    created_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_notification_attempts_deleted_at ON notification_attempts (deleted_at);
CREATE INDEX idx_notification_attempts_notification_id ON notification_attempts (notification_id);

-- twitchbot

CREATE TABLE twitchbot_channel_viewers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    channel varchar(100) NOT NULL,
    twitch_id varchar(100) NOT NULL,
    username varchar(100) NOT NULL,
    display_name varchar(100) NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    is_moderator boolean DEFAULT false,
    is_v_ip boolean DEFAULT false,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_channel_viewer_unique ON twitchbot_channel_viewers (channel, twitch_id);
CREATE INDEX idx_twitchbot_channel_viewers_deleted_at ON twitchbot_channel_viewers (deleted_at);

CREATE TABLE twitchbot_commands (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(100) NOT NULL,
    description text,
    response text NOT NULL,
    is_active boolean DEFAULT true,
    moderator_only boolean DEFAULT false,
    subscriber_only boolean DEFAULT false,
    cooldown_seconds bigint DEFAULT 0,
    usage_count bigint DEFAULT 0,
    last_used timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_twitchbot_commands_name ON twitchbot_commands (name);
CREATE INDEX idx_twitchbot_commands_deleted_at ON twitchbot_commands (deleted_at);

CREATE TABLE twitchbot_streams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title varchar(255) NOT NULL,
    game_name varchar(255),
    game_id varchar(100),
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    peak_viewers bigint DEFAULT 0,
    average_viewers bigint DEFAULT 0,
    total_messages bigint DEFAULT 0,
    is_active boolean DEFAULT true,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_twitchbot_streams_deleted_at ON twitchbot_streams (deleted_at);

CREATE TABLE twitchbot_viewers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    twitch_id varchar(100) NOT NULL,
    username varchar(100) NOT NULL,
    display_name varchar(100) NOT NULL,
    total_messages bigint DEFAULT 0,
    total_streams_watched bigint DEFAULT 0,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_twitchbot_viewers_twitch_id ON twitchbot_viewers (twitch_id);
CREATE INDEX idx_twitchbot_viewers_deleted_at ON twitchbot_viewers (deleted_at);

CREATE TABLE twitchbot_clips (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    stream_id uuid NOT NULL REFERENCES twitchbot_streams (id),
    twitch_clip_id varchar(100) NOT NULL,
    title varchar(255) NOT NULL,
    url text NOT NULL,
    embed_url text,
    thumbnail_url text,
    creator_name varchar(100) NOT NULL,
    creator_id varchar(100) NOT NULL REFERENCES twitchbot_viewers (twitch_id),
    view_count bigint DEFAULT 0,
    duration_seconds bigint NOT NULL,
    created_at_twitch timestamptz NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_twitchbot_clips_twitch_clip_id ON twitchbot_clips (twitch_clip_id);
CREATE INDEX idx_twitchbot_clips_creator_id ON twitchbot_clips (creator_id);
CREATE INDEX idx_twitchbot_clips_deleted_at ON twitchbot_clips (deleted_at);
CREATE INDEX idx_twitchbot_clips_stream_id ON twitchbot_clips (stream_id);

CREATE TABLE twitchbot_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    stream_id uuid NOT NULL REFERENCES twitchbot_streams (id),
    user_id varchar(100) NOT NULL REFERENCES twitchbot_viewers (twitch_id),
    username varchar(100) NOT NULL,
    display_name varchar(100) NOT NULL,
    message text NOT NULL,
    is_moderator boolean DEFAULT false,
    is_subscriber boolean DEFAULT false,
    is_v_ip boolean DEFAULT false,
    is_broadcaster boolean DEFAULT false,
    sent_at timestamptz NOT NULL,
    created_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_twitchbot_messages_deleted_at ON twitchbot_messages (deleted_at);
CREATE INDEX idx_twitchbot_messages_sent_at ON twitchbot_messages (sent_at);
CREATE INDEX idx_twitchbot_messages_stream_id ON twitchbot_messages (stream_id);
CREATE INDEX idx_twitchbot_messages_user_id ON twitchbot_messages (user_id);

-- webhook

CREATE TABLE webhook_webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    url varchar(500) NOT NULL,
    secret varchar(255) NOT NULL,
    event_types text,
    description text,
    active boolean DEFAULT true,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz,
    total_deliveries bigint DEFAULT 0,
    success_deliveries bigint DEFAULT 0,
    failed_deliveries bigint DEFAULT 0,
    last_delivery_at timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz
);
CREATE UNIQUE INDEX idx_webhook_webhooks_url ON webhook_webhooks (url);
CREATE INDEX idx_webhook_webhooks_deleted_at ON webhook_webhooks (deleted_at);

CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    webhook_id uuid NOT NULL REFERENCES webhook_webhooks (id),
    event_id varchar(255) NOT NULL,
    event_type varchar(255) NOT NULL,
    event_payload text NOT NULL,
    status varchar(50) NOT NULL DEFAULT 'pending',
    attempt_count bigint DEFAULT 0,
    next_retry_at timestamptz,
    last_attempt_at timestamptz,
    completed_at timestamptz,
    last_error text,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_webhook_deliveries_deleted_at ON webhook_deliveries (deleted_at);
CREATE INDEX idx_webhook_deliveries_event_type ON webhook_deliveries (event_type);
CREATE INDEX idx_webhook_deliveries_status ON webhook_deliveries (status);
CREATE INDEX idx_webhook_deliveries_webhook_id ON webhook_deliveries (webhook_id);

CREATE TABLE webhook_delivery_attempts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries (id),
    attempt_number bigint NOT NULL,
    request_url varchar(500) NOT NULL,
    request_headers text,
    request_body text,
    response_status bigint,
    response_headers text,
    response_body text,
    success boolean,
    error text,
    duration_ms bigint,
    created_at timestamptz,
    deleted_at timestamptz
);
CREATE INDEX idx_webhook_delivery_attempts_deleted_at ON webhook_delivery_attempts (deleted_at);
CREATE INDEX idx_webhook_delivery_attempts_delivery_id ON webhook_delivery_attempts (delivery_id);

-- warcraft (no prefix)

CREATE TABLE character_details (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    character_id uuid NOT NULL,
    display_name text NOT NULL,
    display_realm text NOT NULL,
    level bigint NOT NULL,
    item_level bigint NOT NULL,
    class_id uuid NOT NULL,
    race_id uuid NOT NULL,
    faction_id uuid NOT NULL,
    guild_id uuid,
    thumbnail_url text,
    achievement_points bigint DEFAULT 0,
    last_synced_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT uni_character_details_character_id UNIQUE (character_id)
);
CREATE INDEX idx_character_details_character_id ON character_details (character_id);
CREATE INDEX idx_character_details_class_id ON character_details (class_id);
CREATE INDEX idx_character_details_faction_id ON character_details (faction_id);
CREATE INDEX idx_character_details_guild_id ON character_details (guild_id);
CREATE INDEX idx_character_details_race_id ON character_details (race_id);

CREATE TABLE character_equipment (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    character_id uuid NOT NULL,
    equipment_json jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT uni_character_equipment_character_id UNIQUE (character_id)
);
CREATE INDEX idx_character_equipment_character_id ON character_equipment (character_id);

CREATE TABLE character_stats (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    character_id uuid NOT NULL,
    stats_json jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT uni_character_stats_character_id UNIQUE (character_id)
);
CREATE INDEX idx_character_stats_character_id ON character_stats (character_id);

CREATE TABLE characters (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    realm text NOT NULL,
    region text NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_character_name_realm_region ON characters (name, realm, region);
CREATE INDEX idx_characters_deleted_at ON characters (deleted_at);

CREATE TABLE classes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL,
    name text NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT uni_classes_key UNIQUE (key)
);
CREATE INDEX idx_classes_key ON classes (key);

CREATE TABLE factions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL,
    name text NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT uni_factions_key UNIQUE (key)
);
CREATE INDEX idx_factions_key ON factions (key);

CREATE TABLE guilds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    realm text NOT NULL,
    region text NOT NULL,
    faction_id uuid NOT NULL,
    member_count bigint DEFAULT 0,
    achievement_points bigint DEFAULT 0,
    last_synced_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX idx_guild_name_realm_region ON guilds (name, realm, region);
CREATE INDEX idx_guilds_deleted_at ON guilds (deleted_at);
CREATE INDEX idx_guilds_faction_id ON guilds (faction_id);

CREATE TABLE races (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text NOT NULL,
    name text NOT NULL,
    faction_id uuid NOT NULL,
    created_at timestamptz,
    updated_at timestamptz,
    CONSTRAINT uni_races_key UNIQUE (key)
);
CREATE INDEX idx_races_key ON races (key);
