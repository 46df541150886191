-- name: datasets
-- What was received of each dataset since an instant.
SELECT
    regulator, dataset, count(*) AS batches, sum(row_count)::bigint AS submitted,
    sum(accepted_count)::bigint AS accepted, sum(rejected_count)::bigint AS rejected,
    max(received_at) AS last_batch_at
FROM qianzhi.batches
WHERE %(since)s::timestamptz IS NULL OR received_at >= %(since)s
GROUP BY regulator, dataset
ORDER BY regulator, dataset;

-- name: counts
-- How many of what there are.
SELECT
    (SELECT count(*) FROM qianzhi.institutions) AS institutions,
    (SELECT count(*) FROM qianzhi.batches) AS batches,
    (SELECT count(*) FROM qianzhi.blobs) AS blobs,
    (SELECT count(*) FROM qianzhi.promised_images) AS promised_images,
    (SELECT count(*) FROM qianzhi.interruptions WHERE ended_at IS NULL) AS interruptions;
