// Package trust makes and reads trust bundles: dated, signed files that say which
// issuers there are, which keys sign for them, which types of credential each key
// may sign and how those are described, and what was revoked. With one such file
// a verifier needs no network.
//
// # Where to start
//
// A verifier gives a file to [Accept] together with its memory ([State], kept by
// a [Memory] such as [DirMemory]) and gets a [Bundle], which answers
// [Bundle.KeysFor], [Bundle.IssuerKey], [Bundle.Type] and [Bundle.StatusList].
// [Open] reads a file without judging whether it is newer than the last one. A
// publisher makes a [Root] with [SignRoot] once, then a [Content] for every bundle
// and signs it with [Content.Sign]. [MakeDelta] makes the small file that leads
// from one bundle to a later one.
//
// # The file
//
//	file    = zlib( COSE_Sign( payload ) )        RFC 1950, RFC 9052 section 4.1
//	payload = map, deterministic CBOR (RFC 8949 section 4.2.1):
//	  0 "sanad-trust-bundle"   1 format, 1        2 roots: signed roots, oldest first
//	  3 version                4 as of            5 refresh by        6 old after
//	  7 hash of the previous payload              8 jurisdiction      9 issuers
//	  10 types                 11 status          12 messages         13 verifiers
//	  14 minimum version       15 algorithms (COSE)
//	root    = COSE_Sign over
//	  0 "sanad-trust-root"     1 version          2 issued            3 expires
//	  4 root keys              5 how many sign    6 bundle keys       7 how many sign
//
// Dates are seconds since 1970. Unknown map keys are passed over, so that parts
// can be added; a change that an older reader must not miss gets a new format
// number. Issuer keys that this program cannot use are kept out of its answers and
// do not spoil the bundle.
//
// # Who signs what
//
// The ideas are those of The Update Framework (TUF specification 1.0): a few root
// keys, kept offline, of which a quorum names the keys that sign bundles and how
// many of those it takes. The next root is signed by a quorum of the old and of the
// new root keys, and a bundle carries all roots from the first on, so that a
// verifier which trusted any of them can follow. A verifier pins the first root it
// was shown, by a person who compares its fingerprint ([Bundle.Fingerprint]), and
// from then on the newest one it has seen.
//
// Several issuing authorities can live under one root: each signs a [Contribution]
// with its own issuer, types and lists, and [Content.Merge] takes it over if it
// names nothing that belongs to another.
//
// # Limits
//
// A file of more than 4 MiB, or more than 8 MiB inflated, is refused before it is
// decoded, and so are more roots, keys, issuers, types or lists than the constants
// of this package allow.
//
// # Left to others
//
// Whether a bundle is too old for a verdict ([Bundle.Age] only names its age) and
// what follows from a key's dates (package verification); fetching files; keeping
// private keys (package keys).
package trust
