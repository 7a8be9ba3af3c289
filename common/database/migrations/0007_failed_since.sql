-- When a row failed first in a row, and for how long it may fail before it counts as failed.
ALTER TABLE toast_failed_rows
    ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN grace interval NOT NULL DEFAULT '0';

UPDATE toast_failed_rows SET since = failed_at;

-- Characters and guilds that could not be synced are in this table, too, from now on. Their own
-- table stays for earlier releases; only databases of warcraft may have it.
DO $$ BEGIN
    IF to_regclass('toast_sync_failures') IS NOT NULL THEN
        INSERT INTO toast_failed_rows
               (scheduler, row_id, reason, failures, failed_at, retry_at, since, grace)
        SELECT scheduler, subject_id, reason, failures, failed_at, retry_at,
               coalesce(missing_since, failed_at),
               CASE WHEN missing_since IS NULL THEN interval '0' ELSE interval '7 days' END
        FROM toast_sync_failures
        ON CONFLICT DO NOTHING;
    END IF;
END $$;
