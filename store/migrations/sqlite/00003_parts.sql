-- Parts: what is added to a credential after it was issued, such as the copies for a
-- wallet beside the paper.

-- +goose Up

-- The id of the credential that this one is a part of; NULL if it stands by itself. A
-- part has a ladder, forms and slots of its own and shares the fate of the credential.
ALTER TABLE credential ADD COLUMN part_of TEXT;

CREATE INDEX credential_part ON credential (part_of) WHERE part_of IS NOT NULL;

DROP TRIGGER credential_facts;
-- +goose StatementBegin
CREATE TRIGGER credential_facts BEFORE UPDATE OF credential_id, programme_no, version, record_ref, issued_at, expires_at,
    batch_no, batch_row, supersedes, idempotency_key, many, writer_no, part_of ON credential
BEGIN SELECT RAISE(ABORT, 'sanad: the facts of a credential do not change'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER credential_part_insert BEFORE INSERT ON credential
WHEN NEW.part_of IS NOT NULL AND (NEW.many <> 1 OR NOT EXISTS (
    SELECT 1 FROM credential WHERE credential_id = NEW.part_of AND state = 'active' AND part_of IS NULL
        AND programme_no = NEW.programme_no AND record_ref = NEW.record_ref))
BEGIN SELECT RAISE(ABORT, 'sanad: a part belongs to an active credential of its record'); END;
-- +goose StatementEnd

-- One fate: no part is in force while its credential is not.
-- +goose StatementBegin
CREATE TRIGGER credential_part_active BEFORE UPDATE OF state ON credential
WHEN NEW.part_of IS NOT NULL AND NEW.state = 'active'
  AND (SELECT state FROM credential WHERE credential_id = NEW.part_of) IS NOT 'active'
BEGIN SELECT RAISE(ABORT, 'sanad: a part is not in force without its credential'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_part_fate BEFORE UPDATE OF state ON credential
WHEN NEW.part_of IS NULL AND NEW.state IN ('revoked', 'suspended')
  AND EXISTS (SELECT 1 FROM credential WHERE part_of = NEW.credential_id
              AND (state = 'active' OR NEW.state = 'revoked' AND state <> 'revoked'))
BEGIN SELECT RAISE(ABORT, 'sanad: the parts of a credential share its fate'); END;
-- +goose StatementEnd
