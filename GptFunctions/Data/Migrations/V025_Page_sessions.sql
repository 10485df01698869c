-- People who are signed in to our own pages (/connections, /operations), each in one browser.

CREATE TABLE page_sessions (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    form_key   bytea NOT NULL CHECK (length(form_key) = 32),
    id_token   bytea,
    created_at timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at)
) WITH (fillfactor = 80);
-- last_seen changes with every page: kept out of every index, so that those updates stay heap-only.
CREATE INDEX ON page_sessions (user_id);
CREATE INDEX ON page_sessions (expires_at);
COMMENT ON TABLE page_sessions IS 'Who is signed in to our pages. Ends after 30 minutes without a page, at expires_at, or by being deleted.';
COMMENT ON COLUMN page_sessions.token_hash IS 'SHA-256 of the browser''s cookie.';
COMMENT ON COLUMN page_sessions.form_key IS 'What the CSRF tokens of its forms are made with; of no use without the cookie.';
COMMENT ON COLUMN page_sessions.id_token IS 'For the sign-out at the identity provider; encrypted with a key that only the cookie gives.';

-- Whoever is deleted, banned or locked is signed out, whatever statement says so; signing in again is refused by user_may_act.
CREATE FUNCTION gpt_end_page_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM page_sessions WHERE user_id = NEW.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION gpt_end_page_sessions IS 'Signs a person out of our pages.';
CREATE TRIGGER end_page_sessions AFTER UPDATE OF deleted_at, blocked_at ON users FOR EACH ROW
    WHEN (NEW.deleted_at IS NOT NULL OR NEW.blocked_at IS NOT NULL)
    EXECUTE FUNCTION gpt_end_page_sessions();
