// Package store keeps what an issuer must not forget, in SQL: credentials with
// their forms and status slots, status lists, batches, programmes, publications
// and the audit log. It holds no registry records and no credentials, only
// digests, slots, times and keyed pseudonyms. [DB] implements [issuance.Store];
// package storetest is the contract, which both engines keep.
//
// [Create] makes a database, [Open] opens one that is there and complete, and
// refuses everything else with a [StateError] that says what to do. Neither ever
// makes a database because it finds none. Where it is, a location, chooses the engine:
//
//   - A path: SQLite (modernc.org/sqlite) in one file on a local disk, in WAL mode
//     with synchronous=FULL. One process writes at a time, which takes a system with
//     flock (Linux, macOS, BSD); others may read beside it.
//   - A postgres:// URL: PostgreSQL 13 or newer (pgx), in a schema called sanad. Any
//     number of processes write; their transactions take turns at the row of meta,
//     so that each sees the other's whole work or nothing. The service's role owns
//     nothing and can delete nothing ([Options].ServiceRole). A pooler must keep
//     sessions: advisory locks say which processes are alive.
//
// What Write reported as stored survives a loss of power, if the server is set to
// survive one ([DB.About] warns if not). A commit whose answer was lost is looked for
// on the server; [ErrOutcomeUnknown] is left for what cannot be told.
//
// What must never happen is refused by the database itself, by constraints and
// triggers (migrations): a revoked credential never comes back, slots, digests and
// pseudonyms never change, counters never go down, nothing of a history is deleted.
// Open compares the schema with the one it knows, so that a trigger which was taken
// away or switched off is noticed. Whoever owns the file or the tables can still do it:
// that the past is unchanged is proven by the audit log and its checkpoints, and by
// its second copy, the [Journal].
//
// A fenced database takes no work: one that was restored, or whose PostgreSQL server
// gave way to a standby that may lack what was confirmed. [DB.Confirm] opens it again.
//
// Left to others: what the states mean and when they change (package issuance),
// the content of the audit log (package audit), backup and restore (package backup).
package store
