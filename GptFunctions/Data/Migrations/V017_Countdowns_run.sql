-- The end of a countdown, inside of the transaction of its effect and as its last statement: first what the countdown is about is locked, then the
-- countdown, as by everybody who cancels one. Whoever comes second (it was cancelled, or another dispatcher was faster) gets GF002, which undoes
-- the effect. A countdown that was put off in the meantime is not due any more, and gets it too.
CREATE FUNCTION gpt_complete_countdown(countdown uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE countdowns
    SET status = 'completed', finished_at = clock_timestamp(), lease_until = NULL, last_error = NULL
    WHERE id = countdown AND status = 'active' AND due_at <= clock_timestamp();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the countdown has ended already' USING ERRCODE = 'GF002';
    END IF;
END $$;
COMMENT ON FUNCTION gpt_complete_countdown IS 'Called by the dispatcher behind the statements of the effect.';

-- For operators and the gauges: what is dead stays until somebody has looked at it.
CREATE INDEX countdowns_dead ON countdowns (finished_at) WHERE status = 'dead';
