-- Events that wait for the broker, and the buckets of the rate limits.

CREATE TABLE outbox_messages (
    event_id    uuid PRIMARY KEY,
    routing_key text NOT NULL CHECK (routing_key <> ''),
    envelope    jsonb NOT NULL,
    occurred_at timestamptz NOT NULL
);
COMMENT ON TABLE outbox_messages IS 'Audit events, written in the transaction of the change they tell of; deleted once the broker has confirmed them.';

-- One place for the envelope's shape. An inlined expression, not a call: it costs nothing in the statements that use it.
CREATE FUNCTION event_envelope(event_id uuid, event_type text, at timestamptz, correlation_id text, payload jsonb)
RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'event_id', event_id,
    'event_type', event_type,
    'timestamp', at,
    'source_service', 'gpt-functions',
    'correlation_id', correlation_id,
    'payload', payload);

-- Event ids are UUIDs of version 7 (RFC 9562 5.7). The program makes them itself; this is for statements that do not
-- know beforehand how many events they write.
CREATE FUNCTION uuid_v7(at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE
RETURN encode(
    set_bit(set_bit(
        overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send((extract(epoch FROM at) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid;

CREATE UNLOGGED TABLE rate_limits (
    key bytea PRIMARY KEY,
    tat timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE rate_limits IS 'GCRA buckets: hash of the key -> theoretical arrival time. Unlogged: a crash of the database forgets them, and that only forgives.';
