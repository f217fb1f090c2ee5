// Package issuance is what an issuer does: it turns registry records into signed
// credentials, one at a time ([Service.Issue]) or by the million
// ([Service.RunBatch]), revokes, suspends, resumes and supersedes them, publishes
// what verifiers need ([Service.PublishTrust], [Service.PublishStatus]), and
// looks after the keys that do all this.
//
// # The ladder
//
// A credential leaves only after six rungs, in this order:
//
//  1. Authorise and check: programme, signing key, record, and the exact bytes
//     that will be signed.
//  2. One durable transaction stores the credential as [Intended], its status
//     slots, the hash of those bytes, the date of issue and the audit entry.
//  3. Sign.
//  4. Check the signature with the published key, and that it is over the bytes
//     whose hash is stored.
//  5. A second durable transaction stores the hash of what was signed, makes the
//     credential [Active] and adds an audit entry.
//  6. Release.
//
// Whatever stops between rungs 2 and 5 leaves an Intended credential behind.
// It may or may not have been signed; it was not released. [Service.Sweep], run
// when a program starts, revokes it. Its slots are never used again. A caller who
// lost the answer asks again with the same idempotency key and learns which
// credential there is; to get a new one it supersedes that one.
//
// Dates of issue never go back. When the clock has gone back further than a
// tolerance, nothing is issued.
//
// # Where to start
//
// [New] makes a [Service] from a [Config]; store.go has the interfaces that a
// database must implement, with the promises it makes; package store implements
// them and store/storetest holds their test.
//
// # Left to others
//
// What a record says (package registry) and which of it may be issued (package
// programme), the bytes of a credential (credential/cwt, credential/sdjwt), drawing
// its code (qr/image, through [Config.Fits] and [BatchRequest.Draw]), SQL, and who may
// call which method: the service trusts its caller and notes the actor.
//
// # Limits
//
// The content of a credential is not kept, so that what was issued cannot be
// issued a second time in the same bytes. A batch holds about six chunks in
// memory whatever the size of its source. As many processes issue as the store
// takes: Sweep revokes only what one that is gone has left behind.
package issuance
