-- What another system is to be told of an order, until it has been told. The row is written with the effect of a countdown and has its id, which is the
-- idempotency key of the receiver. What is said of the order is read when it is sent, so that nothing of a person is kept twice.
CREATE TABLE verification_callbacks (
    id              uuid PRIMARY KEY,
    type            text NOT NULL CHECK (type IN ('verification.refund_due', 'verification.reminder')),
    order_id        text NOT NULL,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'skipped', 'dead')),
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL,
    lease_until     timestamptz,
    last_error      text,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    CHECK ((status = 'pending') = (finished_at IS NULL))
);
CREATE INDEX verification_callbacks_due ON verification_callbacks (next_attempt_at) WHERE status = 'pending';
CREATE INDEX verification_callbacks_finished ON verification_callbacks (finished_at) WHERE status IN ('sent', 'skipped');
CREATE INDEX verification_callbacks_of_order ON verification_callbacks (order_id);
COMMENT ON TABLE verification_callbacks IS 'Callbacks about orders: at least once, with the countdown''s id. skipped: nobody was to be told (safe mode, no URL, or the order was decided meanwhile).';

-- The address goes 30 days after the end of a verification.
CREATE INDEX verification_sessions_decided ON verification_sessions (decided_at) WHERE customer_email IS NOT NULL AND decided_at IS NOT NULL;
