-- name: staged
-- The staged rows of a key, the newest first. The most telling field of the key has an index.
SELECT id, {columns} FROM {table} WHERE {key} ORDER BY id DESC LIMIT {limit}

-- name: staged_row
-- One staged row.
SELECT id, {columns} FROM {table} WHERE id = {row_id}

-- name: archive
-- The archive that a row left its staging table for.
SELECT archive_id, file FROM qianzhi.archives
WHERE regulator = %(regulator)s AND dataset = %(dataset)s AND row_ids @> %(row_id)s::bigint

-- name: states
-- Where some rows of a dataset are, for each destination.
SELECT id, destination, state, state_at, wants, shown.batch_id, received_at
FROM {view} AS shown LEFT JOIN qianzhi.receipts USING (batch_id)
WHERE dataset = {dataset} AND id = ANY(%(row_ids)s::bigint[])
ORDER BY id, destination

-- name: arrivals
-- When rows arrived that have no batch yet; of the others it is not kept.
SELECT row_id, min(arrived_at)
FROM (SELECT lane_id, row_id, arrived_at FROM qianzhi.arrived
      UNION ALL SELECT lane_id, row_id, arrived_at FROM qianzhi.held) AS noted
JOIN qianzhi.lanes USING (lane_id)
WHERE regulator = %(regulator)s AND dataset = %(dataset)s AND row_id = ANY(%(row_ids)s::bigint[])
GROUP BY 1

-- name: findings
-- The findings of some rows of a dataset.
SELECT finding_id
FROM qianzhi.findings JOIN qianzhi.lanes USING (lane_id)
WHERE regulator = %(regulator)s AND dataset = %(dataset)s AND row_id = ANY(%(row_ids)s::bigint[])
ORDER BY row_id, finding_id
LIMIT %(limit)s

-- name: held
-- Held rows, those that wait longest first.
SELECT held.row_id, destinations.name, lanes.regulator, lanes.dataset, held.code, held.field, held.value, held.wants,
    wanted.dataset, held.arrived_at, held.held_at, state.live
FROM qianzhi.held
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations ON destinations.destination_id = lanes.destination_id
JOIN qianzhi.lanes AS wanted ON wanted.lane_id = held.wants_lane_id
LEFT JOIN qianzhi.key_states AS state
    ON state.lane_id = held.wants_lane_id AND state.key_hash = held.wants_key_hash
    AND state.key_check = held.wants_key_check
WHERE (%(destination)s::text IS NULL OR destinations.name = %(destination)s)
  AND (%(dataset)s::text IS NULL OR lanes.dataset = %(dataset)s)
  AND (%(wanted)s::text IS NULL OR wanted.dataset = %(wanted)s)
  AND (%(pattern)s::text IS NULL OR held.wants LIKE %(pattern)s OR held.row_id = %(number)s::bigint)
ORDER BY held_at, held.lane_id, held.row_id
LIMIT %(limit)s OFFSET %(offset)s

-- name: held_count
-- How many rows are held.
SELECT count(*)
FROM qianzhi.held
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations ON destinations.destination_id = lanes.destination_id
JOIN qianzhi.lanes AS wanted ON wanted.lane_id = held.wants_lane_id
WHERE (%(destination)s::text IS NULL OR destinations.name = %(destination)s)
  AND (%(dataset)s::text IS NULL OR lanes.dataset = %(dataset)s)
  AND (%(wanted)s::text IS NULL OR wanted.dataset = %(wanted)s)
  AND (%(pattern)s::text IS NULL OR held.wants LIKE %(pattern)s OR held.row_id = %(number)s::bigint)
