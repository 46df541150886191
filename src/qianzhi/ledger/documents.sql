-- name: lock
-- Let one change of a destination's documents happen at a time; gives its number.
SELECT destination_id FROM qianzhi.destinations WHERE name = %(destination)s FOR NO KEY UPDATE;

-- name: add
-- Keep a version.
INSERT INTO qianzhi.documents
    (destination_id, document, dated_on, file_name, digest, media_type, byte_count, page_count, added_at, added_by)
SELECT destination_id, %(document)s, %(dated_on)s, %(file_name)s, %(digest)s, %(media_type)s, %(byte_count)s, %(page_count)s,
    %(added_at)s, %(added_by)s
FROM qianzhi.destinations WHERE name = %(destination)s;

-- name: versions
-- The versions of a destination's documents, the newest first, each with the last step that was taken with it.
SELECT d.document_id, d.document, d.dated_on, d.file_name, d.digest, d.media_type, d.byte_count, d.page_count, d.added_at,
    d.added_by, last.step::text AS step, coalesce(last.reason, '') AS reason, last.happened_at
FROM qianzhi.documents AS d
JOIN qianzhi.destinations USING (destination_id)
LEFT JOIN LATERAL (
    SELECT step, reason, happened_at FROM qianzhi.document_steps AS s
    WHERE s.document_id = d.document_id ORDER BY happened_at DESC, step_id DESC LIMIT 1
) AS last ON true
WHERE destinations.name = %(destination)s AND (%(document)s::text IS NULL OR d.document = %(document)s)
ORDER BY d.document_id DESC
LIMIT %(limit)s;

-- name: note
-- Note a step, once.
INSERT INTO qianzhi.document_steps (document_id, step, reason, happened_at)
VALUES (%(document_id)s, %(step)s, %(reason)s, %(happened_at)s)
ON CONFLICT (document_id, step, happened_at) DO NOTHING;

-- name: announce
-- Note what a destination publishes; what is known stays as it is.
INSERT INTO qianzhi.publications
    (destination_id, publication_id, kind, title, file_name, media_type, digest, byte_count, published_at)
SELECT destination_id, %(publication_id)s, %(kind)s, %(title)s, %(file_name)s, %(media_type)s, %(digest)s, %(byte_count)s,
    %(published_at)s
FROM qianzhi.destinations WHERE name = %(destination)s
ON CONFLICT (destination_id, publication_id) DO NOTHING;

-- name: withdraw_others
-- Note that a destination lists no other publications any more.
UPDATE qianzhi.publications SET withdrawn_at = %(now)s
FROM qianzhi.destinations
WHERE destinations.destination_id = publications.destination_id AND destinations.name = %(destination)s
    AND withdrawn_at IS NULL AND NOT publication_id = ANY (%(publication_ids)s::uuid[]);

-- name: publications
-- What a destination publishes or published, the newest first.
SELECT publication_id, kind, title, file_name, media_type, digest, byte_count, published_at, fetched_at, withdrawn_at
FROM qianzhi.publications
JOIN qianzhi.destinations USING (destination_id)
WHERE destinations.name = %(destination)s
    AND (%(publication_id)s::uuid IS NULL OR publication_id = %(publication_id)s)
ORDER BY published_at DESC, publication_id
LIMIT %(limit)s;

-- name: fetched
-- Note that the file of a publication is here.
UPDATE qianzhi.publications SET fetched_at = %(now)s
FROM qianzhi.destinations
WHERE destinations.destination_id = publications.destination_id AND destinations.name = %(destination)s
    AND publication_id = %(publication_id)s AND fetched_at IS NULL;
