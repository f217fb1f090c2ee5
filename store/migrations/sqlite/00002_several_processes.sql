-- Several processes on one database, restores, and witnesses of the audit log.

-- +goose Up

-- Why no work may be done, and '' if it may: 'restored' or 'failed_over'.
ALTER TABLE meta ADD COLUMN fence TEXT NOT NULL DEFAULT '';
-- Which audit log of this issuer this is: one that had to begin anew has another
-- origin.
ALTER TABLE meta ADD COLUMN log_no INTEGER NOT NULL DEFAULT 1;
-- PostgreSQL's timeline that was last confirmed; 0 on SQLite.
ALTER TABLE meta ADD COLUMN timeline INTEGER NOT NULL DEFAULT 0;

-- A process that opened the database for writing.
-- +goose StatementBegin
CREATE TABLE writer (
    writer_no  INTEGER NOT NULL PRIMARY KEY,
    started_at INTEGER NOT NULL
) STRICT;
-- +goose StatementEnd

-- What all processes that share a batch have in common; '' if it is not shared.
ALTER TABLE batch ADD COLUMN shared TEXT NOT NULL DEFAULT '';

-- Who intended a credential; NULL for those of before.
ALTER TABLE credential ADD COLUMN writer_no INTEGER REFERENCES writer;

-- When a list was closed after a restore. It gives out no more slots; unlike of a
-- sealed one it is not published which it gave out.
ALTER TABLE status_list ADD COLUMN closed_at INTEGER;

DROP INDEX status_list_open;
CREATE UNIQUE INDEX status_list_open ON status_list (programme_no, form, bits)
    WHERE sealed_at IS NULL AND closed_at IS NULL AND next_counter < size;

-- What witnesses have signed of a checkpoint; note is the checkpoint with the line
-- of this witness.
-- +goose StatementBegin
CREATE TABLE audit_cosignature (
    size    INTEGER NOT NULL REFERENCES audit_checkpoint,
    witness TEXT    NOT NULL CHECK (witness <> ''),
    note    BLOB    NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (size, witness)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

-- A run of rows of a batch that processes share out among themselves.
-- +goose StatementBegin
CREATE TABLE batch_chunk (
    batch_no  INTEGER NOT NULL REFERENCES batch,
    chunk_no  INTEGER NOT NULL CHECK (chunk_no >= 0),
    first_row INTEGER NOT NULL CHECK (first_row >= 1),
    rows      INTEGER NOT NULL CHECK (rows >= 0),
    -- Where its source is read on from, sealed.
    start     BLOB    NOT NULL CHECK (length(start) <= 65536),
    last      INTEGER NOT NULL CHECK (last BETWEEN 0 AND 1),
    -- How often somebody took it on, and in which folder its results stand.
    claim     INTEGER NOT NULL DEFAULT 0 CHECK (claim >= 0),
    folder    TEXT    NOT NULL DEFAULT '',
    manifest_bytes INTEGER NOT NULL DEFAULT 0 CHECK (manifest_bytes >= 0),
    issued    INTEGER NOT NULL DEFAULT 0 CHECK (issued >= 0),
    failed    INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    skipped   INTEGER NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    -- NULL until all its rows are settled.
    done_at   INTEGER,
    PRIMARY KEY (batch_no, chunk_no),
    CHECK (issued + failed + skipped <= rows)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

CREATE UNIQUE INDEX batch_chunk_last ON batch_chunk (batch_no) WHERE last = 1;
CREATE INDEX batch_chunk_open ON batch_chunk (batch_no, chunk_no) WHERE done_at IS NULL;

DROP TRIGGER meta_update;
-- +goose StatementBegin
CREATE TRIGGER meta_update BEFORE UPDATE ON meta
WHEN NEW.one <> OLD.one OR NEW.instance_id <> OLD.instance_id OR NEW.created_at <> OLD.created_at
  OR NEW.epoch < OLD.epoch OR NEW.latest_tick < OLD.latest_tick OR NEW.timeline < OLD.timeline OR NEW.log_no < OLD.log_no
  OR ((NEW.fence <> OLD.fence OR NEW.log_no <> OLD.log_no) AND NEW.epoch <= OLD.epoch)
  OR NEW.fence NOT IN ('', 'restored', 'failed_over')
BEGIN SELECT RAISE(ABORT, 'sanad: meta does not go back'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER writer_insert BEFORE INSERT ON writer
WHEN NEW.writer_no <= (SELECT max(writer_no) FROM writer)
BEGIN SELECT RAISE(ABORT, 'sanad: writers follow one another'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER writer_update BEFORE UPDATE ON writer
BEGIN SELECT RAISE(ABORT, 'sanad: a writer does not change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER writer_delete BEFORE DELETE ON writer
BEGIN SELECT RAISE(ABORT, 'sanad: writers are kept'); END;
-- +goose StatementEnd

DROP TRIGGER status_list_insert;
-- +goose StatementBegin
CREATE TRIGGER status_list_insert BEFORE INSERT ON status_list
WHEN NEW.next_counter <> 0 OR NEW.sealed_at IS NOT NULL OR NEW.closed_at IS NOT NULL
  OR EXISTS (SELECT 1 FROM status_list WHERE list_no = NEW.list_no OR uri = NEW.uri
             OR (programme_no = NEW.programme_no AND form = NEW.form AND bits = NEW.bits
                 AND sealed_at IS NULL AND closed_at IS NULL AND next_counter < size))
BEGIN SELECT RAISE(ABORT, 'sanad: list open'); END;
-- +goose StatementEnd
DROP TRIGGER status_list_update;
-- +goose StatementBegin
CREATE TRIGGER status_list_update BEFORE UPDATE ON status_list
WHEN NEW.list_no <> OLD.list_no OR NEW.uri <> OLD.uri OR NEW.programme_no <> OLD.programme_no OR NEW.form <> OLD.form
  OR NEW.bits <> OLD.bits OR NEW.size <> OLD.size OR NEW.opened_at <> OLD.opened_at
  OR NEW.next_counter < OLD.next_counter
  OR (OLD.sealed_at IS NOT NULL AND NEW.sealed_at IS NOT OLD.sealed_at)
  OR (OLD.closed_at IS NOT NULL AND NEW.closed_at IS NOT OLD.closed_at)
  OR ((OLD.sealed_at IS NOT NULL OR OLD.closed_at IS NOT NULL) AND NEW.next_counter <> OLD.next_counter)
BEGIN SELECT RAISE(ABORT, 'sanad: a status list does not go back'); END;
-- +goose StatementEnd

DROP TRIGGER batch_update;
-- +goose StatementBegin
CREATE TRIGGER batch_update BEFORE UPDATE ON batch
WHEN OLD.state = 'finished'
  OR NEW.batch_no <> OLD.batch_no OR NEW.batch_id <> OLD.batch_id OR NEW.programme_no <> OLD.programme_no
  OR NEW.version <> OLD.version OR NEW.source <> OLD.source OR NEW.started_at <> OLD.started_at OR NEW.shared <> OLD.shared
  OR NEW.changed_at < OLD.changed_at OR NEW.chunks NOT IN (OLD.chunks, OLD.chunks + 1)
  OR NEW.source_rows < OLD.source_rows OR NEW.issued < OLD.issued OR NEW.failed < OLD.failed
  OR NEW.skipped < OLD.skipped OR NEW.manifest_bytes < OLD.manifest_bytes
BEGIN SELECT RAISE(ABORT, 'sanad: a batch does not go back'); END;
-- +goose StatementEnd

DROP TRIGGER credential_facts;
-- +goose StatementBegin
CREATE TRIGGER credential_facts BEFORE UPDATE OF credential_id, programme_no, version, record_ref, issued_at, expires_at,
    batch_no, batch_row, supersedes, idempotency_key, many, writer_no ON credential
BEGIN SELECT RAISE(ABORT, 'sanad: the facts of a credential do not change'); END;
-- +goose StatementEnd

-- One fate for all forms: their slots follow every change but the first, to active.
DROP TRIGGER credential_fate;
-- +goose StatementBegin
CREATE TRIGGER credential_fate AFTER UPDATE OF state, reason ON credential
WHEN OLD.state <> 'intended' OR NEW.state <> 'active'
BEGIN
    UPDATE credential_form SET slot_value = CASE NEW.state WHEN 'revoked' THEN 1 WHEN 'suspended' THEN 2 ELSE 0 END
    WHERE credential_no = NEW.credential_no;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_cosignature_insert BEFORE INSERT ON audit_cosignature
WHEN EXISTS (SELECT 1 FROM audit_cosignature WHERE size = NEW.size AND witness = NEW.witness)
BEGIN SELECT RAISE(ABORT, 'sanad: co-signatures are kept'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_cosignature_update BEFORE UPDATE ON audit_cosignature
BEGIN SELECT RAISE(ABORT, 'sanad: co-signatures are kept'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_cosignature_delete BEFORE DELETE ON audit_cosignature
BEGIN SELECT RAISE(ABORT, 'sanad: co-signatures are kept'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER batch_chunk_insert BEFORE INSERT ON batch_chunk
WHEN NEW.done_at IS NOT NULL
  OR EXISTS (SELECT 1 FROM batch_chunk WHERE batch_no = NEW.batch_no AND (chunk_no = NEW.chunk_no OR last = 1))
BEGIN SELECT RAISE(ABORT, 'sanad: chunk exists'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER batch_chunk_update BEFORE UPDATE ON batch_chunk
WHEN OLD.done_at IS NOT NULL OR NEW.batch_no <> OLD.batch_no OR NEW.chunk_no <> OLD.chunk_no
  OR NEW.first_row <> OLD.first_row OR NEW.rows <> OLD.rows OR NEW.start <> OLD.start OR NEW.last <> OLD.last
  OR NEW.claim < OLD.claim
BEGIN SELECT RAISE(ABORT, 'sanad: a chunk does not go back'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER batch_chunk_delete BEFORE DELETE ON batch_chunk
BEGIN SELECT RAISE(ABORT, 'sanad: chunks are kept'); END;
-- +goose StatementEnd
