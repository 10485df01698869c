-- What those on call look things up by. On tables with many millions of rows an operator may make these before the release, one by one and
-- CONCURRENTLY, under these names (of the trail: on each partition): what is there already is taken as it is.

-- The trail is written far more often than it is read, so each index has to be worth its entry. Neighbours in time of one client or one type go to
-- the same page, which is in memory: about as dear as the key. They have the order of the lists, so the newest fifty are read and no more.
CREATE INDEX IF NOT EXISTS gpt_oauth_events_of_client ON gpt_oauth_events (client_id, occurred_at) WHERE client_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS gpt_oauth_events_of_type ON gpt_oauth_events (event_type, occurred_at);
-- What a busy app seldom does: neither index above finds that without reading all that the app did, or all that others did.
CREATE INDEX IF NOT EXISTS gpt_oauth_events_of_client_and_type ON gpt_oauth_events (client_id, event_type, occurred_at) WHERE client_id IS NOT NULL;
-- A session or a request has few events, so these need no order; a hash takes a third of the place that the text would.
CREATE INDEX IF NOT EXISTS gpt_oauth_events_of_session ON gpt_oauth_events USING hash (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS gpt_oauth_events_of_correlation ON gpt_oauth_events USING hash (correlation_id) WHERE correlation_id IS NOT NULL;
-- What operators did: few rows, and nothing to do for all the others.
CREATE INDEX IF NOT EXISTS gpt_oauth_events_of_operators ON gpt_oauth_events (occurred_at, event_id) WHERE event_type LIKE 'gpt.operator.%';

-- People by what they write in a mail to support; an address is the same in capitals.
CREATE INDEX IF NOT EXISTS users_of_email ON users (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX IF NOT EXISTS verification_sessions_of_email ON verification_sessions (lower(customer_email)) WHERE customer_email IS NOT NULL;

-- The sessions of an app, newest first (ids are in the order of time). A refresh touches neither column, so it stays heap-only.
CREATE INDEX IF NOT EXISTS gpt_sessions_of_client ON gpt_sessions (client_id, id) WHERE revoked_at IS NULL;

-- The webhook events of one person, subscription or order, newest first.
CREATE INDEX IF NOT EXISTS webhook_events_of_subject ON webhook_events (subject, processed_at) WHERE subject IS NOT NULL;
