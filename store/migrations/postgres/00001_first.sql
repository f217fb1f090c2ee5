-- The issuer's memory. For whoever reads it without Sanad:
--
--   Times are milliseconds since 1970-01-01 UTC. Digests are SHA-256. A column
--   that ends in _no is a number of this database's own and means nothing outside.
--   No table holds a registry record or a credential: record_ref is a keyed hash,
--   and of what was signed there are digests only. Columns are those of the SQLite
--   database (migrations/sqlite).
--
-- What must never happen is refused by triggers, also to the owner of the tables:
-- a row of a history is never deleted and its facts never change. They are written
-- for bulk loads: a condition on one row stands in WHEN, which costs no call of a
-- function; what takes a look at another table is done once for each statement,
-- over all of its rows. That goes for references, too. Nothing that is referred to
-- is ever deleted, so that a look at the time of the insert is as good as a foreign
-- key.

-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'sanad: %', TG_ARGV[0] USING ERRCODE = 'SA001';
END $$;
-- +goose StatementEnd

CREATE TABLE meta (
    one         smallint NOT NULL PRIMARY KEY CHECK (one = 1),
    instance_id text     NOT NULL CHECK (instance_id <> ''),
    -- Raised after a restore; what was started under a lower one must stop.
    epoch       bigint   NOT NULL CHECK (epoch >= 1),
    created_at  bigint   NOT NULL,
    -- The latest date of issue that was given out; see Tick.
    latest_tick bigint   NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE programme (
    programme_no bigint NOT NULL PRIMARY KEY,
    programme_id text COLLATE "C" NOT NULL UNIQUE CHECK (programme_id <> '')
);

CREATE TABLE programme_version (
    programme_no bigint NOT NULL REFERENCES programme,
    version      bigint NOT NULL,
    text         bytea  NOT NULL,
    digest       bytea  NOT NULL CHECK (length(digest) = 32),
    added_at     bigint NOT NULL,
    PRIMARY KEY (programme_no, version)
);

CREATE TABLE batch (
    batch_no       bigint NOT NULL PRIMARY KEY,
    batch_id       text COLLATE "C" NOT NULL UNIQUE CHECK (batch_id <> ''),
    programme_no   bigint NOT NULL,
    version        bigint NOT NULL,
    source         text   NOT NULL,
    state          text   NOT NULL CHECK (state IN ('running', 'finished')),
    started_at     bigint NOT NULL,
    changed_at     bigint NOT NULL,
    chunks         bigint NOT NULL CHECK (chunks >= 0),
    source_rows    bigint NOT NULL CHECK (source_rows >= 0),
    issued         bigint NOT NULL CHECK (issued >= 0),
    failed         bigint NOT NULL CHECK (failed >= 0),
    skipped        bigint NOT NULL CHECK (skipped >= 0),
    manifest_bytes bigint NOT NULL CHECK (manifest_bytes >= 0),
    FOREIGN KEY (programme_no, version) REFERENCES programme_version
) WITH (fillfactor = 50);

CREATE TABLE status_list (
    list_no      bigint   NOT NULL PRIMARY KEY,
    uri          text COLLATE "C" NOT NULL UNIQUE CHECK (uri <> ''),
    programme_no bigint   NOT NULL REFERENCES programme,
    form         text COLLATE "C" NOT NULL,
    bits         smallint NOT NULL CHECK (bits IN (1, 2, 4, 8)),
    size         bigint   NOT NULL CHECK (size > 0),
    -- Slots given out or passed over; it only grows. Which indexes they are is
    -- told by a keyed permutation that is not in this database.
    next_counter bigint   NOT NULL CHECK (next_counter BETWEEN 0 AND size),
    opened_at    bigint   NOT NULL,
    sealed_at    bigint
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX status_list_open ON status_list (programme_no, form, bits)
    WHERE sealed_at IS NULL AND next_counter < size;

CREATE TABLE credential (
    credential_no   bigint   NOT NULL PRIMARY KEY,
    credential_id   text COLLATE "C" NOT NULL UNIQUE CHECK (credential_id <> ''),
    programme_no    bigint   NOT NULL,
    version         bigint   NOT NULL,
    record_ref      bytea    NOT NULL CHECK (length(record_ref) = 32),
    state           text COLLATE "C" NOT NULL DEFAULT 'intended' CHECK (state = 'intended' OR state = 'active' OR state = 'suspended' OR state = 'revoked'),
    reason          text COLLATE "C" NOT NULL DEFAULT '' CHECK ((reason = '') = (state = 'intended' OR state = 'active')),
    issued_at       bigint   NOT NULL,
    expires_at      bigint,
    changed_at      bigint   NOT NULL,
    batch_no        bigint,
    batch_row       bigint   NOT NULL,
    supersedes      text COLLATE "C" NOT NULL,
    idempotency_key bytea    CHECK (length(idempotency_key) = 32),
    -- 1 if its programme allows a record several credentials.
    many            smallint NOT NULL CHECK (many BETWEEN 0 AND 1),
    -- 0 while the credential holds its record, its own number otherwise, so that
    -- of one record no two hold it.
    vacated         bigint   NOT NULL CHECK (vacated = CASE WHEN many = 1 OR state = 'revoked' THEN credential_no ELSE 0 END)
);

CREATE UNIQUE INDEX credential_holder ON credential (programme_no, record_ref, vacated);
CREATE UNIQUE INDEX credential_idempotency ON credential (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX credential_batch ON credential (batch_no, credential_id) WHERE batch_no IS NOT NULL;
-- Few rows at any time: leftovers are looked for among them, not among all.
CREATE INDEX credential_not_active ON credential (state, credential_id) WHERE state <> 'active';

CREATE TABLE credential_form (
    credential_no bigint   NOT NULL,
    form_no       smallint NOT NULL,
    form          text COLLATE "C" NOT NULL,
    list_no       bigint,
    slot_index    bigint   CHECK ((slot_index IS NULL) = (list_no IS NULL)),
    -- What the status list says: 0 valid, 1 revoked, 2 suspended. It follows the
    -- state of the credential.
    slot_value    smallint NOT NULL DEFAULT 0 CHECK (slot_value BETWEEN 0 AND 2),
    key_id        bytea    NOT NULL CHECK (length(key_id) = 8),
    to_be_signed  bytea    NOT NULL CHECK (length(to_be_signed) = 32),
    -- All zero until it is signed.
    signed        bytea    NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000' CHECK (length(signed) = 32),
    PRIMARY KEY (credential_no, form_no)
) WITH (fillfactor = 50); -- each row is signed once, soon after, in its place

CREATE UNIQUE INDEX credential_form_slot ON credential_form (list_no, slot_index) WHERE list_no IS NOT NULL;
CREATE INDEX credential_form_not_valid ON credential_form (list_no, slot_index, slot_value) WHERE slot_value <> 0;

CREATE TABLE publication (
    name      text COLLATE "C" NOT NULL PRIMARY KEY,
    number    bigint NOT NULL CHECK (number >= 1),
    issued_at bigint NOT NULL,
    digest    bytea  NOT NULL CHECK (length(digest) = 32),
    content   bytea  NOT NULL
);

-- A block is what one transaction added to the audit log: entries is a line of
-- JSON for each, with a line break after it.
CREATE TABLE audit_block (
    first_entry bigint NOT NULL PRIMARY KEY,
    entry_count bigint NOT NULL CHECK (entry_count > 0),
    last_at     bigint NOT NULL,
    entries     text   NOT NULL
);

-- The hashes of the log's Merkle tree, 32 bytes each, in the order of tlog.
CREATE TABLE audit_hashes (
    first_hash bigint NOT NULL PRIMARY KEY,
    hashes     bytea  NOT NULL CHECK (length(hashes) > 0 AND length(hashes) % 32 = 0)
);
ALTER TABLE audit_hashes ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes do not shrink

CREATE TABLE audit_checkpoint (
    size      bigint NOT NULL PRIMARY KEY CHECK (size >= 0),
    root      bytea  NOT NULL CHECK (length(root) = 32),
    signed_at bigint NOT NULL,
    note      bytea  NOT NULL
);

-- What never changes and never goes.

CREATE TRIGGER meta_update AFTER UPDATE ON meta FOR EACH ROW
WHEN (NEW.one <> OLD.one OR NEW.instance_id <> OLD.instance_id OR NEW.created_at <> OLD.created_at
  OR NEW.epoch < OLD.epoch OR NEW.latest_tick < OLD.latest_tick)
EXECUTE FUNCTION refuse('meta does not go back');
CREATE TRIGGER meta_delete BEFORE DELETE OR TRUNCATE ON meta EXECUTE FUNCTION refuse('meta is kept');

CREATE TRIGGER programme_update BEFORE UPDATE ON programme EXECUTE FUNCTION refuse('a programme does not change');
CREATE TRIGGER programme_delete BEFORE DELETE OR TRUNCATE ON programme EXECUTE FUNCTION refuse('programmes are kept');

-- +goose StatementBegin
CREATE FUNCTION programme_version_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = sanad, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM programme_version WHERE programme_no = NEW.programme_no AND version > NEW.version) THEN
        RAISE EXCEPTION 'sanad: programme version exists' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER programme_version_insert AFTER INSERT ON programme_version FOR EACH ROW EXECUTE FUNCTION programme_version_follows();
CREATE TRIGGER programme_version_update BEFORE UPDATE ON programme_version EXECUTE FUNCTION refuse('a programme version does not change');
CREATE TRIGGER programme_version_delete BEFORE DELETE OR TRUNCATE ON programme_version EXECUTE FUNCTION refuse('programme versions are kept');

CREATE TRIGGER batch_insert AFTER INSERT ON batch FOR EACH ROW WHEN (NEW.chunks <> 0) EXECUTE FUNCTION refuse('a batch begins with no chunk');
CREATE TRIGGER batch_update AFTER UPDATE ON batch FOR EACH ROW
WHEN (OLD.state = 'finished'
  OR NEW.batch_no <> OLD.batch_no OR NEW.batch_id <> OLD.batch_id OR NEW.programme_no <> OLD.programme_no
  OR NEW.version <> OLD.version OR NEW.source <> OLD.source OR NEW.started_at <> OLD.started_at
  OR NEW.changed_at < OLD.changed_at OR NEW.chunks NOT IN (OLD.chunks, OLD.chunks + 1)
  OR NEW.source_rows < OLD.source_rows OR NEW.issued < OLD.issued OR NEW.failed < OLD.failed
  OR NEW.skipped < OLD.skipped OR NEW.manifest_bytes < OLD.manifest_bytes)
EXECUTE FUNCTION refuse('a batch does not go back');
CREATE TRIGGER batch_delete BEFORE DELETE OR TRUNCATE ON batch EXECUTE FUNCTION refuse('batches are kept');

-- Status lists: counters only grow.

CREATE TRIGGER status_list_insert AFTER INSERT ON status_list FOR EACH ROW
WHEN (NEW.next_counter <> 0 OR NEW.sealed_at IS NOT NULL) EXECUTE FUNCTION refuse('a list begins empty and open');
CREATE TRIGGER status_list_update AFTER UPDATE ON status_list FOR EACH ROW
WHEN (NEW.list_no <> OLD.list_no OR NEW.uri <> OLD.uri OR NEW.programme_no <> OLD.programme_no OR NEW.form <> OLD.form
  OR NEW.bits <> OLD.bits OR NEW.size <> OLD.size OR NEW.opened_at <> OLD.opened_at
  OR NEW.next_counter < OLD.next_counter
  OR (OLD.sealed_at IS NOT NULL AND (NEW.sealed_at IS DISTINCT FROM OLD.sealed_at OR NEW.next_counter <> OLD.next_counter)))
EXECUTE FUNCTION refuse('a status list does not go back');
CREATE TRIGGER status_list_delete BEFORE DELETE OR TRUNCATE ON status_list EXECUTE FUNCTION refuse('status lists are kept');

-- Credentials: intended -> active or revoked; active -> suspended or revoked;
-- suspended -> active or revoked; revoked is final.

CREATE TRIGGER credential_insert AFTER INSERT ON credential FOR EACH ROW
WHEN (NEW.state <> 'intended') EXECUTE FUNCTION refuse('a credential begins as intended');

-- The settings keep the plan from being made for small tables and then used on
-- large ones.
-- +goose StatementBegin
CREATE FUNCTION credential_refers() RETURNS trigger LANGUAGE plpgsql
    SET search_path = sanad, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT programme_no, version FROM fresh) f
               WHERE NOT EXISTS (SELECT FROM programme_version v WHERE v.programme_no = f.programme_no AND v.version = f.version))
    OR EXISTS (SELECT FROM (SELECT DISTINCT batch_no FROM fresh WHERE batch_no IS NOT NULL) f
               WHERE NOT EXISTS (SELECT FROM batch b WHERE b.batch_no = f.batch_no)) THEN
        RAISE EXCEPTION 'sanad: a credential refers to what is not stored' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_refers AFTER INSERT ON credential REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
EXECUTE FUNCTION credential_refers();

CREATE TRIGGER credential_facts AFTER UPDATE ON credential FOR EACH ROW
WHEN (NEW.credential_no <> OLD.credential_no OR NEW.credential_id <> OLD.credential_id OR NEW.programme_no <> OLD.programme_no
  OR NEW.version <> OLD.version OR NEW.record_ref <> OLD.record_ref OR NEW.issued_at <> OLD.issued_at
  OR NEW.expires_at IS DISTINCT FROM OLD.expires_at OR NEW.batch_no IS DISTINCT FROM OLD.batch_no OR NEW.batch_row <> OLD.batch_row
  OR NEW.supersedes <> OLD.supersedes OR NEW.idempotency_key IS DISTINCT FROM OLD.idempotency_key OR NEW.many <> OLD.many)
EXECUTE FUNCTION refuse('the facts of a credential do not change');
CREATE TRIGGER credential_update AFTER UPDATE ON credential FOR EACH ROW
WHEN (NEW.changed_at < OLD.changed_at
  OR NOT (OLD.state = 'intended' AND (NEW.state = 'active' OR NEW.state = 'revoked')
       OR OLD.state = 'active' AND (NEW.state = 'suspended' OR NEW.state = 'revoked')
       OR OLD.state = 'suspended' AND (NEW.state = 'active' OR NEW.state = 'revoked')))
EXECUTE FUNCTION refuse('not a change of state that is allowed');

-- +goose StatementBegin
CREATE FUNCTION credential_signed() RETURNS trigger LANGUAGE plpgsql
    SET search_path = sanad, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM changed c WHERE c.state = 'active'
               AND (SELECT bool_and(f.signed <> '\x0000000000000000000000000000000000000000000000000000000000000000')
                    FROM credential_form f WHERE f.credential_no = c.credential_no) IS NOT TRUE) THEN
        RAISE EXCEPTION 'sanad: only what is signed becomes active' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_signed AFTER UPDATE ON credential REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
EXECUTE FUNCTION credential_signed();

CREATE TRIGGER credential_delete BEFORE DELETE OR TRUNCATE ON credential EXECUTE FUNCTION refuse('credentials are kept');

-- One fate for all forms: their slots follow every change but the first, to active.
-- It runs with the rights of the owner, so that nobody else can set a slot.
-- +goose StatementBegin
CREATE FUNCTION credential_fate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = sanad, pg_temp SET enable_seqscan = off AS $$
BEGIN
    UPDATE credential_form SET slot_value = CASE NEW.state WHEN 'revoked' THEN 1 WHEN 'suspended' THEN 2 ELSE 0 END
    WHERE credential_no = NEW.credential_no;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_fate AFTER UPDATE ON credential FOR EACH ROW
WHEN (OLD.state <> 'intended' OR NEW.state <> 'active') EXECUTE FUNCTION credential_fate();

CREATE TRIGGER credential_form_insert AFTER INSERT ON credential_form FOR EACH ROW
WHEN (NEW.slot_value <> 0 OR NEW.signed <> '\x0000000000000000000000000000000000000000000000000000000000000000')
EXECUTE FUNCTION refuse('a form begins unsigned');

-- +goose StatementBegin
CREATE FUNCTION credential_form_refers() RETURNS trigger LANGUAGE plpgsql
    SET search_path = sanad, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM fresh f WHERE (SELECT c.state FROM credential c WHERE c.credential_no = f.credential_no) IS DISTINCT FROM 'intended') THEN
        RAISE EXCEPTION 'sanad: a form begins with its credential' USING ERRCODE = 'SA001';
    END IF;
    IF EXISTS (SELECT FROM (SELECT list_no, max(slot_index) AS slot FROM fresh WHERE list_no IS NOT NULL GROUP BY list_no) f
               WHERE NOT EXISTS (SELECT FROM status_list l WHERE l.list_no = f.list_no AND f.slot < l.size)) THEN
        RAISE EXCEPTION 'sanad: a form refers to a slot that is not there' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_form_refers AFTER INSERT ON credential_form REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
EXECUTE FUNCTION credential_form_refers();

CREATE TRIGGER credential_form_facts AFTER UPDATE ON credential_form FOR EACH ROW
WHEN (NEW.credential_no <> OLD.credential_no OR NEW.form_no <> OLD.form_no OR NEW.form <> OLD.form OR NEW.list_no IS DISTINCT FROM OLD.list_no
  OR NEW.slot_index IS DISTINCT FROM OLD.slot_index OR NEW.key_id <> OLD.key_id OR NEW.to_be_signed <> OLD.to_be_signed)
EXECUTE FUNCTION refuse('the facts of a form do not change');
-- Active and suspended credentials are signed; the slots of revoked ones say so.
CREATE TRIGGER credential_form_signed AFTER UPDATE ON credential_form FOR EACH ROW
WHEN (NEW.signed <> OLD.signed
  AND (OLD.signed <> '\x0000000000000000000000000000000000000000000000000000000000000000' OR OLD.slot_value <> 0))
EXECUTE FUNCTION refuse('a form is signed once');

-- +goose StatementBegin
CREATE FUNCTION credential_form_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = sanad, pg_temp AS $$
BEGIN
    IF NEW.slot_value IS DISTINCT FROM (SELECT CASE state WHEN 'revoked' THEN 1 WHEN 'suspended' THEN 2 ELSE 0 END
                                        FROM credential WHERE credential_no = NEW.credential_no) THEN
        RAISE EXCEPTION 'sanad: a slot says what the state says' USING ERRCODE = 'SA001';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_form_value AFTER UPDATE ON credential_form FOR EACH ROW
WHEN (NEW.slot_value <> OLD.slot_value) EXECUTE FUNCTION credential_form_follows();
CREATE TRIGGER credential_form_delete BEFORE DELETE OR TRUNCATE ON credential_form EXECUTE FUNCTION refuse('forms are kept');

-- Publications: one after the other, never back in time.

CREATE TRIGGER publication_insert AFTER INSERT ON publication FOR EACH ROW
WHEN (NEW.number <> 1) EXECUTE FUNCTION refuse('a publication goes on by one');
CREATE TRIGGER publication_update AFTER UPDATE ON publication FOR EACH ROW
WHEN (NEW.name <> OLD.name OR NEW.number <> OLD.number + 1 OR NEW.issued_at < OLD.issued_at)
EXECUTE FUNCTION refuse('a publication goes on by one');
CREATE TRIGGER publication_delete BEFORE DELETE OR TRUNCATE ON publication EXECUTE FUNCTION refuse('publications are kept');

-- The audit log: only ever longer.

-- +goose StatementBegin
CREATE FUNCTION audit_block_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = sanad, pg_temp AS $$
DECLARE
    last audit_block;
BEGIN
    SELECT * INTO last FROM audit_block ORDER BY first_entry DESC LIMIT 1;
    IF NEW.first_entry <> coalesce(last.first_entry + last.entry_count, 0) OR NEW.last_at < last.last_at THEN
        RAISE EXCEPTION 'sanad: the audit log only grows' USING ERRCODE = 'SA001';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_block_insert BEFORE INSERT ON audit_block FOR EACH ROW EXECUTE FUNCTION audit_block_follows();
CREATE TRIGGER audit_block_update BEFORE UPDATE ON audit_block EXECUTE FUNCTION refuse('the audit log only grows');
CREATE TRIGGER audit_block_delete BEFORE DELETE OR TRUNCATE ON audit_block EXECUTE FUNCTION refuse('the audit log only grows');

-- +goose StatementBegin
CREATE FUNCTION audit_hashes_follow() RETURNS trigger LANGUAGE plpgsql SET search_path = sanad, pg_temp AS $$
BEGIN
    IF NEW.first_hash <> coalesce((SELECT first_hash + length(hashes) / 32 FROM audit_hashes ORDER BY first_hash DESC LIMIT 1), 0) THEN
        RAISE EXCEPTION 'sanad: the audit log only grows' USING ERRCODE = 'SA001';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_hashes_insert BEFORE INSERT ON audit_hashes FOR EACH ROW EXECUTE FUNCTION audit_hashes_follow();
CREATE TRIGGER audit_hashes_update BEFORE UPDATE ON audit_hashes EXECUTE FUNCTION refuse('the audit log only grows');
CREATE TRIGGER audit_hashes_delete BEFORE DELETE OR TRUNCATE ON audit_hashes EXECUTE FUNCTION refuse('the audit log only grows');

-- +goose StatementBegin
CREATE FUNCTION audit_checkpoint_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = sanad, pg_temp AS $$
BEGIN
    IF NEW.size <= (SELECT max(size) FROM audit_checkpoint)
    OR NEW.size > coalesce((SELECT first_entry + entry_count FROM audit_block ORDER BY first_entry DESC LIMIT 1), 0) THEN
        RAISE EXCEPTION 'sanad: checkpoints follow the audit log' USING ERRCODE = 'SA001';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_checkpoint_insert BEFORE INSERT ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_follows();
CREATE TRIGGER audit_checkpoint_update BEFORE UPDATE ON audit_checkpoint EXECUTE FUNCTION refuse('checkpoints are kept');
CREATE TRIGGER audit_checkpoint_delete BEFORE DELETE OR TRUNCATE ON audit_checkpoint EXECUTE FUNCTION refuse('checkpoints are kept');
