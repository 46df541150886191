-- name: per_lane
-- What became of the rows of each lane of a destination, by dataset.
SELECT lanes.dataset,
    coalesce(sum(batches.row_count) FILTER (WHERE batches.state IN ('settled', 'delivered')), 0)::bigint AS submitted,
    coalesce(sum(batches.accepted_count), 0)::bigint AS accepted,
    coalesce(sum(batches.rejected_count), 0)::bigint AS rejected,
    coalesce(sum(batches.row_count - batches.accepted_count - batches.rejected_count)
        FILTER (WHERE batches.state = 'delivered'), 0)::bigint AS delivered,
    coalesce(sum(batches.row_count) FILTER (WHERE batches.state = 'sealed'), 0)::bigint AS on_the_way,
    (SELECT count(*) FROM qianzhi.held WHERE held.lane_id = lanes.lane_id) AS held,
    (SELECT count(*) FROM qianzhi.arrived WHERE arrived.lane_id = lanes.lane_id) AS waiting,
    (SELECT count(*) FROM qianzhi.outcomes
     WHERE outcomes.lane_id = lanes.lane_id AND outcome <> 'rejected') AS ended_here,
    max(batches.settled_at) AS settled_at
FROM qianzhi.lanes
JOIN qianzhi.destinations USING (destination_id)
LEFT JOIN qianzhi.batches USING (lane_id)
WHERE destinations.name = %(destination)s
GROUP BY lanes.lane_id, lanes.dataset

-- name: troubles
-- Batches that wait for another attempt, with what went wrong last; those of lanes that are off wait for nothing.
SELECT lanes.dataset, batches.batch_id, batches.row_count, last.outcome, last.attempted_at, last.next_attempt_at
FROM qianzhi.batches
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
JOIN LATERAL (
    SELECT outcome, attempted_at, next_attempt_at FROM qianzhi.attempts
    WHERE attempts.batch_id = batches.batch_id ORDER BY attempt_id DESC LIMIT 1
) AS last ON true
WHERE destinations.name = %(destination)s AND batches.state = 'sealed' AND lanes.mode <> 'off'
ORDER BY batches.sealed_at
LIMIT %(limit)s

-- name: last_cycle
-- The cycle of a destination that was finished last.
SELECT kind, cut_off, started_at, finished_at FROM qianzhi.cycles
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND kind <> 'realtime' AND finished_at IS NOT NULL
ORDER BY finished_at DESC, cycle_id DESC
LIMIT 1

-- name: running_cycle
-- The newest cycle of a destination that is under way, or was broken off and is not gone on with yet.
SELECT kind, cut_off, started_at FROM qianzhi.cycles
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s AND kind <> 'realtime' AND finished_at IS NULL
ORDER BY cycle_id DESC
LIMIT 1
