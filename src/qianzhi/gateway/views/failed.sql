-- name: begin_reading
-- Let the questions of one page see the same rows.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: lanes
-- Every lane, with the words by which people choose it.
SELECT lane_id, destinations.name, lanes.regulator, lanes.dataset
FROM qianzhi.lanes JOIN qianzhi.destinations USING (destination_id)

-- name: kinds
-- How many findings there are of each kind between two days, and how many there ever were.
SELECT lane_id, code, class, field, severity, origin::text, coalesce(sum(total_count) FILTER (WHERE is_within), 0)::bigint,
    coalesce(sum(open_count) FILTER (WHERE is_within), 0)::bigint, sum(total_count)::bigint
FROM qianzhi.finding_counts
CROSS JOIN LATERAL (SELECT (%(since_on)s::date IS NULL OR found_on >= %(since_on)s)
    AND (%(until_on)s::date IS NULL OR found_on <= %(until_on)s) AS is_within) AS day
GROUP BY 1, 2, 3, 4, 5, 6

-- name: days
-- How many findings of a choice there are on each day.
SELECT found_on, sum(CASE WHEN %(open_only)s THEN open_count ELSE total_count END)::bigint AS chosen
FROM qianzhi.finding_counts
WHERE lane_id = ANY(%(lane_ids)s::smallint[])
  AND (%(since_on)s::date IS NULL OR found_on >= %(since_on)s)
  AND (%(until_on)s::date IS NULL OR found_on <= %(until_on)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(class)s::text IS NULL OR class = %(class)s)
  AND (%(field)s::text IS NULL OR field = %(field)s)
  AND (%(severity)s::text IS NULL OR severity = %(severity)s)
  AND (%(origin)s::text IS NULL OR origin = %(origin)s::qianzhi.finding_origin)
GROUP BY 1
HAVING sum(CASE WHEN %(open_only)s THEN open_count ELSE total_count END) > 0
ORDER BY 1

-- name: chosen
-- The newest findings of a choice ({direction}: or the oldest), without what only a page shows.
SELECT finding_id, lane_id, row_id, code, class, field, severity, origin::text, found_at
FROM {source} AS findings
WHERE (%(every_lane)s OR lane_id = ANY(%(lane_ids)s::smallint[]))
  AND (%(since)s::timestamptz IS NULL OR found_at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR found_at < %(until)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(class)s::text IS NULL OR class = %(class)s)
  AND (%(field)s::text IS NULL OR field = %(field)s)
  AND (%(severity)s::text IS NULL OR severity = %(severity)s)
  AND (%(origin)s::text IS NULL OR origin = %(origin)s::qianzhi.finding_origin)
  AND (NOT %(open_only)s OR closed_at IS NULL)
  AND {search}
  AND {behind}
ORDER BY found_at {direction}, finding_id {direction}
LIMIT %(limit)s OFFSET %(offset)s

-- name: frequent
-- Where frequent findings are read from: whoever walks back in time soon has a page of them.
qianzhi.findings

-- name: seldom
-- Where seldom findings are read from: the index of their kinds.
(SELECT of_kind.*
 FROM unnest(%(kind_lanes)s::smallint[], %(kind_codes)s::text[], %(kind_fields)s::text[]) AS kind (lane_id, code, field)
 CROSS JOIN LATERAL (
     SELECT * FROM qianzhi.findings AS one
     WHERE one.lane_id = kind.lane_id AND one.code = kind.code AND coalesce(one.field, '') = kind.field
     OFFSET 0
 ) AS of_kind)

-- name: exact
-- What a text names: the findings of a row, or of a record.
SELECT finding_id FROM qianzhi.findings
WHERE lane_id = ANY(%(lane_ids)s::smallint[]) AND row_id = %(number)s
UNION
SELECT finding_id FROM qianzhi.findings WHERE key_hash = ANY(%(key_hashes)s::bigint[])
LIMIT %(limit)s

-- name: valued
-- What has a text in its value. Nothing else is looked at, so that a million values are looked through in time.
SELECT finding_id FROM qianzhi.findings WHERE value LIKE %(pattern)s ORDER BY found_at DESC, finding_id DESC LIMIT %(limit)s

-- name: search_known
-- A text that few findings have: they are known.
finding_id = ANY(%(known)s::bigint[])

-- name: search_value
-- A text that many findings have is met soon when walking back in time.
(value LIKE %(pattern)s OR finding_id = ANY(%(known)s::bigint[]))

-- name: behind_newest
-- What comes behind a finding, newest first.
(found_at, finding_id) < (%(last_at)s::timestamptz, %(last_id)s::bigint)

-- name: whole
-- Findings by their numbers, with all that a page shows.
SELECT finding_id, lane_id, row_id, code, class, field, value, detail, severity, origin::text, found_at, closed_at,
    batch_id
FROM qianzhi.findings
WHERE finding_id = ANY(%(finding_ids)s::bigint[])

-- name: keys
-- The keys of staged rows, as they spell them.
SELECT id, {key} FROM {table} AS staged WHERE id = ANY(%(row_ids)s::bigint[])
