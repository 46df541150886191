-- name: seal
-- Fix the members and bytes of a batch.
INSERT INTO qianzhi.batches
    (batch_id, lane_id, cycle_id, split_from, edition, ruleset, as_of, row_ids, row_count, digest, byte_count)
VALUES (%(batch_id)s, %(lane_id)s, %(cycle_id)s, %(split_from)s, %(edition)s, %(ruleset)s, %(as_of)s,
    %(row_ids)s::int8multirange, %(row_count)s, %(digest)s, %(byte_count)s)

-- name: open_batches
-- The sealed batches of a lane, oldest first, with the time before which they are not tried again.
SELECT batch_id, lane_id, cycle_id, edition, ruleset, as_of, row_count, digest,
    coalesce(last.attempt_count, 0), last.next_attempt_at
FROM qianzhi.batches
LEFT JOIN LATERAL (
    SELECT count(*) AS attempt_count, max(next_attempt_at) AS next_attempt_at
    FROM qianzhi.attempts WHERE attempts.batch_id = batches.batch_id
) AS last ON true
WHERE lane_id = %(lane_id)s AND state = 'sealed'
ORDER BY sealed_at
LIMIT %(limit)s

-- name: sealed_ids
-- The batches whose bytes are still promised.
SELECT batch_id FROM qianzhi.batches WHERE state = 'sealed'

-- name: note_attempt
-- Record one attempt to deliver a batch.
INSERT INTO qianzhi.attempts (batch_id, attempted_at, took_seconds, outcome, next_attempt_at)
VALUES (%(batch_id)s, %(attempted_at)s, %(took_seconds)s, %(outcome)s, %(next_attempt_at)s)

-- name: settle
-- Record that the destination has answered a batch. No row changes where it is settled already.
UPDATE qianzhi.batches
SET state = 'settled', settled_at = %(settled_at)s, accepted_count = %(accepted_count)s,
    rejected_count = %(rejected_count)s
WHERE batch_id = %(batch_id)s AND state = 'sealed'

-- name: keep_receipt
-- Keep the destination's answer byte for byte.
INSERT INTO qianzhi.receipts (batch_id, received_at, document) VALUES (%(batch_id)s, %(received_at)s, %(document)s)

-- name: close
-- End a batch without a receipt: split into smaller ones, or refused as a single row.
UPDATE qianzhi.batches SET state = %(state)s::qianzhi.batch_state, settled_at = now()
WHERE batch_id = %(batch_id)s AND state = 'sealed'

-- name: add_outcomes
-- Say what became of rows that are not accepted.
INSERT INTO qianzhi.outcomes (lane_id, row_id, batch_id, outcome)
SELECT %(lane_id)s, row_id, %(batch_id)s, %(outcome)s::qianzhi.row_outcome
FROM unnest(%(row_ids)s::bigint[]) AS row_id

-- name: add_cycle
-- Open a cycle of a destination.
INSERT INTO qianzhi.cycles (destination_id, kind, cut_off, as_of, started_at)
VALUES (%(destination_id)s, %(kind)s, %(cut_off)s, %(as_of)s, %(started_at)s)
RETURNING cycle_id

-- name: unfinished_cycle
-- The cycle of a kind and cut-off that was begun and has not come to its end.
SELECT cycle_id, as_of FROM qianzhi.cycles
WHERE destination_id = %(destination_id)s AND kind = %(kind)s AND cut_off = %(cut_off)s AND finished_at IS NULL
ORDER BY cycle_id DESC
LIMIT 1

-- name: finish_cycle
-- Close a cycle.
UPDATE qianzhi.cycles SET finished_at = %(finished_at)s WHERE cycle_id = %(cycle_id)s

-- name: has_broken_off
-- Whether a destination has a cycle that `finish_broken_off` would close, if nobody is at it.
SELECT EXISTS (
    SELECT FROM qianzhi.cycles JOIN qianzhi.destinations USING (destination_id)
    WHERE name = %(destination)s AND finished_at IS NULL
      AND (kind <> 'nightly' OR EXISTS (
          SELECT FROM qianzhi.cycles AS later
          WHERE later.destination_id = cycles.destination_id AND later.kind = 'nightly'
            AND later.cut_off > cycles.cut_off AND later.finished_at IS NOT NULL))
      AND NOT EXISTS (
          SELECT FROM qianzhi.batches JOIN qianzhi.lanes USING (lane_id)
          WHERE batches.cycle_id = cycles.cycle_id AND state = 'sealed' AND mode <> 'off'))

-- name: finish_broken_off
-- Close the cycles of a destination that were broken off, once no batch of theirs is open. A nightly one is gone on
-- with by its own tick, for rows that it has not taken are still to go with it, until a later one has taken them.
UPDATE qianzhi.cycles SET finished_at = %(finished_at)s
FROM qianzhi.destinations
WHERE destinations.destination_id = cycles.destination_id AND name = %(destination)s AND finished_at IS NULL
  AND (kind <> 'nightly' OR EXISTS (
      SELECT FROM qianzhi.cycles AS later
      WHERE later.destination_id = cycles.destination_id AND later.kind = 'nightly'
        AND later.cut_off > cycles.cut_off AND later.finished_at IS NOT NULL))
  AND NOT EXISTS (
      SELECT FROM qianzhi.batches JOIN qianzhi.lanes USING (lane_id)
      WHERE batches.cycle_id = cycles.cycle_id AND state = 'sealed' AND mode <> 'off')

-- name: last_nightly_cut_off
-- The newest cut-off that a nightly cycle of a destination has worked through to its end. One that lies ahead comes
-- from a time when the clock was wrong, and must not hide those that came after it.
SELECT max(cut_off) FROM qianzhi.cycles JOIN qianzhi.destinations USING (destination_id)
WHERE name = %(destination)s AND kind = 'nightly' AND finished_at IS NOT NULL
    AND cut_off <= %(now)s

-- name: has_due
-- Whether a sealed batch of a destination is due for another attempt. One without any attempt is being sent now,
-- or was left behind by a crash; either way the lane's lock decides.
SELECT EXISTS (
    SELECT FROM qianzhi.batches
    JOIN qianzhi.lanes USING (lane_id)
    JOIN qianzhi.destinations USING (destination_id)
    CROSS JOIN LATERAL (
        SELECT max(next_attempt_at) AS next_attempt_at FROM qianzhi.attempts
        WHERE attempts.batch_id = batches.batch_id) AS last
    WHERE name = %(destination)s AND state = 'sealed' AND lanes.mode <> 'off'
      AND (last.next_attempt_at IS NULL OR last.next_attempt_at <= %(now)s OR last.next_attempt_at > %(latest)s))
