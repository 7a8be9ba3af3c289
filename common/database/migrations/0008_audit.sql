-- What operators did, and migrations. Whoever inserts a row cannot choose its time or its role.
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

-- For everyone but the owner: what was recorded stays for a year, as it is.
ALTER TABLE toast_audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON toast_audit FOR SELECT USING (true);
CREATE POLICY record ON toast_audit FOR INSERT WITH CHECK (true);
CREATE POLICY forget ON toast_audit FOR DELETE USING (done_at < now() - interval '1 year');
