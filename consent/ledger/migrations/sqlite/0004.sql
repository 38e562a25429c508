-- Keyed hashes of consent ids that were erased, so that a list kept elsewhere can be held against a restored backup.
CREATE TABLE erased (
    key BLOB PRIMARY KEY
) WITHOUT ROWID;

-- Checkpoints that everybody may see, at a slower pace than they are signed; the token is an RFC 3161 time stamp.
CREATE TABLE published (
    size INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    note BLOB NOT NULL,
    token BLOB
);
