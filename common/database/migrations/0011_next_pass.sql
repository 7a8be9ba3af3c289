-- When the process that ended this pass was to run its next one; NULL if that is not known.
ALTER TABLE toast_runs ADD COLUMN next_at timestamptz;
