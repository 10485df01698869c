-- Codes that people, spread over all that there are, were given just now. Prints them. psql variables: count, prefix, people.
WITH code AS (
    SELECT :'prefix' || '-' || step AS code, (step::bigint * 7368787 + floor(random() * :people)::bigint) % :people AS person FROM generate_series(1, :count) step
), made AS (
    INSERT INTO gpt_authorization_codes (code_hash, client_id, user_id, redirect_uri, scopes, resource, created_at, expires_at)
    SELECT sha256(code::bytea), 'scale_0', scale_user(person), 'https://app-0.example/callback', '{jobs:read}', 'http://127.0.0.1/gpt', now(), now() + interval '300 s'
    FROM code
)
SELECT code FROM code;
