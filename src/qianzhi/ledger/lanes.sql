-- name: add_destination
-- Register a destination unless it is known.
INSERT INTO qianzhi.destinations (name, regulator) VALUES (%(name)s, %(regulator)s)
ON CONFLICT (name) DO NOTHING

-- name: add_lane
-- Register a dataset towards a destination, or change its mode.
INSERT INTO qianzhi.lanes (destination_id, regulator, dataset, mode)
SELECT destination_id, regulator, %(dataset)s, %(mode)s::qianzhi.lane_mode
FROM qianzhi.destinations WHERE name = %(name)s
ON CONFLICT (destination_id, dataset) DO UPDATE SET mode = excluded.mode WHERE lanes.mode <> excluded.mode

-- name: lanes
-- Every lane of a destination.
SELECT lane_id, destination_id, lanes.regulator, dataset, mode::text
FROM qianzhi.lanes JOIN qianzhi.destinations USING (destination_id)
WHERE name = %(name)s

-- name: every
-- The lanes of all destinations.
SELECT lane_id, destination_id, regulator, dataset, mode::text FROM qianzhi.lanes ORDER BY lane_id

-- name: lock
-- Become the one worker of a lane, until this session ends or lets go.
SELECT pg_try_advisory_lock(%(space)s, %(lane_id)s)

-- name: unlock
-- Let another worker have the lane.
SELECT pg_advisory_unlock(%(space)s, %(lane_id)s)
