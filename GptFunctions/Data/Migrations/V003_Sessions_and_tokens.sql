-- A session is a token family: one sign-in of one person in one client.

CREATE TABLE gpt_sessions (
    id             uuid PRIMARY KEY,
    client_id      text NOT NULL REFERENCES gpt_clients ON DELETE CASCADE,
    user_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    scopes         text[] NOT NULL,
    granted_scopes text[] NOT NULL CHECK (granted_scopes <@ scopes),
    resource       text NOT NULL,
    created_at     timestamptz NOT NULL,
    last_active    timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL CHECK (expires_at > created_at),
    revoked_at     timestamptz,
    revoke_reason  text,
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
) WITH (fillfactor = 80);
-- last_active changes with every refresh: kept out of every index, so that those updates stay heap-only.
CREATE INDEX ON gpt_sessions (user_id) WHERE revoked_at IS NULL;
COMMENT ON TABLE gpt_sessions IS 'Token families. Revoking one (softly) ends its refresh tokens and, through the sid claim, its access tokens.';
COMMENT ON COLUMN gpt_sessions.scopes IS 'What the client asked for; granted_scopes is what the person allowed.';

CREATE TABLE gpt_refresh_tokens (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    session_id uuid NOT NULL REFERENCES gpt_sessions ON DELETE CASCADE,
    generation integer NOT NULL CHECK (generation >= 0),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    rotated_at timestamptz,
    rotated_to bytea,
    revoked_at timestamptz,
    CHECK ((rotated_at IS NULL) = (rotated_to IS NULL)),
    -- One lineage: a session can never hold two tokens of the same generation.
    UNIQUE (session_id, generation)
) WITH (fillfactor = 85);
COMMENT ON TABLE gpt_refresh_tokens IS 'SHA-256 of every refresh token of a live family; a superseded one stays as long as its family can be replayed.';

-- Ends a user's least recently active sessions until one more fits under the limit. The lock on the user's row makes
-- parallel exchanges take turns. It has to be a function: inside one, each statement sees what was committed before
-- it began, while a common table expression would still count with the snapshot from before the lock.
CREATE FUNCTION gpt_make_room(for_user uuid, session_limit integer, at timestamptz)
RETURNS TABLE (ended_id uuid, ended_client_id text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users WHERE id = for_user FOR NO KEY UPDATE;
    RETURN QUERY
        WITH ended AS (
            UPDATE gpt_sessions SET revoked_at = at, revoke_reason = 'session_limit'
            WHERE id IN (
                SELECT id FROM gpt_sessions
                WHERE user_id = for_user AND revoked_at IS NULL AND expires_at > at
                ORDER BY last_active DESC, id DESC
                OFFSET session_limit - 1)
            RETURNING id, client_id
        ), tokens AS (
            UPDATE gpt_refresh_tokens token SET revoked_at = at
            FROM ended WHERE token.session_id = ended.id AND token.rotated_at IS NULL AND token.revoked_at IS NULL
        )
        SELECT id, client_id FROM ended;
END $$;
COMMENT ON FUNCTION gpt_make_room IS 'Called by the code exchange, in its transaction; returns the sessions it ended.';
