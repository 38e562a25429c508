-- How often something happened in an hour, about nobody.
CREATE TABLE total (
    hour INTEGER NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, name, subject)
) WITHOUT ROWID;
