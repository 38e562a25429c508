CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- One row: the size of the tree, the roots that cover it, and the newest recorded_at.
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    roots BLOB NOT NULL,
    recorded_at INTEGER NOT NULL
);

INSERT INTO head VALUES (1, 0, x'', 0);

-- Kept for ever, apart from the bodies, which pruning may delete.
CREATE TABLE leaf (
    idx INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    record BLOB NOT NULL UNIQUE
);

CREATE TABLE entry (
    idx INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    body BLOB NOT NULL
);

-- Roots of complete subtrees of 256, 256² … leaves.
CREATE TABLE node (
    height INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (height, number)
) WITHOUT ROWID;

-- Who an entry is about. Rows may be deleted: no entry refers to them.
CREATE TABLE subject (
    idx INTEGER PRIMARY KEY,
    consent_id BLOB NOT NULL,
    salt BLOB NOT NULL,
    code BLOB
);

CREATE INDEX subject_consent_id ON subject (consent_id);

CREATE INDEX subject_code ON subject (code) WHERE code IS NOT NULL;

CREATE TABLE revocation (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL,
    before INTEGER NOT NULL
);

CREATE TABLE publication (
    name TEXT PRIMARY KEY,
    idx INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE document (
    digest BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    media_type TEXT NOT NULL,
    language TEXT NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    note BLOB NOT NULL
);
