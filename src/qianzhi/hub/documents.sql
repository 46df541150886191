-- name: lock
-- Let one document of an institution come at a time, so that its bound holds.
SELECT 1 FROM qianzhi.institutions WHERE institution_id = %(institution_id)s FOR NO KEY UPDATE;

-- name: usage
-- How many versions and bytes an institution has handed in.
SELECT count(*) FILTER (WHERE document = %(document)s) AS version_count,
    coalesce(sum(byte_count), 0)::bigint AS byte_count
FROM qianzhi.documents WHERE institution_id = %(institution_id)s;

-- name: add
-- Keep a version.
INSERT INTO qianzhi.documents
    (institution_id, document, dated_on, digest, media_type, byte_count, page_count, received_at)
VALUES (%(institution_id)s, %(document)s, %(dated_on)s, %(digest)s, %(media_type)s, %(byte_count)s, %(page_count)s,
    %(received_at)s);

-- name: versions
-- Versions with what was said of them last, the newest first: of an institution or all, of every state or one.
SELECT d.document_seq, i.code AS institution, i.name AS institution_name, i.regulator, d.document, d.dated_on, d.digest,
    d.media_type, d.byte_count, d.page_count, d.received_at,
    coalesce(last.verdict::text, 'submitted') AS state, coalesce(last.reason, '') AS reason, last.reviewed_at, last.actor
FROM qianzhi.documents AS d
JOIN qianzhi.institutions AS i USING (institution_id)
LEFT JOIN LATERAL (
    SELECT verdict, reason, reviewed_at, actor FROM qianzhi.reviews AS r
    WHERE r.document_seq = d.document_seq ORDER BY review_id DESC LIMIT 1
) AS last ON true
WHERE (%(institution_id)s::integer IS NULL OR d.institution_id = %(institution_id)s)
    AND (%(document)s::text IS NULL OR d.document = %(document)s)
    AND (%(document_seq)s::bigint IS NULL OR d.document_seq = %(document_seq)s)
    AND (%(state)s::text IS NULL OR coalesce(last.verdict::text, 'submitted') = %(state)s)
ORDER BY d.document_seq DESC
LIMIT %(limit)s;

-- name: review
-- Say what is thought of a version.
INSERT INTO qianzhi.reviews (document_seq, verdict, reason, actor, reviewed_at)
VALUES (%(document_seq)s, %(verdict)s, %(reason)s, %(actor)s, %(reviewed_at)s);
