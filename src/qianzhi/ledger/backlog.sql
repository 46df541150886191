-- name: waiting
-- How many rows of each dataset no batch has yet.
SELECT lanes.dataset, count(*) FROM qianzhi.arrived
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND lanes.mode <> 'off'
GROUP BY lanes.dataset

-- name: sealed
-- The batches that are on their way, by dataset.
SELECT lanes.dataset, batches.batch_id, batches.digest, batches.byte_count FROM qianzhi.batches
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND batches.state = 'sealed' AND lanes.mode <> 'off'
ORDER BY batches.sealed_at
LIMIT %(limit)s

-- name: row_bytes
-- How many bytes a row of each dataset took on its way.
SELECT lanes.dataset, sum(batches.byte_count)::float8 / sum(batches.row_count) FROM qianzhi.batches
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND batches.sealed_at >= %(since)s AND batches.split_from IS NULL
GROUP BY lanes.dataset

-- name: sent
-- The newest attempts of these datasets that had a receipt: when, how long, how much.
SELECT newest.attempted_at, newest.took_seconds, batches.byte_count
FROM (
    SELECT batch_id, attempted_at, took_seconds FROM qianzhi.attempts
    WHERE outcome = 'receipt' ORDER BY attempt_id DESC LIMIT %(limit)s
) AS newest
JOIN qianzhi.batches USING (batch_id)
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND lanes.dataset = ANY (%(datasets)s::text[])

-- name: image_paths
-- The images that rows name which no batch has yet.
SELECT DISTINCT btrim({column}) FROM {table} AS staged
JOIN qianzhi.arrived ON arrived.row_id = staged.id
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = {destination} AND lanes.dataset = {dataset} AND lanes.mode <> 'off'
    AND btrim({column}) <> ''
LIMIT {limit}

-- name: volume
-- Rows that were sealed since an instant, the first of them, and how many days had any.
SELECT coalesce(sum(row_count), 0)::bigint, min(sealed_at),
    count(DISTINCT (sealed_at AT TIME ZONE 'Asia/Shanghai')::date)
FROM qianzhi.batches WHERE sealed_at >= %(since)s AND split_from IS NULL

-- name: sizes
-- How many bytes the tables of some schemas take, and about how many rows the staging tables among them hold.
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint,
    coalesce(sum(pg_stat_get_live_tuples(c.oid)) FILTER (WHERE n.nspname <> 'qianzhi'), 0)::bigint
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p', 'm')
