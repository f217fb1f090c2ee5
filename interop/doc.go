// Package interop holds tests in which other people's implementations stand on the far
// side: as wallet against our issuer, as issuer and verifier against what our packages
// make, and the other way round. There is no code to import.
//
// The peers are npm packages, pinned in package-lock.json and installed by
// scripts/setup-test.sh; peer.mjs runs them, and a test talks to it in lines of JSON.
// Where node or they are absent a test is skipped with one line that says so, or
// fails if SANAD_REQUIRE_NPM is 1.
//
// A peer that follows an older draft stays, with the draft named beside what it says.
package interop
