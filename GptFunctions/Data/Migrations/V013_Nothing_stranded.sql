-- The audit trail under faults: events that no queue takes stand in nobody's way.

CREATE TABLE outbox_stranded (
    position    bigint PRIMARY KEY,
    event_id    uuid NOT NULL,
    routing_key text NOT NULL,
    envelope    jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    stranded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE outbox_stranded IS 'Audit events that no queue took for a minute, set aside so that others pass. "GptFunctions audit stranded requeue" puts them back.';

-- Which transaction recorded an event: audit tail --follow shows what was not visible when it looked last. Neither a time nor a sequence can
-- tell that, because transactions become visible in another order than they begin. Rows of before have none; setting the default afterwards
-- keeps this from writing the whole trail anew.
ALTER TABLE gpt_oauth_events ADD COLUMN recorded_in xid8;
ALTER TABLE gpt_oauth_events ALTER COLUMN recorded_in SET DEFAULT pg_current_xact_id();
COMMENT ON COLUMN gpt_oauth_events.recorded_in IS 'The transaction that recorded it; of no meaning in a copy of the database made from a dump.';
CREATE INDEX gpt_oauth_events_recorded ON gpt_oauth_events (recorded_in) WHERE recorded_in IS NOT NULL;

-- Audited calls that are under way: written with the attempt's event before the call leaves, deleted with its result's event.
CREATE TABLE gpt_open_actions (
    id             uuid PRIMARY KEY,
    event_type     text NOT NULL,
    correlation_id text NOT NULL,
    payload        jsonb NOT NULL,
    seen_at        timestamptz NOT NULL DEFAULT now(),
    suspected_at   timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE gpt_open_actions IS 'Calls of audited routes that have begun and not ended. Their process sees to them (seen_at); what nobody sees to is closed as unknown.';
COMMENT ON COLUMN gpt_open_actions.id IS 'The event of the attempt.';
