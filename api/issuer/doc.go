// Package issuer is the issuer over HTTP: OpenID4VCI 1.0 with the authorization
// server that belongs to it (profile HAIP 1.0), and the public files of the issuer.
//
// Start with [New], which makes [Endpoints] from a [Config]; [Endpoints.Routes] is the
// table for package web, [Endpoints.Offer] makes the offer that an operator hands out.
// What a request says and which checks it must pass is oid4vci's, what is used once is
// store/once's, and what is issued is issuance's: this package joins them, one file an
// endpoint.
//
// Each request for something that changes the world goes through the same steps:
// may we act at all (the audit log can be written), who asks (DPoP, client
// attestation), is it well formed, is it allowed, use up what works once, act,
// answer. Public files are read from the folder that is published and from what was
// last known of programmes and keys, so they are there when the database is not.
//
// Secrets (codes, tokens, references) are known to the one who holds them. What belongs
// to them is stored under their digest and sealed with a key made of them, so a copy of
// the database tells nobody who was offered what.
//
// Left to others: TLS, limits, logs (internal/web), which attesters are trusted
// (settings), the publication of lists and bundles (cmd/issuer).
package issuer
