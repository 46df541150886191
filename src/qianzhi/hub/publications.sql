-- name: add
-- Keep what was published.
INSERT INTO qianzhi.publications
    (publication_id, regulator, kind, title, file_name, media_type, digest, byte_count, for_all, published_at, published_by)
VALUES (%(publication_id)s, %(regulator)s, %(kind)s, %(title)s, %(file_name)s, %(media_type)s, %(digest)s, %(byte_count)s,
    %(for_all)s, %(published_at)s, %(published_by)s);

-- name: address
-- Let an institution fetch a publication that is not for all.
INSERT INTO qianzhi.audiences (publication_id, institution_id) VALUES (%(publication_id)s, %(institution_id)s);

-- name: live
-- The publications of a regulator that can be fetched now, up to a limit.
SELECT publication_id FROM qianzhi.publications
WHERE regulator = %(regulator)s AND withdrawn_at IS NULL
LIMIT %(limit)s;

-- name: visible
-- What an institution may fetch now, all or one, the newest first.
SELECT p.publication_id, p.regulator, p.kind::text AS kind, p.title, p.file_name, p.media_type, p.digest, p.byte_count,
    p.for_all, p.published_at, p.published_by, p.withdrawn_at
FROM qianzhi.publications AS p
WHERE p.regulator = %(regulator)s
    AND p.withdrawn_at IS NULL
    AND (%(publication_id)s::uuid IS NULL OR p.publication_id = %(publication_id)s)
    AND (p.for_all OR EXISTS (
        SELECT FROM qianzhi.audiences AS a
        WHERE a.publication_id = p.publication_id AND a.institution_id = %(institution_id)s
    ))
ORDER BY p.published_at DESC, p.publication_id
LIMIT %(limit)s;

-- name: listed
-- Every publication, withdrawn ones too, the newest first.
SELECT publication_id, regulator, kind::text AS kind, title, file_name, media_type, digest, byte_count, for_all,
    published_at, published_by, withdrawn_at
FROM qianzhi.publications
ORDER BY published_at DESC, publication_id
LIMIT %(limit)s;

-- name: withdraw
-- Let nobody fetch a publication any more.
UPDATE qianzhi.publications SET withdrawn_at = %(now)s
WHERE publication_id = %(publication_id)s AND withdrawn_at IS NULL
RETURNING publication_id;

-- name: certify
-- Keep the signed record of a certificate.
INSERT INTO qianzhi.certificates (publication_id, number, record, signature)
VALUES (%(publication_id)s, %(number)s, %(record)s, %(signature)s);

-- name: certified
-- The signed record of the certificate whose file has a digest.
SELECT c.record, c.signature
FROM qianzhi.certificates AS c
JOIN qianzhi.publications AS p USING (publication_id)
WHERE p.digest = %(digest)s
LIMIT 1;
