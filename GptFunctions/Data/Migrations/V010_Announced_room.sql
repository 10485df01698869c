-- At the limit of sessions a person is told which ones a connection ends, and that travels with the code: the exchange ends no others.

ALTER TABLE gpt_authorization_codes ADD COLUMN may_end uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN gpt_authorization_codes.may_end IS 'Sessions of which the person was told that this connection may end them, for want of room.';

-- Takes the place of gpt_make_room, which older replicas still call: that one ended whatever had been active least recently at the exchange, also when
-- two sign-ins had each been told that there was room. A client's own sessions need no announcement: connecting it again takes their place. Without
-- enough of either it raises GF001, which undoes the whole exchange, and the person can be asked again.
CREATE FUNCTION gpt_make_room_within(for_user uuid, for_client text, may_end uuid[], session_limit integer, at timestamptz)
RETURNS TABLE (ended_id uuid, ended_client_id text)
LANGUAGE plpgsql AS $$
DECLARE
    surplus integer;
    ended_count integer;
BEGIN
    -- The lock makes parallel exchanges take turns; each statement after it sees what was committed before.
    PERFORM 1 FROM users WHERE id = for_user FOR NO KEY UPDATE;
    SELECT count(*) - (session_limit - 1) INTO surplus FROM gpt_sessions WHERE user_id = for_user AND revoked_at IS NULL AND expires_at > at;
    IF surplus <= 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
        WITH ended AS (
            UPDATE gpt_sessions SET revoked_at = at, revoke_reason = 'session_limit'
            WHERE id IN (
                SELECT id FROM gpt_sessions
                WHERE user_id = for_user AND revoked_at IS NULL AND expires_at > at AND (id = ANY (may_end) OR client_id = for_client)
                ORDER BY id = ANY (may_end) DESC, last_active, id
                LIMIT surplus)
            RETURNING id, client_id
        ), tokens AS (
            UPDATE gpt_refresh_tokens token SET revoked_at = at
            FROM ended WHERE token.session_id = ended.id AND token.rotated_at IS NULL AND token.revoked_at IS NULL
        )
        SELECT id, client_id FROM ended;
    GET DIAGNOSTICS ended_count = ROW_COUNT;
    IF ended_count < surplus THEN
        RAISE EXCEPTION 'no room for another session' USING ERRCODE = 'GF001';
    END IF;
END $$;
COMMENT ON FUNCTION gpt_make_room_within IS 'Called by the code exchange, in its transaction; returns the sessions it ended.';

COMMENT ON TABLE gpt_authorization_requests IS 'The validated request of somebody who has signed in and is to answer (10 minutes from its start). Before the sign-in it is with the browser, sealed. CSRF tokens are derived from the browser''s cookie and this id, so nothing secret is stored.';
