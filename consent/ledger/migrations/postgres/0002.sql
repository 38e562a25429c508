-- What lets auditors in: the SHA-256 of a token, never the token. The role of the site reads it, and makes none.
CREATE TABLE consent.audit_token (
    name text PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    scopes text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);
