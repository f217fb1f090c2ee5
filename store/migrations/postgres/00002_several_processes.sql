-- Several processes on one database, restores, and witnesses of the audit log.

-- +goose Up

-- Why no work may be done, and '' if it may: 'restored' or 'failed_over'.
ALTER TABLE meta ADD COLUMN fence text NOT NULL DEFAULT '' CHECK (fence IN ('', 'restored', 'failed_over'));
-- Which audit log of this issuer this is: one that had to begin anew has another
-- origin.
ALTER TABLE meta ADD COLUMN log_no bigint NOT NULL DEFAULT 1;
-- PostgreSQL's timeline that was last confirmed: another one means that a standby
-- took over. 0 until the database is first opened.
ALTER TABLE meta ADD COLUMN timeline bigint NOT NULL DEFAULT 0;

-- A process that opened the database for writing. As long as it lives it holds a
-- shared advisory lock on (1396788804, writer_no).
CREATE TABLE writer (
    writer_no  bigint NOT NULL PRIMARY KEY CHECK (writer_no BETWEEN 1 AND 2147483647),
    started_at bigint NOT NULL
);

-- What all processes that share a batch have in common; '' if it is not shared.
ALTER TABLE batch ADD COLUMN shared text NOT NULL DEFAULT '';

-- Who intended a credential; NULL for those of before.
ALTER TABLE credential ADD COLUMN writer_no bigint;

-- When a list was closed after a restore. It gives out no more slots; unlike of a
-- sealed one it is not published which it gave out.
ALTER TABLE status_list ADD COLUMN closed_at bigint;

DROP INDEX status_list_open;
CREATE UNIQUE INDEX status_list_open ON status_list (programme_no, form, bits)
    WHERE sealed_at IS NULL AND closed_at IS NULL AND next_counter < size;

-- What witnesses have signed of a checkpoint; note is the checkpoint with the line
-- of this witness.
CREATE TABLE audit_cosignature (
    size    bigint NOT NULL REFERENCES audit_checkpoint,
    witness text COLLATE "C" NOT NULL CHECK (witness <> ''),
    note    bytea  NOT NULL,
    seen_at bigint NOT NULL,
    PRIMARY KEY (size, witness)
);

-- A run of rows of a batch that processes share out among themselves.
CREATE TABLE batch_chunk (
    batch_no  bigint NOT NULL REFERENCES batch,
    chunk_no  bigint NOT NULL CHECK (chunk_no >= 0),
    first_row bigint NOT NULL CHECK (first_row >= 1),
    rows      bigint NOT NULL CHECK (rows >= 0),
    -- Where its source is read on from, sealed.
    start     bytea  NOT NULL CHECK (length(start) <= 65536),
    last      smallint NOT NULL CHECK (last BETWEEN 0 AND 1),
    -- How often somebody took it on, and in which folder its results stand.
    claim     bigint NOT NULL DEFAULT 0 CHECK (claim >= 0),
    folder    text   NOT NULL DEFAULT '',
    manifest_bytes bigint NOT NULL DEFAULT 0 CHECK (manifest_bytes >= 0),
    issued    bigint NOT NULL DEFAULT 0 CHECK (issued >= 0),
    failed    bigint NOT NULL DEFAULT 0 CHECK (failed >= 0),
    skipped   bigint NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    -- NULL until all its rows are settled.
    done_at   bigint,
    PRIMARY KEY (batch_no, chunk_no),
    CHECK (issued + failed + skipped <= rows)
);

CREATE UNIQUE INDEX batch_chunk_last ON batch_chunk (batch_no) WHERE last = 1;
CREATE INDEX batch_chunk_open ON batch_chunk (batch_no, chunk_no) WHERE done_at IS NULL;

DROP TRIGGER meta_update ON meta;
CREATE TRIGGER meta_update AFTER UPDATE ON meta FOR EACH ROW
WHEN (NEW.one <> OLD.one OR NEW.instance_id <> OLD.instance_id OR NEW.created_at <> OLD.created_at
  OR NEW.epoch < OLD.epoch OR NEW.latest_tick < OLD.latest_tick OR NEW.timeline < OLD.timeline OR NEW.log_no < OLD.log_no
  OR ((NEW.fence <> OLD.fence OR NEW.log_no <> OLD.log_no) AND NEW.epoch <= OLD.epoch))
EXECUTE FUNCTION refuse('meta does not go back');

CREATE TRIGGER writer_update BEFORE UPDATE ON writer EXECUTE FUNCTION refuse('a writer does not change');
CREATE TRIGGER writer_delete BEFORE DELETE OR TRUNCATE ON writer EXECUTE FUNCTION refuse('writers are kept');

DROP TRIGGER batch_update ON batch;
CREATE TRIGGER batch_update AFTER UPDATE ON batch FOR EACH ROW
WHEN (OLD.state = 'finished'
  OR NEW.batch_no <> OLD.batch_no OR NEW.batch_id <> OLD.batch_id OR NEW.programme_no <> OLD.programme_no
  OR NEW.version <> OLD.version OR NEW.source <> OLD.source OR NEW.started_at <> OLD.started_at OR NEW.shared <> OLD.shared
  OR NEW.changed_at < OLD.changed_at OR NEW.chunks NOT IN (OLD.chunks, OLD.chunks + 1)
  OR NEW.source_rows < OLD.source_rows OR NEW.issued < OLD.issued OR NEW.failed < OLD.failed
  OR NEW.skipped < OLD.skipped OR NEW.manifest_bytes < OLD.manifest_bytes)
EXECUTE FUNCTION refuse('a batch does not go back');

DROP TRIGGER status_list_insert ON status_list;
CREATE TRIGGER status_list_insert AFTER INSERT ON status_list FOR EACH ROW
WHEN (NEW.next_counter <> 0 OR NEW.sealed_at IS NOT NULL OR NEW.closed_at IS NOT NULL)
EXECUTE FUNCTION refuse('a list begins empty and open');
DROP TRIGGER status_list_update ON status_list;
CREATE TRIGGER status_list_update AFTER UPDATE ON status_list FOR EACH ROW
WHEN (NEW.list_no <> OLD.list_no OR NEW.uri <> OLD.uri OR NEW.programme_no <> OLD.programme_no OR NEW.form <> OLD.form
  OR NEW.bits <> OLD.bits OR NEW.size <> OLD.size OR NEW.opened_at <> OLD.opened_at
  OR NEW.next_counter < OLD.next_counter
  OR (OLD.sealed_at IS NOT NULL AND NEW.sealed_at IS DISTINCT FROM OLD.sealed_at)
  OR (OLD.closed_at IS NOT NULL AND NEW.closed_at IS DISTINCT FROM OLD.closed_at)
  OR ((OLD.sealed_at IS NOT NULL OR OLD.closed_at IS NOT NULL) AND NEW.next_counter <> OLD.next_counter))
EXECUTE FUNCTION refuse('a status list does not go back');

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION credential_refers() RETURNS trigger LANGUAGE plpgsql
    SET search_path = sanad, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT programme_no, version FROM fresh) f
               WHERE NOT EXISTS (SELECT FROM programme_version v WHERE v.programme_no = f.programme_no AND v.version = f.version))
    OR EXISTS (SELECT FROM (SELECT DISTINCT batch_no FROM fresh WHERE batch_no IS NOT NULL) f
               WHERE NOT EXISTS (SELECT FROM batch b WHERE b.batch_no = f.batch_no))
    OR EXISTS (SELECT FROM (SELECT DISTINCT writer_no FROM fresh WHERE writer_no IS NOT NULL) f
               WHERE NOT EXISTS (SELECT FROM writer w WHERE w.writer_no = f.writer_no)) THEN
        RAISE EXCEPTION 'sanad: a credential refers to what is not stored' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

DROP TRIGGER credential_facts ON credential;
CREATE TRIGGER credential_facts AFTER UPDATE ON credential FOR EACH ROW
WHEN (NEW.credential_no <> OLD.credential_no OR NEW.credential_id <> OLD.credential_id OR NEW.programme_no <> OLD.programme_no
  OR NEW.version <> OLD.version OR NEW.record_ref <> OLD.record_ref OR NEW.issued_at <> OLD.issued_at
  OR NEW.expires_at IS DISTINCT FROM OLD.expires_at OR NEW.batch_no IS DISTINCT FROM OLD.batch_no OR NEW.batch_row <> OLD.batch_row
  OR NEW.supersedes <> OLD.supersedes OR NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key OR NEW.many <> OLD.many
  OR NEW.writer_no IS DISTINCT FROM OLD.writer_no)
EXECUTE FUNCTION refuse('the facts of a credential do not change');

CREATE TRIGGER audit_cosignature_update BEFORE UPDATE ON audit_cosignature EXECUTE FUNCTION refuse('co-signatures are kept');
CREATE TRIGGER audit_cosignature_delete BEFORE DELETE OR TRUNCATE ON audit_cosignature EXECUTE FUNCTION refuse('co-signatures are kept');

-- +goose StatementBegin
CREATE FUNCTION batch_chunk_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = sanad, pg_temp AS $$
BEGIN
    IF NEW.done_at IS NOT NULL OR EXISTS (SELECT FROM batch_chunk WHERE batch_no = NEW.batch_no AND last = 1) THEN
        RAISE EXCEPTION 'sanad: chunk exists' USING ERRCODE = 'SA001';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER batch_chunk_insert BEFORE INSERT ON batch_chunk FOR EACH ROW EXECUTE FUNCTION batch_chunk_follows();
CREATE TRIGGER batch_chunk_update AFTER UPDATE ON batch_chunk FOR EACH ROW
WHEN (OLD.done_at IS NOT NULL OR NEW.batch_no <> OLD.batch_no OR NEW.chunk_no <> OLD.chunk_no
  OR NEW.first_row <> OLD.first_row OR NEW.rows <> OLD.rows OR NEW.start <> OLD.start OR NEW.last <> OLD.last
  OR NEW.claim < OLD.claim)
EXECUTE FUNCTION refuse('a chunk does not go back');
CREATE TRIGGER batch_chunk_delete BEFORE DELETE OR TRUNCATE ON batch_chunk EXECUTE FUNCTION refuse('chunks are kept');
