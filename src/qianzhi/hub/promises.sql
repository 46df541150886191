-- name: note
-- Write down images that rows of a batch name and that are not held.
INSERT INTO qianzhi.promised_images (institution_id, digest, batch_seq, promised_at)
SELECT %(institution_id)s, digest, %(batch_seq)s, %(promised_at)s
FROM unnest(%(digests)s::bytea[]) AS digest
ON CONFLICT (institution_id, digest) DO NOTHING;

-- name: forget_kept
-- Remove the promises whose image came. A promise may be written just after its image: looking later finds both.
DELETE FROM qianzhi.promised_images AS p
USING qianzhi.blobs AS b
WHERE b.institution_id = p.institution_id AND b.digest = p.digest;

-- name: overdue
-- Who owes images that were promised before an instant.
SELECT i.regulator, i.code, i.name, count(*) AS images, min(p.promised_at) AS since
FROM qianzhi.promised_images AS p
JOIN qianzhi.institutions AS i USING (institution_id)
WHERE p.promised_at < %(promised_before)s
  AND NOT EXISTS (
      SELECT FROM qianzhi.blobs AS b WHERE b.institution_id = p.institution_id AND b.digest = p.digest)
GROUP BY i.regulator, i.code, i.name
ORDER BY i.regulator, i.code;
