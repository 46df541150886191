-- name: watched
-- Every institution that must send, with its first batch of a window and whether its silence is noticed already.
SELECT
    i.institution_id,
    EXISTS (
        SELECT FROM qianzhi.batches AS b
        WHERE b.institution_id = i.institution_id
            AND b.received_at >= %(opens_at)s
            AND b.received_at < %(deadline_at)s
    ) AS sent,
    EXISTS (
        SELECT FROM qianzhi.interruptions AS n
        WHERE n.institution_id = i.institution_id AND n.window_on = %(window_on)s
    ) AS noticed,
    i.state::text AS state,
    i.registered_at
FROM qianzhi.institutions AS i
WHERE i.regulator = %(regulator)s;

-- name: notice
-- Write down that a window passed without a batch; once.
INSERT INTO qianzhi.interruptions (institution_id, window_on, deadline_at, noticed_at)
SELECT unnest(%(institution_ids)s::integer[]), %(window_on)s, %(deadline_at)s, %(noticed_at)s
ON CONFLICT (institution_id, window_on) DO NOTHING;

-- name: end
-- End the interruptions after whose deadline a batch came.
UPDATE qianzhi.interruptions AS n
SET ended_at = came.received_at
FROM (
    SELECT open.interruption_id, min(b.received_at) AS received_at
    FROM qianzhi.interruptions AS open
    JOIN qianzhi.batches AS b ON b.institution_id = open.institution_id AND b.received_at >= open.deadline_at
    WHERE open.ended_at IS NULL
    GROUP BY open.interruption_id
) AS came
WHERE n.interruption_id = came.interruption_id
RETURNING n.institution_id;

-- name: open
-- Who is silent now, and since which window.
SELECT i.regulator, i.code, i.name, min(n.window_on) AS since, count(*) AS window_count
FROM qianzhi.interruptions AS n
JOIN qianzhi.institutions AS i USING (institution_id)
WHERE n.ended_at IS NULL
GROUP BY i.regulator, i.code, i.name
ORDER BY i.regulator, i.code;
