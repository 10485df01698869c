-- Deliveries that come at the same time share a transaction, so what decides about one decides about several in as few statements. Whatever is not as it
-- would have to be for all of them raises GF003 with what it is (already_completed, in_progress, skipped_stale), which undoes all of it and keeps
-- everything behind it from running: then each of them is decided about by itself.
-- webhook_claim and webhook_take stay for processes of the release before.
CREATE FUNCTION webhook_take_all(
    of_sources text[], of_events text[], of_subjects text[], of_times timestamptz[], of_orders text[], received_at timestamptz, patience text, time_limit text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    outcome text;
    compared integer := cardinality(array_remove(of_orders, 'none'));
    newest integer;
BEGIN
    -- Until the end of the transaction: whoever shares it must not wait for what is in the way of somebody else.
    IF patience IS NOT NULL THEN
        PERFORM set_config('lock_timeout', patience, true), set_config('statement_timeout', time_limit, true);
    END IF;

    -- Ends with the transaction, so a process that dies lets go of it. Tried, not waited for: 200 deliveries of one event hold no connections.
    FOR place IN 1 .. cardinality(of_events) LOOP
        IF NOT pg_try_advisory_xact_lock(hashtextextended(of_sources[place] || ' ' || of_events[place], 0)) THEN
            outcome := 'in_progress';
        END IF;
    END LOOP;
    IF outcome IS NULL THEN
        PERFORM
        FROM (SELECT unnest(of_sources) AS source, unnest(of_events) AS event_id) item
        WHERE (SELECT status FROM webhook_events known WHERE known.source = item.source AND known.event_id = item.event_id) <> 'failed';
        IF FOUND THEN
            outcome := 'already_completed';
        END IF;
    END IF;

    -- The comparison and the change are one statement; its locks on the subjects' rows, taken in their order, last until the changes are committed.
    IF outcome IS NULL AND compared > 0 THEN
        INSERT INTO webhook_subjects AS known (source, subject, last_event_at, deleted_at)
        SELECT item.source, item.subject, item.happened_at, CASE WHEN item.rank = 'deletion' THEN coalesce(item.happened_at, received_at) END
        FROM (SELECT unnest(of_sources) AS source, unnest(of_subjects) AS subject, unnest(of_times) AS happened_at, unnest(of_orders) AS rank) item
        WHERE item.rank <> 'none'
        ORDER BY item.source, item.subject
        ON CONFLICT (source, subject) DO UPDATE SET last_event_at = greatest(known.last_event_at, excluded.last_event_at), deleted_at = excluded.deleted_at
        WHERE known.deleted_at IS NULL
          AND (excluded.deleted_at IS NOT NULL OR excluded.last_event_at > known.last_event_at
               OR (excluded.last_event_at = known.last_event_at
                   AND (SELECT item.rank
                        FROM (SELECT unnest(of_sources) AS source, unnest(of_subjects) AS subject, unnest(of_orders) AS rank) item
                        WHERE item.source = excluded.source AND item.subject = excluded.subject AND item.rank <> 'none') <> 'creation'));
        GET DIAGNOSTICS newest = ROW_COUNT;
        IF newest < compared THEN
            outcome := 'skipped_stale';
        END IF;
    END IF;

    IF outcome IS NOT NULL THEN
        RAISE EXCEPTION '%', outcome USING ERRCODE = 'GF003', HINT = 'nothing is wrong: a delivery that was repeated or came late changes nothing';
    END IF;
END $$;
COMMENT ON FUNCTION webhook_take_all IS
    'The first step of every delivery, of one or of several that share a transaction: their events are nobody else''s, and of their subjects nothing newer is known.';
