-- The record of maintenance, and what lets the purge find old rows without reading the young ones.

CREATE TABLE maintenance_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job         text NOT NULL CHECK (job <> ''),
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('completed', 'cut_short', 'failed')),
    counts      jsonb NOT NULL,
    CHECK (finished_at >= started_at)
);
CREATE INDEX ON maintenance_runs (started_at);
COMMENT ON TABLE maintenance_runs IS 'One row per run that came to its end, also a bad one; a run that was killed has none, and is caught up at the next start.';

-- When a token or session ended: it expired, or was revoked before that (least ignores NULL). One index answers for both. No column that a
-- refresh updates (last_active, rotated_at, rotated_to) is in any index, not even in a predicate: those updates stay heap-only.
CREATE INDEX gpt_refresh_tokens_ended ON gpt_refresh_tokens (least(expires_at, revoked_at));
CREATE INDEX gpt_sessions_ended ON gpt_sessions (least(expires_at, revoked_at));

CREATE INDEX gpt_clients_unused ON gpt_clients (created_at) WHERE kind = 'registered' AND last_used_at IS NULL;

-- What a deleted client takes with it has to be found too.
CREATE INDEX ON gpt_authorization_requests (client_id);
CREATE INDEX ON gpt_authorization_codes (client_id);
CREATE INDEX ON gpt_consents (client_id);
CREATE INDEX ON gpt_sessions (client_id);

-- rate_limits has no index on tat, on purpose: every try updates it, and would no longer be heap-only. The purge walks its key.
