-- name: hold
-- Let rows wait for another row to be accepted.
INSERT INTO qianzhi.held
    (lane_id, row_id, key_hash, key_check, key_text_hash, arrived_at, code, field, value,
     wants_lane_id, wants_key_hash, wants_key_check, wants)
SELECT %(lane_id)s, row_id, key_hash, key_check, key_text_hash, to_timestamp(arrived_us / 1000000.0), code, field, value,
    wants_lane_id, wants_key_hash, wants_key_check, wants
FROM unnest(%(row_id)s::bigint[], %(key_hash)s::bigint[], %(key_check)s::bigint[], %(key_text_hash)s::bigint[],
    %(arrived_us)s::bigint[], %(code)s::text[], %(field)s::text[], %(value)s::text[], %(wants_lane_id)s::smallint[],
    %(wants_key_hash)s::bigint[], %(wants_key_check)s::bigint[], %(wants)s::text[])
    AS one (row_id, key_hash, key_check, key_text_hash, arrived_us, code, field, value,
            wants_lane_id, wants_key_hash, wants_key_check, wants)
ON CONFLICT DO NOTHING

-- name: any
-- Whether a lane holds any row: mostly it does not, and then no key need be looked up.
SELECT true FROM qianzhi.held WHERE lane_id = %(lane_id)s LIMIT 1

-- name: of_keys
-- The held rows of some keys of a lane: one row of columns, each the bytes of its numbers.
SELECT string_agg(int8send(key_hash), ''), string_agg(int8send(key_check), ''), string_agg(int8send(row_id), '')
FROM qianzhi.held
WHERE lane_id = %(lane_id)s AND key_hash = ANY(%(key_hashes)s::bigint[])

-- name: drop
-- Stop holding rows that something else settles, and tell which were still held.
DELETE FROM qianzhi.held WHERE lane_id = %(lane_id)s AND row_id = ANY(%(row_ids)s::bigint[]) RETURNING row_id

-- name: is_wanted
-- Whether any row waits for a row of this lane.
SELECT true FROM qianzhi.held WHERE wants_lane_id = %(lane_id)s LIMIT 1

-- name: release
-- Let rows go that waited for keys of a lane which are settled now: those of other lanes where the key is accepted
-- and live, those of the lane itself in any case, for what they waited for will not come any more.
WITH released AS (
    DELETE FROM qianzhi.held
    USING unnest(%(key_hash)s::bigint[], %(key_check)s::bigint[], %(live)s::bigint[])
        AS settled (key_hash, key_check, live)
    WHERE held.wants_lane_id = %(lane_id)s AND held.wants_key_hash = settled.key_hash
      AND held.wants_key_check = settled.key_check AND (settled.live = 1 OR held.lane_id = %(lane_id)s)
    RETURNING held.lane_id, held.row_id, held.key_text_hash, held.arrived_at
)
INSERT INTO qianzhi.arrived (lane_id, row_id, key_text_hash, arrived_at)
SELECT lane_id, row_id, key_text_hash, arrived_at FROM released
ON CONFLICT DO NOTHING

-- name: sweep
-- Let every held row go whose wanted key is accepted: what the release after a settlement could have missed.
WITH released AS (
    DELETE FROM qianzhi.held
    USING qianzhi.key_states AS state
    WHERE held.wants_lane_id = state.lane_id AND held.wants_key_hash = state.key_hash
      AND held.wants_key_check = state.key_check AND state.live
    RETURNING held.lane_id, held.row_id, held.key_text_hash, held.arrived_at
)
INSERT INTO qianzhi.arrived (lane_id, row_id, key_text_hash, arrived_at)
SELECT lane_id, row_id, key_text_hash, arrived_at FROM released
ON CONFLICT DO NOTHING
