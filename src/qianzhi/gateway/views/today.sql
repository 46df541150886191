-- name: staged
-- How many rows of each dataset of a regulator were staged on each day.
SELECT staged_on, dataset, sum(row_count)::bigint
FROM qianzhi.staged_counts
WHERE regulator = %(regulator)s AND staged_on >= %(since_on)s
GROUP BY 1, 2

-- name: settled
-- What a destination has had on each day, by dataset, and what it has said of it since; what ended at the gateway was
-- never sent.
SELECT on_day, dataset, sum(submitted)::bigint, sum(accepted)::bigint, sum(failed)::bigint, sum(delivered)::bigint,
    sum(ended)::bigint
FROM (
    SELECT (coalesce(delivered_at, batches.settled_at) AT TIME ZONE 'Asia/Shanghai')::date AS on_day, dataset,
        row_count AS submitted, coalesce(accepted_count, 0) AS accepted, coalesce(rejected_count, 0) AS failed,
        CASE state WHEN 'delivered' THEN row_count - accepted_count - rejected_count ELSE 0 END AS delivered, 0 AS ended
    FROM qianzhi.batches
    JOIN qianzhi.lanes USING (lane_id)
    JOIN qianzhi.destinations USING (destination_id)
    WHERE name = %(destination)s AND state NOT IN ('split', 'refused')
      AND (delivered_at >= %(since)s OR delivered_at IS NULL AND batches.settled_at >= %(since)s)
    UNION ALL
    SELECT (outcomes.settled_at AT TIME ZONE 'Asia/Shanghai')::date, dataset, 0, 0, 1, 0, 1
    FROM qianzhi.outcomes
    JOIN qianzhi.lanes USING (lane_id)
    JOIN qianzhi.destinations USING (destination_id)
    WHERE name = %(destination)s AND outcome <> 'rejected' AND outcomes.settled_at >= %(since)s
) AS answered
GROUP BY 1, 2

-- name: standing
-- What of each dataset has no outcome yet, and how many errors ask for a correction.
SELECT dataset,
    (SELECT count(*) FROM qianzhi.held WHERE held.lane_id = lanes.lane_id),
    (SELECT count(*) FROM qianzhi.arrived WHERE arrived.lane_id = lanes.lane_id),
    (SELECT coalesce(sum(row_count), 0)::bigint FROM qianzhi.batches
     WHERE batches.lane_id = lanes.lane_id AND state = 'sealed'),
    (SELECT coalesce(sum(row_count - accepted_count - rejected_count), 0)::bigint FROM qianzhi.batches
     WHERE batches.lane_id = lanes.lane_id AND state = 'delivered'),
    (SELECT coalesce(sum(open_count), 0)::bigint FROM qianzhi.finding_counts
     WHERE finding_counts.lane_id = lanes.lane_id AND severity = 'error')
FROM qianzhi.lanes
JOIN qianzhi.destinations USING (destination_id)
WHERE name = %(destination)s
