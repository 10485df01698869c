-- The audit trail: what the consumer writes, and what nobody can change.

-- The order in which events leave. Clocks of several processes disagree by more than the time between two changes; a number taken while the
-- change holds its user's or session's lock does not.
ALTER TABLE outbox_messages DROP CONSTRAINT outbox_messages_pkey, ADD COLUMN position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;

CREATE TABLE gpt_oauth_events (
    event_id       uuid NOT NULL,
    event_type     text NOT NULL CHECK (event_type <> ''),
    clerk_user_id  text,
    client_id      text,
    session_id     text,
    correlation_id text,
    ip_address     text,
    metadata       jsonb NOT NULL,
    source         text NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (occurred_at, event_id)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX ON gpt_oauth_events (clerk_user_id, occurred_at);
COMMENT ON TABLE gpt_oauth_events IS 'The audit trail: append-only, kept for ever, a partition for each month. The key makes a second delivery of an event a no-op.';
COMMENT ON COLUMN gpt_oauth_events.metadata IS 'The payload of the event as it was published.';

-- Catches what falls outside the months that exist (a backlog, a clock that is off), so that no event is ever refused.
CREATE TABLE gpt_oauth_events_other PARTITION OF gpt_oauth_events DEFAULT;

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'gpt_oauth_events is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON gpt_oauth_events FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
-- Unlike the rows' trigger, this one is not handed down: each partition needs its own.
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON gpt_oauth_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON gpt_oauth_events_other FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Called by setup and by every purge, with months to spare. With the owner's rights, because the application's role may not create tables.
CREATE FUNCTION gpt_create_event_partitions(first_month date, months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    start_of timestamptz;
    name text;
    created integer := 0;
BEGIN
    FOR number IN 0 .. months - 1 LOOP
        start_of := (date_trunc('month', first_month::timestamp) + make_interval(months => number)) AT TIME ZONE 'UTC';
        name := 'gpt_oauth_events_' || to_char(start_of AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I PARTITION OF gpt_oauth_events FOR VALUES FROM (%L) TO (%L)',
                name, start_of, ((start_of AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER never_truncated BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()', name);
            created := created + 1;
        EXCEPTION
            WHEN check_violation THEN NULL; -- events of that month are in the default partition already, and stay there
            WHEN duplicate_table THEN NULL; -- another process was faster
        END;
    END LOOP;
    RETURN created;
END $$;

CREATE TABLE audit_quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    reason      text NOT NULL,
    message     bytea NOT NULL
);
COMMENT ON TABLE audit_quarantine IS 'Messages of the audit queue that are no events: kept as they came, with the reason, so that one bad message stops nothing.';
