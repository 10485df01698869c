-- The ids of scale-seed.sql: of sessions in the order of time, as the program makes them (UUIDs of version 7).
CREATE OR REPLACE FUNCTION scale_user(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN md5('user' || number)::uuid;
CREATE OR REPLACE FUNCTION scale_session(number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(1700000000000 + number), 12, '0') || '7' || substr(md5('session' || number), 1, 3) || '8' || substr(md5('session' || number), 4, 15))::uuid;
