-- Makes sessions due for the purge, as if they had ended on one day a month ago, with all their tokens. psql variables: numbers (a list with commas).
CREATE TEMP TABLE due AS SELECT scale_session(number) AS id FROM unnest(string_to_array(:'numbers', ',')::bigint[]) number;
UPDATE gpt_sessions SET revoked_at = now() - interval '31 days' - random() * interval '1 day', revoke_reason = 'user' FROM due WHERE gpt_sessions.id = due.id;
UPDATE gpt_refresh_tokens
SET created_at = now() - interval '62 days', expires_at = now() - interval '31 days' - random() * interval '1 day'
FROM due WHERE session_id = due.id;
