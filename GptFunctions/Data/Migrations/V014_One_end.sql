-- Every session ends here, whatever the reason: with it the refresh token that could still be used.

CREATE FUNCTION gpt_end_sessions(ids uuid[], why text, at timestamptz)
RETURNS TABLE (session_id uuid, client_id text, user_id uuid, clerk_user_id text, was_live boolean)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        WITH ended AS (
            UPDATE gpt_sessions session
            SET revoked_at = at, revoke_reason = why
            WHERE session.id = ANY (ids) AND session.revoked_at IS NULL
            RETURNING session.id, session.client_id, session.user_id, session.expires_at > at AS was_live
        ), tokens AS (
            UPDATE gpt_refresh_tokens token
            SET revoked_at = at
            FROM ended
            WHERE token.session_id = ended.id AND token.rotated_at IS NULL AND token.revoked_at IS NULL
        )
        SELECT ended.id, ended.client_id, ended.user_id, users.clerk_user_id, ended.was_live
        FROM ended
        JOIN users ON users.id = ended.user_id;
END $$;
COMMENT ON FUNCTION gpt_end_sessions IS 'The one way to end sessions; returns those that had not ended before. Whoever calls it writes the audit event.';

CREATE OR REPLACE FUNCTION gpt_make_room_within(for_user uuid, for_client text, may_end uuid[], session_limit integer, at timestamptz)
RETURNS TABLE (ended_id uuid, ended_client_id text)
LANGUAGE plpgsql AS $$
DECLARE
    surplus integer;
    ended_count integer;
BEGIN
    -- The lock makes parallel exchanges take turns; each statement after it sees what was committed before.
    PERFORM 1 FROM users WHERE id = for_user FOR NO KEY UPDATE;
    SELECT count(*) - (session_limit - 1) INTO surplus
    FROM gpt_sessions
    WHERE user_id = for_user AND revoked_at IS NULL AND expires_at > at;
    IF surplus <= 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT ended.session_id, ended.client_id
        FROM gpt_end_sessions(
            ARRAY(SELECT session.id FROM gpt_sessions session
                  WHERE session.user_id = for_user AND session.revoked_at IS NULL AND session.expires_at > at
                    AND (session.id = ANY (may_end) OR session.client_id = for_client)
                  ORDER BY session.id = ANY (may_end) DESC, session.last_active, session.id
                  LIMIT surplus),
            'session_limit', at) ended;
    GET DIAGNOSTICS ended_count = ROW_COUNT;
    IF ended_count < surplus THEN
        RAISE EXCEPTION 'no room for another session' USING ERRCODE = 'GF001';
    END IF;
END $$;
