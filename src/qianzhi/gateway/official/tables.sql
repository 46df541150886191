-- name: columns
-- The columns of a table, however it is spelt; whether one must be given, and whether its type is a text.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory = 'S',
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE n.nspname = %(schema)s AND lower(c.relname) = lower(%(table)s) AND c.relkind IN ('r', 'p', 'v', 'f')
ORDER BY c.relname, a.attnum

-- name: rights
-- What the account may do with a table, and whether it may ask what became of a transaction.
SELECT has_table_privilege(%(table)s, 'SELECT'), has_any_column_privilege(%(table)s, 'INSERT'),
    has_function_privilege('txid_status(bigint)', 'EXECUTE') AND has_function_privilege('txid_current()', 'EXECUTE')

-- name: insert
-- The rows of a batch, in their order, without the column that the official side fills itself.
INSERT INTO {table} ({columns})
SELECT {values} FROM unnest({arrays}) WITH ORDINALITY AS given ({names}, place) ORDER BY place
RETURNING {id}

-- name: found
-- How many rows stand under the numbers that ours got and say what ours say, and how many under these numbers at all.
SELECT count(*) FILTER (WHERE {equal}), count(*)
FROM {table} AS t JOIN unnest({arrays}) AS given ({names}) ON t.{id} = given.remote_id

-- name: last_id
-- The newest number of a table.
SELECT coalesce(max({id}), 0)::bigint FROM {table}

-- name: beyond
-- Rows behind a number, up to another, that stand outside some spans of numbers: how many, the first and the last one.
SELECT count(*), coalesce(min({id}), 0)::bigint, coalesce(max({id}), 0)::bigint
FROM {table}
WHERE {id} > %(newest)s AND {id} <= %(last)s AND NOT EXISTS (
    SELECT FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS span (first, last)
    WHERE {id} BETWEEN span.first AND span.last)

-- name: same
-- Which rows of a batch stand within some spans of numbers and say the same: by their places, and the numbers. Of rows
-- that say the same among themselves the first goes with the first, so that each number is given once.
WITH given AS (
    SELECT place, said, row_number() OVER (PARTITION BY said ORDER BY place) AS nth
    FROM (SELECT place, ROW({values})::text AS said
          FROM unnest({arrays}) WITH ORDINALITY AS given ({names}, place)) AS ours
), there AS (
    SELECT remote_id, said, row_number() OVER (PARTITION BY said ORDER BY remote_id) AS nth
    FROM (SELECT t.{id}::bigint AS remote_id, ROW({columns})::text AS said
          FROM {table} AS t
          WHERE t.{id} BETWEEN %s AND %s AND t.{id} <> ALL (%s::bigint[])
            AND EXISTS (SELECT FROM unnest(%s::bigint[], %s::bigint[]) AS span (first, last)
                        WHERE t.{id} BETWEEN span.first AND span.last)) AS theirs
)
SELECT place, remote_id FROM given JOIN there USING (said, nth) ORDER BY place

-- name: commit_safely
-- Whatever the account's own setting: what is committed must outlive a crash, for we shall say that it is there.
SET LOCAL synchronous_commit = on

-- name: transaction
-- The number under which the server will know what became of the transaction at hand.
SELECT txid_current()

-- name: system
-- What tells one server from another; those who stand by for each other share it.
SELECT system_identifier FROM pg_control_system()

-- name: fate
-- What became of a transaction: committed, aborted, in progress; null when the server no longer knows.
SELECT txid_status(%(transaction)s)
