-- Which credentials are not active stands in tables of their own. An index on the state
-- would make every mark write the entries of all indexes of its credential anew; without
-- one, and with room on the page, a credential is marked as signed in its place (a
-- heap-only tuple). See docs/decisions/0057-marked-in-its-place.md.

-- +goose Up

DROP INDEX credential_not_active;
ALTER TABLE credential SET (fillfactor = 50); -- each row is marked once, soon after

-- Both tables follow the credentials by triggers and are not dumped. They are written
-- with the rights of the owner, so that nobody else can.

-- Runs of numbers in which there are intended credentials, among others: a row for each
-- statement that intended some, until the last of them is something else.
CREATE TABLE credential_intended (
    last_no  bigint NOT NULL PRIMARY KEY,
    first_no bigint NOT NULL CHECK (first_no <= last_no)
);

-- The suspended and the revoked.
CREATE TABLE credential_not_valid (
    state         text COLLATE "C" NOT NULL,
    credential_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (state, credential_id)
);

INSERT INTO credential_intended SELECT credential_no, credential_no FROM credential WHERE state = 'intended';
INSERT INTO credential_not_valid SELECT state, credential_id FROM credential WHERE state = 'suspended' OR state = 'revoked';

CREATE TRIGGER credential_intended_follows BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON credential_intended
WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse('which credentials are intended follows from their states');
CREATE TRIGGER credential_not_valid_follows BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON credential_not_valid
WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse('which credentials are not valid follows from their states');

-- +goose StatementBegin
CREATE FUNCTION credential_begins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = sanad, pg_temp AS $$
BEGIN
    INSERT INTO credential_intended SELECT max(credential_no), min(credential_no) FROM fresh HAVING count(*) > 0;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_begins AFTER INSERT ON credential REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
EXECUTE FUNCTION credential_begins();

-- +goose StatementBegin
CREATE FUNCTION credential_settles() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = sanad, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    lowest bigint;
    highest bigint;
BEGIN
    SELECT min(credential_no), max(credential_no) INTO lowest, highest FROM changed;
    DELETE FROM credential_intended i WHERE i.last_no >= lowest AND i.first_no <= highest
    AND NOT EXISTS (SELECT FROM credential c WHERE c.credential_no BETWEEN i.first_no AND i.last_no AND c.state = 'intended');
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_settles AFTER UPDATE ON credential REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
EXECUTE FUNCTION credential_settles();

-- +goose StatementBegin
CREATE FUNCTION credential_validity() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = sanad, pg_temp SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM credential_not_valid WHERE state = OLD.state AND credential_id = OLD.credential_id;
    IF NEW.state <> 'active' THEN
        INSERT INTO credential_not_valid VALUES (NEW.state, NEW.credential_id);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_validity AFTER UPDATE ON credential FOR EACH ROW
WHEN (OLD.state <> 'intended' OR NEW.state <> 'active') EXECUTE FUNCTION credential_validity();
