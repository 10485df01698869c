-- An event carries the trace that it belongs to (W3C traceparent), in its body: that is all that some consumers get to see. Without one the member is
-- absent, and an empty object costs nothing to append.
CREATE FUNCTION event_envelope(event_id uuid, event_type text, at timestamptz, correlation_id text, payload jsonb, traceparent text)
RETURNS jsonb LANGUAGE sql STABLE
RETURN event_envelope(event_id, event_type, at, correlation_id, payload)
    || CASE WHEN traceparent IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('traceparent', traceparent) END;

-- The end of an audited call belongs to the trace of its beginning.
ALTER TABLE gpt_open_actions ADD COLUMN traceparent text;
