-- The hub's ledger. Append-only but for key_states, facts, the end of credentials and interruptions, and the columns
-- named "state".

CREATE TYPE qianzhi.institution_state AS ENUM ('testing', 'production', 'suspended');

CREATE TABLE qianzhi.institutions (
    institution_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    regulator text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    state qianzhi.institution_state NOT NULL DEFAULT 'testing',
    registered_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (regulator, code)
);
COMMENT ON COLUMN qianzhi.institutions.code IS 'The identity the platform issues (机构标识), as it stands in every record.';

CREATE TABLE qianzhi.credentials (
    credential_id text PRIMARY KEY,
    institution_id integer NOT NULL REFERENCES qianzhi.institutions,
    secret_digest bytea NOT NULL CHECK (octet_length(secret_digest) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE qianzhi.credentials IS
    'Several may be valid at once, so that a rotation overlaps. Only the digest of the 256-bit secret is kept.';

CREATE TABLE qianzhi.batches (
    batch_seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    institution_id integer NOT NULL REFERENCES qianzhi.institutions,
    batch_id uuid NOT NULL,
    regulator text NOT NULL,
    dataset text NOT NULL,
    edition text NOT NULL,
    ruleset text NOT NULL,
    as_of timestamp NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    byte_count bigint NOT NULL,
    row_count integer NOT NULL,
    accepted_count integer NOT NULL,
    rejected_count integer NOT NULL,
    received_at timestamptz NOT NULL,
    receipt bytea NOT NULL,
    UNIQUE (institution_id, batch_id)
);
ALTER TABLE qianzhi.batches ALTER COLUMN receipt SET STORAGE EXTERNAL;
COMMENT ON COLUMN qianzhi.batches.receipt IS 'The answer, byte for byte once inflated (zlib); many findings share their sentences.';
COMMENT ON TABLE qianzhi.batches IS
    'The validation log: one act of sending, its counts and its receipt. A repeat of it gets the same receipt.';
CREATE INDEX batches_time ON qianzhi.batches (received_at);
CREATE INDEX batches_institution ON qianzhi.batches (institution_id, received_at);

CREATE TABLE qianzhi.findings (
    batch_seq bigint NOT NULL,
    institution_id integer NOT NULL,
    dataset text NOT NULL,
    row_id bigint NOT NULL,
    code text NOT NULL,
    class text NOT NULL,
    field text,
    value text,
    detail text,
    severity text NOT NULL,
    found_at timestamptz NOT NULL
);
CREATE INDEX findings_batch ON qianzhi.findings (batch_seq, row_id);
CREATE INDEX findings_institution ON qianzhi.findings (institution_id, found_at);

CREATE TABLE qianzhi.dataset_numbers (
    dataset_number smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    regulator text NOT NULL,
    dataset text NOT NULL,
    UNIQUE (regulator, dataset)
);
COMMENT ON TABLE qianzhi.dataset_numbers IS 'A short number for a dataset, so that a key state stays narrow.';

CREATE TABLE qianzhi.key_states (
    institution_id integer NOT NULL,
    dataset_number smallint NOT NULL,
    key_hash bigint NOT NULL,
    key_check bigint NOT NULL,
    batch_seq bigint NOT NULL,
    row_id bigint NOT NULL,
    live boolean NOT NULL,
    occurred_us bigint,
    content bigint NOT NULL,
    shared bigint[],
    PRIMARY KEY (institution_id, dataset_number, key_hash, key_check)
) PARTITION BY HASH (institution_id);
COMMENT ON TABLE qianzhi.key_states IS 'The last accepted row of every key. The current view is its join with the submitted rows.';
COMMENT ON COLUMN qianzhi.key_states.occurred_us IS 'Local time of the event in microseconds since 1970, so that a COPY need not read a date.';
CREATE TABLE qianzhi.key_states_0 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE qianzhi.key_states_1 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE qianzhi.key_states_2 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE qianzhi.key_states_3 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE qianzhi.key_states_4 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE qianzhi.key_states_5 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE qianzhi.key_states_6 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE qianzhi.key_states_7 PARTITION OF qianzhi.key_states FOR VALUES WITH (MODULUS 8, REMAINDER 7);

CREATE TABLE qianzhi.facts (
    institution_id integer NOT NULL,
    dataset_number smallint NOT NULL,
    code text NOT NULL,
    key_hash bigint NOT NULL,
    key_check bigint NOT NULL,
    says bigint NOT NULL,
    said_by bigint NOT NULL,
    PRIMARY KEY (institution_id, dataset_number, code, key_hash, key_check)
);
COMMENT ON TABLE qianzhi.facts IS 'What accepted rows say of a key that must stay consistent, by rule.';
COMMENT ON COLUMN qianzhi.facts.said_by IS
    'Hash of the record that said it first: the same record may correct itself, another one may not contradict it.';

CREATE TABLE qianzhi.interruptions (
    interruption_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    institution_id integer NOT NULL REFERENCES qianzhi.institutions,
    window_on date NOT NULL,
    deadline_at timestamptz NOT NULL,
    noticed_at timestamptz NOT NULL,
    ended_at timestamptz,
    UNIQUE (institution_id, window_on)
);
COMMENT ON TABLE qianzhi.interruptions IS 'An upload window that passed without a batch of the institution.';
COMMENT ON COLUMN qianzhi.interruptions.ended_at IS 'When the first batch after the deadline came.';
CREATE INDEX interruptions_open ON qianzhi.interruptions (institution_id) WHERE ended_at IS NULL;

CREATE TABLE qianzhi.blobs (
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    institution_id integer NOT NULL REFERENCES qianzhi.institutions,
    byte_count bigint NOT NULL,
    media_type text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (institution_id, digest)
);

CREATE TABLE qianzhi.audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    event text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON COLUMN qianzhi.audit.event IS 'area:subject:action';
