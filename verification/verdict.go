package verification

import "github.com/sanad-id/sanad/credential"

// A Verdict is the answer to whoever relies on a credential. There are four and
// no boolean, so that "no answer" can never be read as yes or as no.
type Verdict string

// The verdicts. Their words are stable: reports, exit statuses and catalogues
// name them.
const (
	// Valid: genuine, and checked against data fresh enough for the type.
	Valid Verdict = "valid"
	// CheckNeeded: genuine as of a date, or a person has to look.
	CheckNeeded Verdict = "check_needed"
	// Invalid: refused, for the reasons of the checks that failed.
	Invalid Verdict = "invalid"
	// Undetermined: no decision was reached.
	Undetermined Verdict = "undetermined"
)

// Verdicts is every verdict, best first.
func Verdicts() []Verdict { return []Verdict{Valid, CheckNeeded, Undetermined, Invalid} }

// weight orders verdicts: the verdict of a report is the heaviest that one of its
// checks asks for. A refusal outweighs "cannot tell", because a credential that
// is known to be revoked or forged does not become less so by what else is
// unknown; and what cannot be told outweighs what merely needs a look.
func (v Verdict) weight() int {
	switch v {
	case Valid:
		return 0
	case CheckNeeded:
		return 1
	case Invalid:
		return 3
	}
	return 2 // Undetermined, and a word that is none of ours
}

// Worse is the heavier of two verdicts: what two credentials are worth together.
func Worse(a, b Verdict) Verdict {
	if b.weight() > a.weight() {
		return b
	}
	return a
}

// ExitStatus is the exit status by which a program tells the verdict.
func (v Verdict) ExitStatus() int {
	switch v {
	case Valid:
		return 0
	case CheckNeeded:
		return 10
	case Invalid:
		return 20
	}
	return 30
}

// verdicts is the one place where a reason becomes a verdict: the best that a
// credential can still get once the reason has been found. A test holds it
// complete.
var verdicts = map[credential.Reason]Verdict{
	// What was presented is not what it must be, or was not read to its end.
	credential.Malformed:            Invalid,
	credential.Unsigned:             Invalid,
	credential.TooLarge:             Undetermined,
	credential.UnsupportedFormat:    Undetermined,
	credential.UnknownFormat:        Undetermined,
	credential.Encrypted:            Undetermined,
	credential.UnsupportedAlgorithm: Undetermined,
	credential.SeveralCodes:         Undetermined,
	credential.NoCode:               Undetermined,

	// Who signed it. A key or a type that an older bundle cannot know yet is no proof
	// of forgery; a signature that none of the known keys made is.
	credential.BadSignature:         Invalid,
	credential.WrongIssuer:          Invalid,
	credential.NotAuthorised:        Invalid,
	credential.KeyNotInWindow:       Invalid,
	credential.KeyCompromised:       Invalid,
	credential.SlotNotIssued:        Invalid,
	credential.UnknownIssuer:        Undetermined,
	credential.UnknownType:          Undetermined,
	credential.IssuerNotEstablished: CheckNeeded,

	// Its dates. An issue date ahead of all our clocks says more about the clock
	// of this device than about the credential: signed data cannot be younger
	// than now.
	credential.Expired:        Invalid,
	credential.NotYetValid:    Invalid,
	credential.NoIssueDate:    Invalid,
	credential.IssuedInFuture: CheckNeeded,
	credential.ClockDoubtful:  CheckNeeded,

	// Its status.
	credential.Revoked:            Invalid,
	credential.Suspended:          Invalid,
	credential.StatusOutOfRange:   Invalid,
	credential.StatusMissing:      Invalid,
	credential.StatusUnknownValue: Undetermined,
	credential.StatusUnsupported:  Undetermined,
	credential.StatusUnavailable:  CheckNeeded,
	credential.StatusOld:          CheckNeeded,

	// What we know.
	credential.NoTrust:      Undetermined,
	credential.TrustExpired: Undetermined,
	credential.TrustOld:     CheckNeeded,

	// Who shows it. A proof that was asked for and is not one for us is refused: it may
	// be somebody else's, caught on its way to another verifier.
	credential.HolderNotProven:    CheckNeeded,
	credential.HolderProofMissing: Invalid,
	credential.HolderProofBad:     Invalid,
	credential.HolderProofOld:     Invalid,
	credential.HolderProofAhead:   Invalid,
	credential.Replayed:           Invalid,
	credential.CopyExpired:        Invalid,
	credential.WrongAudience:      Invalid,
	credential.WrongNonce:         Invalid,

	// A copy made out to somebody, where nobody said who checks it: who reads the name
	// can tell.
	credential.RecipientNotConfirmed: CheckNeeded,

	// An entitlement that counts once. Who looks knows whether the person was here before
	// or somebody else brings a copy.
	credential.AlreadySeen: CheckNeeded,
	credential.OnceUnknown: CheckNeeded,
}

// VerdictFor is the best verdict that a credential can get once this reason has
// been found. A reason that is none of ours gives [Undetermined].
func VerdictFor(r credential.Reason) Verdict {
	if v, ok := verdicts[r]; ok {
		return v
	}
	return Undetermined
}
