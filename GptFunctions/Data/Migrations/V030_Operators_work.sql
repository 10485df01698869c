-- Work that an operator has asked for and any process does: a run is there from its start now, and whoever works on it holds a lease.
ALTER TABLE maintenance_runs
    DROP CONSTRAINT maintenance_runs_outcome_check,
    ALTER COLUMN finished_at DROP NOT NULL,
    ADD COLUMN asked jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN started_by text,
    ADD COLUMN lease_until timestamptz,
    ADD CONSTRAINT maintenance_runs_outcome_check CHECK (outcome IN ('active', 'completed', 'cut_short', 'failed', 'stopped')),
    ADD CONSTRAINT maintenance_runs_finished_check CHECK ((outcome = 'active') = (finished_at IS NULL));
-- At most one run of a job is active: whoever asks for another one hears of it.
CREATE UNIQUE INDEX maintenance_runs_active ON maintenance_runs (job) WHERE outcome = 'active';
COMMENT ON TABLE maintenance_runs IS 'One row per run. Those that an operator asked for are there from their start (active) and survive their process; those of the timer are recorded at their end, and a killed one is caught up.';
COMMENT ON COLUMN maintenance_runs.asked IS 'What an operator asked for, such as the filter of a replay; may name a user.';

-- What a list of webhook events is narrowed by; by time alone, and by status, the indexes of the purge serve,
-- by subject that of V027. Each is paged by processed_at.
ALTER TABLE webhook_events ADD COLUMN duration_ms integer CHECK (duration_ms >= 0);
COMMENT ON COLUMN webhook_events.duration_ms IS 'How long the last handling took; null of an event that had nothing to change, and of those of before.';
CREATE INDEX webhook_events_source ON webhook_events (source, processed_at);
CREATE INDEX webhook_events_type ON webhook_events (type, processed_at);

-- The countdowns of one order, whatever became of them.
CREATE INDEX countdowns_subject ON countdowns (subject);
-- A callback that an operator starts anew has its 72 hours from then on.
ALTER TABLE verification_callbacks ADD COLUMN replayed_at timestamptz;
