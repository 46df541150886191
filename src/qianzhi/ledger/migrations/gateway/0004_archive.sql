-- Archives: settled rows that left a staging table for a file. Their batches, receipts, outcomes and key states stay.

CREATE TABLE qianzhi.archives (
    archive_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    regulator text NOT NULL,
    dataset text NOT NULL,
    month date NOT NULL,
    part integer NOT NULL CHECK (part > 0),
    edition text NOT NULL,
    row_ids int8multirange NOT NULL,
    row_count integer NOT NULL CHECK (row_count > 0),
    content_digest bytea NOT NULL CHECK (octet_length(content_digest) = 32),
    file text NOT NULL UNIQUE,
    file_digest bytea NOT NULL CHECK (octet_length(file_digest) = 32),
    byte_count bigint NOT NULL,
    key_id bytea,
    archived_at timestamptz NOT NULL,
    UNIQUE (regulator, dataset, month, part)
);
COMMENT ON TABLE qianzhi.archives IS
    'One file of rows each. Written by the transaction that deletes the rows from their staging table, after the file '
    'was read back and found equal. Only file_digest, byte_count and key_id change, when the file is encrypted anew.';
COMMENT ON COLUMN qianzhi.archives.month IS 'The first day of the month in which the last destination settled the rows.';
COMMENT ON COLUMN qianzhi.archives.content_digest IS 'SHA-256 over every value of every row, whatever the file is like.';
COMMENT ON COLUMN qianzhi.archives.file IS 'Below the folder archive of the home.';
COMMENT ON COLUMN qianzhi.archives.key_id IS 'The key version of the personal columns; null where they are plain.';
