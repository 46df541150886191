-- name: deliver
-- Record that the destination has the rows of a batch. No row changes where it is known already.
UPDATE qianzhi.batches
SET state = 'delivered', delivered_at = %(delivered_at)s, accepted_count = 0, rejected_count = 0
WHERE batch_id = %(batch_id)s AND state = 'sealed'

-- name: of_keys
-- The deliveries of some keys of a lane: one row of columns, each the bytes of its numbers, null as the least number.
-- A hit is by the first hash; the caller verifies the second.
SELECT string_agg(int8send(row_id), ''), string_agg(int8send(remote_id), ''),
    string_agg(int8send(key_hash), ''), string_agg(int8send(key_check), ''),
    string_agg(int8send(coalesce((extract(epoch FROM occurred_at) * 1000000)::bigint, -9223372036854775808)), ''),
    string_agg(int8send((extract(epoch FROM delivered_at) * 1000000)::bigint), ''),
    string_agg(int8send(coalesce(accepted::integer::bigint, -9223372036854775808)), '')
FROM qianzhi.deliveries
WHERE lane_id = %(lane_id)s AND key_hash = ANY(%(key_hashes)s::bigint[])

-- name: answer
-- Say of rows what the official console says, once.
UPDATE qianzhi.deliveries
SET accepted = said.accepted = 1, answered_at = to_timestamp(said.answered_us / 1000000.0)
FROM unnest(%(row_ids)s::bigint[], %(accepted)s::bigint[], %(answered_us)s::bigint[])
    AS said (row_id, accepted, answered_us)
WHERE deliveries.lane_id = %(lane_id)s AND deliveries.row_id = said.row_id AND deliveries.accepted IS NULL
RETURNING deliveries.row_id, deliveries.batch_id, deliveries.accepted

-- name: count
-- Add what is answered to a batch; with its last row it is settled.
UPDATE qianzhi.batches
SET accepted_count = accepted_count + %(accepted_count)s, rejected_count = rejected_count + %(rejected_count)s,
    state = CASE WHEN accepted_count + rejected_count + %(accepted_count)s + %(rejected_count)s = row_count
        THEN 'settled'::qianzhi.batch_state ELSE state END,
    settled_at = CASE WHEN accepted_count + rejected_count + %(accepted_count)s + %(rejected_count)s = row_count
        THEN now() END
WHERE batch_id = %(batch_id)s

-- name: restate
-- Let the states of the keys of some failed rows be those of the newest row over there that did not fail. A state
-- that an earlier row left and no delivery explains stays: it is none of this row's.
WITH touched AS (
    SELECT DISTINCT d.key_hash, d.key_check
    FROM qianzhi.deliveries AS d
    JOIN unnest(%(row_ids)s::bigint[]) AS failed (row_id) USING (row_id)
    JOIN qianzhi.key_states AS k
        ON k.lane_id = d.lane_id AND k.key_hash = d.key_hash AND k.key_check = d.key_check AND k.row_id = d.row_id
    WHERE d.lane_id = %(lane_id)s AND d.operation IS NOT NULL
), standing AS (
    SELECT touched.key_hash, touched.key_check, newest.row_id, newest.operation
    FROM touched
    LEFT JOIN LATERAL (
        SELECT row_id, operation FROM qianzhi.deliveries AS d
        WHERE d.lane_id = %(lane_id)s AND d.key_hash = touched.key_hash AND d.key_check = touched.key_check
          AND d.operation IS NOT NULL AND d.accepted IS NOT FALSE
        ORDER BY d.delivered_at DESC, d.remote_id DESC LIMIT 1
    ) AS newest ON true
), gone AS (
    DELETE FROM qianzhi.key_states AS k USING standing
    WHERE standing.row_id IS NULL AND k.lane_id = %(lane_id)s AND k.key_hash = standing.key_hash
      AND k.key_check = standing.key_check
)
UPDATE qianzhi.key_states AS k SET row_id = standing.row_id, live = standing.operation <> 'revoke'
FROM standing
WHERE standing.row_id IS NOT NULL AND k.lane_id = %(lane_id)s AND k.key_hash = standing.key_hash
  AND k.key_check = standing.key_check

-- name: note_import
-- An export of the official console was imported.
INSERT INTO qianzhi.result_imports
    (destination_id, imported_at, digest, line_count, accepted_count, failed_count, unmatched_count)
SELECT destination_id, %(imported_at)s, %(digest)s, %(lines)s, %(accepted)s, %(failed)s, %(unmatched)s
FROM qianzhi.destinations WHERE name = %(destination)s
