-- name: open
-- A session that was just signed in to.
INSERT INTO qianzhi.console_sessions
    (token_digest, account, role, is_database, address, opened_at, seen_at, expires_at)
VALUES (%(digest)s, %(account)s, %(role)s::qianzhi.console_role, %(is_database)s, %(address)s,
        %(now)s, %(now)s, %(expires_at)s);

-- name: find
-- A session that nobody has ended; who wants to end it now waits for this transaction.
SELECT account, role::text, is_database, opened_at, seen_at, expires_at
FROM qianzhi.console_sessions WHERE token_digest = %(digest)s AND ended_at IS NULL FOR SHARE;

-- name: end
-- A session ends.
UPDATE qianzhi.console_sessions SET ended_at = %(now)s WHERE token_digest = %(digest)s AND ended_at IS NULL;

-- name: seen
-- When sessions were last used.
UPDATE qianzhi.console_sessions AS kept SET seen_at = greatest(kept.seen_at, fresh.seen_at)
FROM unnest(%(digests)s::bytea[], %(instants)s::timestamptz[]) AS fresh (digest, seen_at)
WHERE kept.token_digest = fresh.digest;

-- name: still_open
-- Which of these sessions nobody has ended, also not by a command.
SELECT token_digest FROM qianzhi.console_sessions WHERE token_digest = ANY(%(digests)s) AND ended_at IS NULL;

-- name: forget
-- Sessions of long ago.
DELETE FROM qianzhi.console_sessions WHERE opened_at < %(before)s;
