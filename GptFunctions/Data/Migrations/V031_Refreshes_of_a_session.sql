-- How often a session may be refreshed: a bucket in the row that every refresh writes anyway.
ALTER TABLE gpt_sessions ADD COLUMN refresh_tat timestamptz, ADD COLUMN refresh_limit_told_at timestamptz;
COMMENT ON COLUMN gpt_sessions.refresh_tat IS 'GCRA: the theoretical arrival time, when all refreshes that the limit of a minute allows are there again.';
COMMENT ON COLUMN gpt_sessions.refresh_limit_told_at IS
    'When refreshes beyond the limit were told in the audit trail last: at most once a minute, by whichever process.';
