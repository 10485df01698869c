-- A sign-in in progress, the code it ends in, and what the person agreed to.

CREATE TABLE gpt_authorization_requests (
    id                 uuid PRIMARY KEY,
    browser_hash       bytea NOT NULL CHECK (length(browser_hash) = 32),
    client_id          text NOT NULL REFERENCES gpt_clients ON DELETE CASCADE,
    redirect_uri       text NOT NULL,
    redirect_uri_given boolean NOT NULL,
    scopes             text[] NOT NULL,
    state              text,
    code_challenge     text,
    resource           text NOT NULL,
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL CHECK (expires_at > created_at),
    user_id            uuid REFERENCES users ON DELETE CASCADE,
    signed_in_at       timestamptz,
    decided_at         timestamptz,
    CHECK ((user_id IS NULL) = (signed_in_at IS NULL)),
    CHECK (decided_at IS NULL OR signed_in_at IS NOT NULL)
);
CREATE INDEX ON gpt_authorization_requests (expires_at);
CREATE INDEX ON gpt_authorization_requests (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE gpt_authorization_requests IS 'The validated request of a sign-in in progress (10 minutes). CSRF token, upstream state, nonce and PKCE verifier are derived from the browser''s cookie and this id, so nothing secret is stored.';

CREATE TABLE gpt_authorization_codes (
    code_hash      bytea PRIMARY KEY CHECK (length(code_hash) = 32),
    client_id      text NOT NULL REFERENCES gpt_clients ON DELETE CASCADE,
    user_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    redirect_uri   text,
    scopes         text[] NOT NULL,
    resource       text NOT NULL,
    code_challenge text,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    used_at        timestamptz,
    session_id     uuid,
    CHECK (expires_at > created_at AND expires_at <= created_at + interval '300 seconds'),
    CHECK ((used_at IS NULL) = (session_id IS NULL))
);
CREATE INDEX ON gpt_authorization_codes (expires_at);
CREATE INDEX ON gpt_authorization_codes (user_id) WHERE used_at IS NULL;
COMMENT ON TABLE gpt_authorization_codes IS 'Single use. A used code stays, so that a second use is recognised and revokes its session (RFC 6749 4.1.2).';
COMMENT ON COLUMN gpt_authorization_codes.redirect_uri IS 'What the token request must repeat byte for byte; null when the authorization request named none.';
COMMENT ON COLUMN gpt_authorization_codes.session_id IS 'The session that the first use opened; no foreign key, because sessions are purged on their own.';

CREATE TABLE gpt_consents (
    user_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id     text NOT NULL REFERENCES gpt_clients ON DELETE CASCADE,
    redirect_host text NOT NULL,
    scopes        text[] NOT NULL,
    granted_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    PRIMARY KEY (user_id, client_id, redirect_host)
);
COMMENT ON TABLE gpt_consents IS 'What a person agreed to, per client and redirect host; asked again when scopes grow or after it was revoked.';
