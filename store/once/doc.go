// Package once keeps the values of both servers that work at most once or for a
// short time: codes, nonces, identifiers of proofs, transactions, tokens. It
// decides which of many callers was first, in any number of processes and across
// crashes; see docs/decisions/0022-values-that-work-once.md. Beside them
// it has marks of keys that were disclosed, which stay for years ([Disclose]).
//
// Start with [Open], on a file of its own, on PostgreSQL (schema sanad_once), or in [Memory] for
// one process that may lose them (docs/decisions/0048-values-in-memory.md).
// What others must not guess is a secret that only its holder has: a [Value] is
// found by the SHA-256 of it. [DB.Put] stores a new value, and refuses one that
// was there before, which is how a replay is noticed. [DB.Take] uses values up.
// [DB.Guess] counts attempts before they are looked at, [DB.Swap] moves a value
// from one state to the next, and [DB.Steps] does several of these at the price of one.
//
// An error that is none of this package's sentinels means that it is not known
// whether the call has had an effect. Callers treat it as "not accepted".
//
// Left to others: what the values mean, how their secrets are made, and the
// transaction of a credential, of which nothing here is a part (package issuance).
//
// At most [MaxData] bytes of data in a value, [MaxKeys] values in a call, and in memory
// [Options.Room] in all.
package once
