-- A delivery's claim and its changes are sent together, before anybody knows whether they are to happen. A claim that turns out otherwise than the
-- sender of the batch expected raises GF003 with what it turned out to be, which undoes it and keeps everything behind it from running.
CREATE FUNCTION webhook_take(
    of_source text, of_event text, of_type text, of_subject text, happened_at timestamptz, is_handled boolean, of_order text, at timestamptz, expected text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    outcome text := webhook_claim(of_source, of_event, of_type, of_subject, happened_at, is_handled, of_order, at);
BEGIN
    IF outcome <> expected THEN
        RAISE EXCEPTION '%', outcome USING ERRCODE = 'GF003', HINT = 'nothing is wrong: a delivery that was repeated or came late changes nothing';
    END IF;
END $$;
COMMENT ON FUNCTION webhook_take IS 'webhook_claim for the beginning of a batch that holds the changes, too: what it does not expect fails the batch.';
