// Package verification decides what a credential is worth to whoever relies on
// it. The answer is a [Report]: one of four verdicts, the checks behind it each
// with a reason, the dates of the knowledge that was used, and, only if the
// signature is good, what the credential says.
//
// Start with [New] and [Checker.Check]. They do no input or output: the bundle,
// the clock and the format readers are handed in, so that the same code judges
// on a command line, in a server and in a browser. [Open] recognises inputs for
// those who only look at them.
//
// How a verdict comes about: each check yields a result and perhaps a reason;
// the table in verdict.go says for each reason the best verdict still possible;
// the verdict is the heaviest of these, in the order invalid, undetermined,
// check_needed, valid. So a forged credential is invalid whatever else is
// unknown, and one that an old bundle cannot know is undetermined, not refused.
//
// Rules that are stated nowhere else:
//
//   - Now is the latest of the clock of the device, the date of the bundle and the
//     newest issue date that was verified before. A clock behind that, or more
//     than a year ahead of the bundle, is doubtful.
//
//   - The last moment of a credential is judged to the second. Its first moment
//     and its issue date are allowed [DefaultSkew] for clocks that differ.
//
//   - A bundle past its refresh date still serves: verdicts soften by the age of
//     the status list against the limit of the type. Past its old-after date
//     nothing is valid any more, past the end of its root nothing can be told.
//
//   - What a key signed before it was reported compromised needs a slot in the
//     published set of slots that were given out.
//
//   - A credential without a type of its own counts as [TypeClaim169] or
//     [TypeHealthCert]; an issuer may sign these if the bundle says so.
//
//   - A credential bound to a holder's key that comes without a proof by that key
//     needs a check, as any copy may have that form. A proof that was asked for and is
//     missing, or is not for this request, is refused.
//
//   - A live code is fresh for a minute either way by the clock of the device, not by the
//     newest date that was seen: an issuer whose clock is ahead would make every phone look
//     late. A device that cannot believe its clock cannot tell a picture from a phone, and
//     says so. The answer to a question is timed by who asked, so that no clock needs to be
//     right.
//
//   - A code that was accepted is not accepted again at the same [Counter]: what counts
//     is the SHA-256 of what the holder signed, so that it is known however it was
//     encoded. Only what is accepted is remembered.
//
//   - What was accepted before on the same day, where entitlements count once, needs a
//     check: the person decides, not the program.
//
//   - What a [trust.Voucher] says is judged like a bundle. Its status list was to be had by
//     asking, so that one which is missing or old leaves the verdict undetermined.
//
//   - A copy that is made out to somebody is judged like paper, for that one alone.
//
// Left to others: signatures and encodings (credential/cwt and credential/sdjwt behind [Format]), who
// is trusted (package trust), pictures (qr/image), sentences for people
// (internal/i18n).
package verification
