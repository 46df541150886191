-- name: tables
-- The tables of the ledger that may name blobs: by convention a column "digest" does. Batches name their bytes by it,
-- and what is promised counts only until it is sent.
SELECT relname::text FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid AND relkind = 'r'
WHERE relnamespace = 'qianzhi'::regnamespace AND attname = 'digest' AND NOT attisdropped
  AND atttypid = 'bytea'::regtype
  AND relname NOT IN ('batches', 'promised_images')

-- name: digests
-- What a table names.
SELECT DISTINCT digest FROM {table} WHERE digest IS NOT NULL

-- name: promised
-- Images that are still to be sent.
SELECT DISTINCT digest FROM qianzhi.promised_images WHERE sent_at IS NULL
