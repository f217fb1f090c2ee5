// Package verifier is the verifier as a server: it asks wallets by OpenID4VP 1.0
// under the policies of relying parties, judges what they show, and tells the
// relying party and nobody else.
//
// Start with [ReadPolicies] and [New]; [Service.Routes] is the table for package
// internal/web, and [Service.Run] does what is not the answer to a request:
// webhooks, and forgetting. The page for people who use it is docs/verifier-api.md.
//
// A relying party names a policy ([Policy]) and gets a link and a code for the
// wallet. The wallet fetches the signed request, answers once, and the relying
// party gets the [Result] by asking, by a stream of events, or is told by a webhook
// that there is one. In the flow on one device the result is given only for the
// response code that came with the browser, together with what the relying party
// had said identifies that browser.
//
// What is kept, and how, is in docs/decisions/0024-verifier-server.md: everything
// lives in package store/once, under digests of secrets that only wallet or relying
// party have; a result is sealed to the relying party's secret, so that neither a
// copy of the database nor its owner can read it; all of it expires within the hour.
// Where the store is the memory of this process results are not sealed (0048).
//
// Left to others: messages (oid4vp), whether a credential is genuine
// (verification), what works once (store/once), the way out (internal/fetch, behind
// [Poster]), and limits and logs of HTTP (internal/web).
package verifier
