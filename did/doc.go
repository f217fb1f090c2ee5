// Package did reads Decentralized Identifiers (DID Core 1.0) and the keys in their
// documents, for the methods did:key, did:jwk and did:web, and makes the document that
// an issuer publishes.
//
// Start with [New], a [Resolver] for the three methods, and [Document.Key], which finds
// the key that a kid names. An issuer publishes [WebDocument] at the address that
// [WebURL] gives.
//
// A DID is checked whole before anything is asked; documents come through a [Fetcher]
// of the caller (internal/fetch has one), which is asked for https addresses only. The
// document must be about the DID that was asked for. A kid must be a DID URL with
// nothing but a fragment, or the fragment alone, and must be listed for the
// relationship that the caller names.
//
// Left to others: whether this DID is trusted for anything (package trust), did:webvh
// (a later release), services, and the controllers of a document, which say who may
// change it and not who may sign.
//
// A DID may have 8 KiB, a document 256 KiB with 128 verification methods.
package did
