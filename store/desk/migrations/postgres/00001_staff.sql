-- Who works here, how they sign in, and what waits for a second person.
-- Times are milliseconds since 1970-01-01 UTC; lists are JSON arrays.

CREATE TABLE office (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    name       text COLLATE "C" NOT NULL,
    programmes text COLLATE "C" NOT NULL,
    field      text COLLATE "C" NOT NULL,
    vals       text COLLATE "C" NOT NULL
);

CREATE TABLE operator (
    id       text COLLATE "C" NOT NULL PRIMARY KEY,
    name     text COLLATE "C" NOT NULL,
    office   text COLLATE "C" NOT NULL REFERENCES office (id),
    roles    text COLLATE "C" NOT NULL,
    standing text COLLATE "C" NOT NULL CHECK (standing IN ('invited', 'active', 'suspended', 'left')),
    epoch    bigint NOT NULL,
    made     bigint NOT NULL,
    seen     bigint NOT NULL
);
CREATE INDEX operator_office ON operator (office);

-- id is the credential id of WebAuthn, which belongs to one person.
CREATE TABLE passkey (
    id       bytea NOT NULL PRIMARY KEY,
    operator text COLLATE "C" NOT NULL REFERENCES operator (id),
    name     text COLLATE "C" NOT NULL,
    data     bytea NOT NULL,
    made     bigint NOT NULL,
    used     bigint NOT NULL,
    state    text COLLATE "C" NOT NULL CHECK (state IN ('good', 'locked'))
);
CREATE INDEX passkey_operator ON passkey (operator);

-- digest is the SHA-256 of what the link ends in.
CREATE TABLE invitation (
    digest   bytea NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    operator text COLLATE "C" NOT NULL REFERENCES operator (id),
    kind     text COLLATE "C" NOT NULL CHECK (kind IN ('first', 'invite', 'recover')),
    made     bigint NOT NULL,
    expires  bigint NOT NULL,
    state    text COLLATE "C" NOT NULL CHECK (state IN ('open', 'used', 'withdrawn'))
);
CREATE INDEX invitation_operator ON invitation (operator);

-- What a browser was asked to sign. A row is deleted by whoever takes it.
CREATE TABLE ceremony (
    digest   bytea NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    kind     text COLLATE "C" NOT NULL,
    operator text COLLATE "C" NOT NULL,
    data     bytea NOT NULL,
    expires  bigint NOT NULL
);
CREATE INDEX ceremony_expires ON ceremony (expires);

-- token is the hash of the token that the browser has.
CREATE TABLE session (
    token   text COLLATE "C" NOT NULL PRIMARY KEY,
    data    bytea NOT NULL,
    expires bigint NOT NULL
);
CREATE INDEX session_expires ON session (expires);

CREATE TABLE attempt (
    what    bytea NOT NULL PRIMARY KEY,
    n       bigint NOT NULL,
    expires bigint NOT NULL
);

CREATE TABLE proposal (
    id        text COLLATE "C" NOT NULL PRIMARY KEY,
    action    text COLLATE "C" NOT NULL,
    subject   text COLLATE "C" NOT NULL,
    office    text COLLATE "C" NOT NULL,
    payload   bytea NOT NULL,
    digest    bytea NOT NULL CHECK (length(digest) = 32),
    requester text COLLATE "C" NOT NULL,
    approver  text COLLATE "C" NOT NULL,
    made      bigint NOT NULL,
    decided   bigint NOT NULL,
    expires   bigint NOT NULL,
    state     text COLLATE "C" NOT NULL CHECK (state IN ('proposed', 'approved', 'done', 'closed')),
    CHECK (approver <> requester)
);
CREATE INDEX proposal_office ON proposal (office, state);
CREATE INDEX proposal_subject ON proposal (subject);
CREATE FUNCTION proposal_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.action <> NEW.action OR OLD.subject <> NEW.subject OR OLD.office <> NEW.office OR OLD.payload <> NEW.payload OR OLD.digest <> NEW.digest
            OR OLD.requester <> NEW.requester OR OLD.made <> NEW.made OR OLD.expires <> NEW.expires OR OLD.state IN ('done', 'closed')
            OR (OLD.approver <> '' AND OLD.approver <> NEW.approver) THEN
            RAISE EXCEPTION 'sanad: what was proposed stays as it was shown';
        END IF;
        RETURN NEW;
    END $$;
CREATE TRIGGER proposal_stays BEFORE UPDATE ON proposal FOR EACH ROW EXECUTE FUNCTION proposal_stays();
