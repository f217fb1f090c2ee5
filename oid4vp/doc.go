// Package oid4vp holds the messages of OpenID for Verifiable Presentations 1.0 with
// the profile HAIP 1.0, for both sides, and the checks on them. It reads and writes
// values: it opens no connection and keeps nothing.
//
// A verifier writes a [Query] (DCQL), checks it with [Query.Validate], puts it into a
// [Request], signs that with [Request.Sign] and hands out an [Invocation], the link
// or code that calls a wallet. What the wallet sends is read by [ParseResponse]; what
// it presents is compared with the query by [Query.Answered].
//
// A wallet starts with [ParseInvocation], fetches the request object where
// [Invocation.RequestURI] says, and opens it with [Invocation.Open], which
// establishes who asks. [Query.Match] says which of its credentials can answer and
// what each would disclose; [Request.Respond], [Request.Refuse] and [ParseReply] end
// it. The five facts for the person before consent: who asks is [Request.Client], on
// whose word [Client.Anchor], what is [Request.Query] matched, why and kept how long
// is [Request.Policy].
//
// Rules that are stated nowhere else:
//
//   - Credentials travel as dc+sd-jwt. Queries for other formats are read and never
//     match; mso_mdoc is read with its own rules, so that it can follow.
//   - A colon in a client identifier means a prefix; an unknown one is refused and
//     not taken for a registered client (section 5.9.2 allows both).
//   - Answers go by direct_post or direct_post.jwt only.
//   - A response or request URI must lie on a host that the authenticated client
//     answers for, https except on loopback in development.
//   - A claim that was asked for by its place in an array, with values, is not met by
//     a presentation that hides other elements of that array: the place is not proven.
//
// Left to others: chains of certificates and DIDs (behind [Chains] and [DIDs]),
// signatures and status of credentials (package verification), what works once (the
// nonce, the state, the response code), HTTP, and the person's consent.
//
// Limits: a link of 64 KiB, a request object of 128 KiB, a query of 64 KiB with 32
// credentials of 128 claims, a response of 1 MiB with 64 presentations.
package oid4vp
