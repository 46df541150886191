-- name: add_institution
-- Register an institution; gives nothing when the regulator has its code already.
INSERT INTO qianzhi.institutions (regulator, code, name)
VALUES (%(regulator)s, %(code)s, %(name)s)
ON CONFLICT (regulator, code) DO NOTHING
RETURNING institution_id;

-- name: institution
-- One institution by the code that the platform gave it.
SELECT institution_id, regulator, code, name, state::text AS state, registered_at
FROM qianzhi.institutions
WHERE regulator = %(regulator)s AND code = %(code)s;

-- name: institutions
-- Every institution with the number of its valid credentials and its last batch.
SELECT
    i.institution_id, i.regulator, i.code, i.name, i.state::text AS state, i.registered_at,
    (
        SELECT count(*) FROM qianzhi.credentials AS c
        WHERE c.institution_id = i.institution_id
            AND c.revoked_at IS NULL
            AND (c.expires_at IS NULL OR c.expires_at > now())
    ) AS credential_count,
    (SELECT max(b.received_at) FROM qianzhi.batches AS b WHERE b.institution_id = i.institution_id) AS last_batch_at
FROM qianzhi.institutions AS i
WHERE %(regulator)s::text IS NULL OR i.regulator = %(regulator)s
ORDER BY i.regulator, i.code;

-- name: set_state
-- Change what an institution may do.
UPDATE qianzhi.institutions
SET state = %(state)s::qianzhi.institution_state
WHERE institution_id = %(institution_id)s;

-- name: add_credential
-- Keep the digest of a new credential's secret.
INSERT INTO qianzhi.credentials (credential_id, institution_id, secret_digest)
VALUES (%(credential_id)s, %(institution_id)s, %(secret_digest)s);

-- name: credentials
-- Every credential of an institution, the newest first.
SELECT
    credential_id, created_at, expires_at, revoked_at,
    revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AS valid
FROM qianzhi.credentials
WHERE institution_id = %(institution_id)s
ORDER BY created_at DESC, credential_id;

-- name: expire_others
-- Let the other valid credentials of an institution end after an overlap; an earlier end stands.
UPDATE qianzhi.credentials
SET expires_at = least(expires_at, now() + make_interval(secs => %(overlap_seconds)s))
WHERE institution_id = %(institution_id)s AND credential_id <> %(credential_id)s AND revoked_at IS NULL;

-- name: revoke
-- End a credential at once; the first revocation stands.
UPDATE qianzhi.credentials
SET revoked_at = now()
WHERE credential_id = %(credential_id)s AND revoked_at IS NULL
RETURNING institution_id;

-- name: bearer
-- Who a valid credential belongs to, and the digest that proves its secret.
SELECT c.secret_digest, i.institution_id, i.regulator, i.code, i.state::text AS state
FROM qianzhi.credentials AS c
JOIN qianzhi.institutions AS i USING (institution_id)
WHERE c.credential_id = %(credential_id)s
    AND c.revoked_at IS NULL
    AND (c.expires_at IS NULL OR c.expires_at > now());
