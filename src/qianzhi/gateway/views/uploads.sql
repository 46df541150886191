-- name: days
-- The upload log: what each dataset sent on each day, by the day on which the destination had it; what is not there
-- yet, of its sealing.
SELECT (coalesce(delivered_at, batches.settled_at, sealed_at) AT TIME ZONE 'Asia/Shanghai')::date, destinations.name, dataset,
    count(*), sum(row_count)::bigint, coalesce(sum(accepted_count), 0)::bigint, coalesce(sum(rejected_count), 0)::bigint,
    coalesce(sum(row_count) FILTER (WHERE state = 'sealed'), 0)::bigint,
    coalesce(sum(row_count - accepted_count - rejected_count) FILTER (WHERE state = 'delivered'), 0)::bigint,
    sum(byte_count)::bigint
FROM qianzhi.batches
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
WHERE (%(destination)s::text IS NULL OR destinations.name = %(destination)s)
  AND (%(dataset)s::text IS NULL OR dataset = %(dataset)s)
  AND (delivered_at >= %(since)s AND delivered_at < %(until)s
       OR delivered_at IS NULL AND batches.settled_at >= %(since)s AND batches.settled_at < %(until)s
       OR state = 'sealed' AND sealed_at >= %(since)s AND sealed_at < %(until)s)
  AND state NOT IN ('split', 'refused')
GROUP BY 1, 2, 3
ORDER BY 1 DESC, 2, 3
LIMIT %(limit)s

-- name: batches
-- The batches of a day, the newest first; those that were split or refused stand for what they tried.
SELECT batch_id, destinations.name, dataset, state::text, row_count, accepted_count, rejected_count, byte_count,
    sealed_at, delivered_at, batches.settled_at, split_from, cycles.kind, receipts.received_at, octet_length(receipts.document)
FROM qianzhi.batches
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
LEFT JOIN qianzhi.cycles USING (cycle_id)
LEFT JOIN qianzhi.receipts USING (batch_id)
WHERE (%(destination)s::text IS NULL OR destinations.name = %(destination)s)
  AND (%(dataset)s::text IS NULL OR dataset = %(dataset)s)
  AND (delivered_at >= %(since)s AND delivered_at < %(until)s
       OR delivered_at IS NULL AND batches.settled_at >= %(since)s AND batches.settled_at < %(until)s
       OR state = 'sealed' AND sealed_at >= %(since)s AND sealed_at < %(until)s)
ORDER BY coalesce(delivered_at, batches.settled_at, sealed_at) DESC, batch_id
LIMIT %(limit)s OFFSET %(offset)s

-- name: attempts
-- Every attempt of some batches, the first first.
SELECT batch_id, attempted_at, took_seconds, outcome, next_attempt_at
FROM qianzhi.attempts
WHERE batch_id = ANY(%(batch_ids)s::uuid[])
ORDER BY attempt_id

-- name: receipt
-- The answer to a batch, byte for byte, unless it is too long to show.
SELECT document FROM qianzhi.receipts
WHERE batch_id = %(batch_id)s AND octet_length(document) <= %(bytes_max)s
