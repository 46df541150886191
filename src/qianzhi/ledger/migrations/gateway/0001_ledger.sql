-- The gateway's ledger. Every table is append-only but for the few columns named "state" and what a comment says.

CREATE TYPE qianzhi.lane_mode AS ENUM ('nightly', 'realtime', 'off');

CREATE TYPE qianzhi.batch_state AS ENUM ('sealed', 'settled', 'split', 'refused');
COMMENT ON TYPE qianzhi.batch_state IS
    'sealed: members and bytes are fixed, no receipt yet. settled: the receipt is in and its verdicts are recorded. '
    'split: the destination could not take it whole; its members went on in smaller batches. '
    'refused: the destination refuses one row as such; the row is quarantined.';

CREATE TYPE qianzhi.row_outcome AS ENUM ('rejected', 'superseded', 'nothing_to_revoke', 'quarantined');
COMMENT ON TYPE qianzhi.row_outcome IS
    'What became of a row that is not accepted. rejected: the regulator said so. superseded: a later row of the key '
    'took the place of this one while it was held. nothing_to_revoke: it revokes what was never accepted, so nothing '
    'was sent. quarantined: it cannot be encoded or delivered; an operator must look.';

CREATE TYPE qianzhi.finding_origin AS ENUM ('gateway', 'hub');

CREATE TABLE qianzhi.destinations (
    destination_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    regulator text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE qianzhi.destinations IS 'Where the gateway delivers. Address and credential are settings, not rows.';

CREATE TABLE qianzhi.lanes (
    lane_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    destination_id smallint NOT NULL REFERENCES qianzhi.destinations,
    regulator text NOT NULL,
    dataset text NOT NULL,
    mode qianzhi.lane_mode NOT NULL DEFAULT 'nightly',
    UNIQUE (destination_id, dataset)
);
COMMENT ON TABLE qianzhi.lanes IS
    'One dataset towards one destination: the unit of order, of locking and of every key in this ledger.';

CREATE TABLE qianzhi.arrived (
    lane_id smallint NOT NULL,
    row_id bigint NOT NULL,
    key_text_hash bigint NOT NULL,
    arrived_at timestamptz NOT NULL,
    PRIMARY KEY (lane_id, row_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE qianzhi.arrived IS
    'Staged rows that no batch has yet. Written by the trigger of the staging table, deleted by the transaction that '
    'seals the batch. No cursor over ids: a row that commits late is simply still here.';
COMMENT ON COLUMN qianzhi.arrived.key_text_hash IS
    'Groups the rows of one key so that they go in order; only ever compared within this table.';

CREATE TABLE qianzhi.cycles (
    cycle_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    destination_id smallint NOT NULL REFERENCES qianzhi.destinations,
    kind text NOT NULL CHECK (kind IN ('nightly', 'manual', 'realtime', 'backfill')),
    cut_off timestamptz NOT NULL,
    as_of timestamp NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz
);
COMMENT ON COLUMN qianzhi.cycles.as_of IS 'Local time at which the rules are evaluated, by both ends.';

CREATE TABLE qianzhi.batches (
    batch_id uuid PRIMARY KEY,
    lane_id smallint NOT NULL REFERENCES qianzhi.lanes,
    cycle_id bigint REFERENCES qianzhi.cycles,
    split_from uuid REFERENCES qianzhi.batches,
    edition text NOT NULL,
    ruleset text NOT NULL,
    as_of timestamp NOT NULL,
    row_ids int8multirange NOT NULL,
    row_count integer NOT NULL CHECK (row_count > 0),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    byte_count bigint NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT now(),
    state qianzhi.batch_state NOT NULL DEFAULT 'sealed',
    settled_at timestamptz,
    accepted_count integer,
    rejected_count integer
);
COMMENT ON TABLE qianzhi.batches IS
    'One act of sending. Members and encoded bytes (spool/<batch_id>) are fixed here before the first attempt.';
CREATE INDEX batches_open ON qianzhi.batches (lane_id, sealed_at) WHERE state = 'sealed';
CREATE INDEX batches_lane ON qianzhi.batches (lane_id, sealed_at);

CREATE TABLE qianzhi.attempts (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id uuid NOT NULL REFERENCES qianzhi.batches,
    attempted_at timestamptz NOT NULL,
    took_seconds double precision NOT NULL,
    outcome text NOT NULL,
    next_attempt_at timestamptz
);
COMMENT ON COLUMN qianzhi.attempts.outcome IS 'receipt, or the code of what went wrong.';
CREATE INDEX attempts_batch ON qianzhi.attempts (batch_id, attempt_id DESC);

CREATE TABLE qianzhi.receipts (
    batch_id uuid PRIMARY KEY REFERENCES qianzhi.batches,
    received_at timestamptz NOT NULL,
    document bytea NOT NULL
);
COMMENT ON TABLE qianzhi.receipts IS 'The destination''s answer, byte for byte.';

CREATE TABLE qianzhi.outcomes (
    lane_id smallint NOT NULL REFERENCES qianzhi.lanes,
    row_id bigint NOT NULL,
    batch_id uuid REFERENCES qianzhi.batches,
    outcome qianzhi.row_outcome NOT NULL,
    settled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane_id, row_id)
);
COMMENT ON TABLE qianzhi.outcomes IS
    'Exceptions only: a member of a settled batch without an entry here is accepted.';

CREATE TABLE qianzhi.findings (
    finding_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane_id smallint NOT NULL REFERENCES qianzhi.lanes,
    row_id bigint NOT NULL,
    key_hash bigint,
    key_check bigint,
    batch_id uuid,
    origin qianzhi.finding_origin NOT NULL,
    code text NOT NULL,
    class text NOT NULL,
    field text,
    value text,
    detail text,
    severity text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN qianzhi.findings.key_hash IS
    'With key_check the key of the row, so that a later accepted row of the record closes the finding.';
CREATE INDEX findings_row ON qianzhi.findings (lane_id, row_id);
CREATE INDEX findings_time ON qianzhi.findings (found_at);

CREATE TABLE qianzhi.key_states (
    lane_id smallint NOT NULL,
    key_hash bigint NOT NULL,
    key_check bigint NOT NULL,
    row_id bigint NOT NULL,
    live boolean NOT NULL,
    PRIMARY KEY (lane_id, key_hash, key_check)
);
COMMENT ON TABLE qianzhi.key_states IS
    'The last accepted row of every key, as far as the destination has said. Written by settling alone.';

CREATE TABLE qianzhi.held (
    lane_id smallint NOT NULL,
    row_id bigint NOT NULL,
    key_hash bigint NOT NULL,
    key_check bigint NOT NULL,
    key_text_hash bigint NOT NULL,
    code text NOT NULL,
    field text NOT NULL,
    value text,
    wants_lane_id smallint NOT NULL,
    wants_key_hash bigint NOT NULL,
    wants_key_check bigint NOT NULL,
    wants text NOT NULL,
    arrived_at timestamptz NOT NULL,
    held_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane_id, row_id)
);
COMMENT ON TABLE qianzhi.held IS 'Rows that wait until another row is accepted; they go by themselves then.';
COMMENT ON COLUMN qianzhi.held.arrived_at IS
    'As it stood in arrived: a row that is let go belongs to the cycle that is under way, whatever its cut-off.';
CREATE INDEX held_wants ON qianzhi.held (wants_lane_id, wants_key_hash);
CREATE INDEX held_key ON qianzhi.held (lane_id, key_hash);

CREATE TABLE qianzhi.blobs (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    byte_count bigint NOT NULL,
    media_type text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
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
