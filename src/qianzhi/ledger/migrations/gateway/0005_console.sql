-- Who may use the console, who is using it, and who tried in vain.

CREATE TYPE qianzhi.console_role AS ENUM ('viewer', 'operator', 'administrator');
COMMENT ON TYPE qianzhi.console_role IS
    'viewer: figures without patients. operator: failed rows too, and what is done every day. '
    'administrator: accounts and settings besides.';

CREATE TABLE qianzhi.console_accounts (
    name text PRIMARY KEY,
    role qianzhi.console_role NOT NULL,
    verifier text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    password_set_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE qianzhi.console_accounts IS
    'People who sign in by a name of their own. The sender''s database account signs in beside them and stands not here.';
COMMENT ON COLUMN qianzhi.console_accounts.verifier IS 'scrypt with its parameters and salt; never the password.';

CREATE TABLE qianzhi.console_sessions (
    token_digest bytea PRIMARY KEY CHECK (octet_length(token_digest) = 32),
    account text NOT NULL,
    role qianzhi.console_role NOT NULL,
    is_database boolean NOT NULL,
    address text NOT NULL,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
COMMENT ON TABLE qianzhi.console_sessions IS
    'Sessions of the console: the browser holds a token, this table its SHA-256.';
COMMENT ON COLUMN qianzhi.console_sessions.is_database IS 'Signed in by a role of the database, not by a named account.';
CREATE INDEX console_sessions_open ON qianzhi.console_sessions (account) WHERE ended_at IS NULL;
CREATE INDEX console_sessions_familiar ON qianzhi.console_sessions (account, address);
CREATE INDEX console_sessions_opened ON qianzhi.console_sessions (opened_at);

CREATE TABLE qianzhi.console_failures (
    subject text PRIMARY KEY,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL
);
COMMENT ON TABLE qianzhi.console_failures IS
    'Failed attempts to sign in, per account and per address. Unknown names and addresses share a fixed number of '
    'subjects, so that nobody can fill this table.';

-- The console notes every look at patients: whoever asks for another event must not read through those.
CREATE INDEX audit_event ON qianzhi.audit (event, audit_id);
