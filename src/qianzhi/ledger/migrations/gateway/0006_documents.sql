-- Documents that the institution hands in, what became of each version, and what its destinations publish for it.

CREATE TYPE qianzhi.document_step AS ENUM ('submitted', 'reviewed', 'returned');
COMMENT ON TYPE qianzhi.document_step IS
    'submitted: the destination has it. reviewed: it said that it is as it should be. returned: it wants it again, with a reason.';

CREATE TABLE qianzhi.documents (
    document_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    destination_id smallint NOT NULL REFERENCES qianzhi.destinations,
    document text NOT NULL,
    dated_on date NOT NULL,
    file_name text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    media_type text NOT NULL,
    byte_count bigint NOT NULL,
    page_count integer NOT NULL,
    added_at timestamptz NOT NULL,
    added_by text NOT NULL
);
COMMENT ON TABLE qianzhi.documents IS 'Every version of every document, kept; the newest is the one that counts. Its file lies in the folder of documents, named by its digest.';
COMMENT ON COLUMN qianzhi.documents.document IS 'Its key in the regulator''s documents.toml.';
COMMENT ON COLUMN qianzhi.documents.dated_on IS 'The day that stands on it; a yearly document is valid from there.';
CREATE INDEX documents_destination ON qianzhi.documents (destination_id, document, document_id);

CREATE TABLE qianzhi.document_steps (
    step_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES qianzhi.documents,
    step qianzhi.document_step NOT NULL,
    reason text NOT NULL DEFAULT '',
    happened_at timestamptz NOT NULL,
    UNIQUE (document_id, step, happened_at)
);
COMMENT ON TABLE qianzhi.document_steps IS 'What became of a version; the last step counts. The same word of a destination is noted once.';

CREATE TABLE qianzhi.publications (
    destination_id smallint NOT NULL REFERENCES qianzhi.destinations,
    publication_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('file', 'notice', 'certificate')),
    title text NOT NULL,
    file_name text NOT NULL,
    media_type text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    byte_count bigint NOT NULL,
    published_at timestamptz NOT NULL,
    fetched_at timestamptz,
    withdrawn_at timestamptz,
    PRIMARY KEY (destination_id, publication_id)
);
COMMENT ON TABLE qianzhi.publications IS 'Files, notices and certificates that a destination has for this institution.';
COMMENT ON COLUMN qianzhi.publications.fetched_at IS 'Set when its file, proven by the digest, is here.';
COMMENT ON COLUMN qianzhi.publications.withdrawn_at IS 'Set when the destination no longer lists it; what was fetched stays.';
