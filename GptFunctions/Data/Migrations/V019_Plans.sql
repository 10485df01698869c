-- What a plan's amounts are counted in. The month is in the key, so nothing has to be reset; it comes first, because the purge goes by it.
CREATE TABLE usage_counters (
    month   date NOT NULL CHECK (extract(day FROM month) = 1),
    user_id uuid NOT NULL,
    quota   text NOT NULL,
    used    bigint NOT NULL CHECK (used >= 0),
    PRIMARY KEY (month, user_id, quota)
) WITH (fillfactor = 70); -- counting stays heap-only
COMMENT ON TABLE usage_counters IS 'Calls of a user that count against a quota of their plan, by calendar month (UTC).';

-- Each unit that was counted, for a day: one that is given back is found here and goes, so that no repetition gives it back twice.
CREATE TABLE usage_units (
    id       uuid PRIMARY KEY,
    user_id  uuid NOT NULL,
    quota    text NOT NULL,
    month    date NOT NULL,
    taken_at timestamptz NOT NULL
);
CREATE INDEX usage_units_taken ON usage_units (taken_at);
COMMENT ON TABLE usage_units IS 'Units of usage_counters that may still be given back: the calls of the last day.';

ALTER TABLE users ADD COLUMN past_due_since timestamptz;
COMMENT ON COLUMN users.past_due_since IS 'The first failed payment of the row, while plan_status is past_due; retries do not move it.';
UPDATE users SET past_due_since = now() WHERE plan_status = 'past_due';

-- Replicas keep it with the plan.
CREATE OR REPLACE TRIGGER tell_change AFTER UPDATE OF plan, plan_status, past_due_since, deleted_at, blocked_at, banned, locked_until ON users FOR EACH ROW
    WHEN ((OLD.plan, OLD.plan_status, OLD.past_due_since, OLD.deleted_at, OLD.blocked_at, OLD.banned, OLD.locked_until)
          IS DISTINCT FROM (NEW.plan, NEW.plan_status, NEW.past_due_since, NEW.deleted_at, NEW.blocked_at, NEW.banned, NEW.locked_until))
    EXECUTE FUNCTION gpt_tell_change('user', 'clerk_user_id');
