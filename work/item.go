package work

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// A Kind is what an item is for.
type Kind string

// The kinds.
const (
	// Issue makes a credential for a record that holds none.
	Issue Kind = "issue"
	// Replace makes one in the place of that which the record holds: a reprint.
	Replace Kind = "replace"
	// Revoke, Suspend and Resume change a credential.
	Revoke  Kind = "revoke"
	Suspend Kind = "suspend"
	Resume  Kind = "resume"
)

// Signs reports whether the kind ends in a signature.
func (k Kind) Signs() bool { return k == Issue || k == Replace }

// A State is where an item stands.
type State string

// The states.
const (
	// Checking: somebody looks at the record.
	Checking State = "checking"
	// Waiting: for a second person.
	Waiting State = "waiting"
	// Agreed: to be done at its time, once.
	Agreed State = "agreed"
	// Signed: the credential is there and waits to be printed and handed over.
	Signed State = "signed"
	// Failed: it was not done, and a person has to look. [Item.Problem] says why.
	Failed State = "failed"
	// Done and Closed are the ends: it was done; it was withdrawn, refused or undone.
	Done   State = "done"
	Closed State = "closed"
)

// States are all states.
func States() []State { return []State{Checking, Waiting, Agreed, Signed, Failed, Done, Closed} }

// Open reports whether the item is still worked on. A record has at most one open item
// of a programme.
func (s State) Open() bool { return s != Done && s != Closed }

// A Queue is what people work through.
type Queue string

// The queues.
const (
	ToCheck   Queue = "check"
	ToApprove Queue = "approve"
	ToIssue   Queue = "issue"
	ToPrint   Queue = "print"
	Problems  Queue = "problems"
	// ToChange are changes that wait until nobody can undo them any more.
	ToChange Queue = "change"
)

// Queues are all queues in the order of the work.
func Queues() []Queue { return []Queue{ToCheck, ToApprove, ToIssue, ToPrint, ToChange, Problems} }

// Item is one piece of work. It names no person and holds no value of a record.
type Item struct {
	// ID is random: "wk-" and 16 letters and digits.
	ID   string
	Kind Kind
	// Office is that of the operator who began it.
	Office string
	// Programme and Record say what it is about; Record is the id in the registry.
	Programme, Record string
	// Credential is what is changed or replaced, Made what was issued.
	Credential, Made string
	// Reason is why a credential is changed or replaced.
	Reason issuance.Reason
	State  State
	// Problem is why it has failed or is late: a code of issuance or one of
	// [ProblemCodes].
	Problem string
	// Shown is the SHA-256 of what was shown to whoever asked, and is all that may be
	// agreed to.
	Shown [32]byte
	// Requester and Approver are operators' ids.
	Requester, Approver string
	// Opened and Changed are moments, Due when it is done, Expires when an approval or
	// a print is worth nothing any more. Milliseconds, UTC.
	Opened, Changed, Due, Expires time.Time

	// Worker has taken it on until Until; after that another may. Attempt counts how
	// often that was so. Seen is when the credential to be changed had last been
	// changed, when it was taken on for the first time.
	Worker  string
	Until   time.Time
	Attempt int
	Seen    time.Time
	// Lost counts signatures that a crash took away before they were kept.
	Lost int

	// Rev counts changes; a change of another revision is refused.
	Rev int64
}

// Queue is where the item waits; "" if nowhere.
func (i *Item) Queue() Queue {
	switch i.State {
	case Checking:
		return ToCheck
	case Waiting:
		return ToApprove
	case Agreed:
		if i.Kind.Signs() {
			return ToIssue
		}
		return ToChange
	case Signed:
		return ToPrint
	case Failed:
		return Problems
	}
	return ""
}

// Staff is the item's state in the words of package staff.
func (i *Item) Staff() staff.State {
	switch i.State {
	case Checking, Failed:
		return staff.Open
	case Waiting:
		return staff.Proposed
	case Agreed:
		switch {
		case i.Attempt > 0 && !i.Kind.Signs():
			return staff.Running
		case i.Kind.Signs():
			return staff.Approved
		}
		return staff.Waiting
	case Signed, Done:
		return staff.Done
	}
	return staff.Closed
}

// LogValue of an item is its id.
func (i Item) String() string { return i.ID }

// GoString is String, so that %#v shows no record's id.
func (i Item) GoString() string { return i.ID }

// Codes of [Item.Problem] that are not issuance's own.
const (
	// ProblemChanged: the record or the programme is no longer what was shown.
	ProblemChanged = "changed"
	// ProblemRecord: the record is no longer in the registry, or not the office's.
	ProblemRecord = "no_record"
	// ProblemState: the credential was changed by somebody else meanwhile.
	ProblemState = "state"
	// ProblemLate: nobody did it while the approval was good.
	ProblemLate = "late"
	// ProblemPrint: nobody printed it in time, and the print is erased.
	ProblemPrint = "print_lost"
	// ProblemLater: the signer, the audit log or the database was out of reach; it is
	// tried again by itself.
	ProblemLater = "later"
	// ProblemRefused: issuance refused for a reason that its code does not tell.
	ProblemRefused = "refused"
	// ProblemRestored: a backup was restored, and nobody knows whether it was done.
	ProblemRestored = "restored"
)

// ProblemCodes are these codes.
func ProblemCodes() []string {
	return []string{ProblemChanged, ProblemRecord, ProblemState, ProblemLate, ProblemPrint, ProblemLater, ProblemRefused, ProblemRestored}
}

// A Deed is what was done to an item; it is what the timeline shows.
type Deed string

// The deeds.
const (
	DeedTaken     Deed = "taken"     // taken up to be checked
	DeedAsked     Deed = "asked"     // somebody asked for approval
	DeedReturned  Deed = "returned"  // the second person sent it back
	DeedRefused   Deed = "refused"   // the second person refused it
	DeedApproved  Deed = "approved"  // the second person agreed
	DeedAlone     Deed = "alone"     // agreed by one person, since that is enough here
	DeedVoided    Deed = "voided"    // what was agreed to is no longer so
	DeedWithdrawn Deed = "withdrawn" // taken back by whoever asked
	DeedSigned    Deed = "signed"    // signed and checked
	DeedOpened    Deed = "opened"    // the print was opened
	DeedPrinted   Deed = "printed"   // printed well; the print was erased
	DeedOffered   Deed = "offered"   // an offer for the wallet was handed out
	DeedOrdered   Deed = "ordered"   // a change was ordered
	DeedUndone    Deed = "undone"    // and undone
	DeedHurried   Deed = "hurried"   // or not left to wait
	DeedChanged   Deed = "changed"   // the change was made
	DeedFailed    Deed = "failed"    // it was not done
	DeedLapsed    Deed = "lapsed"    // the print was erased unprinted
)

// steps is the table of what may follow what: by deed, the states that it starts from
// and the one that it leads to. What is not in it cannot happen.
var steps = []struct {
	deed Deed
	from []State
	to   State
}{
	{DeedTaken, []State{"", Failed}, Checking},
	{DeedAsked, []State{"", Checking}, Waiting},
	{DeedAlone, []State{"", Checking}, Agreed},
	{DeedReturned, []State{Waiting}, Checking},
	{DeedRefused, []State{Waiting}, Closed},
	{DeedApproved, []State{Waiting}, Agreed},
	{DeedVoided, []State{Waiting, Agreed}, Checking},
	{DeedWithdrawn, []State{Checking, Waiting, Failed}, Closed},
	{DeedSigned, []State{Agreed}, Signed},
	{DeedOpened, []State{Signed}, Signed},
	{DeedOffered, []State{Signed}, Signed},
	{DeedPrinted, []State{Signed}, Done},
	{DeedLapsed, []State{Signed}, Failed},
	{DeedOrdered, []State{""}, Agreed},
	{DeedUndone, []State{Agreed}, Closed},
	{DeedHurried, []State{Agreed}, Agreed},
	{DeedChanged, []State{Agreed}, Done},
	{DeedFailed, []State{Agreed}, Failed},
}

// next is the state after a deed.
func (i *Item) next(d Deed) (State, error) {
	for _, s := range steps {
		if s.deed == d && slices.Contains(s.from, i.State) {
			return s.to, nil
		}
	}
	return "", fmt.Errorf("%w: %s", ErrState, d)
}

// An Event is a line of the timeline of an item.
type Event struct {
	Item  string
	At    time.Time
	Deed  Deed
	Actor string // an operator's id, or [System]
	// Reason is a code: why a change was ordered, what went wrong.
	Reason string
	// Comment is what one colleague writes to another, at most [MaxComment] characters.
	// It stays in store/desk and goes when the item does.
	Comment string
}

// System is the actor of what no person did.
const System = "desk"

// MaxComment is how many characters a comment has at most.
const MaxComment = 300

// Errors that callers tell apart.
var (
	// ErrNoItem: there is no such item for this office.
	ErrNoItem = errors.New("work: no such item")
	// ErrNoRecord: there is no such record for this office.
	ErrNoRecord = errors.New("work: no such record")
	// ErrState: not possible in this state.
	ErrState = errors.New("work: not possible in this state")
	// ErrMoved: somebody else moved the item on meanwhile.
	ErrMoved = errors.New("work: moved on by somebody else meanwhile")
	// ErrBusy: there is open work on the record already.
	ErrBusy = errors.New("work: somebody is at work on this record")
	// ErrOwn: who asked cannot be who agrees.
	ErrOwn = errors.New("work: who asked cannot be who agrees")
	// ErrChanged: the record, the programme or the credential is no longer what was shown.
	ErrChanged = errors.New("work: no longer what was shown")
	// ErrTooLate: it can no longer be undone, or the approval or print has expired.
	ErrTooLate = errors.New("work: too late")
	// ErrReason: not a reason for this.
	ErrReason = errors.New("work: not a reason for this")
	// ErrComment: a comment that is too long or not text.
	ErrComment = errors.New("work: not a comment")
	// ErrNoPrint: there is no print of this item.
	ErrNoPrint = errors.New("work: no print")
	// ErrNoSource: the programme has no registry here.
	ErrNoSource = errors.New("work: the programme has no registry here")
	// ErrNotAllowed: the programme does not allow it.
	ErrNotAllowed = errors.New("work: the programme does not allow this")
)
