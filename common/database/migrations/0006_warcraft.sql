-- Who belongs to which guild, as the last roster said. Names and realms are those of the
-- characters table: lower case, and a slug, for a roster spans connected realms. Class and
-- race are their names, NULL where Battle.net did not tell them. No reference to guilds:
-- other services' databases get this table, too, and have no guilds.
CREATE TABLE guild_members (
    guild_id uuid NOT NULL,
    character_name text NOT NULL,
    character_realm text NOT NULL,
    rank bigint NOT NULL,
    level bigint NOT NULL,
    class text,
    race text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (guild_id, character_realm, character_name)
);

-- Characters and guilds that could not be synced: left alone until `retry_at`. A row goes
-- with the first success. `missing_since` is the first 404 since then; 404s alone say
-- nothing about a character for days.
CREATE TABLE toast_sync_failures (
    scheduler text NOT NULL,
    subject_id uuid NOT NULL,
    reason text NOT NULL,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    missing_since timestamptz,
    retry_at timestamptz NOT NULL,
    PRIMARY KEY (scheduler, subject_id)
);
