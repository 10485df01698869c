-- What nothing reads or writes, neither this release nor the one before, which runs on this schema while replicas are replaced.

-- Its place was taken by gpt_make_room_within in V010; replicas that are older than that are gone.
DROP FUNCTION gpt_make_room(uuid, integer, timestamptz);
