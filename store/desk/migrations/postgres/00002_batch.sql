-- Batches of the console, and figures. document is the job as JSON; the columns beside
-- it are those that it is looked for by.

CREATE TABLE batch_job (
    id       text COLLATE "C" NOT NULL PRIMARY KEY,
    office   text COLLATE "C" NOT NULL,
    state    text COLLATE "C" NOT NULL,
    made     bigint NOT NULL,
    erased   bigint NOT NULL,
    revision bigint NOT NULL,
    document text COLLATE "C" NOT NULL
);
CREATE INDEX batch_job_made ON batch_job (made);
CREATE INDEX batch_job_state ON batch_job (state);
CREATE FUNCTION batch_job_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.id <> NEW.id OR OLD.office <> NEW.office OR OLD.made <> NEW.made OR NEW.revision <> OLD.revision + 1
            OR (OLD.state IN ('finished', 'cancelled', 'unusable') AND OLD.state <> NEW.state) THEN
            RAISE EXCEPTION 'sanad: a job stays what it is';
        END IF;
        RETURN NEW;
    END $$;
CREATE TRIGGER batch_job_stays BEFORE UPDATE ON batch_job FOR EACH ROW EXECUTE FUNCTION batch_job_stays();

-- Who does which work of a job, until when.
CREATE TABLE batch_lease (
    job    text COLLATE "C" NOT NULL REFERENCES batch_job (id) ON DELETE CASCADE,
    work   text COLLATE "C" NOT NULL,
    worker text COLLATE "C" NOT NULL,
    until  bigint NOT NULL,
    PRIMARY KEY (job, work)
);

-- Figures of a day by office and programme, summed up from the audit log. position says
-- how many of its entries are in them; log names the log.
CREATE TABLE tally (
    day       text COLLATE "C" NOT NULL,
    office    text COLLATE "C" NOT NULL,
    programme text COLLATE "C" NOT NULL,
    what      text COLLATE "C" NOT NULL,
    n         bigint NOT NULL,
    PRIMARY KEY (day, office, programme, what)
);
CREATE TABLE tally_position (
    one      smallint NOT NULL PRIMARY KEY CHECK (one = 1),
    log      text COLLATE "C" NOT NULL,
    position bigint NOT NULL
);
-- Credentials that are begun and not signed yet: what they are of, until it is known.
CREATE TABLE tally_open (
    credential text COLLATE "C" NOT NULL PRIMARY KEY,
    office     text COLLATE "C" NOT NULL,
    programme  text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    begun      bigint NOT NULL
);
