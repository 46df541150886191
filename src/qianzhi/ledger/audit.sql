-- name: note
-- Who did what to which thing; entries are never changed.
INSERT INTO qianzhi.audit (actor, event, subject, detail)
VALUES (%(actor)s, %(event)s, %(subject)s, %(detail)s)

-- name: latest
-- The newest entries of an event, newest first; of one subject where that is not null.
SELECT happened_at, actor, event, subject, detail FROM qianzhi.audit
WHERE event = %(event)s AND (%(subject)s::text IS NULL OR subject = %(subject)s)
ORDER BY audit_id DESC
LIMIT %(limit)s

-- name: newest_id
-- The number of the newest entry, or 0.
SELECT coalesce(max(audit_id), 0) FROM qianzhi.audit
