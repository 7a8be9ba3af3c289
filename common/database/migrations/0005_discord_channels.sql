-- What Discord has told us about the webhook of a channel, kept here so that neither the next
-- pass nor another process has to be told again. The nil UUID stands for Discord as a whole.
CREATE TABLE toast_discord_channels (
    channel_id uuid PRIMARY KEY,
    -- Answered within the last minute: they count towards the limits of a pass that follows.
    requests timestamptz[] NOT NULL DEFAULT '{}',
    quiet_until timestamptz,
    -- The channel's row, as a digest, whose webhook was answered with 404 or 401: it is not
    -- called again while the row is the same.
    gone_row text,
    gone_reason text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);  -- one update per notification sent
