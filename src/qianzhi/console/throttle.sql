-- name: take
-- Count an attempt of a subject before it is judged, unless the subject must wait; one that counted has failed_at now.
INSERT INTO qianzhi.console_failures AS kept (subject, failures, failed_at, blocked_until)
VALUES (%(subject)s, 1, %(now)s, %(now)s)
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN kept.blocked_until > %(now)s THEN kept.failures
                    WHEN kept.failed_at < %(forgotten)s THEN 1
                    ELSE least(kept.failures + 1, 1000) END,
    failed_at = CASE WHEN kept.blocked_until > %(now)s THEN kept.failed_at ELSE %(now)s END,
    blocked_until = CASE WHEN kept.blocked_until > %(now)s THEN kept.blocked_until
                         WHEN kept.failed_at < %(forgotten)s OR kept.failures + 1 < %(free)s THEN %(now)s
                         ELSE %(now)s + least(
                             %(first_seconds)s * power(2, least(kept.failures + 1 - %(free)s, 20)), %(max_seconds)s
                         ) * interval '1 second' END
RETURNING blocked_until, failed_at = %(now)s;

-- name: forget
-- A success clears what its account failed before.
DELETE FROM qianzhi.console_failures WHERE subject = %(subject)s;

-- name: undo
-- A success was no failure of its address; earlier ones stay, or a valid account would buy guesses at others.
UPDATE qianzhi.console_failures SET failures = failures - 1, blocked_until = %(now)s WHERE subject = %(subject)s;
