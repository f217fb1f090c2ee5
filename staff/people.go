package staff

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Standing is whether an operator can work.
type Standing string

// The standings.
const (
	// Invited: has a link and no passkey yet.
	Invited Standing = "invited"
	// Active: works.
	Active Standing = "active"
	// Suspended: cannot sign in until somebody lifts it.
	Suspended Standing = "suspended"
	// Left: never comes back. The id stays, since the audit log names it.
	Left Standing = "left"
)

// An Operator is a person of the staff.
type Operator struct {
	// ID is random and names the operator in the audit log: "op-" and 16 letters and
	// digits.
	ID string
	// Name is what colleagues call the person. It is in store/desk only.
	Name string
	// Office is the id of the one office the person works for.
	Office string
	// Roles are what the person may do there.
	Roles []Role
	// Standing is whether the person can work.
	Standing Standing
	// Epoch is raised whenever rights or passkeys change; sessions of an older one end.
	Epoch int64
	// Made is when the person was invited, Seen when they signed in last.
	Made, Seen time.Time
}

// May reports whether the operator may do this to something in this state. It is the one
// question; offices are apart (see [Office.Sees]).
func (o Operator) May(a Action, s State) bool {
	r, ok := RuleFor(a)
	if !ok || o.Standing != Active {
		return ok && a == Visit
	}
	return r.by(o.Roles) && r.in(s)
}

// MayEver reports whether there is a state in which the operator may do this: whether a
// page about it can be opened at all.
func (o Operator) MayEver(a Action) bool {
	return slices.ContainsFunc(States(), func(s State) bool { return o.May(a, s) })
}

// Is reports whether the operator has a role.
func (o Operator) Is(r Role) bool { return slices.Contains(o.Roles, r) }

// LogValue is the id, so that no name reaches a log.
func (o Operator) LogValue() slog.Value { return slog.StringValue(o.ID) }

// String is the id, so that no name reaches an error.
func (o Operator) String() string { return o.ID }

// GoString is the id, so that %#v is safe too.
func (o Operator) GoString() string { return o.ID }

// An Office is a place where people work, and what of the registry they see.
type Office struct {
	// ID is short and stays: lower-case letters, digits and -.
	ID string
	// Name is what people call it.
	Name string
	// Programmes are the ids of those it works with; all if empty.
	Programmes []string
	// Column is the column of a record that says whose it is, and Values are those of
	// this office. All records if Column is empty.
	Column string
	Values []string
}

// Works reports whether the office works with a programme.
func (o Office) Works(programme string) bool {
	return len(o.Programmes) == 0 || slices.Contains(o.Programmes, programme)
}

// Sees reports whether a record of a programme is the office's; field returns the value
// of a column of it. A column that the record does not have makes it nobody's.
func (o Office) Sees(programme string, field func(column string) (string, bool)) bool {
	if !o.Works(programme) {
		return false
	}
	if o.Column == "" {
		return true
	}
	v, ok := field(o.Column)
	return ok && v != "" && slices.Contains(o.Values, v)
}

// NewID returns a random id with this prefix, such as "op": 80 bits in 16 characters.
func NewID(prefix string) string {
	var b [10]byte
	rand.Read(b[:])
	return prefix + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// Limits of what people type.
const (
	// MaxName is how many characters a name has at most.
	MaxName = 80
	// maxValues is how many values or programmes an office can have.
	maxValues = 500
)

// CheckName returns a name without spaces around it. It refuses one that is empty, too
// long or has characters that do not show.
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	hidden := func(r rune) bool { return !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d' }
	if name == "" || utf8.RuneCountInString(name) > MaxName || !utf8.ValidString(name) || strings.ContainsFunc(name, hidden) {
		return "", errors.New("staff: not a name")
	}
	return name, nil
}

// CheckRoles returns the roles in their order. It refuses none, an unknown one, and two
// that one person must not have: whoever looks after people and keys, and whoever audits,
// does nothing else, since nobody could look at their work otherwise.
func CheckRoles(roles []Role) ([]Role, error) {
	var sorted []Role
	for _, r := range Roles() {
		if slices.Contains(roles, r) {
			sorted = append(sorted, r)
		}
	}
	alone := slices.Contains(sorted, Administrator) || slices.Contains(sorted, Auditor)
	if len(sorted) == 0 || len(sorted) != len(roles) || alone && len(sorted) > 1 {
		return nil, errors.New("staff: not a set of roles")
	}
	return sorted, nil
}

var officeID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

var errOffice = errors.New("staff: not an office")

// Check says what is wrong with an office.
func (o Office) Check() error {
	if !officeID.MatchString(o.ID) {
		return fmt.Errorf("%w: the id %.60q", errOffice, o.ID)
	}
	if _, err := CheckName(o.Name); err != nil {
		return fmt.Errorf("%w: its name", errOffice)
	}
	if len(o.Values) > maxValues || len(o.Programmes) > maxValues {
		return fmt.Errorf("%w: too many values", errOffice)
	}
	if (o.Column == "") != (len(o.Values) == 0) {
		return fmt.Errorf("%w: the column and its values belong together", errOffice)
	}
	return nil
}

// Errors of those who keep people.
var (
	// ErrNoOperator: there is no operator with this id.
	ErrNoOperator = errors.New("staff: no such operator")
	// ErrNoOffice: there is no office with this id.
	ErrNoOffice = errors.New("staff: no such office")
)

// A Passkey is one that an operator registered.
type Passkey struct {
	// ID is the credential id (WebAuthn Level 3 section 4), which belongs to one person.
	ID []byte
	// Operator is whose it is.
	Operator string
	// Name is what the person calls it.
	Name string
	// Data is what the ceremonies need: public key, counter, flags. The console's own.
	Data []byte
	// Made and Used are when it was registered and used last.
	Made, Used time.Time
	// Locked: its counter went back, so there may be a copy. It signs nobody in.
	Locked bool
}

// InvitationKind says what a link is for.
type InvitationKind string

// The kinds.
const (
	// FirstLink is that of the first administrator, made on the server itself.
	FirstLink InvitationKind = "first"
	// InviteLink is that of somebody new.
	InviteLink InvitationKind = "invite"
	// RecoverLink is that of somebody who lost every passkey. Using it removes those.
	RecoverLink InvitationKind = "recover"
)

// Lifetime is how long a link works.
func (k InvitationKind) Lifetime() time.Duration {
	if k == InviteLink {
		return 72 * time.Hour
	}
	return 24 * time.Hour
}

// An Invitation is a link that works once. Its secret is not kept.
type Invitation struct {
	Digest        [32]byte
	Operator      string
	Kind          InvitationKind
	Made, Expires time.Time
}

// Errors about people.
var (
	// ErrLastAdministrator: nobody could look after people any more.
	ErrLastAdministrator = errors.New("staff: this is the last administrator")
	// ErrLastPasskey: the person could not sign in any more.
	ErrLastPasskey = errors.New("staff: this is the last passkey")
	// ErrManyPasskeys: a person has as many as they can.
	ErrManyPasskeys = errors.New("staff: there are too many passkeys")
)

// MaxPasskeys is how many a person can have.
const MaxPasskeys = 10

// NewInvitation makes a link of this kind for an operator to be named: what its address
// ends in, which is not kept, and what is.
func NewInvitation(kind InvitationKind, now time.Time) (secret string, link Invitation) {
	var b [32]byte
	rand.Read(b[:])
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, Invitation{Digest: InvitationDigest(secret), Kind: kind, Made: now, Expires: now.Add(kind.Lifetime())}
}

// InvitationDigest is what an invitation is found by.
func InvitationDigest(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }
