WITH rotated AS (
    UPDATE gpt_refresh_tokens
    SET rotated_at = now(), rotated_to = $2
    WHERE token_hash = $1 AND rotated_at IS NULL
    RETURNING session_id, generation
), session AS (
    UPDATE gpt_sessions
    SET last_active = now()
    FROM rotated
    WHERE gpt_sessions.id = rotated.session_id
    RETURNING gpt_sessions.id, client_id, scopes
), successor AS (
    INSERT INTO gpt_refresh_tokens (token_hash, session_id, generation, created_at, expires_at)
    SELECT $2, session_id, generation + 1, now(), now() + interval '30 days'
    FROM rotated
), event AS (
    INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
    SELECT gen_random_uuid(), 'gpt.oauth.token_refreshed', now(), jsonb_build_object('session_id', id, 'client_id', client_id, 'scopes', scopes)
    FROM session
)
SELECT id FROM session
