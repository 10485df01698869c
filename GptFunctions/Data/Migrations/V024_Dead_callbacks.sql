-- For the self-test: callbacks that were given up a short while ago.
CREATE INDEX verification_callbacks_dead ON verification_callbacks (finished_at) WHERE status = 'dead';
