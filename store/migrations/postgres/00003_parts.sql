-- Parts: what is added to a credential after it was issued, such as the copies for a
-- wallet beside the paper. See migrations/sqlite.

-- +goose Up

ALTER TABLE credential ADD COLUMN part_of text COLLATE "C";

CREATE INDEX credential_part ON credential (part_of) WHERE part_of IS NOT NULL;

DROP TRIGGER credential_facts ON credential;
CREATE TRIGGER credential_facts AFTER UPDATE ON credential FOR EACH ROW
WHEN (NEW.credential_no <> OLD.credential_no OR NEW.credential_id <> OLD.credential_id OR NEW.programme_no <> OLD.programme_no
  OR NEW.version <> OLD.version OR NEW.record_ref <> OLD.record_ref OR NEW.issued_at <> OLD.issued_at
  OR NEW.expires_at IS DISTINCT FROM OLD.expires_at OR NEW.batch_no IS DISTINCT FROM OLD.batch_no OR NEW.batch_row <> OLD.batch_row
  OR NEW.supersedes <> OLD.supersedes OR NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key OR NEW.many <> OLD.many
  OR NEW.writer_no IS DISTINCT FROM OLD.writer_no OR NEW.part_of IS DISTINCT FROM OLD.part_of)
EXECUTE FUNCTION refuse('the facts of a credential do not change');

-- +goose StatementBegin
CREATE FUNCTION credential_part_joins() RETURNS trigger LANGUAGE plpgsql
    SET search_path = sanad, pg_temp SET enable_seqscan = off AS $$
BEGIN
    IF NEW.many <> 1 OR NOT EXISTS (
        SELECT FROM credential c WHERE c.credential_id = NEW.part_of AND c.state = 'active' AND c.part_of IS NULL
            AND c.programme_no = NEW.programme_no AND c.record_ref = NEW.record_ref) THEN
        RAISE EXCEPTION 'sanad: a part belongs to an active credential of its record' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_part_insert AFTER INSERT ON credential FOR EACH ROW
WHEN (NEW.part_of IS NOT NULL) EXECUTE FUNCTION credential_part_joins();

-- One fate: no part is in force while its credential is not.
-- +goose StatementBegin
CREATE FUNCTION credential_part_follows() RETURNS trigger LANGUAGE plpgsql
    SET search_path = sanad, pg_temp SET enable_seqscan = off AS $$
BEGIN
    IF (SELECT c.state FROM credential c WHERE c.credential_id = NEW.part_of) IS DISTINCT FROM 'active' THEN
        RAISE EXCEPTION 'sanad: a part is not in force without its credential' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_part_active AFTER UPDATE ON credential FOR EACH ROW
WHEN (NEW.part_of IS NOT NULL AND NEW.state = 'active') EXECUTE FUNCTION credential_part_follows();

-- +goose StatementBegin
CREATE FUNCTION credential_parts_follow() RETURNS trigger LANGUAGE plpgsql
    SET search_path = sanad, pg_temp SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM credential p WHERE p.part_of = NEW.credential_id
               AND (p.state = 'active' OR NEW.state = 'revoked' AND p.state <> 'revoked')) THEN
        RAISE EXCEPTION 'sanad: the parts of a credential share its fate' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_part_fate AFTER UPDATE ON credential FOR EACH ROW
WHEN (NEW.part_of IS NULL AND OLD.state <> 'intended' AND (NEW.state = 'revoked' OR NEW.state = 'suspended'))
EXECUTE FUNCTION credential_parts_follow();
