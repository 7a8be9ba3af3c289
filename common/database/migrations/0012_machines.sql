-- What each pass reports of its machine: the program's version, and by how many seconds its clock
-- is ahead of the database's. NULL: a run of an earlier release, or one without a connection.
ALTER TABLE toast_runs
    ADD COLUMN version text,
    ADD COLUMN clock_ahead double precision;
