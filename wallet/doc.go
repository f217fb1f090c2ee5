// Package wallet is what a holder's wallet does: it keeps credentials and their
// keys in an encrypted directory, obtains credentials from issuers, and answers
// the requests of verifiers.
//
// Start with [Create] and [Open]. What is kept are [Held] credentials, each with one
// key for each copy, and [Entry] values that say what was shared with whom. Nothing
// is written in the clear: one file for each credential and each entry, encrypted
// with age for an identity that only the wallet's passphrase opens.
//
// Left to others: what credentials say (credential/sdjwt), the messages of the
// protocols (oid4vci, oid4vp), whom to trust (trust, verification), sending
// requests, and talking to the person (cmd/wallet-cli).
package wallet
