-- What operators look at and the audit trail is no place for: refusals, who runs, who uses what, how far sign-ins came. All of it is added up in
-- memory and written behind the answers; nothing is decided by it.

CREATE TABLE replicas (
    instance   uuid PRIMARY KEY,
    name       text NOT NULL CHECK (name <> ''),
    role       text NOT NULL,
    version    text NOT NULL,
    safe_mode  boolean NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    batch      bigint NOT NULL
);
CREATE INDEX replicas_seen ON replicas (seen_at);
COMMENT ON TABLE replicas IS 'Processes of the program. Each says every 30 seconds that it lives, and deletes its row when it stops; one that was not seen for longer was killed.';
COMMENT ON COLUMN replicas.name IS 'The machine or pod, and the process in it. role: which kinds of functions it runs (http, audit, timers).';
COMMENT ON COLUMN replicas.batch IS 'The last of its batches of counts that was written: one that comes again, because the answer was lost, is known by it.';

CREATE TABLE hourly_counts (
    hour    timestamptz NOT NULL,
    kind    text NOT NULL CHECK (kind <> ''),
    outcome text NOT NULL CHECK (outcome <> ''),
    count   bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (hour, kind, outcome)
) WITH (fillfactor = 70);
COMMENT ON TABLE hourly_counts IS 'Sign-ins by step, exchanges, refreshes and webhooks by outcome, for each hour (UTC). Added to every second by each process.';

CREATE TABLE refusals (
    hour      timestamptz NOT NULL,
    endpoint  text NOT NULL,
    reason    text NOT NULL,
    client_id text NOT NULL,
    count     bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (hour, endpoint, reason, client_id)
) WITH (fillfactor = 70);
CREATE INDEX refusals_of_client ON refusals (client_id, hour);
COMMENT ON TABLE refusals IS 'Every refusal, by hour (UTC), template of the route, reason (docs/refusals.md) and client. Of a client: WHERE client_id = ... AND hour >= ...';
COMMENT ON COLUMN refusals.client_id IS 'Of a client that exists; empty when none was known.';

CREATE TABLE refused_requests (
    id             uuid PRIMARY KEY,
    number         bigint GENERATED ALWAYS AS IDENTITY,
    at             timestamptz NOT NULL,
    method         text NOT NULL,
    endpoint       text NOT NULL,
    action         text,
    status         integer NOT NULL,
    reason         text NOT NULL,
    client_id      text,
    session_id     uuid,
    correlation_id text NOT NULL,
    user_agent     text,
    sent           jsonb NOT NULL
);
CREATE INDEX refused_requests_number ON refused_requests (number);
CREATE INDEX refused_requests_at ON refused_requests (at);
CREATE INDEX refused_requests_of_client ON refused_requests (client_id, at) WHERE client_id IS NOT NULL;
COMMENT ON TABLE refused_requests IS 'The newest 10,000 refusals one by one, at most 50 a second of each process; refusals counts all. Ids are UUIDv7: ORDER BY id is the order of time.';
COMMENT ON COLUMN refused_requests.sent IS 'Parameters of a list, as they were sent, redirect_uri included, each cut; "with" names others that were there. Never a token, code, secret or state.';

CREATE TABLE client_usage (
    client_id    text NOT NULL,
    user_id      uuid NOT NULL,
    day          date NOT NULL,
    calls        bigint NOT NULL CHECK (calls > 0),
    last_call_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, client_id, day)
) WITH (fillfactor = 70);
CREATE INDEX client_usage_of_client ON client_usage (client_id, day);
CREATE INDEX client_usage_day ON client_usage (day);
COMMENT ON TABLE client_usage IS 'Calls that the gateway let through, by user, client and day (UTC), written every minute. Of a person: WHERE user_id = ... AND day > ...; last use of a client: its newest day.';

CREATE TABLE sign_ins (
    id            uuid PRIMARY KEY,
    at            timestamptz NOT NULL,
    client_id     text NOT NULL,
    redirect_uri  text NOT NULL,
    clerk_user_id text,
    signed_in_at  timestamptz,
    shown_at      timestamptz,
    consented_at  timestamptz,
    was_asked     boolean,
    delivered_at  timestamptz,
    exchanged_at  timestamptz,
    session_id    uuid,
    called_at     timestamptz,
    stopped_at    timestamptz,
    stopped_by    text,
    step          smallint NOT NULL GENERATED ALWAYS AS (
        CASE WHEN called_at IS NOT NULL THEN 6 WHEN exchanged_at IS NOT NULL THEN 5 WHEN delivered_at IS NOT NULL THEN 4
             WHEN consented_at IS NOT NULL THEN 3 WHEN signed_in_at IS NOT NULL OR shown_at IS NOT NULL THEN 2 ELSE 1 END) STORED
);
CREATE INDEX sign_ins_at ON sign_ins (at);
CREATE INDEX sign_ins_step ON sign_ins (step, id);
CREATE INDEX sign_ins_of_client ON sign_ins (client_id, id);
CREATE INDEX sign_ins_of_client_and_step ON sign_ins (client_id, step, id);
CREATE INDEX sign_ins_of_user ON sign_ins (clerk_user_id, id) WHERE clerk_user_id IS NOT NULL;
CREATE UNIQUE INDEX sign_ins_session ON sign_ins (session_id) WHERE session_id IS NOT NULL;
COMMENT ON TABLE sign_ins IS 'How far each authorization request came, with the time of each step. Ids are UUIDv7: ORDER BY id is the order of time. Written a second behind; gpt_authorization_requests is what counts.';
COMMENT ON COLUMN sign_ins.step IS '1 asked, 2 signed in, 3 consented, 4 code delivered, 5 exchanged, 6 first call of its session within a day.';
COMMENT ON COLUMN sign_ins.stopped_by IS 'The reason (docs/refusals.md) that it was refused for last, at the step after the one it reached.';

-- So that the exchange, which knows the code alone, says which request it came from.
ALTER TABLE gpt_authorization_codes ADD COLUMN request_id uuid;
COMMENT ON COLUMN gpt_authorization_codes.request_id IS 'The authorization request that it answers, or a number of its own where the company''s web app asked. Null: of the release before.';
