-- Documents that institutions hand in and what was said of them; files that the hub publishes, to all or to some.

CREATE TYPE qianzhi.review_verdict AS ENUM ('reviewed', 'returned');
COMMENT ON TYPE qianzhi.review_verdict IS 'reviewed: it is as it should be (通过). returned: it must be handed in again, with a reason (退回).';

CREATE TABLE qianzhi.documents (
    document_seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    institution_id integer NOT NULL REFERENCES qianzhi.institutions,
    document text NOT NULL,
    dated_on date NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    media_type text NOT NULL,
    byte_count bigint NOT NULL,
    page_count integer NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE qianzhi.documents IS 'Every version of every document, kept; the newest of an institution is the one that counts.';
COMMENT ON COLUMN qianzhi.documents.document IS 'Its key in the regulator''s documents.toml.';
COMMENT ON COLUMN qianzhi.documents.dated_on IS 'The day that stands on it; a yearly document is valid from there.';
CREATE INDEX documents_institution ON qianzhi.documents (institution_id, document, document_seq);

CREATE TABLE qianzhi.reviews (
    review_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_seq bigint NOT NULL REFERENCES qianzhi.documents,
    verdict qianzhi.review_verdict NOT NULL,
    reason text NOT NULL DEFAULT '',
    actor text NOT NULL,
    reviewed_at timestamptz NOT NULL,
    CHECK (verdict <> 'returned' OR reason <> '')
);
COMMENT ON TABLE qianzhi.reviews IS 'What the operators said of a version; the last word counts.';
CREATE INDEX reviews_document ON qianzhi.reviews (document_seq, review_id);

CREATE TYPE qianzhi.publication_kind AS ENUM ('file', 'notice', 'certificate');

CREATE TABLE qianzhi.publications (
    publication_id uuid PRIMARY KEY,
    regulator text NOT NULL,
    kind qianzhi.publication_kind NOT NULL,
    title text NOT NULL,
    file_name text NOT NULL,
    media_type text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    byte_count bigint NOT NULL,
    for_all boolean NOT NULL,
    published_at timestamptz NOT NULL,
    published_by text NOT NULL,
    withdrawn_at timestamptz
);
COMMENT ON TABLE qianzhi.publications IS 'Files, notices and certificates for institutions. The file is a blob.';
COMMENT ON COLUMN qianzhi.publications.for_all IS 'Whether every institution of the regulator may fetch it; else those in audiences.';
COMMENT ON COLUMN qianzhi.publications.withdrawn_at IS 'Set once: from then on nobody fetches it.';
CREATE INDEX publications_regulator ON qianzhi.publications (regulator, published_at);

CREATE TABLE qianzhi.audiences (
    publication_id uuid NOT NULL REFERENCES qianzhi.publications,
    institution_id integer NOT NULL REFERENCES qianzhi.institutions,
    PRIMARY KEY (publication_id, institution_id)
);
COMMENT ON TABLE qianzhi.audiences IS 'Who may fetch a publication that is not for all.';

CREATE TABLE qianzhi.certificates (
    publication_id uuid PRIMARY KEY REFERENCES qianzhi.publications,
    number text NOT NULL UNIQUE,
    record bytea NOT NULL,
    signature bytea NOT NULL
);
COMMENT ON TABLE qianzhi.certificates IS 'The certificate of connection (接入证明) of one institution.';
COMMENT ON COLUMN qianzhi.certificates.record IS 'What was signed, byte for byte: JSON with number, institution, regulator, instant and the digest of the file.';
COMMENT ON COLUMN qianzhi.certificates.signature IS 'Ed25519, by the key of the hub.';
