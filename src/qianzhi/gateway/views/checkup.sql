-- name: waiting
-- How many rows wait for a destination's next cycle.
SELECT count(*)
FROM qianzhi.arrived
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE name = %(destination)s AND mode <> 'off'
