-- name: detach
-- The staging table as a hospital would have it without the product.
ALTER TABLE guangdong.treatment_record DISABLE TRIGGER note_arrival

-- name: attach
-- The staging table as the product has it.
ALTER TABLE guangdong.treatment_record ENABLE TRIGGER note_arrival

-- name: set_mode
-- Whether visits wait for the night or are told at once.
UPDATE qianzhi.lanes SET mode = %(mode)s::qianzhi.lane_mode WHERE dataset = 'treatment_record'

-- name: empty
-- Forget what was inserted, so that every measurement begins with the same tables.
TRUNCATE qianzhi.arrived, guangdong.treatment_record

-- name: prepare_source
-- What INSERT … SELECT takes its rows from; nobody else sees the database of a bench.
CREATE UNLOGGED TABLE guangdong.source (LIKE guangdong.treatment_record);
ALTER TABLE guangdong.source DROP COLUMN id

-- name: open_source
-- Let the hospital's account read it.
GRANT SELECT ON guangdong.source TO {role}

-- name: insert
-- One visit.
INSERT INTO {table} ({columns}) VALUES ({values})

-- name: insert_all
-- Every visit by one statement, at the server's own speed.
INSERT INTO {table} ({columns}) SELECT {columns} FROM guangdong.source

-- name: copy
-- Every visit by one COPY.
COPY {table} ({columns}) FROM STDIN (FORMAT csv)

-- name: durability
-- What a commit waits for.
SELECT 'fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')

-- name: arrived_count
-- How many rows the trigger has noted.
SELECT count(*) FROM qianzhi.arrived
