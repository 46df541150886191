-- Images that follow their rows: what a destination was promised with a batch, and what of it was sent.

CREATE TABLE qianzhi.promised_images (
    destination_id smallint NOT NULL REFERENCES qianzhi.destinations,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    byte_count bigint NOT NULL,
    promised_at timestamptz NOT NULL,
    sent_at timestamptz,
    attempt_count integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    trouble text,
    PRIMARY KEY (destination_id, digest)
);
COMMENT ON TABLE qianzhi.promised_images IS
    'Images of rows that a destination has accepted. An image is sent once, whatever number of rows name it.';
COMMENT ON COLUMN qianzhi.promised_images.trouble IS 'Why the last attempt failed, until one does not.';
CREATE INDEX promised_images_open ON qianzhi.promised_images (destination_id, promised_at, digest)
    WHERE sent_at IS NULL;
