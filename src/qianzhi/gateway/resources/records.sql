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
-- Where rows are that are not the last accepted one of their key: their outcome, held, sent, accepted before a later
-- one, or waiting, be it that the ledger has not heard of them yet.
SELECT asked.row_id,
    coalesce(
        outcomes.outcome::text,
        CASE WHEN held.row_id IS NOT NULL THEN 'held' END,
        CASE WHEN arrived.row_id IS NOT NULL THEN 'waiting' END,
        (SELECT CASE WHEN state = 'settled' THEN 'accepted' ELSE 'sent' END
         FROM qianzhi.batches
         WHERE batches.lane_id = %(lane_id)s AND row_ids @> asked.row_id AND state::text NOT IN ('split', 'refused')
         ORDER BY sealed_at DESC
         LIMIT 1),
        'waiting')
FROM unnest(%(row_ids)s::bigint[]) AS asked (row_id)
LEFT JOIN qianzhi.outcomes ON outcomes.lane_id = %(lane_id)s AND outcomes.row_id = asked.row_id
LEFT JOIN qianzhi.held ON held.lane_id = %(lane_id)s AND held.row_id = asked.row_id
LEFT JOIN qianzhi.arrived ON arrived.lane_id = %(lane_id)s AND arrived.row_id = asked.row_id

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
