// Command relying-party is a small shop that asks its visitors to prove, with the wallet
// on their phone, that they are over 18, and what their name is. It is a sample for those
// who build a website of their own beside `verifier serve`: plain HTML and fetch in
// page/, and a backend in shop.go that needs nothing but the standard library.
//
// Start with README.md, whose commands make an issuer, a verifier, a wallet and this shop
// on one machine. What it shows: the key of the relying party stays in the backend, a
// request belongs to the browser that began it, only the verdict valid is a yes, and
// what the page gets is what it shows.
package main
