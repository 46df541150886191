-- The record of upgrade scripts.

-- name: table_exists
-- Whether the record exists.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_tables WHERE schemaname = %(schema)s AND tablename = 'migrations'
);

-- name: create_schema
-- Makes the schema of the product's own tables.
CREATE SCHEMA IF NOT EXISTS {schema};

-- name: create_table
-- Makes the record: one row for each script that ran.
CREATE TABLE {schema}.migrations (
    end_name text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (end_name, number)
);

-- name: recorded
-- The scripts that ran, with their checksums.
SELECT number, checksum FROM {schema}.migrations WHERE end_name = %(end)s ORDER BY number;

-- name: look_here_first
-- Lets a script leave out the schema; until the transaction ends.
SET LOCAL search_path TO {schema};

-- name: record
-- Notes that a script ran.
INSERT INTO {schema}.migrations (end_name, number, name, checksum)
VALUES (%(end)s, %(number)s, %(name)s, %(checksum)s);
