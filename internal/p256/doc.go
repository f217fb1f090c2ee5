// Package p256 verifies many ES256 signatures of one key at less than the price of
// as many verifications: a [Table] holds multiples of the public key, so that the
// one expensive step of ECDSA verification, multiplying the public key by a number,
// becomes 33 additions of points.
//
// The rule is that of FIPS 186-5 section 6.4.2, and the answers are those of
// crypto/ecdsa: tests compare the two over Wycheproof's signatures and over random
// and spoiled ones. The arithmetic on the curve is filippo.io/nistec, the standard
// library's own, exported; numbers modulo the order of the curve are math/big's,
// whose time depends on them, as it may: signature, digest and public key are no
// secrets.
//
// A table takes 0.4 MB and as long to make as some 60 verifications. Which keys
// are worth one is decided by package keys.
package p256
