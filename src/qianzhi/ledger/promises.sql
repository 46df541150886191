-- name: add
-- Promise images to the destination of a lane.
INSERT INTO qianzhi.promised_images (destination_id, digest, byte_count, promised_at)
SELECT lanes.destination_id, digest, byte_count, %(promised_at)s
FROM qianzhi.lanes, unnest(%(digests)s::bytea[], %(byte_counts)s::bigint[]) AS named (digest, byte_count)
WHERE lanes.lane_id = %(lane_id)s
ON CONFLICT DO NOTHING

-- name: due
-- The images of a destination that may be sent now.
SELECT digest, attempt_count
FROM qianzhi.promised_images JOIN qianzhi.destinations USING (destination_id)
WHERE name = %(destination)s AND sent_at IS NULL AND (next_attempt_at IS NULL OR next_attempt_at <= %(now)s)
ORDER BY promised_at, digest
LIMIT %(limit)s

-- name: keep
-- An image is at the destination.
UPDATE qianzhi.promised_images SET sent_at = %(sent_at)s, trouble = NULL, next_attempt_at = NULL
FROM qianzhi.destinations
WHERE destinations.destination_id = promised_images.destination_id AND name = %(destination)s AND digest = %(digest)s

-- name: fail
-- An image could not be sent.
UPDATE qianzhi.promised_images
SET attempt_count = attempt_count + 1, trouble = %(trouble)s, next_attempt_at = %(next_attempt_at)s
FROM qianzhi.destinations
WHERE destinations.destination_id = promised_images.destination_id AND name = %(destination)s AND digest = %(digest)s

-- name: left
-- What is promised to a destination and not sent.
SELECT count(*), coalesce(sum(byte_count), 0)::bigint, count(trouble)
FROM qianzhi.promised_images JOIN qianzhi.destinations USING (destination_id)
WHERE name = %(destination)s AND sent_at IS NULL

-- name: oldest_trouble
-- Why the oldest image failed that is still to be sent.
SELECT trouble
FROM qianzhi.promised_images JOIN qianzhi.destinations USING (destination_id)
WHERE name = %(destination)s AND sent_at IS NULL AND trouble IS NOT NULL
ORDER BY promised_at, digest
LIMIT 1
