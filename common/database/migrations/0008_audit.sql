-- What operators did, and migrations. Who may insert only `login` to `reason` cannot choose the time
-- and the role of a row.
CREATE TABLE toast_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role name NOT NULL DEFAULT session_user,
    -- The login on the machine of the command, and its host name.
    login text NOT NULL,
    host text NOT NULL,
    action text NOT NULL,
    -- The service, scheduler or topic that it was about; empty for all.
    subject text NOT NULL,
    rows bigint NOT NULL,
    first_rows text[] NOT NULL,
    reason text NOT NULL
);

CREATE INDEX toast_audit_latest ON toast_audit (done_at DESC);
