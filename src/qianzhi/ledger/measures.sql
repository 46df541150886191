-- name: oldest_waiting
-- When the row arrived that has waited longest, about: in each lane the first by id is looked at.
SELECT min(first.arrived_at) FROM qianzhi.lanes
JOIN qianzhi.destinations USING (destination_id)
CROSS JOIN LATERAL (
    SELECT arrived_at FROM qianzhi.arrived WHERE arrived.lane_id = lanes.lane_id ORDER BY row_id LIMIT 1
) AS first
WHERE destinations.name = %(destination)s AND lanes.mode <> 'off'

-- name: open_batches
-- How many batches are on their way.
SELECT count(*) FROM qianzhi.batches
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND state = 'sealed' AND lanes.mode <> 'off'

-- name: attempts
-- The attempts since an instant by their outcome, without what follows its name; of the newest so many only.
SELECT split_part(newest.outcome, ':', 1), count(*)
FROM (
    SELECT batch_id, attempted_at, outcome FROM qianzhi.attempts ORDER BY attempt_id DESC LIMIT %(limit)s
) AS newest
JOIN qianzhi.batches USING (batch_id)
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND newest.attempted_at >= %(since)s
GROUP BY 1
