package store

import "strconv"

// Statements that both engines understand, and a few on SQLite's own affairs.
// Parameters are $1, $2, ... in all of them.

const (
	selectSchema = `SELECT type || ' ' || name || char(10) || coalesce(sql, '') FROM sqlite_schema
		WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' AND tbl_name <> 'goose_db_version' ORDER BY type, name`

	existsVersions = `SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = 'goose_db_version'`

	selectVersion = `SELECT coalesce(max(version_id), 0), count(DISTINCT nullif(version_id, 0))
		FROM goose_db_version WHERE is_applied`

	insertMeta = `INSERT INTO meta (one, instance_id, epoch, created_at, latest_tick) VALUES (1, $1, 1, $2, 0)`
	selectMeta = `SELECT instance_id, epoch, created_at, fence, log_no FROM meta`

	selectInstance    = `SELECT instance_id FROM meta`
	selectFence       = `SELECT epoch, fence FROM meta`
	updateFence       = `UPDATE meta SET fence = $1, epoch = epoch + 1`
	updateFenceNewLog = `UPDATE meta SET fence = '', epoch = epoch + 1, log_no = log_no + 1`
	insertWriter      = `INSERT INTO writer (writer_no, started_at)
		VALUES ((SELECT coalesce(max(writer_no), 0) + 1 FROM writer), $1) RETURNING writer_no`
	selectLastWriter = `SELECT coalesce(max(writer_no), 0) FROM writer`
	updateTick       = `UPDATE meta SET latest_tick = CASE WHEN latest_tick < $1 THEN $1 ELSE latest_tick END RETURNING latest_tick`

	selectProgrammeNo = `SELECT programme_no FROM programme WHERE programme_id = $1`
	insertProgramme   = `INSERT INTO programme (programme_no, programme_id)
		VALUES ((SELECT coalesce(max(programme_no), 0) + 1 FROM programme), $1) RETURNING programme_no`
	selectVersionNo  = `SELECT coalesce(max(version), 0) FROM programme_version WHERE programme_no = $1`
	existsVersion    = `SELECT count(*) FROM programme_version WHERE programme_no = $1 AND version = $2`
	insertVersion    = `INSERT INTO programme_version (programme_no, version, text, digest, added_at) VALUES ($1, $2, $3, $4, $5)`
	selectProgrammes = `SELECT p.programme_id, v.version, v.text, v.digest, v.added_at
		FROM programme p JOIN programme_version v USING (programme_no) ORDER BY p.programme_id, v.version`

	selectBatchNo = `SELECT batch_no FROM batch WHERE batch_id = $1`
	selectBatch   = `SELECT b.batch_no, b.batch_id, p.programme_id, b.version, b.source, b.shared, b.state, b.started_at, b.changed_at,
		b.chunks, b.source_rows, b.issued, b.failed, b.skipped, b.manifest_bytes
		FROM batch b JOIN programme p USING (programme_no) WHERE b.batch_id = $1`
	insertBatch = `INSERT INTO batch (batch_no, batch_id, programme_no, version, source, state, started_at, changed_at,
		chunks, source_rows, issued, failed, skipped, manifest_bytes, shared)
		VALUES ((SELECT coalesce(max(batch_no), 0) + 1 FROM batch), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	updateBatch = `UPDATE batch SET state = $2, changed_at = CASE WHEN changed_at < $3 THEN $3 ELSE changed_at END, chunks = $4, source_rows = $5, issued = $6,
		failed = $7, skipped = $8, manifest_bytes = $9 WHERE batch_no = $1`

	selectLastChunk = `SELECT chunk_no, first_row, rows, last FROM batch_chunk WHERE batch_no = $1 ORDER BY chunk_no DESC LIMIT 1`
	insertChunk     = `INSERT INTO batch_chunk (batch_no, chunk_no, first_row, rows, start, last) VALUES ($1, $2, $3, $4, $5, $6)`
	updateClaim     = `UPDATE batch_chunk SET claim = claim + 1, folder = $3 WHERE batch_no = $1 AND chunk_no = $2 AND done_at IS NULL
		RETURNING first_row, rows, start, last, claim`
	existsClaim = `SELECT count(*) FROM batch_chunk WHERE batch_no = $1 AND chunk_no = $2 AND claim = $3 AND done_at IS NULL`
	updateDone  = `UPDATE batch_chunk SET manifest_bytes = $4, issued = $5, failed = $6, skipped = $7, done_at = $8
		WHERE batch_no = $1 AND chunk_no = $2 AND claim = $3 AND done_at IS NULL RETURNING rows`
	existsLastDone = `SELECT count(*) FROM batch_chunk WHERE batch_no = $1 AND last = 1 AND chunk_no < $2`
	selectChunks   = `SELECT c.chunk_no, c.first_row, c.rows, c.last, c.claim, c.folder, c.manifest_bytes, c.issued, c.failed, c.skipped, c.done_at
		FROM batch_chunk c JOIN batch b ON b.batch_no = c.batch_no WHERE b.batch_id = $1 AND c.chunk_no > $2 ORDER BY c.chunk_no LIMIT 1000`
	selectOpenChunks = `SELECT c.chunk_no FROM batch_chunk c JOIN batch b ON b.batch_no = c.batch_no
		WHERE b.batch_id = $1 AND c.chunk_no > $2 AND c.done_at IS NULL ORDER BY c.chunk_no LIMIT 1000`

	selectListNo = `SELECT list_no, size FROM status_list WHERE uri = $1`
	selectLists  = `SELECT l.uri, p.programme_id, l.form, l.bits, l.size, l.next_counter, l.opened_at, l.sealed_at, l.closed_at
		FROM status_list l JOIN programme p USING (programme_no) ORDER BY l.list_no`
	insertList = `INSERT INTO status_list (list_no, uri, programme_no, form, bits, size, next_counter, opened_at)
		VALUES ((SELECT coalesce(max(list_no), 0) + 1 FROM status_list), $1, $2, $3, $4, $5, 0, $6)`
	selectOpenList = `SELECT list_no, uri, size, next_counter FROM status_list
		WHERE programme_no = $1 AND form = $2 AND bits = $3 AND sealed_at IS NULL AND closed_at IS NULL AND next_counter < size`
	updateCounter    = `UPDATE status_list SET next_counter = next_counter + $2 WHERE list_no = $1`
	updateSealed     = `UPDATE status_list SET sealed_at = $1 WHERE sealed_at IS NULL`
	updateClosed     = `UPDATE status_list SET closed_at = $1 WHERE closed_at IS NULL AND sealed_at IS NULL AND next_counter < size`
	selectSlots      = `SELECT slot_index FROM credential_form WHERE list_no = $1 ORDER BY slot_index`
	selectBadSlots   = `SELECT slot_index, slot_value FROM credential_form WHERE list_no = $1 AND slot_value <> 0 ORDER BY slot_index`
	selectLastCredNo = `SELECT coalesce(max(credential_no), 0) FROM credential`

	insertCredential = `INSERT INTO credential (credential_no, credential_id, programme_no, version, record_ref, state, reason,
		issued_at, expires_at, changed_at, batch_no, batch_row, supersedes, idempotency_key, many, vacated, writer_no, part_of)
		VALUES ($1, $2, $3, $4, $5, 'intended', '', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
	insertForm = `INSERT INTO credential_form (credential_no, form_no, form, list_no, slot_index, slot_value, key_id, to_be_signed, signed)
		VALUES ($1, $2, $3, $4, $5, 0, $6, $7, zeroblob(32))`

	// Those of SQLite; see sqliteTx.intend.
	insertAlike = `INSERT INTO credential (credential_no, credential_id, programme_no, version, record_ref, state, reason,
		issued_at, expires_at, changed_at, batch_no, batch_row, supersedes, idempotency_key, many, vacated, writer_no, part_of)
		SELECT $1 + j.key, CAST(substr($2, 1 + $3 * j.key, $3) AS TEXT), $5, $6, substr($4, 1 + 32 * j.key, 32), 'intended', '',
		$7, $8, $9, $10, j.value, '', NULL, 0, 0, $11, NULL FROM json_each($12) j`
	insertAlikeForms = `INSERT INTO credential_form (credential_no, form_no, form, list_no, slot_index, slot_value, key_id, to_be_signed, signed)
		SELECT $1 + j.key, $2, $3, $4, j.value, 0, $5, substr($6, 1 + 32 * j.key, 32), zeroblob(32) FROM json_each($7) j`

	selectRun = `SELECT count(*), min(credential_id), max(credential_id) FROM credential
		WHERE credential_no BETWEEN $1 AND $2 AND state = 'intended'`

	// Those of SQLite; see sqliteTx.complete and completeRun.
	updateRunSigned = `UPDATE credential_form SET signed = substr($2, 1 + 32 * (credential_no - $1), 32)
		WHERE credential_no BETWEEN $1 AND $3 AND form_no = $4`
	updateRunActive = `UPDATE credential SET state = 'active', changed_at = CASE WHEN changed_at < $2 THEN $2 ELSE changed_at END
		WHERE credential_no BETWEEN $1 AND $3`
	updateSigned = `UPDATE credential_form SET signed = substr($2, 1 + 32 * j.key, 32) FROM json_each($1) j
		WHERE credential_no = j.value AND form_no = $3`
	updateActive = `UPDATE credential SET state = 'active', changed_at = CASE WHEN changed_at < $2 THEN $2 ELSE changed_at END
		WHERE credential_no IN (SELECT value FROM json_each($1))`

	selectRedeemed = `SELECT credential_id FROM credential WHERE idempotency_key = $1`
	selectParts    = `SELECT credential_id, state FROM credential WHERE part_of = $1 AND state <> 'revoked' ORDER BY credential_id`
	selectState    = `SELECT state FROM credential WHERE credential_id = $1`
	updateState    = `UPDATE credential SET state = $2, reason = $3, changed_at = CASE WHEN changed_at < $4 THEN $4 ELSE changed_at END,
		vacated = CASE WHEN $2 = 'revoked' THEN credential_no ELSE vacated END WHERE credential_id = $1`

	// Credentials with their forms, a row for each form; see credentials.
	selectCredentials1 = `SELECT c.credential_id, p.programme_id, c.version, c.record_ref, c.state, c.reason, c.issued_at, c.expires_at,
		c.changed_at, b.batch_id, c.batch_row, c.supersedes, c.idempotency_key, c.many, c.part_of,
		f.form, l.uri, f.slot_index, f.key_id, f.to_be_signed, f.signed
		FROM (SELECT c.* FROM `
	selectCredentials2 = `) c
		JOIN programme p ON p.programme_no = c.programme_no
		LEFT JOIN batch b ON b.batch_no = c.batch_no
		JOIN credential_form f ON f.credential_no = c.credential_no
		LEFT JOIN status_list l ON l.list_no = f.list_no
		ORDER BY c.credential_id, f.form_no`

	selectPublication = `SELECT number, issued_at, digest, content FROM publication WHERE name = $1`
	insertPublication = `INSERT INTO publication (name, number, issued_at, digest, content) VALUES ($1, $2, $3, $4, $5)`
	updatePublication = `UPDATE publication SET number = $2, issued_at = $3, digest = $4, content = $5 WHERE name = $1`

	selectTail      = `SELECT first_entry + entry_count, last_at FROM audit_block ORDER BY first_entry DESC LIMIT 1`
	insertBlock     = `INSERT INTO audit_block (first_entry, entry_count, last_at, entries) VALUES ($1, $2, $3, $4)`
	insertHashes    = `INSERT INTO audit_hashes (first_hash, hashes) VALUES ($1, $2)`
	selectBlock     = `SELECT entry_count, entries FROM audit_block WHERE first_entry = $1`
	selectBlockWith = `SELECT first_entry, entry_count, entries FROM audit_block WHERE first_entry <= $1 ORDER BY first_entry DESC LIMIT 1`

	selectLastCheckpoint = `SELECT size, root, signed_at, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1`
	selectCheckpoints    = `SELECT size, root, signed_at, note FROM audit_checkpoint ORDER BY size`
	insertCheckpoint     = `INSERT INTO audit_checkpoint (size, root, signed_at, note) VALUES ($1, $2, $3, $4)`
)

var selectHash = `SELECT ` + hashAt("$1")

// hashAt is the hash at a place, NULL if there is none.
func hashAt(place string) string {
	return `(SELECT substr(hashes, CAST((` + place + ` - first_hash) * 32 + 1 AS INTEGER), 32) FROM audit_hashes
		WHERE first_hash <= ` + place + ` ORDER BY first_hash DESC LIMIT 1)`
}

// credentials selects up to n of the credentials c that source yields, in this order,
// which is that of their ids. The limit is not a parameter, since SQLite would prepare
// the statement anew for every value.
func credentials(source, where, order string, n int) string {
	return selectCredentials1 + source + " WHERE " + where + " ORDER BY " + order + " LIMIT " + strconv.Itoa(n) + selectCredentials2
}

// anyCredential is the source of all of them.
const anyCredential = "credential c"

var selectCredential = credentials(anyCredential, `credential_id = $1`, `credential_id`, 1)
