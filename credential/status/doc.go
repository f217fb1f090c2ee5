// Package status keeps and reads the lists that say whether credentials still
// stand: Token Status Lists as in draft-ietf-oauth-status-list-20 in their CWT and
// JWT forms, and the compact packs by which a trust bundle carries the same lists
// to verifiers without a network.
//
// # Where to start
//
// An issuer makes a [List] with [NewList], takes slots in the order of a
// [Permutation], and publishes the list with [SignToken] or [SignJWT]. A verifier opens such a
// token with [VerifyToken] or [VerifyJWT] and asks [List.Check] about the index that a
// credential names. A trust bundle holds a [Snapshot] for each list; a [Delta]
// leads from one to the next. [EncodeSet] is the coding of index sets that both
// are made of.
//
// # What the numbers mean
//
// Entry i of a list stands in byte i*bits/8, counted from the least significant
// bit (section 4.1). Value 0 is [Valid], 1 [Invalid] for good, 2 [Suspended] for
// now; every other value has no meaning here and is never valid. An index past
// the end is a reason to refuse, never "not revoked". We write lists of 1 and 2
// bits and read 1, 2, 4 and 8.
//
// # Refusals and failures
//
// What a list says about a credential comes as a [*credential.RejectedError] from
// [List.Check]. A list that cannot be used at all, because it is malformed, too
// large, expired, for another URI or not signed by the right key, is no statement
// about any credential: VerifyToken then returns one of this package's errors, and
// package verification reports credential.StatusUnavailable.
//
// # Limits
//
// A list takes at most [MaxBytes] inflated (2^27 entries of one bit), whatever
// the caller allows; the limit is checked while inflating. Sets are decoded
// within their stated size.
//
// # Left to others
//
// Which keys may sign the list of an issuer (package trust), how a list is
// fetched, how old it may be for a type and what follows for a verdict (package
// verification), and that no slot is given out twice (package issuance and its
// store). JSON signatures come through [JWSOpener] and [JWSSigner], which package
// internal/jose satisfies.
package status
