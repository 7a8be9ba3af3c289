-- Schedulers that operators have paused; `until` is NULL until somebody resumes them. A row whose
-- `until` is over has no effect.
CREATE TABLE toast_pauses (
    service text NOT NULL,
    scheduler text NOT NULL,
    until timestamptz,
    reason text NOT NULL,
    -- The login on the machine of the command, and its host name.
    paused_by text NOT NULL,
    host text NOT NULL,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (service, scheduler)
);
