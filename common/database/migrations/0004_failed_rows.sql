-- Rows that one scheduler could not process (a trigger raised, a value did not fit): they
-- are passed over until `retry_at`, so that one bad row costs the others nothing.
CREATE TABLE toast_failed_rows (
    scheduler text NOT NULL,
    row_id uuid NOT NULL,
    reason text NOT NULL,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    PRIMARY KEY (scheduler, row_id)
);
