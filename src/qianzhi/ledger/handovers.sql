-- name: note
-- A transaction that is about to be committed over there.
INSERT INTO qianzhi.handovers (batch_id, handed_at, remote_system, remote_transaction, remote_ids)
VALUES (%(batch_id)s, %(handed_at)s, %(remote_system)s, %(remote_transaction)s, %(remote_ids)s::int8multirange)

-- name: last
-- The newest transaction of a batch, and the numbers of its rows one by one.
SELECT handed_at, remote_system, remote_transaction,
    ARRAY(SELECT remote_id FROM unnest(remote_ids) AS one,
          generate_series(lower(one), upper(one) - 1) AS remote_id ORDER BY remote_id),
    is_there
FROM qianzhi.handovers
WHERE batch_id = %(batch_id)s
ORDER BY handover_id DESC
LIMIT 1

-- name: decide
-- What an operator found out of the newest transaction of a batch that nobody has answered yet. Of one that had only
-- begun there is nothing to find out: it came to nothing.
UPDATE qianzhi.handovers SET is_there = %(is_there)s
WHERE NOT isempty(remote_ids) AND handover_id = (
    SELECT handover_id FROM qianzhi.handovers JOIN qianzhi.batches USING (batch_id)
    WHERE batch_id = %(batch_id)s AND state = 'sealed' ORDER BY handover_id DESC LIMIT 1)

-- name: newest_of
-- The newest number that a row of ours got in the official table of one dataset. Of a lane's batches only those sealed
-- last can have it: nothing new of a lane overtakes a sealed batch, but for the few that are on their way together.
-- Handovers of no rows are passed over: of a batch that is refused for days, or halved down to its rows, there are many.
-- What was sealed while the clock ran ahead is looked at besides, so that it does not hide what was sealed since.
WITH lane AS MATERIALIZED (
    SELECT lane_id FROM qianzhi.lanes JOIN qianzhi.destinations USING (destination_id)
    WHERE name = %(destination)s AND dataset = %(dataset)s
)
SELECT coalesce(max(upper(remote_ids)) - 1, 0) FROM (
    (SELECT remote_ids FROM qianzhi.batches JOIN qianzhi.handovers USING (batch_id)
     WHERE NOT isempty(remote_ids) AND lane_id = (SELECT lane_id FROM lane) AND sealed_at <= now()
     ORDER BY sealed_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT remote_ids FROM qianzhi.batches JOIN qianzhi.handovers USING (batch_id)
     WHERE NOT isempty(remote_ids) AND lane_id = (SELECT lane_id FROM lane) AND sealed_at > now()
     ORDER BY sealed_at DESC LIMIT %(limit)s)
) AS late

-- name: claimed
-- Which of some numbers stand for rows that were recognised since a time. A batch is recognised as a whole and what we
-- insert gets newer numbers, so that one row tells of each batch: of all that went since, only the batches are read.
SELECT coalesce(array_agg(deliveries.remote_id), '{}')
FROM qianzhi.batches
CROSS JOIN LATERAL (
    SELECT remote_id FROM qianzhi.deliveries WHERE deliveries.batch_id = batches.batch_id LIMIT 1) AS any_of_it
JOIN qianzhi.deliveries USING (batch_id)
WHERE batches.delivered_at >= %(since)s AND batches.lane_id = (
    SELECT lane_id FROM qianzhi.lanes JOIN qianzhi.destinations USING (destination_id)
    WHERE name = %(destination)s AND dataset = %(dataset)s)
  AND any_of_it.remote_id BETWEEN %(first)s AND %(last)s

-- name: spent
-- How many numbers attempts of ours may have used that came to nothing, or are still on their way: each began with a
-- handover of no rows, and was followed by no other. What was used before the newest number is of no interest: what a
-- batch used that was over when the one noted last was sealed. Of two under way together either may get the newer ones.
-- By indexes, however long the ledger: batches that are open, and those that were over since then.
WITH asking AS MATERIALIZED (
    SELECT lane_id, (SELECT max(handover_id) FROM qianzhi.handovers WHERE batch_id = %(batch_id)s) AS handover_id,
        coalesce((
            SELECT sealed_at FROM (
                SELECT late.sealed_at, handover_id
                FROM qianzhi.batches AS late
                JOIN qianzhi.handovers USING (batch_id)
                WHERE NOT isempty(remote_ids) AND late.lane_id = batches.lane_id AND late.sealed_at <= now()
                ORDER BY late.sealed_at DESC
                LIMIT %(limit)s
            ) AS noted
            ORDER BY handover_id DESC LIMIT 1
        ), '-infinity') AS since
    FROM qianzhi.batches WHERE batch_id = %(batch_id)s
), under_way AS MATERIALIZED (
    SELECT batch_id, row_count FROM qianzhi.batches
    WHERE state = 'sealed' AND lane_id = (SELECT lane_id FROM asking)
    UNION
    (SELECT batch_id, row_count FROM qianzhi.batches
     WHERE settled_at > (SELECT since FROM asking) AND lane_id = (SELECT lane_id FROM asking)
     ORDER BY settled_at DESC LIMIT %(over_limit)s)
    UNION
    (SELECT batch_id, row_count FROM qianzhi.batches
     WHERE delivered_at > (SELECT since FROM asking) AND lane_id = (SELECT lane_id FROM asking)
     ORDER BY delivered_at DESC LIMIT %(over_limit)s)
)
SELECT coalesce(sum(row_count * attempts.begun_count), 0)::bigint
FROM under_way
CROSS JOIN LATERAL (
    SELECT count(*) AS begun_count FROM qianzhi.handovers AS begun
    WHERE begun.batch_id = under_way.batch_id AND isempty(remote_ids)
      AND handover_id <> (SELECT handover_id FROM asking)
      AND handover_id > (SELECT coalesce(max(noted.handover_id), 0) FROM qianzhi.handovers AS noted
                         WHERE noted.batch_id = under_way.batch_id AND NOT isempty(noted.remote_ids))
) AS attempts
