-- What has been said about rows of the live tables that we may not change: one row per
-- subject while its alert is true. `facts` is what the alert was about; other facts make
-- a new alert.
CREATE TABLE toast_alerts (
    scheduler text NOT NULL,
    subject_id uuid NOT NULL,
    facts text NOT NULL,
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (scheduler, subject_id)
);
