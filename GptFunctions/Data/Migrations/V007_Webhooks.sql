-- The webhook inbox, and what its handlers keep: Stripe's subscriptions, verification sessions and their countdowns.

CREATE TABLE webhook_events (
    source       text NOT NULL CHECK (source IN ('clerk', 'stripe', 'verification', 'orders')),
    event_id     text NOT NULL CHECK (length(event_id) BETWEEN 1 AND 512),
    type         text NOT NULL CHECK (type <> ''),
    subject      text,
    status       text NOT NULL CHECK (status IN ('completed', 'ignored', 'skipped_stale', 'failed')),
    attempts     integer NOT NULL CHECK (attempts >= 1),
    event_at     timestamptz,
    received_at  timestamptz NOT NULL,
    processed_at timestamptz NOT NULL CHECK (processed_at >= received_at),
    error        text,
    payload      bytea,
    PRIMARY KEY (source, event_id),
    CHECK ((status = 'failed') = (payload IS NOT NULL)),
    CHECK ((status = 'failed') = (error IS NOT NULL))
);
-- For the purge, which keeps failures longer, and for operators, who look for failures.
CREATE INDEX webhook_events_done ON webhook_events (processed_at) WHERE status <> 'failed';
CREATE INDEX webhook_events_failed ON webhook_events (processed_at) WHERE status = 'failed';
COMMENT ON TABLE webhook_events IS 'One row per event that was decided. An event that is being handled has none yet: its row, its effects and their audit events commit together.';
COMMENT ON COLUMN webhook_events.payload IS 'The body as it was signed, kept only while the event has failed, for GptFunctions webhooks replay.';

CREATE TABLE webhook_subjects (
    source        text NOT NULL,
    subject       text NOT NULL CHECK (length(subject) BETWEEN 1 AND 512),
    last_event_at timestamptz,
    deleted_at    timestamptz,
    PRIMARY KEY (source, subject),
    CHECK (last_event_at IS NOT NULL OR deleted_at IS NOT NULL)
) WITH (fillfactor = 85);
COMMENT ON TABLE webhook_subjects IS 'How far each subject (a user, a subscription) has come: nothing older is applied, and after a deletion nothing at all. Never purged.';

-- Decides about one delivery, and records what becomes of its event: completed, ignored, skipped_stale. Without a record: already_completed, and
-- in_progress while another transaction handles the same event. The caller's transaction goes on to make the changes of a completed event; if it
-- does not commit, nothing was decided. It has to be a function, because each of its statements must see what was committed before that statement.
CREATE FUNCTION webhook_claim(of_source text, of_event text, of_type text, of_subject text, happened_at timestamptz, is_handled boolean, of_order text, at timestamptz)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    outcome text := CASE WHEN is_handled THEN 'completed' ELSE 'ignored' END;
    is_deletion boolean := of_order = 'deletion';
BEGIN
    -- Ends with the transaction, so a process that dies lets go of it. Tried, not waited for: 200 deliveries of one event hold no connections.
    IF NOT pg_try_advisory_xact_lock(hashtextextended(of_source || ' ' || of_event, 0)) THEN
        RETURN 'in_progress';
    END IF;
    IF EXISTS (SELECT FROM webhook_events WHERE source = of_source AND event_id = of_event AND status <> 'failed') THEN
        RETURN 'already_completed';
    END IF;

    -- The comparison and the change are one statement; its lock on the subject's row lasts until the event's changes are committed.
    IF is_handled AND of_order <> 'none' THEN
        INSERT INTO webhook_subjects AS known (source, subject, last_event_at, deleted_at)
        VALUES (of_source, of_subject, happened_at, CASE WHEN is_deletion THEN coalesce(happened_at, at) END)
        ON CONFLICT (source, subject) DO UPDATE SET last_event_at = greatest(known.last_event_at, excluded.last_event_at), deleted_at = excluded.deleted_at
        WHERE known.deleted_at IS NULL AND (is_deletion OR excluded.last_event_at > known.last_event_at OR (excluded.last_event_at = known.last_event_at AND of_order <> 'creation'));
        IF NOT FOUND THEN
            outcome := 'skipped_stale';
        END IF;
    END IF;

    INSERT INTO webhook_events AS known (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at)
    VALUES (of_source, of_event, of_type, of_subject, outcome, 1, happened_at, at, at)
    ON CONFLICT (source, event_id) DO UPDATE SET
        type = excluded.type, subject = excluded.subject, status = excluded.status, attempts = known.attempts + 1,
        event_at = excluded.event_at, processed_at = greatest(excluded.processed_at, known.received_at), error = NULL, payload = NULL;
    RETURN outcome;
END $$;
COMMENT ON FUNCTION webhook_claim IS 'The first step of every delivery; see the state diagram in the README.';

-- What is known of a subscription. Two things tell how it stands, each in its own order: the subscription's events and its payments.
CREATE TABLE stripe_subscriptions (
    subscription_id text PRIMARY KEY,
    customer_id     text,
    clerk_user_id   text,
    plan            text,
    status          text,
    status_at       timestamptz,
    payment         text CHECK (payment IN ('active', 'past_due')),
    payment_at      timestamptz,
    ended_at        timestamptz,
    -- A payment says something new only about a status that it can change, and only when it is not the older one.
    plan_status text NOT NULL GENERATED ALWAYS AS (CASE
        WHEN ended_at IS NOT NULL THEN 'canceled'
        WHEN payment = 'active' AND (status_at IS NULL OR payment_at >= status_at) AND coalesce(status, 'incomplete') IN ('incomplete', 'past_due', 'unpaid') THEN 'active'
        WHEN payment = 'past_due' AND (status_at IS NULL OR payment_at >= status_at) AND coalesce(status, 'active') IN ('active', 'trialing') THEN 'past_due'
        ELSE coalesce(status, 'incomplete') END) STORED,
    CHECK ((status IS NULL) = (status_at IS NULL)),
    CHECK ((payment IS NULL) = (payment_at IS NULL))
);
CREATE INDEX ON stripe_subscriptions (customer_id);
CREATE INDEX ON stripe_subscriptions (clerk_user_id) WHERE clerk_user_id IS NOT NULL;
COMMENT ON TABLE stripe_subscriptions IS 'What Stripe said of each subscription (or one-time purchase). users.plan and users.plan_status are taken from here; a row may wait for its user to become known.';
COMMENT ON COLUMN stripe_subscriptions.plan_status IS 'active, trialing and past_due have a plan; everything else has none.';

CREATE TABLE verification_sessions (
    order_id       text PRIMARY KEY CHECK (length(order_id) BETWEEN 1 AND 512),
    customer_email text,
    order_total    numeric CHECK (order_total >= 0),
    status         text NOT NULL CHECK (status IN ('pending_verification', 'verified', 'declined', 'refund_due')),
    deadline       timestamptz,
    created_at     timestamptz NOT NULL,
    decided_at     timestamptz,
    CHECK (status <> 'pending_verification' OR (deadline IS NOT NULL AND customer_email IS NOT NULL AND decided_at IS NULL)),
    CHECK (status = 'pending_verification' OR decided_at IS NOT NULL)
);
COMMENT ON TABLE verification_sessions IS 'Post-purchase verification of an order. A decision may come before its order: then customer, total and deadline are still unknown.';

CREATE TABLE countdowns (
    id              uuid PRIMARY KEY,
    kind            text NOT NULL CHECK (kind <> ''),
    subject         text NOT NULL CHECK (subject <> ''),
    due_at          timestamptz NOT NULL,
    payload         jsonb NOT NULL DEFAULT '{}',
    status          text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'completed', 'cancelled', 'dead')),
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL,
    lease_until     timestamptz,
    last_error      text,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    CHECK ((status = 'active') = (finished_at IS NULL)),
    CHECK (next_attempt_at >= due_at)
);
CREATE UNIQUE INDEX countdowns_active ON countdowns (kind, subject) WHERE status = 'active';
CREATE INDEX countdowns_due ON countdowns (next_attempt_at) WHERE status = 'active';
CREATE INDEX countdowns_finished ON countdowns (finished_at) WHERE status IN ('completed', 'cancelled');
COMMENT ON TABLE countdowns IS 'Durable timers: something happens when due_at has passed, unless it is cancelled before.';
