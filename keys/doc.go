// Package keys holds the keys that Sanad signs with and the public keys that it
// checks with: which algorithms are accepted ([Algorithm]), public keys in and
// out as JWK (RFC 7517, RFC 8037), COSE_Key (RFC 9052 section 7, RFC 9053) and
// PEM ([PublicKey]), what a key is for and when it may sign ([Key]), and where
// private keys live ([Keystore], with [File] as the software one).
//
// To read a key that somebody gave you, start with [ParsePublicKey]. To sign,
// take a [Signer] from a [Keystore]; every function of Sanad that signs begins
// with [CheckSigner], the one place that refuses a key made for another purpose
// or at another time. To replace a key, ask [PlanRotation] for the next step.
//
// Left to others: the shape of signatures (internal/cose), which issuer a public
// key belongs to and what it may sign (package trust), and keys on an HSM, which
// come in through [NewSigner].
//
// Input over 64 KiB is refused before it is read. A keystore file holds at most
// 8 MiB. Comparison of public keys is not constant time; nothing else here
// compares secrets except the passphrase check, which is.
package keys
