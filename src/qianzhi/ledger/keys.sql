-- name: states
-- The states of keys of one lane: one row of columns, each the bytes of its numbers. A hit is by the first hash;
-- the caller verifies the second.
SELECT string_agg(int8send(key_hash), ''), string_agg(int8send(key_check), ''), string_agg(int8send(row_id), ''),
    string_agg(int8send(live::integer), '')
FROM qianzhi.key_states
WHERE lane_id = %(lane_id)s AND key_hash = ANY(%(key_hashes)s::bigint[])

-- name: merge
-- Put states in force of keys that may have one already.
INSERT INTO qianzhi.key_states (lane_id, key_hash, key_check, row_id, live)
SELECT %(lane_id)s, key_hash, key_check, row_id, live = 1
FROM unnest(%(key_hash)s::bigint[], %(key_check)s::bigint[], %(row_id)s::bigint[], %(live)s::bigint[])
    AS new (key_hash, key_check, row_id, live)
ON CONFLICT (lane_id, key_hash, key_check) DO UPDATE
SET row_id = excluded.row_id, live = excluded.live

-- name: correct
-- Put states in force that are not so: a key that is live there, and one that was live as far as we knew. A state that
-- is so stays with the row that left it.
INSERT INTO qianzhi.key_states (lane_id, key_hash, key_check, row_id, live)
SELECT %(lane_id)s, key_hash, key_check, row_id, live = 1
FROM unnest(%(key_hash)s::bigint[], %(key_check)s::bigint[], %(row_id)s::bigint[], %(live)s::bigint[])
    AS new (key_hash, key_check, row_id, live)
WHERE live = 1 OR EXISTS (
    SELECT FROM qianzhi.key_states AS known
    WHERE known.lane_id = %(lane_id)s AND known.key_hash = new.key_hash AND known.key_check = new.key_check)
ON CONFLICT (lane_id, key_hash, key_check) DO UPDATE
SET row_id = excluded.row_id, live = excluded.live WHERE key_states.live <> excluded.live
