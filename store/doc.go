// Package store keeps what an issuer must not forget, in SQL: credentials with
// their forms and status slots, status lists, batches, programmes, publications
// and the audit log. It holds no registry records and no credentials, only
// digests, slots, times and keyed pseudonyms. [DB] implements [issuance.Store];
// package storetest is the contract.
//
// The database is SQLite (modernc.org/sqlite) in one file on a local disk, in WAL
// mode with synchronous=FULL: what Write reported as stored survives a loss of
// power. [Create] makes the file, [Open] opens one that is there and complete, and
// refuses everything else with a [StateError] that says what to do. Neither
// ever makes a database because it finds none. One process writes at a time, which
// takes a system with flock (Linux, macOS, BSD); others may read beside it.
//
// What must never happen is refused by the database itself, by constraints and
// triggers (migrations/sqlite): a revoked credential never comes back, slots,
// digests and pseudonyms never change, counters never go down, nothing of a history
// is deleted. Open compares the schema with the one it knows, so that a trigger
// which was taken away is noticed. Whoever owns the file can still take it away:
// that the past is unchanged is proven by the audit log and its checkpoints only.
//
// Left to others: what the states mean and when they change (package issuance),
// the content of the audit log (package audit), backup and restore.
package store
