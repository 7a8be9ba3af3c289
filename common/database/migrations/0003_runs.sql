-- One row per pass. `finished_at` and `result` stay NULL while it runs, and for ever if
-- its process was killed.
CREATE TABLE toast_runs (
    id uuid PRIMARY KEY,
    service text NOT NULL,
    scheduler text NOT NULL,
    host text NOT NULL,
    process integer NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    result text CHECK (result IN ('ok', 'failed', 'stopped', 'skipped')),
    counts jsonb NOT NULL DEFAULT '{}',
    error text NOT NULL DEFAULT ''
);

CREATE INDEX toast_runs_latest ON toast_runs (service, scheduler, started_at DESC);
