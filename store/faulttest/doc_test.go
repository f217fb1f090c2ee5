// Package faulttest_test proves on real PostgreSQL what package store and the
// issuance ladder promise when the network, the server or the machine under it
// fails: P03, P28, P30, DB-05, DB-08, DB-10, DB-12, DB-13, DB-18 and DB-19 of the
// list of promises; P30 on SQLite, too.
//
// A test lets clients issue through [issuance.Service] while something fails.
// What they received is their ledger; a checker that knows the tables, and nothing of
// the store's code, then compares ledger, database and audit log.
//
// Counts are those of every change; SANAD_SOAK=1 raises them to the nightly ones,
// -short lowers them.
package faulttest_test
