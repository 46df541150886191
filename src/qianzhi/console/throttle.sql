-- name: familiar
-- Whether an account was signed in to from an address.
SELECT 1 FROM qianzhi.console_sessions WHERE account = %(account)s AND address = %(address)s LIMIT 1;

-- name: begin
-- A subject that fails for the first time.
INSERT INTO qianzhi.console_failures (subject, failures, failed_at, blocked_until)
VALUES (%(subject)s, 0, %(now)s, %(now)s) ON CONFLICT DO NOTHING;

-- name: look
-- What is held against a subject; others who try it at once wait for the verdict.
SELECT failures, failed_at, blocked_until FROM qianzhi.console_failures WHERE subject = %(subject)s FOR UPDATE;

-- name: count
-- One try more.
UPDATE qianzhi.console_failures
SET failures = %(failures)s, failed_at = %(now)s, blocked_until = %(blocked_until)s WHERE subject = %(subject)s;

-- name: forget
-- A success clears what its account failed before.
DELETE FROM qianzhi.console_failures WHERE subject = %(subject)s;

-- name: undo
-- A success was no failure of its address; earlier ones stay, or a valid account would buy guesses at others.
UPDATE qianzhi.console_failures SET failures = failures - 1, blocked_until = %(now)s WHERE subject = %(subject)s;
