-- The roles of the workers: one per service, with exactly the rights that its schedulers need.
-- Written by `make generate` from `tables=` of the schedulers; `toast roles` prints it.
--
-- Run it after `toast migrate`, and again after each upgrade, in every database with tables of
-- these services, as a superuser or as the owner of those tables and of toast's:
--     psql --set ON_ERROR_STOP=1 --dbname toxictoast --file db/roles.sql
-- It revokes rights that are no longer needed. It is one transaction.
--
-- A service's role can log in, but has no password: set one with psql's \password, or use another
-- method of pg_hba.conf. The rights of a scheduler that is off by default are those of a group:
-- GRANT it to the service's role when you switch the scheduler on. toast_operator is for
-- the commands that look and act, such as `toast status` and `toast outbox`;
-- `toast migrate` is for the owner.
--
-- Workers find rows by the system column ctid. SELECT on it can be granted like on any column
-- (tried on PostgreSQL 15 and 18), so no role needs SELECT on a whole table.

BEGIN;

DO $$
DECLARE
    worker text;
    kind text;
BEGIN
    FOR worker, kind IN VALUES
        ('toast_blog', 'LOGIN'),
        ('toast_foodfolio', 'LOGIN'),
        ('toast_link', 'LOGIN'),
        ('toast_notification', 'LOGIN'),
        ('toast_sse', 'LOGIN'),
        ('toast_twitchbot', 'LOGIN'),
        ('toast_warcraft', 'LOGIN'),
        ('toast_webhook', 'LOGIN'),
        ('toast_operator', 'LOGIN'),
        ('toast_webhook_delivery', 'NOLOGIN')
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = worker) THEN
            EXECUTE format('CREATE ROLE %I %s', worker, kind);
        END IF;
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), worker);
        EXECUTE format('REVOKE CREATE ON SCHEMA public FROM %I', worker);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', worker);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', worker);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM %I', worker);
    END LOOP;
END $$;

DO $$ BEGIN
    IF to_regclass('public.blog_posts') IS NULL THEN
        RAISE NOTICE 'toast_blog: nothing to grant without blog_posts';
        RETURN;
    END IF;

    GRANT SELECT (ctid, id, title, slug, status, published_at, deleted_at),
          UPDATE (status, updated_at)
        ON public.blog_posts TO toast_blog;
    GRANT SELECT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          INSERT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          UPDATE (reason, failures, failed_at, grace, retry_at),
          DELETE
        ON public.toast_failed_rows TO toast_blog;
    GRANT SELECT (number)
        ON public.toast_migrations TO toast_blog;
    GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
                  counts, error, next_at),
          INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
                  finished_at, result, counts, error, next_at),
          UPDATE (finished_at, result, counts, error, next_at),
          DELETE
        ON public.toast_runs TO toast_blog;
    GRANT SELECT (id, service, occurred_at, topic, key, event_id, payload, tries, retry_at),
          INSERT (service, topic, key, event_id, occurred_at, payload),
          UPDATE (tries, retry_at, error),
          DELETE
        ON public.toast_outbox TO toast_blog;
    GRANT SELECT (service, id, topic, key, occurred_at, error, set_aside_at),
          INSERT (id, service, topic, key, event_id, occurred_at, payload, tries, error,
                  set_aside_at)
        ON public.toast_outbox_set_aside TO toast_blog;
    GRANT SELECT (service, scheduler, host, process, requested_at),
          DELETE
        ON public.toast_triggers TO toast_blog;
    GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
        ON public.toast_pauses TO toast_blog;
END $$;

DO $$ BEGIN
    IF to_regclass('public.foodfolio_item_details') IS NULL THEN
        RAISE NOTICE 'toast_foodfolio: nothing to grant without foodfolio_item_details';
        RETURN;
    END IF;

    GRANT SELECT (ctid, id, item_variant_id, expiry_date, deleted_at, opened_date, is_opened)
        ON public.foodfolio_item_details TO toast_foodfolio;
    GRANT SELECT (id, item_id, variant_name, min_sku, deleted_at)
        ON public.foodfolio_item_variants TO toast_foodfolio;
    GRANT SELECT (ctid, scheduler, subject_id, facts, raised_at),
          INSERT (scheduler, subject_id, facts, raised_at),
          UPDATE (facts, raised_at),
          DELETE
        ON public.toast_alerts TO toast_foodfolio;
    GRANT SELECT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          INSERT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          UPDATE (reason, failures, failed_at, grace, retry_at),
          DELETE
        ON public.toast_failed_rows TO toast_foodfolio;
    GRANT SELECT (number)
        ON public.toast_migrations TO toast_foodfolio;
    GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
                  counts, error, next_at),
          INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
                  finished_at, result, counts, error, next_at),
          UPDATE (finished_at, result, counts, error, next_at),
          DELETE
        ON public.toast_runs TO toast_foodfolio;
    GRANT SELECT (id, service, occurred_at, topic, key, event_id, payload, tries, retry_at),
          INSERT (service, topic, key, event_id, occurred_at, payload),
          UPDATE (tries, retry_at, error),
          DELETE
        ON public.toast_outbox TO toast_foodfolio;
    GRANT SELECT (service, id, topic, key, occurred_at, error, set_aside_at),
          INSERT (id, service, topic, key, event_id, occurred_at, payload, tries, error,
                  set_aside_at)
        ON public.toast_outbox_set_aside TO toast_foodfolio;
    GRANT SELECT (service, scheduler, host, process, requested_at),
          DELETE
        ON public.toast_triggers TO toast_foodfolio;
    GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
        ON public.toast_pauses TO toast_foodfolio;
END $$;

DO $$ BEGIN
    IF to_regclass('public.link_links') IS NULL THEN
        RAISE NOTICE 'toast_link: nothing to grant without link_links';
        RETURN;
    END IF;

    GRANT SELECT (ctid, id, short_code, expires_at, is_active, deleted_at),
          UPDATE (is_active, updated_at)
        ON public.link_links TO toast_link;
    GRANT SELECT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          INSERT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          UPDATE (reason, failures, failed_at, grace, retry_at),
          DELETE
        ON public.toast_failed_rows TO toast_link;
    GRANT SELECT (number)
        ON public.toast_migrations TO toast_link;
    GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
                  counts, error, next_at),
          INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
                  finished_at, result, counts, error, next_at),
          UPDATE (finished_at, result, counts, error, next_at),
          DELETE
        ON public.toast_runs TO toast_link;
    GRANT SELECT (id, service, occurred_at, topic, key, event_id, payload, tries, retry_at),
          INSERT (service, topic, key, event_id, occurred_at, payload),
          UPDATE (tries, retry_at, error),
          DELETE
        ON public.toast_outbox TO toast_link;
    GRANT SELECT (service, id, topic, key, occurred_at, error, set_aside_at),
          INSERT (id, service, topic, key, event_id, occurred_at, payload, tries, error,
                  set_aside_at)
        ON public.toast_outbox_set_aside TO toast_link;
    GRANT SELECT (service, scheduler, host, process, requested_at),
          DELETE
        ON public.toast_triggers TO toast_link;
    GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
        ON public.toast_pauses TO toast_link;
END $$;

DO $$ BEGIN
    IF to_regclass('public.notification_notifications') IS NULL THEN
        RAISE NOTICE 'toast_notification: nothing to grant without notification_notifications';
        RETURN;
    END IF;

    GRANT SELECT (id, channel_id, event_id, event_type, event_payload, created_at, status,
                  attempt_count, discord_message_id, sent_at, last_error, deleted_at, ctid,
                  updated_at),
          UPDATE (status, attempt_count, discord_message_id, sent_at, last_error, updated_at),
          DELETE
        ON public.notification_notifications TO toast_notification;
    GRANT SELECT (notification_id),
          INSERT (notification_id, attempt_number, response_status, response_body,
                  discord_message_id, success, error, duration_ms, created_at),
          DELETE
        ON public.notification_attempts TO toast_notification;
    GRANT SELECT (id, name, webhook_url, event_types, color, active, description, deleted_at,
                  last_success_at, last_failure_at, total_notifications,
                  success_notifications, failed_notifications),
          UPDATE (total_notifications, success_notifications, failed_notifications,
                  last_notification_at, last_success_at, last_failure_at, updated_at)
        ON public.notification_channels TO toast_notification;
    GRANT SELECT (channel_id, requests, quiet_until, gone_row, gone_reason),
          INSERT (channel_id, requests, quiet_until, gone_row, gone_reason),
          UPDATE (requests, quiet_until, gone_row, gone_reason)
        ON public.toast_discord_channels TO toast_notification;
    GRANT SELECT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          INSERT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          UPDATE (reason, failures, failed_at, grace, retry_at),
          DELETE
        ON public.toast_failed_rows TO toast_notification;
    GRANT SELECT (number)
        ON public.toast_migrations TO toast_notification;
    GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
                  counts, error, next_at),
          INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
                  finished_at, result, counts, error, next_at),
          UPDATE (finished_at, result, counts, error, next_at),
          DELETE
        ON public.toast_runs TO toast_notification;
    GRANT SELECT (id, service, occurred_at)
        ON public.toast_outbox TO toast_notification;
    GRANT SELECT (service)
        ON public.toast_outbox_set_aside TO toast_notification;
    GRANT SELECT (service, scheduler, host, process, requested_at),
          DELETE
        ON public.toast_triggers TO toast_notification;
    GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
        ON public.toast_pauses TO toast_notification;
END $$;

GRANT SELECT (number)
    ON public.toast_migrations TO toast_sse;
GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
              counts, error, next_at),
      INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
              finished_at, result, counts, error, next_at),
      UPDATE (finished_at, result, counts, error, next_at),
      DELETE
    ON public.toast_runs TO toast_sse;
GRANT SELECT (scheduler, failed_at, since, grace)
    ON public.toast_failed_rows TO toast_sse;
GRANT SELECT (id, service, occurred_at)
    ON public.toast_outbox TO toast_sse;
GRANT SELECT (service)
    ON public.toast_outbox_set_aside TO toast_sse;
GRANT SELECT (service, scheduler, host, process, requested_at),
      DELETE
    ON public.toast_triggers TO toast_sse;
GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
    ON public.toast_pauses TO toast_sse;

DO $$ BEGIN
    IF to_regclass('public.twitchbot_messages') IS NULL THEN
        RAISE NOTICE 'toast_twitchbot: nothing to grant without twitchbot_messages';
        RETURN;
    END IF;

    GRANT SELECT (ctid, id, stream_id, username, created_at),
          UPDATE (deleted_at),
          DELETE
        ON public.twitchbot_messages TO toast_twitchbot;
    GRANT SELECT (ctid, id, title, started_at, is_active, updated_at, deleted_at),
          UPDATE (is_active, ended_at, updated_at)
        ON public.twitchbot_streams TO toast_twitchbot;
    GRANT SELECT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          INSERT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          UPDATE (reason, failures, failed_at, grace, retry_at),
          DELETE
        ON public.toast_failed_rows TO toast_twitchbot;
    GRANT SELECT (number)
        ON public.toast_migrations TO toast_twitchbot;
    GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
                  counts, error, next_at),
          INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
                  finished_at, result, counts, error, next_at),
          UPDATE (finished_at, result, counts, error, next_at),
          DELETE
        ON public.toast_runs TO toast_twitchbot;
    GRANT SELECT (id, service, occurred_at)
        ON public.toast_outbox TO toast_twitchbot;
    GRANT SELECT (service)
        ON public.toast_outbox_set_aside TO toast_twitchbot;
    GRANT SELECT (service, scheduler, host, process, requested_at),
          DELETE
        ON public.toast_triggers TO toast_twitchbot;
    GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
        ON public.toast_pauses TO toast_twitchbot;
END $$;

DO $$ BEGIN
    IF to_regclass('public.characters') IS NULL THEN
        RAISE NOTICE 'toast_warcraft: nothing to grant without characters';
        RETURN;
    END IF;

    GRANT SELECT (id, name, realm, region, updated_at, deleted_at),
          UPDATE (updated_at)
        ON public.characters TO toast_warcraft;
    GRANT SELECT (id, name, realm, region, deleted_at, faction_id, member_count,
                  achievement_points, last_synced_at, updated_at),
          UPDATE (faction_id, member_count, achievement_points, last_synced_at, updated_at)
        ON public.guilds TO toast_warcraft;
    GRANT SELECT (character_id, display_name, display_realm, level, item_level, class_id,
                  race_id, faction_id, guild_id, thumbnail_url, achievement_points,
                  last_synced_at, updated_at),
          INSERT (character_id, display_name, display_realm, level, item_level, class_id,
                  race_id, faction_id, guild_id, thumbnail_url, achievement_points,
                  last_synced_at, created_at, updated_at),
          UPDATE (display_name, display_realm, level, item_level, class_id, race_id,
                  faction_id, guild_id, thumbnail_url, achievement_points, last_synced_at,
                  updated_at)
        ON public.character_details TO toast_warcraft;
    GRANT SELECT (character_id, equipment_json, updated_at),
          INSERT (character_id, equipment_json, created_at, updated_at),
          UPDATE (equipment_json, updated_at)
        ON public.character_equipment TO toast_warcraft;
    GRANT SELECT (character_id, stats_json, updated_at),
          INSERT (character_id, stats_json, created_at, updated_at),
          UPDATE (stats_json, updated_at)
        ON public.character_stats TO toast_warcraft;
    GRANT SELECT (id, key),
          INSERT (key, name, created_at, updated_at)
        ON public.factions TO toast_warcraft;
    GRANT SELECT (id, key),
          INSERT (key, name, created_at, updated_at, faction_id)
        ON public.races TO toast_warcraft;
    GRANT SELECT (id, key),
          INSERT (key, name, created_at, updated_at)
        ON public.classes TO toast_warcraft;
    GRANT SELECT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          INSERT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          UPDATE (reason, failures, failed_at, grace, retry_at),
          DELETE
        ON public.toast_failed_rows TO toast_warcraft;
    GRANT SELECT (updated_at, guild_id, character_realm, character_name, rank, level, class,
                  race),
          INSERT (created_at, updated_at, guild_id, character_realm, character_name, rank,
                  level, class, race),
          UPDATE (updated_at, rank, level, class, race),
          DELETE
        ON public.guild_members TO toast_warcraft;
    GRANT SELECT (number)
        ON public.toast_migrations TO toast_warcraft;
    GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
                  counts, error, next_at),
          INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
                  finished_at, result, counts, error, next_at),
          UPDATE (finished_at, result, counts, error, next_at),
          DELETE
        ON public.toast_runs TO toast_warcraft;
    GRANT SELECT (id, service, occurred_at, topic, key, event_id, payload, tries, retry_at),
          INSERT (service, topic, key, event_id, occurred_at, payload),
          UPDATE (tries, retry_at, error),
          DELETE
        ON public.toast_outbox TO toast_warcraft;
    GRANT SELECT (service, id, topic, key, occurred_at, error, set_aside_at),
          INSERT (id, service, topic, key, event_id, occurred_at, payload, tries, error,
                  set_aside_at)
        ON public.toast_outbox_set_aside TO toast_warcraft;
    GRANT SELECT (service, scheduler, host, process, requested_at),
          DELETE
        ON public.toast_triggers TO toast_warcraft;
    GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
        ON public.toast_pauses TO toast_warcraft;
END $$;

DO $$ BEGIN
    IF to_regclass('public.webhook_deliveries') IS NULL THEN
        RAISE NOTICE 'toast_webhook: nothing to grant without webhook_deliveries';
        RETURN;
    END IF;

    GRANT SELECT (ctid, id, webhook_id, event_type, status, attempt_count, last_error,
                  updated_at, deleted_at, created_at, next_retry_at),
          UPDATE (status, updated_at, next_retry_at, attempt_count, last_error),
          DELETE
        ON public.webhook_deliveries TO toast_webhook;
    GRANT SELECT (id, active, deleted_at)
        ON public.webhook_webhooks TO toast_webhook;
    GRANT SELECT (delivery_id),
          DELETE
        ON public.webhook_delivery_attempts TO toast_webhook;
    GRANT SELECT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          INSERT (scheduler, row_id, since, reason, failures, failed_at, grace, retry_at),
          UPDATE (reason, failures, failed_at, grace, retry_at),
          DELETE
        ON public.toast_failed_rows TO toast_webhook;
    GRANT SELECT (number)
        ON public.toast_migrations TO toast_webhook;
    GRANT SELECT (id, service, scheduler, host, process, started_at, finished_at, result,
                  counts, error, next_at),
          INSERT (id, service, scheduler, host, process, started_at, version, clock_ahead,
                  finished_at, result, counts, error, next_at),
          UPDATE (finished_at, result, counts, error, next_at),
          DELETE
        ON public.toast_runs TO toast_webhook;
    GRANT SELECT (id, service, occurred_at)
        ON public.toast_outbox TO toast_webhook;
    GRANT SELECT (service)
        ON public.toast_outbox_set_aside TO toast_webhook;
    GRANT SELECT (service, scheduler, host, process, requested_at),
          DELETE
        ON public.toast_triggers TO toast_webhook;
    GRANT SELECT (service, scheduler, until, reason, paused_by, host, paused_at)
        ON public.toast_pauses TO toast_webhook;
END $$;

DO $$ BEGIN
    IF to_regclass('public.webhook_deliveries') IS NULL THEN
        RAISE NOTICE 'toast_webhook_delivery: nothing to grant without webhook_deliveries';
        RETURN;
    END IF;

    GRANT SELECT (event_payload, completed_at),
          UPDATE (last_attempt_at, completed_at)
        ON public.webhook_deliveries TO toast_webhook_delivery;
    GRANT INSERT (delivery_id, attempt_number, request_url, request_headers, request_body,
                  response_status, response_headers, response_body, success, error,
                  duration_ms, created_at)
        ON public.webhook_delivery_attempts TO toast_webhook_delivery;
    GRANT SELECT (url, secret, last_success_at, last_failure_at, total_deliveries,
                  success_deliveries, failed_deliveries),
          UPDATE (total_deliveries, success_deliveries, failed_deliveries, last_delivery_at,
                  last_success_at, last_failure_at, updated_at)
        ON public.webhook_webhooks TO toast_webhook_delivery;
END $$;

GRANT SELECT
    ON public.toast_migrations TO toast_operator;
GRANT SELECT
    ON public.toast_runs TO toast_operator;
GRANT SELECT,
      UPDATE (retry_at)
    ON public.toast_failed_rows TO toast_operator;
GRANT SELECT,
      INSERT (login, host, action, subject, rows, first_rows, reason)
    ON public.toast_audit TO toast_operator;
GRANT SELECT,
      INSERT (id, service, topic, key, event_id, occurred_at, payload)
    ON public.toast_outbox TO toast_operator;
GRANT SELECT,
      DELETE
    ON public.toast_outbox_set_aside TO toast_operator;
GRANT SELECT,
      INSERT,
      DELETE
    ON public.toast_triggers TO toast_operator;
GRANT SELECT,
      INSERT,
      UPDATE,
      DELETE
    ON public.toast_pauses TO toast_operator;

DO $$ BEGIN
    IF to_regclass('public.foodfolio_item_details') IS NULL THEN
        RAISE NOTICE 'toast_operator: nothing to grant without foodfolio_item_details';
        RETURN;
    END IF;

    GRANT SELECT
        ON public.toast_alerts TO toast_operator;
END $$;

DO $$ BEGIN
    IF to_regclass('public.notification_notifications') IS NULL THEN
        RAISE NOTICE 'toast_operator: nothing to grant without notification_notifications';
        RETURN;
    END IF;

    GRANT SELECT
        ON public.toast_discord_channels TO toast_operator;
END $$;

COMMIT;
