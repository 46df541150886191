-- name: newest
-- The newest staged row of every record of one institution, by id: what people said last. {key} are the key's texts
-- without blanks around them. A resource table holds some thousands of records, so it is sorted and not indexed.
SELECT row_id, {names}
FROM (
    SELECT DISTINCT ON ({key}) id AS row_id, {columns}
    FROM {table}
    WHERE btrim({institution}) = {sender}
    ORDER BY {key}, id DESC
    LIMIT {limit}
) AS newest
ORDER BY row_id

-- name: places
-- What is said of rows besides their batches: their outcome, that they are held, or that they wait.
SELECT asked.row_id,
    coalesce(
        outcomes.outcome::text,
        CASE WHEN held.row_id IS NOT NULL THEN 'held' END,
        CASE WHEN arrived.row_id IS NOT NULL THEN 'waiting' END)
FROM unnest(%(row_ids)s::bigint[]) AS asked (row_id)
LEFT JOIN qianzhi.outcomes ON outcomes.lane_id = %(lane_id)s AND outcomes.row_id = asked.row_id
LEFT JOIN qianzhi.held ON held.lane_id = %(lane_id)s AND held.row_id = asked.row_id
LEFT JOIN qianzhi.arrived ON arrived.lane_id = %(lane_id)s AND arrived.row_id = asked.row_id
WHERE outcomes.row_id IS NOT NULL OR held.row_id IS NOT NULL OR arrived.row_id IS NOT NULL

-- name: spans
-- The ids that the batches of a lane hold, from the first up to and without the second, and how the batch stands:
-- 1 is settled, 2 delivered without a word, 0 on its way. States are compared as text, since a script may add some.
SELECT string_agg(int8send(lower(one)), ''), string_agg(int8send(upper(one)), ''),
    string_agg(int8send(CASE state::text WHEN 'settled' THEN 1 WHEN 'delivered' THEN 2 ELSE 0 END), '')
FROM qianzhi.batches CROSS JOIN LATERAL unnest(row_ids) AS one
WHERE lane_id = %(lane_id)s AND state::text NOT IN ('split', 'refused')

-- name: findings
-- What is on record about some rows of a lane, and what held ones wait for.
SELECT row_id, code, class, field, value, detail, severity
FROM qianzhi.findings
WHERE lane_id = %(lane_id)s AND row_id = ANY(%(row_ids)s::bigint[])
UNION ALL
SELECT row_id, code, 'E06', field, value, wants, 'error'
FROM qianzhi.held
WHERE lane_id = %(lane_id)s AND row_id = ANY(%(row_ids)s::bigint[])
ORDER BY 1, 2, 4
LIMIT %(limit)s
