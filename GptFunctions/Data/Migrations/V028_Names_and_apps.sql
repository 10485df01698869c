-- Names hold nothing that people would not see or that turns the text around it (U+202E), and not more than they would read. Rows from before that
-- rule are brought to it: control and format characters, line ends, private use.
DO $$
DECLARE
    unseen constant text :=
        '[\u0001-\u001F\u007F-\u009F\u00AD\u0600-\u0605\u061C\u06DD\u070F\u0890\u0891\u08E2\u180E\u200B-\u200F\u2028-\u202E\u2060-\u2064\u2066-\u206F'
        '\uE000-\uF8FF\uFEFF\uFFF9-\uFFFB\U000110BD\U000110CD\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0001-\U000E007F\U000F0000-\U0010FFFD]';
BEGIN
    UPDATE gpt_clients
    SET name = coalesce(nullif(left(btrim(regexp_replace(name, unseen, '', 'g')), 100), ''), left(client_id, 100))
    WHERE name ~ unseen OR length(name) > 100;

    UPDATE users
    SET name = nullif(left(btrim(regexp_replace(name, unseen, '', 'g')), 100), '')
    WHERE name ~ unseen OR length(name) > 100;

    -- An address without the characters that hid in it would be another one.
    UPDATE users
    SET email = NULL
    WHERE email ~ unseen OR length(email) > 255;
END $$;

-- Hosts that register anew for each connection, with a secret, leave a row each time. For the limit of sessions rows of one name that lead to the same
-- places are one app: connecting it again takes the place of its own sessions, and not of another app's.
CREATE FUNCTION gpt_redirect_places(uris text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(
        SELECT DISTINCT substring(uri FROM '^(https://[^/?#]+|http://(?:127\.0\.0\.1|\[::1\]|localhost)|[^:]+:)') AS place
        FROM unnest(uris) AS uri
        ORDER BY place)
$$;
COMMENT ON FUNCTION gpt_redirect_places(text[]) IS 'Where redirect URIs lead: hosts, loopback addresses without their port, schemes.';

CREATE FUNCTION gpt_is_same_app(one gpt_clients, other gpt_clients) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT one.client_id = other.client_id
        OR (one.kind = 'registered' AND other.kind = 'registered' AND one.name = other.name
            AND gpt_redirect_places(one.redirect_uris) = gpt_redirect_places(other.redirect_uris))
$$;
COMMENT ON FUNCTION gpt_is_same_app(gpt_clients, gpt_clients) IS 'Whether two clients count as one app for the limits of sessions.';

-- As before (V021), but an app's own sessions are those of all clients that are the same app.
CREATE OR REPLACE FUNCTION gpt_make_room_within(
    for_user uuid, for_client text, may_end uuid[], client_limit integer, user_limit integer, at timestamptz)
RETURNS TABLE (ended_id uuid, ended_client_id text)
LANGUAGE plpgsql AS $$
DECLARE
    own uuid[];
    own_surplus integer;
    surplus integer;
    ended_count integer;
BEGIN
    -- The lock makes parallel exchanges take turns; each statement after it sees what was committed before.
    PERFORM 1 FROM users WHERE id = for_user FOR NO KEY UPDATE;
    SELECT count(*) - (user_limit - 1),
           coalesce(array_agg(session.id) FILTER (WHERE gpt_is_same_app(client, connecting)), '{}')
    INTO surplus, own
    FROM gpt_sessions session
    JOIN gpt_clients client ON client.client_id = session.client_id
    JOIN gpt_clients connecting ON connecting.client_id = for_client
    WHERE session.user_id = for_user AND session.revoked_at IS NULL AND session.expires_at > at;
    own_surplus := greatest(cardinality(own) - (client_limit - 1), 0);
    surplus := greatest(surplus, own_surplus);
    IF surplus = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
        WITH live AS (
            SELECT session.id, session.last_active, session.id = ANY (may_end) AS is_announced, session.id = ANY (own) AS is_own,
                   row_number() OVER (
                       PARTITION BY session.id = ANY (own) ORDER BY session.id = ANY (may_end) DESC, session.last_active, session.id) AS place
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
