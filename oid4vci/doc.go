// Package oid4vci holds the messages of OpenID for Verifiable Credential Issuance
// 1.0 (Final, with the errata of 2026) and of the parts of OAuth that it rests on,
// for issuers and for wallets: what they say, how they are read, and which checks
// they must pass. It follows the profile HAIP 1.0.
//
// It performs no input or output and keeps nothing: it takes and returns bytes, form
// values and header values, and the clock and the source of randomness are
// arguments. An issuer starts with [Offer], [IssuerMetadata] and [ServerMetadata];
// then, request by request, [ParsePushedRequest], [ParseTokenRequest], [CheckDPoP],
// [CheckClientAttestation], [RequestExpect.CredentialRequest] and [CheckProofs]. A
// wallet starts with [Reader], the reader of what issuers publish, and uses the same
// types the other way round: their methods Form and JSON, [MakeDPoP], [MakeProof],
// [ReadTokenResponse], [ResponseExpect.CredentialResponse].
//
// What a party got wrong is an [*Error] with one of the closed codes of the
// standards and, beneath it, one of the reasons of this package. Any other error is
// a fault of the caller.
//
// Left to others: whether a value that works once was used (nonces, codes, jti: the
// caller gets them, or a digest to remember, from each check), who may attest
// wallets and keys ([TrustedKeys]), what a DID in a kid leads to, the credential
// itself (credential/sdjwt, credential/cwt), and how bytes travel (api/issuer, cmd/wallet-cli).
//
// Limits: offers 16 KiB, metadata 1 MiB, credential requests 512 KiB and
// [MaxBatch] proofs, tokens 64 KiB, form values 16 KiB. They are checked before
// anything is decoded.
package oid4vci
