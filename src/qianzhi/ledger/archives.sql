-- name: due
-- The ids of a dataset's rows that every lane which is not off has settled before an instant, and no lane is still at:
-- not waiting, held, on the way, quarantined, settled once more later, or archived already. What an unknown state of a
-- batch means is not guessed: its rows stay. States are compared as text, since scripts of other numbers may add some.
WITH mine AS (
    SELECT lane_id, mode FROM qianzhi.lanes WHERE regulator = %(regulator)s AND dataset = %(dataset)s
), ends AS (
    SELECT lane_id, settled_at, one
    FROM qianzhi.batches JOIN mine USING (lane_id) CROSS JOIN LATERAL unnest(row_ids) AS one
    WHERE state = 'settled'
    UNION ALL
    SELECT lane_id, settled_at, int8range(row_id, row_id, '[]') FROM qianzhi.outcomes JOIN mine USING (lane_id)
    WHERE outcome::text IN ('superseded', 'nothing_to_revoke', 'withheld')
), settled AS (
    SELECT lane_id, range_agg(one) AS ids FROM ends WHERE settled_at < %(before)s GROUP BY lane_id
), common AS (
    SELECT range_intersect_agg(coalesce(ids, '{}')) AS ids FROM mine LEFT JOIN settled USING (lane_id)
    WHERE mode <> 'off'
), kept AS (
    SELECT int8range(row_id, row_id, '[]') AS one FROM qianzhi.arrived JOIN mine USING (lane_id)
    UNION ALL
    SELECT int8range(row_id, row_id, '[]') FROM qianzhi.held JOIN mine USING (lane_id)
    UNION ALL
    SELECT int8range(row_id, row_id, '[]') FROM qianzhi.outcomes JOIN mine USING (lane_id)
    WHERE outcome = 'quarantined'
    UNION ALL
    SELECT one FROM qianzhi.batches JOIN mine USING (lane_id) CROSS JOIN LATERAL unnest(row_ids) AS one
    WHERE state::text NOT IN ('settled', 'split')
    UNION ALL
    SELECT one FROM ends WHERE settled_at >= %(before)s
    UNION ALL
    SELECT one FROM qianzhi.archives CROSS JOIN LATERAL unnest(row_ids) AS one
    WHERE regulator = %(regulator)s AND dataset = %(dataset)s
)
SELECT nullif(coalesce(common.ids, '{}') - coalesce((SELECT range_agg(one) FROM kept), '{}'), '{}')::text FROM common

-- name: first_settled
-- When the first of some rows of a dataset was settled.
SELECT min(settled_at) FROM (
    SELECT min(settled_at) AS settled_at FROM qianzhi.batches JOIN qianzhi.lanes USING (lane_id)
    WHERE regulator = %(regulator)s AND dataset = %(dataset)s AND state = 'settled'
      AND row_ids && %(ids)s::int8multirange
    UNION ALL
    SELECT min(settled_at) FROM qianzhi.outcomes JOIN qianzhi.lanes USING (lane_id)
    WHERE regulator = %(regulator)s AND dataset = %(dataset)s AND row_id <@ %(ids)s::int8multirange
) AS firsts

-- name: next_part
-- The number of the next archive of a dataset and month.
SELECT coalesce(max(part), 0) + 1 FROM qianzhi.archives
WHERE regulator = %(regulator)s AND dataset = %(dataset)s AND month = %(month)s

-- name: columns
-- The columns of a staging table, also those that an older edition asked for.
SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass(format('%%I.%%I', %(regulator)s::text, %(dataset)s::text)) AND attnum > 0
  AND NOT attisdropped AND attname <> 'id'
ORDER BY attnum

-- name: first_ids
-- The first staged rows among some ids.
SELECT range_agg(int8range(id, id, '[]'))::text FROM (
    SELECT staged.id
    FROM unnest({ids}::int8multirange) AS due JOIN {table} AS staged ON staged.id >= lower(due) AND staged.id < upper(due)
    ORDER BY staged.id
    LIMIT {limit}
) AS first

-- name: rows
-- The staged rows of some ids.
SELECT staged.id AS row_id, {columns}
FROM unnest({ids}::int8multirange) AS due JOIN {table} AS staged ON staged.id >= lower(due) AND staged.id < upper(due)
ORDER BY staged.id

-- name: drop
-- Let archived rows leave their staging table.
DELETE FROM {table} AS staged USING unnest({ids}::int8multirange) AS due
WHERE staged.id >= lower(due) AND staged.id < upper(due)

-- name: record
-- Enter an archive; in the transaction that drops its rows.
INSERT INTO qianzhi.archives (regulator, dataset, month, part, edition, row_ids, row_count, content_digest, file,
    file_digest, byte_count, key_id, archived_at)
VALUES (%(regulator)s, %(dataset)s, %(month)s, %(part)s, %(edition)s, %(row_ids)s::int8multirange, %(row_count)s,
    %(content_digest)s, %(file)s, %(file_digest)s, %(byte_count)s, %(key_id)s, %(archived_at)s)
RETURNING archive_id

-- name: replace
-- Say that the same rows stand in another file of the same name.
UPDATE qianzhi.archives SET file_digest = %(file_digest)s, byte_count = %(byte_count)s, key_id = %(key_id)s
WHERE archive_id = %(archive_id)s

-- name: listed
-- The archives, oldest month first.
SELECT archive_id, regulator, dataset, month, part, edition, row_count, content_digest, file, file_digest, byte_count,
    key_id, archived_at
FROM qianzhi.archives
WHERE (%(dataset)s::text IS NULL OR dataset = %(dataset)s)
  AND (%(archive_id)s::bigint IS NULL OR archive_id = %(archive_id)s)
ORDER BY regulator, dataset, month, part

-- name: vacuum
-- Make room for new rows where archived ones stood, without ever locking the hospital's inserts out.
VACUUM (TRUNCATE false) {table}
