-- Destinations that take rows without a word: what went through such a door is delivered until the regulator's own
-- console says more. A value that is added here is first used after this script's transaction.

ALTER TYPE qianzhi.batch_state ADD VALUE 'delivered' AFTER 'sealed';
COMMENT ON TYPE qianzhi.batch_state IS
    'sealed: members and bytes are fixed, nobody has answered yet. delivered: the destination has the rows and has '
    'said nothing of them; deliveries says of which rows it has spoken since. settled: every row has its verdict. '
    'split: the destination could not take it whole; its members went on in smaller batches. '
    'refused: the destination refuses one row as such; the row is quarantined.';

ALTER TYPE qianzhi.row_outcome ADD VALUE 'withheld';
COMMENT ON TYPE qianzhi.row_outcome IS
    'What became of a row that is not accepted. rejected: the regulator said so. superseded: a later row of the key '
    'took the place of this one while it was held. nothing_to_revoke: it revokes what was never accepted, so nothing '
    'was sent. quarantined: it cannot be encoded or delivered; an operator must look. withheld: our checks found an '
    'error, and the destination takes only rows without one.';

ALTER TYPE qianzhi.finding_origin ADD VALUE 'official';
COMMENT ON TYPE qianzhi.finding_origin IS
    'Who found it: this gateway, a hub by its receipt, or the official console by an export that was imported.';

ALTER TABLE qianzhi.batches ADD COLUMN delivered_at timestamptz;
COMMENT ON COLUMN qianzhi.batches.delivered_at IS 'When a destination that gives no receipt had the rows.';
COMMENT ON TABLE qianzhi.outcomes IS
    'Exceptions only: a member of a settled batch without an entry here is accepted.';
COMMENT ON TABLE qianzhi.key_states IS
    'The last row of every key that the destination has: accepted as far as it has said, or delivered where it has not '
    'spoken yet. Says what may follow upon it, and never that anything is accepted.';

CREATE TABLE qianzhi.handovers (
    handover_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id uuid NOT NULL REFERENCES qianzhi.batches,
    handed_at timestamptz NOT NULL,
    remote_system bigint,
    remote_transaction bigint NOT NULL,
    remote_ids int8multirange NOT NULL,
    is_there boolean
);
COMMENT ON TABLE qianzhi.handovers IS
    'Transactions of an official front machine that were about to be committed. Written, and committed here, before '
    'the commit there: after a crash the official server is asked what became of the transaction.';
COMMENT ON COLUMN qianzhi.handovers.remote_system IS
    'The official server''s system identifier: its transactions have numbers of its own.';
COMMENT ON COLUMN qianzhi.handovers.remote_ids IS 'The values of ID that the official table gave to the rows.';
COMMENT ON COLUMN qianzhi.handovers.is_there IS
    'Said by an operator where the official server no longer knows the transaction; NULL everywhere else.';
CREATE INDEX handovers_batch ON qianzhi.handovers (batch_id, handover_id DESC);

CREATE TABLE qianzhi.deliveries (
    lane_id smallint NOT NULL,
    row_id bigint NOT NULL,
    batch_id uuid NOT NULL REFERENCES qianzhi.batches,
    remote_id bigint NOT NULL,
    key_hash bigint,
    key_check bigint,
    operation text,
    occurred_at timestamp,
    delivered_at timestamptz NOT NULL,
    accepted boolean,
    answered_at timestamptz,
    PRIMARY KEY (lane_id, row_id)
);
COMMENT ON TABLE qianzhi.deliveries IS
    'Every row that an official front machine has. Append-only but for the answer, which is given once.';
COMMENT ON COLUMN qianzhi.deliveries.remote_id IS 'The value of ID that the official table gave to the row.';
COMMENT ON COLUMN qianzhi.deliveries.accepted IS 'NULL until the official console has said what became of the row.';
COMMENT ON COLUMN qianzhi.deliveries.answered_at IS 'The time that the official console gives for its answer.';
CREATE INDEX deliveries_key ON qianzhi.deliveries (lane_id, key_hash);
CREATE INDEX deliveries_batch ON qianzhi.deliveries (batch_id);

CREATE TABLE qianzhi.result_imports (
    import_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    destination_id smallint NOT NULL REFERENCES qianzhi.destinations,
    imported_at timestamptz NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    line_count integer NOT NULL,
    accepted_count integer NOT NULL,
    failed_count integer NOT NULL,
    unmatched_count integer NOT NULL
);
COMMENT ON TABLE qianzhi.result_imports IS
    'Exports of the official console that were imported, known by the SHA-256 of the file; counts are of lines.';
