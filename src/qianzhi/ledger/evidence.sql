-- Evidence: files by record, and the questions that were asked.

-- name: of_records
-- Gives the files of some records, each pair of kind and record once, in the order in which they are shown.
-- OFFSET 0 keeps the planner from reading the whole register where its statistics are old.
SELECT m.media_id, m.kind, m.record, m.place, m.location, m.media_type, m.byte_count, m.modified_ns
FROM unnest(%(kinds)s::text[], %(records)s::text[]) AS wanted (kind, record)
CROSS JOIN LATERAL (
    SELECT media_id, kind, record, number, place::text AS place, location, media_type, byte_count, modified_ns
    FROM qianzhi.evidence_media
    WHERE record = wanted.record AND kind = wanted.kind AND regulator = %(regulator)s AND removed_at IS NULL
    OFFSET 0
) m
ORDER BY m.number, m.media_id;

-- name: of_ids
-- Gives some files that were not removed.
SELECT media_id, kind, record, place::text AS place, location, media_type, byte_count, modified_ns
FROM qianzhi.evidence_media
WHERE media_id = ANY(%(media_ids)s) AND removed_at IS NULL;

-- name: known
-- Tells which of some records have a file, by kind.
SELECT DISTINCT m.kind, m.record
FROM unnest(%(records)s::text[]) AS wanted (record)
CROSS JOIN LATERAL (
    SELECT kind, record
    FROM qianzhi.evidence_media
    WHERE record = wanted.record AND regulator = %(regulator)s AND removed_at IS NULL
    OFFSET 0
) m;

-- name: remove_same
-- Removes the entry that a new one of the same place replaces.
UPDATE qianzhi.evidence_media SET removed_at = %(now)s
WHERE regulator = %(regulator)s AND kind = %(kind)s AND record = %(record)s AND location = %(location)s
    AND removed_at IS NULL;

-- name: register
-- Enters a file.
INSERT INTO qianzhi.evidence_media (
    regulator, kind, record, number, place, location, media_type, codecs, byte_count, modified_ns, folder, registered_at
) VALUES (
    %(regulator)s, %(kind)s, %(record)s, %(number)s, %(place)s, %(location)s, %(media_type)s, %(codecs)s,
    %(byte_count)s, %(modified_ns)s, %(folder)s, %(now)s
) RETURNING media_id;

-- name: remove
-- Removes files by number; what was removed before is left as it is.
UPDATE qianzhi.evidence_media SET removed_at = %(now)s
WHERE media_id = ANY(%(media_ids)s) AND removed_at IS NULL;

-- name: of_folder
-- Gives the files that the scan of a folder knows.
SELECT location, media_id, byte_count, modified_ns
FROM qianzhi.evidence_media
WHERE folder = %(folder)s AND removed_at IS NULL;

-- name: listed
-- Lists files, the newest first, of one record if it is given.
SELECT media_id, kind, record, number, place::text AS place, location, media_type, codecs, byte_count, folder, registered_at
FROM qianzhi.evidence_media
WHERE regulator = %(regulator)s AND removed_at IS NULL AND (%(record)s::text IS NULL OR record = %(record)s)
ORDER BY media_id DESC
LIMIT %(limit)s;

-- name: counts
-- Counts files and records by kind and media type.
SELECT kind, media_type, count(*) AS files, count(DISTINCT record) AS records, sum(byte_count)::bigint AS bytes
FROM qianzhi.evidence_media
WHERE regulator = %(regulator)s AND removed_at IS NULL
GROUP BY kind, media_type
ORDER BY kind, media_type;

-- name: note
-- Puts questions on record, given as one JSON text: thousands of parameters would keep the process busy that answers.
INSERT INTO qianzhi.evidence_questions (asked_at, method, outcome, client, record_digest, token_digest, earlier)
SELECT asked_at, method, outcome, client, decode(record_digest, 'hex'), decode(token_digest, 'hex'), earlier
FROM json_to_recordset(%(questions)s::json) AS told (
    asked_at timestamptz, method text, outcome text, client inet, record_digest text, token_digest text, earlier integer
);

-- name: asked
-- Lists questions, the newest first.
SELECT asked_at, method, outcome, host(client) AS client, 
    encode(record_digest, 'hex') AS record_digest, earlier
FROM qianzhi.evidence_questions
ORDER BY question_id DESC
LIMIT %(limit)s OFFSET %(offset)s;

-- name: asked_count
-- Counts questions, as far as anybody turns pages.
SELECT count(*) FROM (SELECT FROM qianzhi.evidence_questions LIMIT %(limit)s) counted;

-- name: forget
-- Drops questions that are older than anybody must know.
DELETE FROM qianzhi.evidence_questions WHERE asked_at < %(before)s;
