-- name: known
-- The digest and the receipt of a batch that was received before.
SELECT digest, receipt
FROM qianzhi.batches
WHERE institution_id = %(institution_id)s AND batch_id = %(batch_id)s;

-- name: add_batch
-- Write down one act of sending with its receipt.
INSERT INTO qianzhi.batches (
    institution_id, batch_id, regulator, dataset, edition, ruleset, as_of, digest, byte_count,
    row_count, accepted_count, rejected_count, received_at, receipt
)
VALUES (
    %(institution_id)s, %(batch_id)s, %(regulator)s, %(dataset)s, %(edition)s, %(ruleset)s, %(as_of)s, %(digest)s,
    %(byte_count)s, %(row_count)s, %(accepted_count)s, %(rejected_count)s, %(received_at)s, %(receipt)b
)
RETURNING batch_seq;
