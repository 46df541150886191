-- name: states
-- The states of keys of one lane: one row of columns, each the bytes of its numbers. A hit is by the first hash;
-- the caller verifies the second.
SELECT string_agg(int8send(key_hash), ''), string_agg(int8send(key_check), ''), string_agg(int8send(row_id), ''),
    string_agg(int8send(live::integer), '')
FROM qianzhi.key_states
WHERE lane_id = %(lane_id)s AND key_hash = ANY(%(key_hashes)s::bigint[])

-- name: stage
-- Where new states lie for the length of a transaction.
CREATE TEMP TABLE IF NOT EXISTS new_states (LIKE qianzhi.key_states) ON COMMIT DELETE ROWS

-- name: apply
-- Put the new states in force. A state never goes back behind one that came after it.
INSERT INTO qianzhi.key_states
SELECT * FROM new_states
ON CONFLICT (lane_id, key_hash, key_check) DO UPDATE
SET row_id = excluded.row_id, live = excluded.live

-- name: release
-- Let held rows go that waited for keys which are accepted now.
WITH released AS (
    DELETE FROM qianzhi.held
    USING new_states
    WHERE held.wants_lane_id = new_states.lane_id AND held.wants_key_hash = new_states.key_hash
      AND held.wants_key_check = new_states.key_check AND new_states.live
    RETURNING held.lane_id, held.row_id, held.key_text_hash, held.held_at
)
INSERT INTO qianzhi.arrived (lane_id, row_id, key_text_hash, arrived_at)
SELECT lane_id, row_id, key_text_hash, held_at FROM released
ON CONFLICT DO NOTHING
