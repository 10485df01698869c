-- Events of about 500 bytes that wait in the outbox. psql variable: messages.
INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
SELECT id, 'gpt.oauth.token_refreshed', now(), event_envelope(id, 'gpt.oauth.token_refreshed', now(), md5(number::text),
    jsonb_build_object('clerk_user_id', 'user_' || number % 100, 'client_id', 'bench', 'session_id', gen_random_uuid(), 'ip_address', '127.0.0.1', 'filler', repeat('x', 150)))
FROM generate_series(1, :messages) number, LATERAL (SELECT uuid_v7(now()) AS id WHERE number > 0) made;
