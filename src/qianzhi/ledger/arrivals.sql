-- name: follow_indexes
-- For the sessions of a cycle: what arrived a minute ago has no statistics yet, and without them the planner would
-- sort all that waits for every chunk instead of walking the index.
SET enable_bitmapscan = off

-- name: join_by_sets
-- For the rest of a transaction: where old statistics speak of a handful of rows, the planner would look through all
-- that arrived once for each row, and a night's cycle would not end.
SET LOCAL enable_nestloop = off

-- name: repeated_rows
-- The arrived rows of a lane that come behind another arrived row of their key, and the keys they share.
-- Groups first: almost every key arrives once, so the sort touches only the few that do not. What seems to arrive in
-- the future came before the clock was set right, here as below.
SELECT string_agg(int8send(row_id), ''), string_agg(int8send(key_text_hash), '')
FROM (
SELECT row_id, key_text_hash
FROM qianzhi.arrived
WHERE lane_id = %(lane_id)s AND (arrived_at <= %(cut_off)s OR arrived_at > clock_timestamp())
  AND key_text_hash IN (
      SELECT key_text_hash FROM qianzhi.arrived
      WHERE lane_id = %(lane_id)s AND (arrived_at <= %(cut_off)s OR arrived_at > clock_timestamp())
      GROUP BY key_text_hash HAVING count(*) > 1)
ORDER BY row_id
LIMIT %(limit)s
) AS repeated

-- name: take
-- Claim the next rows of a lane, in the order of their ids, for the transaction that seals them: one row of columns,
-- each the bytes of its numbers. The lane's lock keeps other workers away; addressing the rows by their place in the
-- table costs a third of a join.
WITH taken AS (
    DELETE FROM qianzhi.arrived
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM qianzhi.arrived
        WHERE lane_id = %(lane_id)s AND row_id > %(after)s AND (arrived_at <= %(cut_off)s OR arrived_at > clock_timestamp())
          AND row_id <> ALL (%(leave)s::bigint[])
        ORDER BY row_id
        LIMIT %(limit)s))
    RETURNING row_id, key_text_hash, (extract(epoch FROM arrived_at) * 1000000)::bigint AS arrived_us
)
SELECT string_agg(int8send(row_id), ''), string_agg(int8send(key_text_hash), ''), string_agg(int8send(arrived_us), '')
FROM taken

-- name: peek
-- Look at the next rows of a lane without taking them.
SELECT string_agg(int8send(row_id), '')
FROM (
    SELECT row_id FROM qianzhi.arrived
    WHERE lane_id = %(lane_id)s AND row_id > %(after)s AND (arrived_at <= %(cut_off)s OR arrived_at > clock_timestamp())
      AND row_id <> ALL (%(leave)s::bigint[])
    ORDER BY row_id
    LIMIT %(limit)s
) AS next

-- name: put
-- Let rows wait (again), as they stood.
INSERT INTO qianzhi.arrived (lane_id, row_id, key_text_hash, arrived_at)
SELECT %(lane_id)s, row_id, key_text_hash, to_timestamp(arrived_us / 1000000.0)
FROM unnest(%(row_ids)s::bigint[], %(key_text_hashes)s::bigint[], %(arrived_us)s::bigint[])
    AS back (row_id, key_text_hash, arrived_us)
ON CONFLICT DO NOTHING

-- name: missing
-- The backstop: staged rows of a lane, behind a given id, that the ledger has never heard of.
-- {table} is the staging table, {key} its key columns as text.
WITH known AS MATERIALIZED (
    SELECT coalesce(range_agg(one), '{{}}') AS ranges
    FROM qianzhi.batches CROSS JOIN LATERAL unnest(row_ids) AS one
    WHERE lane_id = %(lane_id)s
)
SELECT string_agg(int8send(id), ''), string_agg(int8send(key_text_hash), '')
FROM (
SELECT staged.id, hashtextextended(concat_ws(chr(31), {key}), 0) AS key_text_hash
FROM {table} AS staged CROSS JOIN known
WHERE staged.id > %(after)s AND NOT staged.id <@ known.ranges
  AND NOT EXISTS (SELECT FROM qianzhi.arrived AS a WHERE a.lane_id = %(lane_id)s AND a.row_id = staged.id)
  AND NOT EXISTS (SELECT FROM qianzhi.held AS h WHERE h.lane_id = %(lane_id)s AND h.row_id = staged.id)
  AND NOT EXISTS (SELECT FROM qianzhi.outcomes AS o WHERE o.lane_id = %(lane_id)s AND o.row_id = staged.id)
ORDER BY staged.id
LIMIT %(limit)s
) AS unheard

-- name: create_notice
-- The trigger function of one staging table. It runs with the owner's rights: the hospital's account sees nothing
-- of the ledger. Its statements are fixed text, so that a session plans them once. NOTIFY serialises committers,
-- so only lanes that want it pay for it.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO qianzhi.arrived (lane_id, row_id, key_text_hash, arrived_at)
    SELECT lane_id, id, hashtextextended(concat_ws(chr(31), {key}), 0), statement_timestamp()
    FROM inserted CROSS JOIN qianzhi.lanes
    WHERE regulator = {regulator} AND dataset = {dataset} AND mode <> 'off'
    ON CONFLICT DO NOTHING;
    INSERT INTO qianzhi.staged_counts (regulator, dataset, staged_on, row_count)
    SELECT {regulator}, {dataset}, (statement_timestamp() AT TIME ZONE 'Asia/Shanghai')::date, count(*)
    FROM inserted HAVING count(*) > 0;
    PERFORM pg_notify('arrived', lane_id::text) FROM qianzhi.lanes
        WHERE regulator = {regulator} AND dataset = {dataset} AND mode = 'realtime';
    RETURN NULL;
END $body$

-- name: drop_notice
-- Detach the trigger before it is attached anew.
DROP TRIGGER IF EXISTS note_arrival ON {table}

-- name: attach_notice
-- One call of the trigger a statement, however many rows it inserts.
CREATE TRIGGER note_arrival AFTER INSERT ON {table}
REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION {function}()
