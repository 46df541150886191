-- name: log
-- The validation log of an institution: one line a batch, the newest first.
SELECT
    batch_id, received_at::date AS received_on, date_trunc('second', received_at)::time AS received_time, dataset,
    row_count AS submitted, accepted_count AS succeeded, rejected_count AS failed
FROM qianzhi.batches
WHERE institution_id = %(institution_id)s
    AND regulator = %(regulator)s
    AND (%(dataset)s::text IS NULL OR dataset = %(dataset)s)
    AND (%(first)s::date IS NULL OR received_at >= %(first)s::date)
    AND (%(last)s::date IS NULL OR received_at < %(last)s::date + 1)
ORDER BY received_at DESC, batch_seq DESC
LIMIT %(count)s OFFSET %(skip)s;

-- name: batch
-- Where the rows of an institution's batch are.
SELECT batch_seq, dataset
FROM qianzhi.batches
WHERE institution_id = %(institution_id)s AND regulator = %(regulator)s AND batch_id = %(batch_id)s;

-- name: failed
-- The rejected rows of a batch, in the order of their ids, as they came.
SELECT row_id, {columns}
FROM {table}
WHERE batch_seq = %(batch_seq)s AND NOT accepted AND row_id > %(after)s
ORDER BY row_id
LIMIT %(count)s;

-- name: findings_of_rows
-- Everything found in some rows of a batch.
SELECT row_id, code, class, field, value, detail, severity
FROM qianzhi.findings
WHERE batch_seq = %(batch_seq)s AND row_id = ANY (%(row_ids)s::bigint[])
ORDER BY row_id, code, field;

-- name: findings
-- The newest findings of the hub, with whose they are.
SELECT
    i.regulator, i.code AS institution, f.dataset, b.batch_id::text AS batch_id, f.found_at::text AS found_at,
    f.row_id, f.code, f.class, f.field, f.value, f.detail, f.severity
FROM qianzhi.findings AS f
JOIN qianzhi.batches AS b USING (batch_seq)
JOIN qianzhi.institutions AS i ON i.institution_id = f.institution_id
WHERE (%(institution)s::text IS NULL OR i.code = %(institution)s)
    AND (%(dataset)s::text IS NULL OR f.dataset = %(dataset)s)
    AND (%(since)s::timestamptz IS NULL OR f.found_at >= %(since)s)
ORDER BY f.found_at DESC, f.batch_seq DESC, f.row_id, f.code
LIMIT %(count)s;

-- name: log_of_all
-- The validation log of every institution: one line a batch, the newest first.
SELECT
    b.received_at::date AS received_on, date_trunc('second', b.received_at)::time AS received_time,
    i.regulator, i.code AS institution, b.dataset,
    b.row_count AS submitted, b.accepted_count AS succeeded, b.rejected_count AS failed,
    b.batch_id::text AS batch_id
FROM qianzhi.batches AS b
JOIN qianzhi.institutions AS i USING (institution_id)
WHERE (%(institution)s::text IS NULL OR i.code = %(institution)s)
    AND (%(dataset)s::text IS NULL OR b.dataset = %(dataset)s)
ORDER BY b.received_at DESC, b.batch_seq DESC
LIMIT %(count)s;
