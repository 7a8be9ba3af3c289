-- Passes that operators want now, of one worker process, which deletes the rows that it takes.
CREATE TABLE toast_triggers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text NOT NULL,
    scheduler text NOT NULL,
    host text NOT NULL,
    process integer NOT NULL,
    requested_at timestamptz NOT NULL
);
