package trust

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
)

// ErrContent: what is to be signed has a fault. The text names all that were
// found.
var ErrContent = errors.New("trust: not fit to be signed")

// maxLogo is how long a logo may be.
const maxLogo = 2048

// faults collects what is wrong.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// err is nil or kind with the first ten faults.
func (f faults) err(kind error) error {
	if len(f) == 0 {
		return nil
	}
	more := ""
	if n := len(f) - 10; n > 0 {
		more = fmt.Sprintf("; and %d more", n)
	}
	return fmt.Errorf("%w: %s%s", kind, strings.Join(f[:min(len(f), 10)], "; "), more)
}

// check finds what makes content ambiguous or contradictory, which reader and
// signer both refuse: everything that a lookup relies on.
func (c Content) check() faults {
	var f faults
	if c.Version == 0 || (c.Version == 1) != (c.Previous == [32]byte{}) {
		f.add("version %d, with or without the hash of the bundle before", c.Version)
	}
	if c.AsOf.IsZero() || c.RefreshBy.Before(c.AsOf) || c.OldAfter.Before(c.RefreshBy) {
		f.add("dates out of order: as of, refresh by, old after")
	}
	f.issuers(c)
	unique("type", c.Types, func(t credential.Type) string { return t.ID }, f.add)
	unique("status list", c.Status, func(s status.Snapshot) string { return s.URI }, f.add)
	unique("message", c.Messages, func(m Message) string { return m.ID }, f.add)
	unique("verifier", c.Verifiers, func(v Verifier) string { return v.ID }, f.add)
	return f
}

// inLifetime checks the date of a bundle against its root.
func (c Content) inLifetime(root Root) error {
	if c.AsOf.Before(root.Issued) || !c.AsOf.Before(root.Expires) {
		return fmt.Errorf("%w: bundle of %s, root from %s to %s", ErrRootExpired,
			day(c.AsOf), day(root.Issued), day(root.Expires))
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// unique checks that the ids are different and not empty.
func unique[T any](what string, all []T, id func(T) string, report func(format string, args ...any)) {
	seen := make(map[string]bool, len(all))
	for _, v := range all {
		switch s := id(v); {
		case s == "":
			report("a %s without an id", what)
		case seen[s]:
			report("%s %.80q stands twice", what, s)
		default:
			seen[s] = true
		}
	}
}

func (f *faults) issuers(c Content) {
	unique("issuer", c.Issuers, func(i Issuer) string { return i.ID }, f.add)
	named := map[string]bool{}
	for _, i := range c.Issuers {
		named[i.ID] = true
	}
	for _, i := range c.Issuers {
		if i.URL != "" && i.URL != i.ID {
			if named[i.URL] {
				f.add("issuer %.80q: its URL %.80q names another issuer as well", i.ID, i.URL)
			}
			named[i.URL] = true
		}
	}
	types := map[string]bool{}
	for _, t := range c.Types {
		types[t.ID] = true
	}
	owned := map[[32]byte]bool{}
	total := 0
	for _, i := range c.Issuers {
		total += len(i.Keys)
		ids := map[keys.ID]bool{}
		for _, k := range i.Keys {
			if ids[k.KeyID] {
				f.add("issuer %.80q: key %s stands twice", i.ID, k.KeyID)
			}
			ids[k.KeyID] = true
			for _, problem := range k.check(c.Algorithms, types) {
				f.add("issuer %.80q: key %s: %s", i.ID, k.KeyID, problem)
			}
			if k.Key.IsZero() {
				continue
			}
			if owned[k.Key.Thumbprint()] {
				f.add("issuer %.80q: key %s belongs to another issuer as well", i.ID, k.KeyID)
			}
			owned[k.Key.Thumbprint()] = true
		}
	}
	if total > maxKeys {
		f.add("%d issuer keys, at most %d", total, maxKeys)
	}
}

func (k IssuerKey) check(algorithms []keys.Algorithm, types map[string]bool) faults {
	var f faults
	if !k.Key.IsZero() {
		if k.KeyID != k.Key.ID() {
			f.add("the key's own id is %s", k.Key.ID())
		}
		if !slices.Contains(algorithms, k.Key.Algorithm()) {
			f.add("its algorithm %s is not allowed", k.Key.Algorithm())
		}
	}
	switch k.State {
	case keys.Planned, keys.Active, keys.Retired, keys.Compromised:
	default:
		f.add("unknown state %.20q", string(k.State))
	}
	if (k.State == keys.Compromised) != !k.CompromisedSince.IsZero() {
		f.add("compromised needs a date, and a date needs compromised")
	}
	if !k.ValidTo.IsZero() && (k.ValidTo.Before(k.SignUntil) || k.ValidTo.Before(k.ValidFrom)) {
		f.add("stops verifying before it stops signing")
	}
	for _, t := range k.Types {
		if !types[t] {
			f.add("type %.80q is not described", t)
		}
	}
	return f
}

// lint finds what no bundle of ours should have, beyond check. Readers are
// more patient: a missing label must not stop a country's scanners.
func (c Content) lint(now time.Time) faults {
	var f faults
	if c.AsOf.After(now) {
		f.add("as of %s, which lies ahead", c.AsOf.UTC().Format(time.RFC3339))
	}
	if len(c.Algorithms) == 0 {
		f.add("no algorithms")
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(keys.Algorithms(), a) {
			f.add("algorithm %.20q is none of ours", string(a))
		}
	}
	f.id("jurisdiction", c.Jurisdiction)
	if strings.Trim(c.MinimumVersion, "0123456789.") != "" {
		f.add("minimum version %.20q is not of numbers and dots", c.MinimumVersion)
	}
	for _, i := range c.Issuers {
		f.issuer(i)
	}
	for _, t := range c.Types {
		f.credentialType(t)
	}
	for _, s := range c.Status {
		if _, err := s.Open(0); err != nil {
			f.add("status list %.80q: %v", s.URI, err)
		}
		if _, err := s.OpenIssued(0); err != nil {
			f.add("status list %.80q: issued slots: %v", s.URI, err)
		}
		if s.IssuedAt.After(c.AsOf) {
			f.add("status list %.80q is newer than the bundle", s.URI)
		}
	}
	for _, m := range c.Messages {
		f.id("message", m.ID)
		f.texts("message "+m.ID, m.Text, 2000)
	}
	for _, v := range c.Verifiers {
		f.id("verifier", v.ID)
		f.texts("verifier "+v.ID, v.Names, 200)
		f.asks(v)
		if len(v.Keys) > maxVerifierKeys {
			f.add("verifier %.80q has more than %d keys", v.ID, maxVerifierKeys)
		}
	}
	if len(c.Issuers) > maxIssuers || len(c.Types) > maxTypes || len(c.Status) > maxLists ||
		len(c.Messages) > maxMessages || len(c.Verifiers) > maxVerifiers {
		f.add("more issuers, types, lists, messages or verifiers than a bundle may hold")
	}
	return f
}

// onThisMachine reports whether an address is one that a developer's own server has.
func onThisMachine(address string) bool {
	rest, ok := strings.CutPrefix(address, "http://")
	host, _, _ := strings.Cut(rest, "/")
	return ok && (host == "127.0.0.1" || strings.HasPrefix(host, "127.0.0.1:") || host == "localhost" || strings.HasPrefix(host, "localhost:"))
}

func (f *faults) issuer(i Issuer) {
	f.id("issuer", i.ID)
	if i.URL != "" {
		f.id("issuer URL", i.URL)
		if !strings.HasPrefix(i.URL, "https://") && !onThisMachine(i.URL) {
			f.add("issuer %.80q: its URL is no https address", i.ID)
		}
	}
	f.texts("issuer "+i.ID, i.Names, 200)
	if i.Country != "" && (len(i.Country) != 2 || strings.Trim(i.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		f.add("issuer %.80q: country %.10q is not of two capital letters", i.ID, i.Country)
	}
	if len(i.Logo) > maxLogo || len(i.Logo) > 0 && !bytes.HasPrefix(i.Logo, []byte("<svg")) {
		f.add("issuer %.80q: the logo is not an SVG picture of at most %d bytes", i.ID, maxLogo)
	}
	for _, k := range i.Keys {
		switch {
		case k.Key.IsZero():
			f.add("issuer %.80q: key %s without its public key", i.ID, k.KeyID)
		case len(k.Types) == 0:
			f.add("issuer %.80q: key %s may sign nothing", i.ID, k.KeyID)
		}
		for _, s := range slices.Concat(k.Types, k.Regions) {
			f.id("type or region", s)
		}
	}
	if i.Authority != nil && i.Authority.Key.IsZero() {
		f.add("issuer %.80q: an authority without its key", i.ID)
	}
}

// Words that a type may use, as package credential lists them.
var (
	personChecks = []string{"", "photo", "other_id", "none"}
	fieldKinds   = []string{"", "text", "date", "integer", "number", "boolean", "list", "code"}
)

func (f *faults) credentialType(t credential.Type) {
	f.id("type", t.ID)
	f.texts("type "+t.ID, t.Labels, 200)
	if !slices.Contains(personChecks, t.PersonCheck) {
		f.add("type %.80q: person check %.20q", t.ID, t.PersonCheck)
	}
	if t.FreshFor < 0 || t.OldAfter < t.FreshFor {
		f.add("type %.80q: status is old before it stops being fresh", t.ID)
	}
	type place struct {
		person bool
		key    int64
	}
	places, names := map[place]bool{}, map[string]bool{}
	for _, field := range t.Fields {
		at := place{field.Person, field.Key}
		if places[at] || field.Name == "" || names[field.Name] {
			f.add("type %.80q: field %d, %.80q, stands twice or has no name", t.ID, field.Key, field.Name)
		}
		places[at], names[field.Name] = true, true
		f.texts("type "+t.ID+", field "+field.Name, field.Labels, 200)
		if !slices.Contains(fieldKinds, field.Kind) {
			f.add("type %.80q: field %.80q: kind %.20q", t.ID, field.Name, field.Kind)
		}
		for value, words := range field.Values {
			f.texts("type "+t.ID+", field "+field.Name+", value "+value, words, 200)
		}
	}
}

// id checks an identifier: 1 to 255 printable ASCII characters without spaces.
func (f *faults) id(what, s string) {
	if s == "" || len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		f.add("%s id %.80q, want 1 to 255 printable ASCII characters without spaces", what, s)
	}
}

// asks checks what a verifier may ask for.
func (f *faults) asks(v Verifier) {
	if len(v.Asks) > maxAsks {
		f.add("verifier %.80q may ask for more than %d types", v.ID, maxAsks)
	}
	for i, a := range v.Asks {
		f.id("type that a verifier may ask for", a.Type)
		if len(a.Claims) > maxAskedClaims || slices.ContainsFunc(a.Claims, func(c string) bool { return c == "" || len(c) > 255 }) {
			f.add("verifier %.80q, type %.80q: more than %d claims, or one of no or more than 255 bytes", v.ID, a.Type, maxAskedClaims)
		}
		if slices.ContainsFunc(v.Asks[:i], func(other Asked) bool { return other.Type == a.Type }) {
			f.add("verifier %.80q: the type %.80q twice", v.ID, a.Type)
		}
	}
}

// texts checks words for people: English there, tags in order, nothing that could
// rearrange a screen.
func (f *faults) texts(what string, texts map[string]string, most int) {
	if texts["en"] == "" {
		f.add("%.200s: no English text", what)
	}
	for tag, s := range texts {
		if tag == "" || len(tag) > 35 || strings.ContainsFunc(tag, notInTag) {
			f.add("%.200s: language tag %.40q", what, tag)
		}
		if s == "" || len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, rearranges) {
			f.add("%.200s: the text for %.40q is empty, longer than %d bytes, or has control characters", what, tag, most)
		}
	}
}

func notInTag(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// rearranges reports control characters and the embeddings, overrides and
// isolates of the bidirectional algorithm, which can show one text as another.
func rearranges(r rune) bool {
	return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}
