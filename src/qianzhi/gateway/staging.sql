-- name: rows_between
-- The staged rows of a range of ids; most of a chunk's ids are consecutive.
SELECT id AS row_id, {columns} FROM {table} WHERE id BETWEEN {first} AND {last} ORDER BY id

-- name: rows_of
-- The staged rows of scattered ids.
SELECT id AS row_id, {columns} FROM {table} WHERE id = ANY({row_ids}::bigint[]) ORDER BY id

-- name: count
-- How many rows were ever staged: those that a staging table holds, and those that left it for archives.
SELECT (SELECT count(*) FROM {table}) + (
    SELECT coalesce(sum(row_count), 0)::bigint FROM qianzhi.archives
    WHERE regulator = {regulator} AND dataset = {dataset})
