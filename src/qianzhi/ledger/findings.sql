-- name: known
-- Which findings the rows of a batch have on record already, be it of the batch that it was split from.
SELECT f.row_id, f.code, f.field
FROM qianzhi.batches AS b
JOIN qianzhi.findings AS f
    ON f.lane_id = b.lane_id AND f.row_id BETWEEN lower(b.row_ids) AND upper(b.row_ids) AND f.row_id <@ b.row_ids
WHERE b.batch_id = %(batch_id)s

-- name: listed
-- Findings on record, and what held rows wait for. A finding is open until a later row of its record is
-- accepted, or delivered to where nobody has spoken of it yet.
SELECT lanes.dataset, f.row_id, f.code, f.class, f.field, f.value, f.detail, f.severity, f.origin::text, f.found_at, false
FROM qianzhi.findings AS f
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s
  AND (%(dataset)s::text IS NULL OR lanes.dataset = %(dataset)s)
  AND (%(since)s::timestamptz IS NULL OR f.found_at >= %(since)s)
  AND NOT (%(open_only)s AND f.closed_at IS NOT NULL)
UNION ALL
SELECT lanes.dataset, h.row_id, h.code, 'E06', h.field, h.value, h.wants, 'error', 'gateway', h.held_at, true
FROM qianzhi.held AS h
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s
  AND (%(dataset)s::text IS NULL OR lanes.dataset = %(dataset)s)
  AND (%(since)s::timestamptz IS NULL OR h.held_at >= %(since)s)
ORDER BY 1, 2, 3, 5
LIMIT %(limit)s
