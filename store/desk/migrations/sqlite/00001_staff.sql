-- Who works here, how they sign in, and what waits for a second person.
-- Times are milliseconds since 1970-01-01 UTC; lists are JSON arrays.

CREATE TABLE office (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    programmes TEXT NOT NULL,
    field      TEXT NOT NULL,
    vals       TEXT NOT NULL
) STRICT;

CREATE TABLE operator (
    id       TEXT NOT NULL PRIMARY KEY,
    name     TEXT NOT NULL,
    office   TEXT NOT NULL REFERENCES office (id),
    roles    TEXT NOT NULL,
    standing TEXT NOT NULL CHECK (standing IN ('invited', 'active', 'suspended', 'left')),
    epoch    INTEGER NOT NULL,
    made     INTEGER NOT NULL,
    seen     INTEGER NOT NULL
) STRICT;
CREATE INDEX operator_office ON operator (office);

-- id is the credential id of WebAuthn, which belongs to one person.
CREATE TABLE passkey (
    id       BLOB NOT NULL PRIMARY KEY,
    operator TEXT NOT NULL REFERENCES operator (id),
    name     TEXT NOT NULL,
    data     BLOB NOT NULL,
    made     INTEGER NOT NULL,
    used     INTEGER NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('good', 'locked'))
) STRICT;
CREATE INDEX passkey_operator ON passkey (operator);

-- digest is the SHA-256 of what the link ends in.
CREATE TABLE invitation (
    digest   BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    operator TEXT NOT NULL REFERENCES operator (id),
    kind     TEXT NOT NULL CHECK (kind IN ('first', 'invite', 'recover')),
    made     INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('open', 'used', 'withdrawn'))
) STRICT;
CREATE INDEX invitation_operator ON invitation (operator);

-- What a browser was asked to sign. A row is deleted by whoever takes it.
CREATE TABLE ceremony (
    digest   BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    kind     TEXT NOT NULL,
    operator TEXT NOT NULL,
    data     BLOB NOT NULL,
    expires  INTEGER NOT NULL
) STRICT;
CREATE INDEX ceremony_expires ON ceremony (expires);

-- token is the hash of the token that the browser has.
CREATE TABLE session (
    token   TEXT NOT NULL PRIMARY KEY,
    data    BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX session_expires ON session (expires);

CREATE TABLE attempt (
    what    BLOB NOT NULL PRIMARY KEY,
    n       INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE proposal (
    id        TEXT NOT NULL PRIMARY KEY,
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    office    TEXT NOT NULL,
    payload   BLOB NOT NULL,
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    requester TEXT NOT NULL,
    approver  TEXT NOT NULL,
    made      INTEGER NOT NULL,
    decided   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'done', 'closed')),
    CHECK (approver <> requester)
) STRICT;
CREATE INDEX proposal_office ON proposal (office, state);
CREATE INDEX proposal_subject ON proposal (subject);
CREATE TRIGGER proposal_stays BEFORE UPDATE ON proposal
    WHEN old.action <> new.action OR old.subject <> new.subject OR old.office <> new.office OR old.payload <> new.payload OR old.digest <> new.digest
        OR old.requester <> new.requester OR old.made <> new.made OR old.expires <> new.expires OR old.state IN ('done', 'closed')
        OR (old.approver <> '' AND old.approver <> new.approver)
    BEGIN SELECT raise(ABORT, 'sanad: what was proposed stays as it was shown'); END;
