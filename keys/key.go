package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Purpose is what a key may sign. A key has one, for good.
type Purpose string

// The purposes.
const (
	// Credential keys sign credentials.
	Credential Purpose = "credential"
	// StatusList keys sign status lists.
	StatusList Purpose = "status_list"
	// TrustBundle keys sign trust bundles and contributions to them.
	TrustBundle Purpose = "trust_bundle"
	// TrustRoot keys say which keys may sign trust bundles. They are kept offline.
	TrustRoot Purpose = "trust_root"
	// Audit keys sign checkpoints of the audit log. They are Ed25519 keys, since
	// signed notes know no other.
	Audit Purpose = "audit"
	// Backup keys sign the table of contents of backups.
	Backup Purpose = "backup"
	// Witness keys co-sign checkpoints of audit logs of others. They are Ed25519
	// keys, too.
	Witness Purpose = "witness"
	// Holder keys are those of a wallet: they prove that whoever shows a credential
	// is the one it was issued to.
	Holder Purpose = "holder"
	// Metadata keys sign what an issuer says of itself to wallets.
	Metadata Purpose = "metadata"
	// Request keys sign what a verifier asks of wallets.
	Request Purpose = "request"
	// CertificateRoot keys sign X.509 certificates for keys of other purposes (package
	// keys/chain). They are kept offline.
	CertificateRoot Purpose = "certificate_root"
)

// purposes lists every purpose with the years for which its keys sign if a
// [Spec] does not say.
var purposes = []struct {
	name  Purpose
	years int
}{
	{Credential, 1}, {StatusList, 1}, {TrustBundle, 1}, {TrustRoot, 10}, {Audit, 5}, {Backup, 5}, {Witness, 10}, {Holder, 10},
	{Metadata, 1}, {Request, 1}, {CertificateRoot, 20},
}

// Purposes returns every purpose.
func Purposes() []Purpose {
	var names []Purpose
	for _, p := range purposes {
		names = append(names, p.name)
	}
	return names
}

// ParsePurpose returns the purpose with this name.
func ParsePurpose(name string) (Purpose, error) {
	if p := Purpose(name); p.years() > 0 {
		return p, nil
	}
	return "", fmt.Errorf("keys: unknown purpose %q", cut(name))
}

// years is how long keys for p sign by default, 0 if there is no such purpose.
func (p Purpose) years() int {
	for _, row := range purposes {
		if row.name == p {
			return row.years
		}
	}
	return 0
}

// String returns the purpose in words, such as "status list".
func (p Purpose) String() string { return strings.ReplaceAll(string(p), "_", " ") }

// A State is a stage in the life of a key.
type State string

// The states in the order of a key's life. Any of them can go to Compromised,
// which is final; apart from that a key goes from one to the next.
const (
	// Planned: made and, once Published is set, announced; signs nothing yet.
	Planned State = "planned"
	// Active: signs within its window.
	Active State = "active"
	// Retired: signs no more; what it signed keeps verifying.
	Retired State = "retired"
	// Compromised: somebody else may hold it. What it signed after
	// CompromisedSince is refused.
	Compromised State = "compromised"
)

// states is the order of states.
var states = []State{Planned, Active, Retired, Compromised}

// Errors of the life cycle, told apart by callers.
var (
	// ErrPurpose: the key is for signing something else.
	ErrPurpose = errors.New("keys: key is for another purpose")
	// ErrNotActive: the key is planned, retired or compromised.
	ErrNotActive = errors.New("keys: key is not active")
	// ErrNotPublished: no trust bundle carried the key, or not for long enough.
	ErrNotPublished = errors.New("keys: key is not published yet")
	// ErrSignWindow: the time lies outside the key's signing window.
	ErrSignWindow = errors.New("keys: outside the key's signing window")
	// ErrTransition: a step that the life of a key does not have.
	ErrTransition = errors.New("keys: not a step in the life of a key")
)

// A Key is what is publicly known of a key of ours: the public half, what it is
// for, and where it stands in its life. It holds no secret. Times are whole
// seconds in UTC.
//
// Methods return a changed copy; [Keystore.Update] makes a change last.
type Key struct {
	Public  PublicKey `json:"public"`
	Purpose Purpose   `json:"purpose"`
	State   State     `json:"state"`

	// Created is when the key was made.
	Created time.Time `json:"created"`
	// Published is when the first trust bundle that carries the key was made;
	// zero before that.
	Published time.Time `json:"published,omitzero"`
	// SignFrom is the first moment at which the key may sign.
	SignFrom time.Time `json:"sign_from"`
	// SignUntil is the first moment at which it may no longer.
	SignUntil time.Time `json:"sign_until"`
	// VerifyUntil is when the last thing it signed has expired, so that trust
	// bundles need not list it any more; zero if that never happens (birth
	// certificates).
	VerifyUntil time.Time `json:"verify_until,omitzero"`
	// CompromisedSince is from when on somebody else may have used the key; set
	// exactly if State is Compromised.
	CompromisedSince time.Time `json:"compromised_since,omitzero"`
}

// ID is the ID of the public key.
func (k Key) ID() ID { return k.Public.ID() }

// String names the key by purpose, ID and state.
func (k Key) String() string { return fmt.Sprintf("%s key %s (%s)", k.Purpose, k.ID(), k.State) }

// whole is t as keys and keystores hold it.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// day is t as it stands in an error.
func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// MaySign returns nil if the key may sign at the time now, whatever its purpose,
// and otherwise [ErrNotActive], [ErrNotPublished] or [ErrSignWindow] with a word
// on what to do.
func (k Key) MaySign(now time.Time) error {
	switch {
	case k.Public.IsZero():
		return fmt.Errorf("%w: there is no key", ErrNotActive)
	case now.IsZero():
		return errors.New("keys: internal error: MaySign without a time")
	case k.State == Planned:
		return fmt.Errorf("%w: key %s is only planned; publish it, then activate it by rotating", ErrNotActive, k.ID())
	case k.State == Retired:
		return fmt.Errorf("%w: key %s is retired; sign with the key that replaced it", ErrNotActive, k.ID())
	case k.State == Compromised:
		return fmt.Errorf("%w: key %s is compromised since %s; it never signs again", ErrNotActive, k.ID(), day(k.CompromisedSince))
	case k.State != Active:
		return fmt.Errorf("%w: key %s is in the unknown state %q", ErrNotActive, k.ID(), cut(string(k.State)))
	case k.Published.IsZero() || now.Before(k.Published):
		return fmt.Errorf("%w: export a trust bundle that carries key %s first", ErrNotPublished, k.ID())
	case now.Before(k.SignFrom):
		return fmt.Errorf("%w: key %s signs from %s on", ErrSignWindow, k.ID(), day(k.SignFrom))
	case !now.Before(k.SignUntil): // a key without an end has passed it
		return fmt.Errorf("%w: key %s signed until %s; rotate to a new key", ErrSignWindow, k.ID(), day(k.SignUntil))
	}
	return nil
}

// Publish notes that a trust bundle made at the time at carries the key. Only
// the first time counts: for a key that was published before it changes nothing.
func (k Key) Publish(at time.Time) (Key, error) {
	if !k.Published.IsZero() {
		return k, nil
	}
	if k.State != Planned {
		return k, fmt.Errorf("%w: publish key %s, which is %s", ErrTransition, k.ID(), k.State)
	}
	if at = whole(at); at.Before(k.Created) {
		return k, fmt.Errorf("%w: key %s published at %s, before it was made", ErrTransition, k.ID(), day(at))
	}
	k.Published = at
	return k, nil
}

// Activate makes a planned key active at the time at, provided that it was
// published at least margin before. Margin is how long a verifier may work with
// the bundle it has; zero is for the first key of a purpose and for emergencies.
// The key signs from at or SignFrom on, whichever is later.
func (k Key) Activate(at time.Time, margin time.Duration) (Key, error) {
	at = whole(at)
	switch {
	case k.State != Planned:
		return k, fmt.Errorf("%w: activate key %s, which is %s", ErrTransition, k.ID(), k.State)
	case margin < 0:
		return k, errors.New("keys: internal error: Activate with a negative margin")
	case k.Published.IsZero():
		return k, fmt.Errorf("%w: export a trust bundle that carries key %s first", ErrNotPublished, k.ID())
	case at.Before(k.Published.Add(margin)):
		return k, fmt.Errorf("%w: key %s was published at %s and may sign from %s on, once all verifiers can have it",
			ErrNotPublished, k.ID(), day(k.Published), day(k.Published.Add(margin)))
	case !at.Before(k.SignUntil):
		return k, fmt.Errorf("%w: key %s was to sign until %s; make a new one", ErrSignWindow, k.ID(), day(k.SignUntil))
	}
	k.State = Active
	if k.SignFrom.Before(at) {
		k.SignFrom = at
	}
	return k, nil
}

// Retire ends the signing of an active key at the time at. It stays listed, so
// that what it signed keeps verifying: also what it signed earlier in that second,
// since dates of issue have no fractions.
func (k Key) Retire(at time.Time) (Key, error) {
	if k.State != Active {
		return k, fmt.Errorf("%w: retire key %s, which is %s", ErrTransition, k.ID(), k.State)
	}
	k.State = Retired
	if end := whole(at).Add(time.Second); end.Before(k.SignUntil) {
		k.SignUntil = end
	}
	return k, nil
}

// Compromise marks the key as known to others since the time since. What it
// signed later is refused from the next trust bundle on. A compromised key stays
// so; a second call can only move the time to an earlier one.
func (k Key) Compromise(since time.Time) (Key, error) {
	since = whole(since)
	switch {
	case since.IsZero():
		return k, errors.New("keys: internal error: Compromise without a time")
	case k.State == Compromised && since.After(k.CompromisedSince):
		return k, fmt.Errorf("%w: key %s is compromised since %s; that can only become earlier", ErrTransition, k.ID(), day(k.CompromisedSince))
	}
	k.State = Compromised
	k.CompromisedSince = since
	return k, nil
}

// CheckUpdate returns [ErrTransition] unless k may become next: the same key for
// the same purpose, in the same or the following state, with no past rewritten.
// Every [Keystore] calls it in Update.
func (k Key) CheckUpdate(next Key) error {
	refuse := func(what string) error {
		return fmt.Errorf("%w: key %s: %s", ErrTransition, k.ID(), what)
	}
	was, is := slices.Index(states, k.State), slices.Index(states, next.State)
	switch {
	case !k.Public.Equal(next.Public):
		return refuse("its key material cannot change")
	case k.Purpose != next.Purpose:
		return refuse("its purpose cannot change")
	case !k.Created.Equal(next.Created):
		return refuse("the time it was made cannot change")
	case is < 0 || is != was && is != was+1 && next.State != Compromised:
		return refuse(fmt.Sprintf("from %s to %s", k.State, next.State))
	case !k.Published.IsZero() && !k.Published.Equal(next.Published):
		return refuse("the time it was published cannot change")
	case k.Published.IsZero() && !next.Published.IsZero() && k.State != Planned:
		return refuse("only a planned key is published")
	case next.Published.IsZero() && next.State == Active:
		return fmt.Errorf("%w: activate key %s", ErrNotPublished, k.ID())
	case next.State == Active && next.SignFrom.Before(next.Published):
		return refuse("it would sign before it was published")
	case k.State != Planned && !k.SignFrom.Equal(next.SignFrom):
		return refuse("the start of its signing window cannot change any more")
	case next.SignUntil.IsZero() || k.State != Planned && next.SignUntil.After(k.SignUntil):
		return refuse("its signing window cannot become longer any more")
	case earlier(next.VerifyUntil, k.VerifyUntil):
		return refuse("it cannot be unlisted earlier than planned, since credentials may still need it")
	case (next.State == Compromised) != !next.CompromisedSince.IsZero():
		return refuse("compromised needs a date, and a date needs compromised")
	case k.State == Compromised && next.CompromisedSince.After(k.CompromisedSince):
		return refuse("the time of the compromise can only become earlier")
	}
	return nil
}

// earlier reports whether the end a comes before the end b, where zero is never.
func earlier(a, b time.Time) bool {
	return !a.IsZero() && (b.IsZero() || a.Before(b))
}
