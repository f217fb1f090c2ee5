// Package wallet is what a holder's wallet does: it keeps credentials and their
// keys in an encrypted directory, obtains credentials from issuers, and answers
// the requests of verifiers.
//
// Start with [Create] and [Open]. What is kept are [Held] credentials, each with one
// key for each copy, and [Entry] values that say what was shared with whom. Nothing
// is written in the clear: one file for each credential and each entry, encrypted
// with age for an identity that only the wallet's passphrase opens.
//
// An [Agent] speaks for the holder. It obtains: [Agent.Offer] says what is offered,
// [Agent.Redeem] or [Agent.SignIn] and [Agent.Finish] take it up, [Agent.Fetch] and later
// [Agent.Poll] bring it. It presents: [Agent.Inquire] says who asks, on whose word, what,
// why and how long it is kept, [Agent.Present] or [Agent.Decline] answers. Between
// these calls the person decides. What a careful wallet does not go on with is a
// [*RefusedError] with one of a closed set of reasons.
//
// Rules that are stated nowhere else:
//
//   - A key is on disk before an issuer hears of it, and a copy counts as shown, and the
//     log says so, before anything is sent.
//   - An issuer is known by the trust bundle or by the certificate with which it signs its
//     metadata. A verifier whose certificate no root vouches for is shown as unknown,
//     never under the name that its certificate gives it.
//   - Tokens are bound to a key (DPoP) in every flow; answers to verifiers are encrypted.
//   - Claims of a claim set beyond the smallest one are optional, and left out unless the
//     person chooses them.
//
// Left to others: what credentials say (credential/sdjwt, credential/cwt), the
// messages of the protocols (oid4vci, oid4vp), whom to trust (trust, verification),
// sending requests, and talking to the person (cmd/wallet-cli; web/pocket, which keeps
// what it has in the browser).
package wallet
