-- Images that follow their rows: an institution that holds them promises them with the batch.

CREATE TABLE qianzhi.promised_images (
    institution_id integer NOT NULL REFERENCES qianzhi.institutions,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    batch_seq bigint NOT NULL,
    promised_at timestamptz NOT NULL,
    PRIMARY KEY (institution_id, digest)
);
COMMENT ON TABLE qianzhi.promised_images IS
    'Images that accepted rows name and that were not held when the rows came. The promise is kept once the blob is '
    'held; the watch removes it then.';
COMMENT ON COLUMN qianzhi.promised_images.batch_seq IS 'The first batch that named the image.';
CREATE INDEX promised_images_time ON qianzhi.promised_images (promised_at);
