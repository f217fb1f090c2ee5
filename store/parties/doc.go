// Package parties keeps what the verifier's service must not forget about relying
// parties: their keys (digests), how much they used it, and what their counters did
// without a network. It is a database of its own, a file or the schema sanad_parties on
// PostgreSQL, beside store/once, whose values live for minutes.
//
// Start with [Open]. Keys are in keys.go, usage in usage.go, tallies of counters in
// tally.go. Nothing here says anything about a person: verdicts are counted by day, and
// what counts once is kept as digests that the counters salt.
//
// Several processes may work on one database. Counts arrive in batches, each of which
// counts once however often it is sent ([DB.AddUsage]); a tally that is sent again
// replaces itself ([DB.PutTally]).
//
// Left to others: who may do what (package api/verifier), and making keys (cmd/verifier).
package parties
