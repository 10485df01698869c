-- Since when each signing key has been in the key set, as all replicas know it: a key signs only when whoever verifies has had the time to read it there.

CREATE TABLE gpt_signing_keys (
    kid           text PRIMARY KEY CHECK (kid <> ''),
    published_at  timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL CHECK (seen_at >= published_at),
    signed_at     timestamptz,
    signing_since timestamptz CHECK (signing_since IS NULL OR signed_at IS NOT NULL)
);
COMMENT ON TABLE gpt_signing_keys IS 'Keys that sign access tokens or did, by thumbprint; the keys themselves are secrets, and not here. '
    'Each process that serves the key set writes it every minute; a row goes thirty days after the last time.';
COMMENT ON COLUMN gpt_signing_keys.published_at IS 'Since when, without a gap, some process has had the key in its key set.';
COMMENT ON COLUMN gpt_signing_keys.seen_at IS 'When a process last said that it has it.';
COMMENT ON COLUMN gpt_signing_keys.signed_at IS 'When a process last said that it signs with it: its tokens live no longer than their lifetime after that.';
COMMENT ON COLUMN gpt_signing_keys.signing_since IS 'Since when it has been the key that signs; null for all others.';
