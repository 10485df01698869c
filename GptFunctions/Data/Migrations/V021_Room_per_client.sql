-- A person has so many sessions in each client, and so many in all: a sign-in of one host ends no session of another until the second limit is reached.

-- Takes the place of the function of the same name without user_limit, which older replicas still call. A client's own sessions beyond its limit end
-- without announcement, the least recently active first: connecting it again takes their place. What still has to go for the second limit was
-- announced, or is the client's own, too. Without enough of either it raises GF001, which undoes the whole exchange, and the person can be asked again.
CREATE FUNCTION gpt_make_room_within(
    for_user uuid, for_client text, may_end uuid[], client_limit integer, user_limit integer, at timestamptz)
RETURNS TABLE (ended_id uuid, ended_client_id text)
LANGUAGE plpgsql AS $$
DECLARE
    own_surplus integer;
    surplus integer;
    ended_count integer;
BEGIN
    -- The lock makes parallel exchanges take turns; each statement after it sees what was committed before.
    PERFORM 1 FROM users WHERE id = for_user FOR NO KEY UPDATE;
    SELECT greatest(count(*) FILTER (WHERE client_id = for_client) - (client_limit - 1), 0), count(*) - (user_limit - 1)
    INTO own_surplus, surplus
    FROM gpt_sessions
    WHERE user_id = for_user AND revoked_at IS NULL AND expires_at > at;
    surplus := greatest(surplus, own_surplus);
    IF surplus = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
        WITH live AS (
            SELECT session.id, session.last_active, session.id = ANY (may_end) AS is_announced, session.client_id = for_client AS is_own,
                   row_number() OVER (
                       PARTITION BY session.client_id ORDER BY session.id = ANY (may_end) DESC, session.last_active, session.id) AS place
            FROM gpt_sessions session
            WHERE session.user_id = for_user AND session.revoked_at IS NULL AND session.expires_at > at
        )
        SELECT ended.session_id, ended.client_id
        FROM gpt_end_sessions(
            ARRAY(SELECT live.id FROM live
                  WHERE live.is_announced OR live.is_own
                  ORDER BY live.is_own AND live.place <= own_surplus DESC, live.is_announced DESC, live.last_active, live.id
                  LIMIT surplus),
            'session_limit', at) ended;
    GET DIAGNOSTICS ended_count = ROW_COUNT;
    IF ended_count < surplus THEN
        RAISE EXCEPTION 'no room for another session' USING ERRCODE = 'GF001';
    END IF;
END $$;
COMMENT ON FUNCTION gpt_make_room_within(uuid, text, uuid[], integer, integer, timestamptz)
    IS 'Called by the code exchange, in its transaction; returns the sessions it ended.';
