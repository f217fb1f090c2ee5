-- Cards by which two people agree to a restore: the hash of the code, one for each person.
-- epoch is that of the restore a card was given for, 0 for none.

CREATE TABLE restore_card (
    id       text COLLATE "C" NOT NULL PRIMARY KEY,
    operator text COLLATE "C" NOT NULL UNIQUE REFERENCES operator (id),
    salt     bytea NOT NULL,
    hash     bytea NOT NULL CHECK (length(hash) = 32),
    cost     bigint NOT NULL CHECK (cost > 0),
    made     bigint NOT NULL,
    used     bigint NOT NULL,
    epoch    bigint NOT NULL,
    tries    bigint NOT NULL
);
