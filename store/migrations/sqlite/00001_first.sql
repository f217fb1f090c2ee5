-- The issuer's memory. For whoever reads it without Sanad:
--
--   Times are milliseconds since 1970-01-01 UTC. Digests are SHA-256. A column
--   that ends in _no is a number of this database's own and means nothing outside.
--   No table holds a registry record or a credential: record_ref is a keyed hash,
--   and of what was signed there are digests only.
--
-- What must never happen is refused by triggers, so that it holds for any SQL.
-- A row of a history is never deleted and its facts never change; INSERT OR
-- REPLACE, which deletes without asking delete triggers, is refused by the insert
-- triggers, which look for the row that it would replace.

-- +goose Up

-- +goose StatementBegin
CREATE TABLE meta (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    instance_id TEXT    NOT NULL CHECK (instance_id <> ''),
    -- Raised after a restore; what was started under a lower one must stop.
    epoch       INTEGER NOT NULL CHECK (epoch >= 1),
    created_at  INTEGER NOT NULL,
    -- The latest date of issue that was given out; see Tick.
    latest_tick INTEGER NOT NULL
) STRICT;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE programme (
    programme_no INTEGER NOT NULL PRIMARY KEY,
    programme_id TEXT    NOT NULL UNIQUE CHECK (programme_id <> '')
) STRICT;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE programme_version (
    programme_no INTEGER NOT NULL REFERENCES programme,
    version      INTEGER NOT NULL,
    text         BLOB    NOT NULL,
    digest       BLOB    NOT NULL CHECK (length(digest) = 32),
    added_at     INTEGER NOT NULL,
    PRIMARY KEY (programme_no, version)
) STRICT;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE batch (
    batch_no       INTEGER NOT NULL PRIMARY KEY,
    batch_id       TEXT    NOT NULL UNIQUE CHECK (batch_id <> ''),
    programme_no   INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    source         TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('running', 'finished')),
    started_at     INTEGER NOT NULL,
    changed_at     INTEGER NOT NULL,
    chunks         INTEGER NOT NULL CHECK (chunks >= 0),
    source_rows    INTEGER NOT NULL CHECK (source_rows >= 0),
    issued         INTEGER NOT NULL CHECK (issued >= 0),
    failed         INTEGER NOT NULL CHECK (failed >= 0),
    skipped        INTEGER NOT NULL CHECK (skipped >= 0),
    manifest_bytes INTEGER NOT NULL CHECK (manifest_bytes >= 0),
    FOREIGN KEY (programme_no, version) REFERENCES programme_version
) STRICT;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE status_list (
    list_no      INTEGER NOT NULL PRIMARY KEY,
    uri          TEXT    NOT NULL UNIQUE CHECK (uri <> ''),
    programme_no INTEGER NOT NULL REFERENCES programme,
    form         TEXT    NOT NULL,
    bits         INTEGER NOT NULL CHECK (bits IN (1, 2, 4, 8)),
    size         INTEGER NOT NULL CHECK (size > 0),
    -- Slots given out or passed over; it only grows. Which indexes they are is
    -- told by a keyed permutation that is not in this database.
    next_counter INTEGER NOT NULL CHECK (next_counter BETWEEN 0 AND size),
    opened_at    INTEGER NOT NULL,
    sealed_at    INTEGER
) STRICT;
-- +goose StatementEnd

CREATE UNIQUE INDEX status_list_open ON status_list (programme_no, form, bits)
    WHERE sealed_at IS NULL AND next_counter < size;

-- +goose StatementBegin
CREATE TABLE credential (
    credential_no   INTEGER NOT NULL PRIMARY KEY,
    credential_id   TEXT    NOT NULL UNIQUE CHECK (credential_id <> ''),
    programme_no    INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    record_ref      BLOB    NOT NULL CHECK (length(record_ref) = 32),
    state           TEXT    NOT NULL CHECK (state = 'intended' OR state = 'active' OR state = 'suspended' OR state = 'revoked'),
    reason          TEXT    NOT NULL CHECK ((reason = '') = (state IN ('intended', 'active'))),
    issued_at       INTEGER NOT NULL,
    expires_at      INTEGER,
    changed_at      INTEGER NOT NULL,
    batch_no        INTEGER REFERENCES batch,
    batch_row       INTEGER NOT NULL,
    supersedes      TEXT    NOT NULL,
    idempotency_key BLOB    CHECK (length(idempotency_key) = 32),
    -- 1 if its programme allows a record several credentials.
    many            INTEGER NOT NULL CHECK (many BETWEEN 0 AND 1),
    -- 0 while the credential holds its record, its own number otherwise, so that
    -- of one record no two hold it.
    vacated         INTEGER NOT NULL CHECK (vacated = CASE WHEN many = 1 OR state = 'revoked' THEN credential_no ELSE 0 END),
    FOREIGN KEY (programme_no, version) REFERENCES programme_version
) STRICT;
-- +goose StatementEnd

CREATE UNIQUE INDEX credential_holder ON credential (programme_no, record_ref, vacated);
CREATE UNIQUE INDEX credential_idempotency ON credential (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX credential_batch ON credential (batch_no, credential_id) WHERE batch_no IS NOT NULL;
-- Few rows at any time: leftovers are looked for among them, not among all.
CREATE INDEX credential_not_active ON credential (state, credential_id) WHERE state <> 'active';

-- +goose StatementBegin
CREATE TABLE credential_form (
    credential_no INTEGER NOT NULL REFERENCES credential,
    form_no       INTEGER NOT NULL,
    form          TEXT    NOT NULL,
    list_no       INTEGER REFERENCES status_list,
    slot_index    INTEGER CHECK ((slot_index IS NULL) = (list_no IS NULL)),
    -- What the status list says: 0 valid, 1 revoked, 2 suspended. It follows the
    -- state of the credential.
    slot_value    INTEGER NOT NULL CHECK (slot_value BETWEEN 0 AND 2),
    key_id        BLOB    NOT NULL CHECK (length(key_id) = 8),
    to_be_signed  BLOB    NOT NULL CHECK (length(to_be_signed) = 32),
    -- All zero until it is signed.
    signed        BLOB    NOT NULL CHECK (length(signed) = 32),
    PRIMARY KEY (credential_no, form_no)
) STRICT, WITHOUT ROWID;
-- +goose StatementEnd

CREATE UNIQUE INDEX credential_form_slot ON credential_form (list_no, slot_index) WHERE list_no IS NOT NULL;
CREATE INDEX credential_form_not_valid ON credential_form (list_no, slot_index, slot_value) WHERE slot_value <> 0;

-- +goose StatementBegin
CREATE TABLE publication (
    name      TEXT    NOT NULL PRIMARY KEY,
    number    INTEGER NOT NULL CHECK (number >= 1),
    issued_at INTEGER NOT NULL,
    digest    BLOB    NOT NULL CHECK (length(digest) = 32),
    content   BLOB    NOT NULL
) STRICT;
-- +goose StatementEnd

-- A block is what one transaction added to the audit log: entries is a line of
-- JSON for each, with a line break after it.
-- +goose StatementBegin
CREATE TABLE audit_block (
    first_entry INTEGER NOT NULL PRIMARY KEY,
    entry_count INTEGER NOT NULL CHECK (entry_count > 0),
    last_at     INTEGER NOT NULL,
    entries     TEXT    NOT NULL
) STRICT;
-- +goose StatementEnd

-- The hashes of the log's Merkle tree, 32 bytes each, in the order of tlog.
-- +goose StatementBegin
CREATE TABLE audit_hashes (
    first_hash INTEGER NOT NULL PRIMARY KEY,
    hashes     BLOB    NOT NULL CHECK (length(hashes) > 0 AND length(hashes) % 32 = 0)
) STRICT;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE audit_checkpoint (
    size      INTEGER NOT NULL PRIMARY KEY CHECK (size >= 0),
    root      BLOB    NOT NULL CHECK (length(root) = 32),
    signed_at INTEGER NOT NULL,
    note      BLOB    NOT NULL
) STRICT;
-- +goose StatementEnd

-- What never changes and never goes.

-- +goose StatementBegin
CREATE TRIGGER meta_insert BEFORE INSERT ON meta
WHEN EXISTS (SELECT 1 FROM meta)
BEGIN SELECT RAISE(ABORT, 'sanad: meta has its one row'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER meta_update BEFORE UPDATE ON meta
WHEN NEW.one <> OLD.one OR NEW.instance_id <> OLD.instance_id OR NEW.created_at <> OLD.created_at
  OR NEW.epoch < OLD.epoch OR NEW.latest_tick < OLD.latest_tick
BEGIN SELECT RAISE(ABORT, 'sanad: meta does not go back'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER meta_delete BEFORE DELETE ON meta
BEGIN SELECT RAISE(ABORT, 'sanad: meta is kept'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER programme_insert BEFORE INSERT ON programme
WHEN EXISTS (SELECT 1 FROM programme WHERE programme_no = NEW.programme_no OR programme_id = NEW.programme_id)
BEGIN SELECT RAISE(ABORT, 'sanad: programme exists'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER programme_update BEFORE UPDATE ON programme
BEGIN SELECT RAISE(ABORT, 'sanad: a programme does not change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER programme_delete BEFORE DELETE ON programme
BEGIN SELECT RAISE(ABORT, 'sanad: programmes are kept'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER programme_version_insert BEFORE INSERT ON programme_version
WHEN EXISTS (SELECT 1 FROM programme_version WHERE programme_no = NEW.programme_no AND version >= NEW.version)
  OR EXISTS (SELECT 1 FROM programme_version WHERE rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'sanad: programme version exists'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER programme_version_update BEFORE UPDATE ON programme_version
BEGIN SELECT RAISE(ABORT, 'sanad: a programme version does not change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER programme_version_delete BEFORE DELETE ON programme_version
BEGIN SELECT RAISE(ABORT, 'sanad: programme versions are kept'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER batch_insert BEFORE INSERT ON batch
WHEN NEW.chunks <> 0 OR EXISTS (SELECT 1 FROM batch WHERE batch_no = NEW.batch_no OR batch_id = NEW.batch_id)
BEGIN SELECT RAISE(ABORT, 'sanad: batch exists'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER batch_update BEFORE UPDATE ON batch
WHEN OLD.state = 'finished'
  OR NEW.batch_no <> OLD.batch_no OR NEW.batch_id <> OLD.batch_id OR NEW.programme_no <> OLD.programme_no
  OR NEW.version <> OLD.version OR NEW.source <> OLD.source OR NEW.started_at <> OLD.started_at
  OR NEW.changed_at < OLD.changed_at OR NEW.chunks NOT IN (OLD.chunks, OLD.chunks + 1)
  OR NEW.source_rows < OLD.source_rows OR NEW.issued < OLD.issued OR NEW.failed < OLD.failed
  OR NEW.skipped < OLD.skipped OR NEW.manifest_bytes < OLD.manifest_bytes
BEGIN SELECT RAISE(ABORT, 'sanad: a batch does not go back'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER batch_delete BEFORE DELETE ON batch
BEGIN SELECT RAISE(ABORT, 'sanad: batches are kept'); END;
-- +goose StatementEnd

-- Status lists: counters only grow.

-- +goose StatementBegin
CREATE TRIGGER status_list_insert BEFORE INSERT ON status_list
WHEN NEW.next_counter <> 0 OR NEW.sealed_at IS NOT NULL
  OR EXISTS (SELECT 1 FROM status_list WHERE list_no = NEW.list_no OR uri = NEW.uri
             OR (programme_no = NEW.programme_no AND form = NEW.form AND bits = NEW.bits
                 AND sealed_at IS NULL AND next_counter < size))
BEGIN SELECT RAISE(ABORT, 'sanad: list open'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER status_list_update BEFORE UPDATE ON status_list
WHEN NEW.list_no <> OLD.list_no OR NEW.uri <> OLD.uri OR NEW.programme_no <> OLD.programme_no OR NEW.form <> OLD.form
  OR NEW.bits <> OLD.bits OR NEW.size <> OLD.size OR NEW.opened_at <> OLD.opened_at
  OR NEW.next_counter < OLD.next_counter
  OR (OLD.sealed_at IS NOT NULL AND (NEW.sealed_at IS NOT OLD.sealed_at OR NEW.next_counter <> OLD.next_counter))
BEGIN SELECT RAISE(ABORT, 'sanad: a status list does not go back'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER status_list_delete BEFORE DELETE ON status_list
BEGIN SELECT RAISE(ABORT, 'sanad: status lists are kept'); END;
-- +goose StatementEnd

-- Credentials: intended -> active or revoked; active -> suspended or revoked;
-- suspended -> active or revoked; revoked is final.

-- +goose StatementBegin
CREATE TRIGGER credential_insert BEFORE INSERT ON credential
BEGIN
    SELECT CASE
        WHEN NEW.state <> 'intended' THEN RAISE(ABORT, 'sanad: a credential begins as intended')
        WHEN EXISTS (SELECT 1 FROM credential WHERE credential_no = NEW.credential_no)
          OR EXISTS (SELECT 1 FROM credential WHERE credential_id = NEW.credential_id)
            THEN RAISE(ABORT, 'sanad: credential exists')
        WHEN EXISTS (SELECT 1 FROM credential
                     WHERE programme_no = NEW.programme_no AND record_ref = NEW.record_ref AND vacated = NEW.vacated)
            THEN RAISE(ABORT, 'sanad: record held')
        WHEN NEW.idempotency_key IS NOT NULL
         AND EXISTS (SELECT 1 FROM credential WHERE idempotency_key = NEW.idempotency_key)
            THEN RAISE(ABORT, 'sanad: idempotency key used')
    END;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_facts BEFORE UPDATE OF credential_id, programme_no, version, record_ref, issued_at, expires_at,
    batch_no, batch_row, supersedes, idempotency_key, many ON credential
BEGIN SELECT RAISE(ABORT, 'sanad: the facts of a credential do not change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_update BEFORE UPDATE ON credential
WHEN NEW.credential_no <> OLD.credential_no OR NEW.changed_at < OLD.changed_at
  OR NOT CASE OLD.state
         WHEN 'intended' THEN NEW.state = 'revoked' OR (NEW.state = 'active' AND
             (SELECT min(signed <> zeroblob(32)) FROM credential_form WHERE credential_no = OLD.credential_no) IS 1)
         WHEN 'active' THEN NEW.state IN ('suspended', 'revoked')
         WHEN 'suspended' THEN NEW.state IN ('active', 'revoked')
         ELSE FALSE END
BEGIN SELECT RAISE(ABORT, 'sanad: not a change of state that is allowed'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_delete BEFORE DELETE ON credential
BEGIN SELECT RAISE(ABORT, 'sanad: credentials are kept'); END;
-- +goose StatementEnd

-- One fate for all forms: their slots follow the state. Whoever suspends, resumes
-- or revokes must set the reason, too (see the CHECK), so this misses nothing.
-- +goose StatementBegin
CREATE TRIGGER credential_fate AFTER UPDATE OF reason ON credential
BEGIN
    UPDATE credential_form SET slot_value = CASE NEW.state WHEN 'revoked' THEN 1 WHEN 'suspended' THEN 2 ELSE 0 END
    WHERE credential_no = NEW.credential_no;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER credential_form_insert BEFORE INSERT ON credential_form
BEGIN
    SELECT CASE
        WHEN NEW.slot_value <> 0 OR NEW.signed <> zeroblob(32)
          OR (SELECT state FROM credential WHERE credential_no = NEW.credential_no) IS NOT 'intended'
            THEN RAISE(ABORT, 'sanad: a form begins unsigned, with its credential')
        WHEN EXISTS (SELECT 1 FROM credential_form WHERE credential_no = NEW.credential_no AND form_no = NEW.form_no)
            THEN RAISE(ABORT, 'sanad: form exists')
        WHEN NEW.list_no IS NOT NULL
         AND EXISTS (SELECT 1 FROM credential_form WHERE list_no = NEW.list_no AND slot_index = NEW.slot_index)
            THEN RAISE(ABORT, 'sanad: slot used')
    END;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_form_facts BEFORE UPDATE OF credential_no, form_no, form, list_no, slot_index, key_id, to_be_signed
    ON credential_form
BEGIN SELECT RAISE(ABORT, 'sanad: the facts of a form do not change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_form_signed BEFORE UPDATE OF signed ON credential_form
WHEN OLD.signed <> zeroblob(32) OR (SELECT state FROM credential WHERE credential_no = OLD.credential_no) IS NOT 'intended'
BEGIN SELECT RAISE(ABORT, 'sanad: a form is signed once'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_form_value BEFORE UPDATE OF slot_value ON credential_form
WHEN NEW.slot_value IS NOT (SELECT CASE state WHEN 'revoked' THEN 1 WHEN 'suspended' THEN 2 ELSE 0 END
                            FROM credential WHERE credential_no = OLD.credential_no)
BEGIN SELECT RAISE(ABORT, 'sanad: a slot says what the state says'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credential_form_delete BEFORE DELETE ON credential_form
BEGIN SELECT RAISE(ABORT, 'sanad: forms are kept'); END;
-- +goose StatementEnd

-- Publications: one after the other, never back in time.

-- +goose StatementBegin
CREATE TRIGGER publication_insert BEFORE INSERT ON publication
WHEN NEW.number <> 1 OR EXISTS (SELECT 1 FROM publication WHERE name = NEW.name OR rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'sanad: a publication goes on by one'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER publication_update BEFORE UPDATE ON publication
WHEN NEW.name <> OLD.name OR NEW.rowid <> OLD.rowid OR NEW.number <> OLD.number + 1 OR NEW.issued_at < OLD.issued_at
BEGIN SELECT RAISE(ABORT, 'sanad: a publication goes on by one'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER publication_delete BEFORE DELETE ON publication
BEGIN SELECT RAISE(ABORT, 'sanad: publications are kept'); END;
-- +goose StatementEnd

-- The audit log: only ever longer.

-- +goose StatementBegin
CREATE TRIGGER audit_block_insert BEFORE INSERT ON audit_block
WHEN NEW.first_entry IS NOT coalesce((SELECT first_entry + entry_count FROM audit_block ORDER BY first_entry DESC LIMIT 1), 0)
  OR NEW.last_at < (SELECT last_at FROM audit_block ORDER BY first_entry DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'sanad: the audit log only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_block_update BEFORE UPDATE ON audit_block
BEGIN SELECT RAISE(ABORT, 'sanad: the audit log only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_block_delete BEFORE DELETE ON audit_block
BEGIN SELECT RAISE(ABORT, 'sanad: the audit log only grows'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_hashes_insert BEFORE INSERT ON audit_hashes
WHEN NEW.first_hash IS NOT
     coalesce((SELECT first_hash + length(hashes) / 32 FROM audit_hashes ORDER BY first_hash DESC LIMIT 1), 0)
BEGIN SELECT RAISE(ABORT, 'sanad: the audit log only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_hashes_update BEFORE UPDATE ON audit_hashes
BEGIN SELECT RAISE(ABORT, 'sanad: the audit log only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_hashes_delete BEFORE DELETE ON audit_hashes
BEGIN SELECT RAISE(ABORT, 'sanad: the audit log only grows'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_insert BEFORE INSERT ON audit_checkpoint
WHEN NEW.size <= (SELECT max(size) FROM audit_checkpoint)
  OR NEW.size > coalesce((SELECT first_entry + entry_count FROM audit_block ORDER BY first_entry DESC LIMIT 1), 0)
BEGIN SELECT RAISE(ABORT, 'sanad: checkpoints follow the audit log'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_update BEFORE UPDATE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'sanad: checkpoints are kept'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_delete BEFORE DELETE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'sanad: checkpoints are kept'); END;
-- +goose StatementEnd
