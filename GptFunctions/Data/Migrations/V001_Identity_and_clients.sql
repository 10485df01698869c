-- Who may ask (clients) and who is asked (users).

CREATE TABLE users (
    id                 uuid PRIMARY KEY,
    clerk_user_id      text NOT NULL UNIQUE CHECK (clerk_user_id <> ''),
    email              text,
    name               text,
    plan               text,
    plan_status        text,
    stripe_customer_id text UNIQUE,
    source_updated_at  timestamptz,
    created_at         timestamptz NOT NULL,
    deleted_at         timestamptz
);
COMMENT ON TABLE users IS 'One row per person known from Clerk. deleted_at is a tombstone: a deleted user is never revived and never signs in.';
COMMENT ON COLUMN users.clerk_user_id IS 'The subject (sub) of every token; id is the internal id that upstream APIs see.';

CREATE TABLE gpt_clients (
    client_id     text PRIMARY KEY CHECK (length(client_id) BETWEEN 1 AND 512),
    name          text NOT NULL CHECK (name <> ''),
    kind          text NOT NULL CHECK (kind IN ('confidential', 'public', 'registered', 'metadata_document')),
    auth_methods  text[] NOT NULL
        CHECK (cardinality(auth_methods) >= 1
               AND auth_methods <@ ARRAY['client_secret_basic', 'client_secret_post', 'none', 'private_key_jwt']),
    secret_hashes bytea[] NOT NULL DEFAULT '{}' CHECK (cardinality(secret_hashes) <= 2),
    redirect_uris text[] NOT NULL,
    scopes        text[] NOT NULL CHECK (cardinality(scopes) >= 1),
    require_pkce  boolean NOT NULL,
    jwks_uri      text,
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz,
    disabled_at   timestamptz,
    -- A client without a secret proves nothing at the token endpoint: only PKCE binds its codes to it.
    CHECK (NOT 'none' = ANY (auth_methods) OR (require_pkce AND auth_methods = ARRAY['none'] AND secret_hashes = '{}'))
);
COMMENT ON TABLE gpt_clients IS 'OAuth clients. Redirect URIs are data, compared byte for byte.';
COMMENT ON COLUMN gpt_clients.secret_hashes IS 'SHA-256 of each active secret; two while one is being rotated out.';
COMMENT ON COLUMN gpt_clients.scopes IS 'What the client may ask for, and what it gets when it asks for nothing.';
COMMENT ON COLUMN gpt_clients.last_used_at IS 'Last code exchange, exact to the hour (written at most once an hour).';
