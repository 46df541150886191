-- name: insert
-- One visit, as a hospital's system inserts it.
INSERT INTO guangdong.treatment_record ({columns}) VALUES ({values}) RETURNING id

-- name: settled
-- The accepted rows of the settled batch that took a staged row; nothing before it is settled. Only young batches are
-- looked at, so that a look costs the same however many there are.
SELECT accepted_count, row_count
FROM qianzhi.batches JOIN qianzhi.lanes USING (lane_id)
WHERE dataset = 'treatment_record' AND sealed_at > now() - INTERVAL '2 minutes' AND state = 'settled'
    AND row_ids @> %(row_id)s::bigint
