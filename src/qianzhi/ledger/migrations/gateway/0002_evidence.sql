-- Evidence: what a regulator may ask to see of a record, and who asked for it.

CREATE TYPE qianzhi.evidence_place AS ENUM ('file', 'remote');

CREATE TABLE qianzhi.evidence_media (
    media_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    regulator text NOT NULL,
    kind text NOT NULL,
    record text NOT NULL,
    number integer NOT NULL DEFAULT 0,
    place qianzhi.evidence_place NOT NULL,
    location text NOT NULL,
    media_type text NOT NULL,
    codecs text[] NOT NULL DEFAULT '{}',
    byte_count bigint NOT NULL,
    modified_ns bigint NOT NULL,
    folder text,
    registered_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
COMMENT ON TABLE qianzhi.evidence_media IS
    'Files that a regulator may ask for by a record. A file that changed is registered anew; the old entry is removed.';
COMMENT ON COLUMN qianzhi.evidence_media.record IS 'What the regulator asks by, such as the number of a visit.';
COMMENT ON COLUMN qianzhi.evidence_media.number IS 'The order of several files of one record.';
COMMENT ON COLUMN qianzhi.evidence_media.location IS 'The path of a file, or the address of a remote one.';
COMMENT ON COLUMN qianzhi.evidence_media.modified_ns IS
    'When the file was last written, in nanoseconds since 1970; 0 for a remote one. A file that says otherwise is not served.';
COMMENT ON COLUMN qianzhi.evidence_media.folder IS 'The folder of the settings whose scan found it.';
CREATE UNIQUE INDEX evidence_media_place ON qianzhi.evidence_media (regulator, kind, record, location)
    WHERE removed_at IS NULL;
CREATE INDEX evidence_media_record ON qianzhi.evidence_media (record, kind) WHERE removed_at IS NULL;
CREATE INDEX evidence_media_folder ON qianzhi.evidence_media (folder) WHERE removed_at IS NULL AND folder IS NOT NULL;

CREATE TABLE qianzhi.evidence_questions (
    question_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    method text NOT NULL,
    outcome text NOT NULL,
    client inet,
    record_digest bytea,
    token_digest bytea,
    earlier integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE qianzhi.evidence_questions IS
    'Who asked for what, and how it ended. Names no record: digests are keyed by a secret of this installation.';
COMMENT ON COLUMN qianzhi.evidence_questions.earlier IS
    'How often the same question with the same token came before: the document''s token carries no nonce.';
CREATE INDEX evidence_questions_time ON qianzhi.evidence_questions (asked_at);
