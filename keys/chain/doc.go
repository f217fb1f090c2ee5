// Package chain makes and checks X.509 certificates (RFC 5280) for the keys of
// Sanad: a national root ([NewRoot]), certificates under it ([Issue]),
// requests to an authority of somebody else ([Request], [ParseRequest]) and the chain
// that comes back ([Import]), and the x5c header of a token that somebody sent ([Verify]).
//
// Who checks a token starts with [Verify], who signs one with [Folder.Chain].
//
// A chain is the signer's certificate and those of the authorities above it, each
// made by the next, without the trust anchor (HAIP 1.0 sections 5 and 6.1): whom to
// trust is what the caller says with roots, never what a token says, and never the
// roots of the system. Path validation is crypto/x509's. Beyond it a chain must be
// exactly the path, in order; keys are those of package keys, so no RSA; names are
// compared byte for byte as subject alternative names, so neither wildcards nor
// common names count; and a certificate for something else, such as the signing of
// programs, is refused.
//
// Left to others: which roots are trusted for what (package trust), whether a key was
// given away (the trust bundle says so; revocation lists are not read), and how long
// credentials serve.
//
// At most 5 certificates of 16 KiB are read, with 32 names and 64 constraints each.
// Errors name what is wrong and never quote a certificate.
package chain
