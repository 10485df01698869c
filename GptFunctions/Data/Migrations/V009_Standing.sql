-- Where people, tokens and subscriptions stand: who is blocked, which tokens were used, and whose a subscription is.

-- Clerk tells of bans and locks one by one, and a lock may end by itself: each is kept, and blocked_at says whether there is any.
ALTER TABLE users
    ADD COLUMN blocked_at   timestamptz,
    ADD COLUMN banned       boolean NOT NULL DEFAULT false,
    ADD COLUMN locked_until timestamptz;
COMMENT ON COLUMN users.blocked_at IS 'Banned or locked at Clerk, and not yet let go: blocked like a deleted user, but not for ever.';
COMMENT ON COLUMN users.locked_until IS 'When Clerk''s lock ends by itself, infinity when it does not; null without a lock.';

-- One place for who may sign in, hold a session and be served. An inlined expression, not a call.
CREATE FUNCTION user_may_act(person users, at timestamptz) RETURNS boolean LANGUAGE sql STABLE
RETURN (person).deleted_at IS NULL
    AND ((person).blocked_at IS NULL OR coalesce(NOT (person).banned AND (person).locked_until <= at, false));

CREATE OR REPLACE TRIGGER tell_change AFTER UPDATE OF plan, plan_status, deleted_at, blocked_at, banned, locked_until ON users FOR EACH ROW
    WHEN ((OLD.plan, OLD.plan_status, OLD.deleted_at, OLD.blocked_at, OLD.banned, OLD.locked_until)
          IS DISTINCT FROM (NEW.plan, NEW.plan_status, NEW.deleted_at, NEW.blocked_at, NEW.banned, NEW.locked_until))
    EXECUTE FUNCTION gpt_tell_change('user', 'clerk_user_id');

-- Both columns are in no index, so that writing them stays heap-only.
ALTER TABLE gpt_sessions ADD COLUMN used_generation integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN gpt_sessions.used_generation IS 'The newest generation whose access token was seen: that answer arrived. One that nobody used may be given again, late.';
ALTER TABLE gpt_refresh_tokens ADD COLUMN repeated_from text[];
COMMENT ON COLUMN gpt_refresh_tokens.repeated_from IS 'Who was answered again, each told in the audit trail once: "grace" or "late", and the address.';

-- Nobody knows what was used before this was written down.
UPDATE gpt_sessions session SET used_generation = newest.generation
FROM (SELECT session_id, max(generation) AS generation FROM gpt_refresh_tokens GROUP BY session_id) newest
WHERE newest.session_id = session.id AND newest.generation > 0;

-- From here on every subscription of a known user carries that user, whatever becomes of users.stripe_customer_id.
UPDATE stripe_subscriptions subscription SET clerk_user_id = users.clerk_user_id
FROM users WHERE users.stripe_customer_id = subscription.customer_id AND subscription.clerk_user_id IS NULL;
COMMENT ON COLUMN stripe_subscriptions.clerk_user_id IS 'Whose it is; the same for all subscriptions of one customer. Once known it never changes.';
