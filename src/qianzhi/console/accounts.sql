-- name: find
-- The verifier and role of an account that may sign in.
SELECT verifier, role::text FROM qianzhi.console_accounts WHERE name = %(name)s AND enabled;

-- name: as_judged
-- An account that is still as it was when a password of it was judged; who wants to change it now waits for this
-- transaction, and who did so before is waited for.
SELECT 1 FROM qianzhi.console_accounts
WHERE name = %(name)s AND verifier = %(verifier)s AND role = %(role)s::qianzhi.console_role AND enabled FOR NO KEY UPDATE;

-- name: exists
-- Whether there is an account of a name, enabled or not.
SELECT 1 FROM qianzhi.console_accounts WHERE name = %(name)s;

-- name: listed
-- Every account, and when somebody last signed in by it.
SELECT name, role::text, enabled, created_at, password_set_at,
       (SELECT max(opened_at) FROM qianzhi.console_sessions WHERE account = name AND NOT is_database)
FROM qianzhi.console_accounts ORDER BY name;

-- name: add
-- A new account; nothing happens when the name is taken.
INSERT INTO qianzhi.console_accounts (name, role, verifier)
VALUES (%(name)s, %(role)s::qianzhi.console_role, %(verifier)s) ON CONFLICT DO NOTHING RETURNING name;

-- name: set_password
-- Another password.
UPDATE qianzhi.console_accounts SET verifier = %(verifier)s, password_set_at = now()
WHERE name = %(name)s RETURNING name;

-- name: set_enabled
-- Let an account sign in, or no longer.
UPDATE qianzhi.console_accounts SET enabled = %(enabled)s WHERE name = %(name)s RETURNING name;

-- name: set_role
-- Another role.
UPDATE qianzhi.console_accounts SET role = %(role)s::qianzhi.console_role WHERE name = %(name)s RETURNING name;

-- name: end_sessions
-- Sign an account out wherever it is signed in.
UPDATE qianzhi.console_sessions SET ended_at = %(now)s
WHERE account = %(name)s AND ended_at IS NULL AND token_digest IS DISTINCT FROM %(but)s;
