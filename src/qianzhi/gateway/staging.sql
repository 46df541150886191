-- name: rows_between
-- The staged rows of a range of ids; most of a chunk's ids are consecutive.
SELECT id AS row_id, {columns} FROM {table} WHERE id BETWEEN {first} AND {last} ORDER BY id

-- name: rows_of
-- The staged rows of scattered ids.
SELECT id AS row_id, {columns} FROM {table} WHERE id = ANY({row_ids}::bigint[]) ORDER BY id

-- name: count
-- How many rows a staging table holds.
SELECT count(*) FROM {table}
