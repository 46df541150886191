-- name: add
-- Write down that an institution's blob is stored; a repeat changes nothing.
INSERT INTO qianzhi.blobs (digest, institution_id, byte_count, media_type)
VALUES (%(digest)s, %(institution_id)s, %(byte_count)s, %(media_type)s)
ON CONFLICT (institution_id, digest) DO NOTHING;

-- name: held
-- Whether an institution's blob is stored.
SELECT 1 FROM qianzhi.blobs WHERE institution_id = %(institution_id)s AND digest = %(digest)s;

-- name: held_of
-- Those of the digests that are stored for an institution.
SELECT digest FROM qianzhi.blobs WHERE institution_id = %(institution_id)s AND digest = ANY (%(digests)s);
