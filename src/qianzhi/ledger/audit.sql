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

-- name: chosen
-- The newest entries of some kinds, of an actor, and of some days, newest first.
SELECT happened_at, actor, event, subject, detail FROM qianzhi.audit
WHERE (%(events)s::text[] IS NULL OR event LIKE ANY(%(events)s::text[]))
  AND actor ILIKE %(actor)s
  AND (%(since)s::timestamptz IS NULL OR happened_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR happened_at < %(until)s)
ORDER BY audit_id DESC
LIMIT %(limit)s OFFSET %(offset)s

-- name: chosen_count
-- How many such entries there are, as far as somebody may turn pages.
SELECT count(*) FROM (
    SELECT FROM qianzhi.audit
    WHERE (%(events)s::text[] IS NULL OR event LIKE ANY(%(events)s::text[]))
      AND actor ILIKE %(actor)s
      AND (%(since)s::timestamptz IS NULL OR happened_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR happened_at < %(until)s)
    LIMIT %(most)s
) AS found
