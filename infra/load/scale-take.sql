-- Takes live sessions of app 0, spread over all that there are, each of them once in the life of the database: steps that are coprime with any number
-- of sessions that is a power of ten, or such a number times less than a million, come by every number before they come by one again. Prints the
-- numbers. psql variables: count.
WITH before AS (
    SELECT used FROM scale_filled
), taken AS (
    UPDATE scale_filled SET used = used + :count * 2
)
SELECT number
FROM before, generate_series(used, used + :count * 2 - 1) step, scale_filled, LATERAL (SELECT step::bigint * 7368787 % sessions AS number) session
WHERE number % 5 < 3 AND number % 7 <> 0
LIMIT :count;
