-- What replicas keep in memory about sessions and users is dropped when these notices arrive. Sent by triggers, so that no statement
-- can forget to, and by PostgreSQL after the commit, so that whoever asks then sees the change. None of this runs for a refresh.

CREATE FUNCTION gpt_tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    key text := (CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END) ->> TG_ARGV[1];
BEGIN
    -- A notice holds less than 8000 bytes. Without a key it means everything of its kind.
    PERFORM pg_notify('gpt_changes', TG_ARGV[0] || CASE WHEN octet_length(key) < 4000 THEN ' ' || key ELSE '' END);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION gpt_tell_change IS 'Sends "KIND KEY" on the channel gpt_changes. Arguments: the kind, and the column with the key (none: everything of the kind).';

CREATE TRIGGER tell_end AFTER UPDATE OF revoked_at, expires_at ON gpt_sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at OR OLD.expires_at IS DISTINCT FROM NEW.expires_at) EXECUTE FUNCTION gpt_tell_change('session', 'id');
CREATE TRIGGER tell_deletion AFTER DELETE ON gpt_sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION gpt_tell_change('session', 'id');

-- A client that is disabled takes all its sessions with it.
CREATE TRIGGER tell_switch AFTER UPDATE OF disabled_at ON gpt_clients FOR EACH ROW
    WHEN (OLD.disabled_at IS DISTINCT FROM NEW.disabled_at) EXECUTE FUNCTION gpt_tell_change('session');

-- New ones too: that a user is unknown is remembered as well.
CREATE TRIGGER tell_user AFTER INSERT OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION gpt_tell_change('user', 'clerk_user_id');
CREATE TRIGGER tell_change AFTER UPDATE OF plan, plan_status, deleted_at ON users FOR EACH ROW
    WHEN (OLD.plan IS DISTINCT FROM NEW.plan OR OLD.plan_status IS DISTINCT FROM NEW.plan_status OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at)
    EXECUTE FUNCTION gpt_tell_change('user', 'clerk_user_id');
CREATE TRIGGER tell_renaming AFTER UPDATE OF id, clerk_user_id ON users FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.clerk_user_id <> NEW.clerk_user_id) EXECUTE FUNCTION gpt_tell_change('user');
