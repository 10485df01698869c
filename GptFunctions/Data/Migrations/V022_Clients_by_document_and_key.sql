-- What clients say of themselves, by registration or by a document of theirs, and how they prove who they are by a key.

ALTER TABLE gpt_clients
    ADD COLUMN default_scopes text[] CHECK (cardinality(default_scopes) >= 1),
    ADD COLUMN has_ceiling boolean NOT NULL DEFAULT true,
    ADD COLUMN registration_hash bytea CHECK (length(registration_hash) = 32),
    ADD COLUMN approved_at timestamptz,
    ADD COLUMN jwks text,
    ADD COLUMN document_read_at timestamptz,
    ADD COLUMN document_expires_at timestamptz,
    ADD CHECK ((kind = 'metadata_document') = (document_read_at IS NOT NULL)),
    ADD CHECK ((document_read_at IS NULL) = (document_expires_at IS NULL)),
    -- A client that signs has nothing but its keys.
    ADD CHECK (NOT 'private_key_jwt' = ANY (auth_methods)
               OR (auth_methods = ARRAY['private_key_jwt'] AND secret_hashes = '{}' AND num_nonnulls(jwks, jwks_uri) = 1));
COMMENT ON COLUMN gpt_clients.scopes IS 'What the client may have. Without a ceiling of its own that grows with what people approve, within the scopes that exist.';
COMMENT ON COLUMN gpt_clients.default_scopes IS 'What it gets when it asks for nothing; null: all that it may have.';
COMMENT ON COLUMN gpt_clients.has_ceiling IS 'Whether scopes is what an operator set. False for clients that described themselves.';
COMMENT ON COLUMN gpt_clients.registration_hash IS 'Of what a public client said of itself: the same registration again is the same client.';
COMMENT ON COLUMN gpt_clients.approved_at IS 'Since when an operator knows who is behind a client metadata document. Clients that registered themselves change their kind.';
COMMENT ON COLUMN gpt_clients.jwks IS 'Its public keys (RFC 7517), for private_key_jwt; or jwks_uri, where they are.';
COMMENT ON COLUMN gpt_clients.document_read_at IS 'When the document that the client_id names was read last; document_expires_at: until when that need not be done again.';

-- So that the same registration at the same moment makes one row. What an operator disabled or moved is not the same any more.
CREATE UNIQUE INDEX gpt_clients_registration ON gpt_clients (registration_hash) WHERE registration_hash IS NOT NULL;

-- The purge asks for documents that nobody used, too. The index of V006 stays for the release before.
CREATE INDEX gpt_clients_unused_self ON gpt_clients (created_at) WHERE kind IN ('registered', 'metadata_document') AND last_used_at IS NULL;

CREATE TABLE gpt_client_assertions (
    client_id  text NOT NULL REFERENCES gpt_clients ON DELETE CASCADE,
    jti_hash   bytea NOT NULL CHECK (length(jti_hash) = 32),
    use_id     uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti_hash)
);
CREATE INDEX gpt_client_assertions_expired ON gpt_client_assertions (expires_at);
COMMENT ON TABLE gpt_client_assertions IS 'Assertions of clients (RFC 7523) that were used, until they expire: each is good once. use_id is the request that used it.';
