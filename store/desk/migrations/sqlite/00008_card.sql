-- Cards by which two people agree to a restore: the hash of the code, one for each person.
-- epoch is that of the restore a card was given for, 0 for none.

CREATE TABLE restore_card (
    id       TEXT NOT NULL PRIMARY KEY,
    operator TEXT NOT NULL UNIQUE REFERENCES operator (id),
    salt     BLOB NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    cost     INTEGER NOT NULL CHECK (cost > 0),
    made     INTEGER NOT NULL,
    used     INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    tries    INTEGER NOT NULL
) STRICT;
