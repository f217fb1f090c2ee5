package verification

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/sanad-id/sanad/credential"
)

// A CheckID names one of the checks. A report has all of them in this order,
// those that were not made included.
type CheckID string

// The checks.
const (
	CheckFormat    CheckID = "format"    // the input is a credential that we can read
	CheckSignature CheckID = "signature" // a key that we know signed it
	CheckIssuer    CheckID = "issuer"    // that key's owner is the issuer it names
	CheckType      CheckID = "type"      // and may issue this type
	CheckTime      CheckID = "time"      // its own dates hold
	CheckKey       CheckID = "key"       // it was issued while the key might sign, and was not in other hands
	CheckStatus    CheckID = "status"    // it is neither revoked nor suspended, by a list fresh enough
	CheckClock     CheckID = "clock"     // the clock of this device can be believed
	CheckTrust     CheckID = "trust"     // the trust bundle can still be relied on
	CheckHolder    CheckID = "holder"    // the person who shows it is its holder, as far as policy asks
)

// CheckIDs is every check in the order of a report.
func CheckIDs() []CheckID {
	return []CheckID{
		CheckFormat, CheckSignature, CheckIssuer, CheckType, CheckTime, CheckKey, CheckStatus, CheckClock, CheckTrust, CheckHolder,
	}
}

// A Result is the outcome of one check. Whether it matters is said by the
// reason beside it.
type Result string

// The results.
const (
	Pass       Result = "pass"        // looked at and good
	Fail       Result = "fail"        // looked at and bad
	Stale      Result = "stale"       // good by data that are older than policy allows
	Missing    Result = "missing"     // what had to be looked at is not there
	Unknown    Result = "unknown"     // looked at, and it cannot be told
	NotChecked Result = "not_checked" // not looked at, or nothing asks for it
)

// Results is every result.
func Results() []Result { return []Result{Pass, Fail, Stale, Missing, Unknown, NotChecked} }

// A Check is the outcome of one check.
type Check struct {
	ID     CheckID
	Result Result
	// Reason is empty if the check takes nothing from the verdict.
	Reason credential.Reason
	// Detail is for whoever looks closer, in English. It holds no claim's value.
	Detail string
	// AsOf is the date of the data behind the result; zero if it needs none.
	AsOf time.Time
}

// A Binding is what ties a credential to the person who shows it.
type Binding string

// The bindings. Paper and screenshots have none.
const (
	BindingNone         Binding = "none"
	BindingKey          Binding = "key"
	BindingKeyChallenge Binding = "key+challenge"
)

// A Warning is something that a person should know and that leaves the verdict
// as it is.
type Warning string

// The warnings.
const (
	// WarnCopy: a sheet or a picture of it; anyone can have a copy.
	WarnCopy Warning = "anyone_can_have_a_copy"
	// WarnUpdateSoon: the bundle should be replaced soon.
	WarnUpdateSoon Warning = "update_soon"
	// WarnUpdateOverdue: the bundle should have been replaced.
	WarnUpdateOverdue Warning = "update_overdue"
	// WarnSetClock: the date of this device is wrong.
	WarnSetClock Warning = "set_clock"
	// WarnPartShown: the holder left claims out, as far as can be told.
	WarnPartShown Warning = "part_shown"
	// WarnRelay: a live code that somebody else's phone may show on a video call.
	WarnRelay Warning = "may_be_relayed"
	// WarnOtherCodes: the picture shows other codes, which were left aside.
	WarnOtherCodes Warning = "other_codes_ignored"
)

// Warnings is every warning, for the tests that keep catalogues complete.
func Warnings() []Warning {
	return []Warning{WarnCopy, WarnUpdateSoon, WarnUpdateOverdue, WarnSetClock, WarnPartShown, WarnRelay, WarnOtherCodes}
}

// A Basis is the knowledge that a verdict rests on.
type Basis struct {
	// BundleVersion is 0 without a bundle.
	BundleVersion uint64
	// VouchedBy is who vouches for the issuer in place of a bundle, such as a root of
	// certificates; "" if nobody does.
	VouchedBy string
	// KeysAsOf is the date of the bundle, StatusAsOf that of the status list that
	// was used; zero where there is none.
	KeysAsOf, StatusAsOf time.Time
	// Policy names the rules for the type, such as "trade-licence/2".
	Policy string
}

// A Report is the answer to one question: what is this worth? Its JSON form is
// the same on the command line, from a server and in a browser.
type Report struct {
	Verdict Verdict
	// Checks holds every check once, in the order of [CheckIDs].
	Checks []Check
	Basis  Basis
	// Holder is what ties the credential to the one who shows it, and Age how
	// long ago that was proven; zero for paper.
	Holder Binding
	Age    time.Duration
	// AgeUnknown says that a live code was shown and that the clock of this device is
	// too doubtful to say when.
	AgeUnknown bool
	// Mode is the way in which a CWT was shown with its holder's key, "" without. For and
	// Until are whom a copy is made out to, and its last moment.
	Mode  Mode
	For   string
	Until time.Time
	// AcceptedAt is when this entitlement was accepted before on the same day
	// ([Counter.Once]), on the clock of the counter; zero if it was not.
	AcceptedAt time.Time
	// PersonCheck is what to compare: "photo", "other_id" or "none".
	PersonCheck string
	// Claims are what the credential says, in display order. They are empty
	// unless the signature is good.
	Claims   []Claim
	Warnings []Warning

	// Kind is what was presented: a kind of package qr, or "cose" for the bytes
	// of a message.
	Kind string
	// Text is the text of a code that is a link, to be shown and never opened.
	Text string
	// Format, Type, TypeLabels, Issuer, IssuerNames and the dates are set with
	// the claims, under the same condition.
	Format      credential.Format
	Type        string
	TypeLabels  map[string]string
	Issuer      string
	IssuerNames map[string]string
	IssuedAt    time.Time
	NotBefore   time.Time
	Expires     time.Time
	// Judged is the moment that the verdict holds for: the latest of the clock of
	// the device and the dates of signed data.
	Judged time.Time
	// StatusAge is how old the status list was then. It means nothing if
	// Basis.StatusAsOf is zero.
	StatusAge time.Duration
	// Seen is the issue date to remember as proof that it has been later than
	// that (qr-and-offline 4.3); zero if there is nothing to learn.
	Seen time.Time
}

// A Claim is one statement of a credential, named by its type.
type Claim struct {
	Name  string
	Value any
	// Labels is the name for people by language; empty if the type is unknown.
	Labels map[string]string
	// Kind is as in [credential.TypeField].
	Kind string
	// Words are the words for a coded value by value and language.
	Words map[string]map[string]string
	// Sensitive claims are shown only when asked for.
	Sensitive bool
}

// Check returns the check with this id.
func (r *Report) Check(id CheckID) Check {
	for _, c := range r.Checks {
		if c.ID == id {
			return c
		}
	}
	return Check{ID: id, Result: NotChecked}
}

// Reasons are the reasons of all checks, those that decided the verdict first.
func (r *Report) Reasons() []credential.Reason {
	var decided, others []credential.Reason
	for _, c := range r.Checks {
		switch {
		case c.Reason == "":
		case VerdictFor(c.Reason) == r.Verdict:
			decided = append(decided, c.Reason)
		default:
			others = append(others, c.Reason)
		}
	}
	return append(decided, others...)
}

// MarshalJSON returns the report as one object. Members are never left out
// unless they are optional: text, format, type, issuer and the dates.
func (r Report) MarshalJSON() ([]byte, error) { return json.Marshal(r.Fields()) }

// Fields is a value whose JSON is that of the report. It is for who writes the report into
// something larger: encoding/json reads what MarshalJSON returns once more, in each thing around it.
func (r Report) Fields() any {
	type check struct {
		ID     CheckID           `json:"id"`
		Result Result            `json:"result"`
		Reason credential.Reason `json:"reason,omitempty"`
		Detail string            `json:"detail,omitempty"`
		AsOf   string            `json:"as_of,omitempty"`
	}
	type basis struct {
		BundleVersion uint64  `json:"bundle_version"`
		KeysAsOf      *string `json:"keys_as_of"`
		StatusAsOf    *string `json:"status_as_of"`
		StatusAge     *int64  `json:"status_age_s"`
		Policy        string  `json:"policy"`
		VouchedBy     string  `json:"vouched_by,omitempty"`
	}
	type binding struct {
		Holder Binding `json:"holder"`
		Age    *int64  `json:"age_s"`
		Mode   Mode    `json:"mode,omitempty"`
		For    string  `json:"for,omitempty"`
		Until  string  `json:"until,omitempty"`
	}
	out := struct {
		Verdict     Verdict           `json:"verdict"`
		Kind        string            `json:"kind"`
		Text        string            `json:"text,omitempty"`
		Format      credential.Format `json:"format,omitempty"`
		Type        string            `json:"type,omitempty"`
		Issuer      string            `json:"issuer,omitempty"`
		IssuedAt    string            `json:"issued_at,omitempty"`
		NotBefore   string            `json:"not_before,omitempty"`
		Expires     string            `json:"expires,omitempty"`
		Judged      string            `json:"judged_at,omitempty"`
		Checks      []check           `json:"checks"`
		Basis       basis             `json:"basis"`
		Binding     binding           `json:"binding"`
		PersonCheck string            `json:"person_check"`
		Claims      claims            `json:"claims"`
		Warnings    []Warning         `json:"warnings"`
	}{
		Verdict: r.Verdict, Kind: r.Kind, Text: r.Text, Format: r.Format, Type: r.Type, Issuer: r.Issuer,
		IssuedAt: moment(r.IssuedAt), NotBefore: moment(r.NotBefore), Expires: moment(r.Expires), Judged: moment(r.Judged),
		Checks: []check{},
		Basis: basis{
			BundleVersion: r.Basis.BundleVersion, KeysAsOf: date(r.Basis.KeysAsOf), StatusAsOf: date(r.Basis.StatusAsOf), Policy: r.Basis.Policy,
			VouchedBy: r.Basis.VouchedBy,
		},
		Binding:     binding{Holder: r.Holder, Mode: r.Mode, For: r.For, Until: moment(r.Until)},
		PersonCheck: r.PersonCheck,
		Claims:      r.Claims,
		Warnings:    append([]Warning{}, r.Warnings...),
	}
	for _, c := range r.Checks {
		j := check{ID: c.ID, Result: c.Result, Reason: c.Reason, Detail: c.Detail}
		if d := date(c.AsOf); d != nil {
			j.AsOf = *d
		}
		out.Checks = append(out.Checks, j)
	}
	if !r.Basis.StatusAsOf.IsZero() {
		out.Basis.StatusAge = seconds(r.StatusAge)
	}
	if r.Holder != BindingNone && !r.AgeUnknown {
		out.Binding.Age = seconds(r.Age)
	}
	return &out
}

// moment is a time in RFC 3339, or nothing.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// date is the day of a time, or null.
func date(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.DateOnly)
	return &s
}

func seconds(d time.Duration) *int64 {
	s := int64(d / time.Second)
	return &s
}

// claims is an object of claims in display order.
type claims []Claim

// MarshalJSON writes the claims in their order. Bytes become base64.
func (cs claims) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range cs {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(Plain(c.Value))
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
