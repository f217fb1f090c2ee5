// Package proof tries to break the promises of the program issuer, on every
// database that it runs on, and counts what broke (docs/proofs.md).
//
// It is made of tests only. They build the program with the tag proof, which
// lets them end it at the named points of the issuance ladder
// ([github.com/sanad-id/sanad/issuance.Points]) and set its clock, kill it there
// and anywhere else, take its disk away, and race several of it. The client's
// part is played by the tests: they keep a ledger of every byte that they
// received, of every revocation that was acknowledged and of every list and
// bundle that was published.
//
// Start with checker_test.go. The checker compares that ledger with the database,
// which it reads by SQL of its own, and with the audit log, whose lines and
// hashes it reads and computes itself: it shares no code with packages store,
// issuance and audit. Its own test spoils one thing after the other and wants
// each to be found.
//
// Each test writes a line such as
//
//	PROOF P01 sqlite kills=200 violations=0
//
// to its log and to the file named by SANAD_PROOF_LOG; scripts/soak.sh makes a
// table of them. SANAD_SOAK=1 asks for the numbers of a night, docs/proofs.md
// lists both.
package proof
