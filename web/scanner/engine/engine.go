// Package engine is the scanner page without its browser: it keeps the trust bundle in
// memory, judges what was scanned, and says all that in the reader's language. The page
// runs it as WASM (web/scanner/wasm); tests run it as it is.
//
// Start with [New] and [Engine.Check]; an office sets up its counter with
// [Engine.SetCounter], and [Engine.Tally] tells what was counted. Everything that comes back is a value that
// encoding/json writes. Nothing here reads a file or a network: what is to be remembered
// between visits, the page stores from [Engine.Memory] and [Engine.Diary] and gives back to
// [Engine.Restore] and [Engine.RestoreDiary].
//
// Left to others: pictures (the page reads codes with its camera), storing, the words of
// buttons (the page reads the catalogues of area scan as they are; those of area scanner are said here).
package engine

import (
	"errors"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/verification/explain"
)

// An Engine judges by one trust bundle. It is for one goroutine.
type Engine struct {
	now     func() time.Time
	zone    *time.Location // of the clock on the wall
	state   trust.State
	bundle  *trust.Bundle
	problem string // why there is no bundle, for the report

	counter  Counter
	memory   verification.Memory // of live codes that were accepted
	draft    *questionDraft      // until it is signed
	question *openQuestion       // until it is answered
	diary    diary
	used     map[string]string // what the diary has of today, by hash; nil if that is to be read again
	uploads  bool
	last     *verification.Report
}

// New returns an Engine that trusts nobody. Its days begin at midnight UTC until
// [Engine.Zone] says otherwise.
func New(now func() time.Time) *Engine {
	return &Engine{now: now, zone: time.UTC, problem: "no trust bundle was imported"}
}

// Zone sets the zone of the clock on the wall, by which days and hours are counted.
func (e *Engine) Zone(zone *time.Location) { e.zone = zone }

// Restore takes back what [Engine.Memory] gave. A bundle that is not the one of the mark
// is dropped: the page asks for it again, and only that one or a newer one is taken. A
// mark that cannot be read is an error, and nothing is trusted.
func (e *Engine) Restore(mark, bundle []byte) error {
	st, err := trust.Remember(mark, bundle)
	if err != nil {
		e.state, e.bundle, e.problem = trust.State{}, nil, err.Error()
		return err
	}
	e.use(st)
	return nil
}

// use makes a state the one in use.
func (e *Engine) use(st trust.State) {
	e.state, e.bundle, e.problem = st, nil, ""
	b, err := st.Open()
	switch {
	case st.Damaged:
		e.problem = "the stored trust bundle was changed or removed; import it again"
	case err != nil:
		e.problem = err.Error()
	default:
		e.bundle = b
	}
}

// Memory is what the page has to store, apart from each other; nil if nothing is
// trusted yet.
func (e *Engine) Memory() (mark, bundle []byte) {
	mark, err := e.state.Mark()
	if err != nil {
		return nil, nil
	}
	return mark, e.state.Bundle
}

// An Import is what became of a trust file.
type Import struct {
	// Done tells that the file, or what follows from it, is in use, and Changed that it
	// was not before.
	Done    bool `json:"done"`
	Changed bool `json:"changed"`
	// Confirm is set if a person has to compare the fingerprint first: then Import is
	// called again with it.
	Confirm *Confirm `json:"confirm,omitempty"`
	// Refused is the code of the refusal, and Sentence what to do.
	Refused  string `json:"refused,omitempty"`
	Sentence string `json:"sentence,omitempty"`
}

// A Confirm is what a person compares the first time.
type Confirm struct {
	Fingerprint string   `json:"fingerprint"`
	Issuers     []string `json:"issuers"`
}

// refusals are the codes of refused trust files, each with a sentence
// "scanner.trust.CODE" in the catalogue.
var refusals = []struct {
	is   error
	code string
}{
	{trust.ErrRollback, "rollback"}, {trust.ErrOtherRoot, "other_root"}, {trust.ErrMixed, "mixed"}, {trust.ErrBackwards, "backwards"},
	{trust.ErrGap, "gap"}, {trust.ErrRootChain, "root_chain"}, {trust.ErrQuorum, "quorum"}, {trust.ErrFormat, "newer_format"},
}

// Import judges a trust bundle or a delta that reached the page. Confirmed is the
// fingerprint that a person has compared, empty if nobody has yet.
func (e *Engine) Import(file []byte, confirmed string, l i18n.Language) Import {
	var first *trust.Bundle
	next, b, err := trust.Accept(e.state, file, func(b *trust.Bundle) bool {
		first = b
		return trust.Pinned(confirmed)(b)
	})
	switch {
	case errors.Is(err, trust.ErrFirstTrust) && first != nil:
		c := &Confirm{Fingerprint: first.Fingerprint(), Issuers: []string{}}
		for _, i := range first.Issuers[:min(len(first.Issuers), maxNames)] {
			c.Issuers = append(c.Issuers, visible.Text(l.Pick(i.Names)))
		}
		return Import{Confirm: c}
	case err != nil:
		code := "damaged"
		for _, r := range refusals {
			if errors.Is(err, r.is) {
				code = r.code
				break
			}
		}
		return Import{Refused: code, Sentence: l.Text("scanner.trust."+code, nil)}
	}
	changed := !e.state.Trusted() || e.state.HighWater != next.HighWater || e.bundle == nil
	e.state, e.bundle, e.problem = next, b, ""
	return Import{Done: true, Changed: changed}
}

// maxNames is how many issuers are named where the rest is only counted.
const maxNames = 20

// codes verifies the credentials of codes.
type codes struct{}

// Verify implements [verification.Format].
func (codes) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

// A Checked is the answer to one scan.
type Checked struct {
	Report verification.Report `json:"report"`
	Page   explain.Page        `json:"page"`
	// Found is set if what was scanned sets up this page. Then it was not counted, and the
	// report only says that it is no document.
	Found *Found `json:"found,omitempty"`
	// Learned tells that Memory has changed: a newer date was seen than ever before.
	Learned bool `json:"learned"`
	// Counted tells that Diary has changed.
	Counted bool `json:"counted"`
}

// Check judges the text of a code, or the bytes of one, by what the counter asked, and
// counts it. To tell the same again use [Engine.Tell]: a live code is accepted once.
func (e *Engine) Check(input []byte, l i18n.Language, sensitive bool) (Checked, error) {
	found := e.find(input, l)
	c, err := verification.New(verification.Config{
		COSE: codes{}, Trust: e.bundle, TrustProblem: e.problem, NewestSeen: e.state.NewestSeen, Now: e.now, Counter: e.asking(),
	})
	if err != nil {
		return Checked{}, err
	}
	r := c.Check(input)
	e.last = &r
	out := Checked{Report: r, Page: e.page(l, sensitive), Found: found}
	if e.state.Trusted() && r.Seen.After(e.state.NewestSeen) {
		e.state.NewestSeen, out.Learned = r.Seen, true
	}
	if found == nil {
		e.count(r)
		out.Counted = true
	}
	if r.Mode == verification.ModeQuestion && r.Holder != verification.BindingNone {
		e.question = nil // answered
	}
	return out, nil
}

// Tell tells the last report again, in another language or with what is sensitive. It is
// false if there is none.
func (e *Engine) Tell(l i18n.Language, sensitive bool) (explain.Page, bool) {
	if e.last == nil {
		return explain.Page{}, false
	}
	return e.page(l, sensitive), true
}

// Forget drops the last report, so that nothing of the person stays in memory.
func (e *Engine) Forget() { e.last = nil }

func (e *Engine) page(l i18n.Language, sensitive bool) explain.Page {
	return explain.Report(*e.last, explain.Options{Language: l, Sensitive: sensitive})
}

// Trust is what the page trusts and until when.
type Trust struct {
	Trusted     bool   `json:"trusted"`
	Version     uint64 `json:"version,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	// Age is the age of the bundle; Damaged that it has to be imported again.
	Age     trust.Age `json:"age,omitempty"`
	Damaged bool      `json:"damaged,omitempty"`
	// Summary is the line that is always in view. State says what to do about the age,
	// empty if nothing.
	Summary string `json:"summary"`
	State   string `json:"state,omitempty"`
	// Dates in words.
	AsOf      string `json:"as_of,omitempty"`
	RefreshBy string `json:"refresh_by,omitempty"`
	OldAfter  string `json:"old_after,omitempty"`
	RootEnds  string `json:"root_ends,omitempty"`
	Issuers   []Name `json:"issuers"`
	Types     []Name `json:"types"`
	// Messages are what the authority says to whoever uses the bundle.
	Messages []string `json:"messages"`
}

// A Name is somebody or something that is trusted, with a remark.
type Name struct {
	Name string `json:"name"`
	Note string `json:"note,omitempty"`
}

// Trust tells what is trusted.
func (e *Engine) Trust(l i18n.Language) Trust {
	t := Trust{Trusted: e.state.Trusted(), Damaged: e.state.Trusted() && e.bundle == nil, Issuers: []Name{}, Types: []Name{}, Messages: []string{}}
	b := e.bundle
	if b == nil {
		t.Summary = l.Text("scanner.trust.none", nil)
		if t.Damaged {
			t.Summary = l.Text("scanner.trust.lost", nil)
		}
		return t
	}
	now := e.moment()
	t.Version, t.Fingerprint, t.Age = b.Version, b.Fingerprint(), b.Age(now)
	t.AsOf, t.RefreshBy, t.OldAfter, t.RootEnds = l.Date(b.AsOf), l.Date(b.RefreshBy), l.Date(b.OldAfter), l.Date(b.Root.Expires)
	t.Summary = l.Text("scanner.trust.lists", map[string]string{"date": t.AsOf, "age": l.Age(now.Sub(b.AsOf))})
	if t.Age != trust.Fresh {
		t.State = l.Text("scanner.age."+string(t.Age), nil)
	}
	for _, i := range b.Issuers {
		t.Issuers = append(t.Issuers, Name{Name: visible.Text(l.Pick(i.Names)), Note: strings.ToUpper(i.Country)})
	}
	oldest := b.AsOf // of the lists
	for _, s := range b.Status {
		if s.IssuedAt.Before(oldest) {
			oldest = s.IssuedAt
		}
	}
	for _, typ := range b.Types {
		until, key := oldest.Add(typ.FreshFor), "scanner.trust.fresh_until"
		if now.After(until) {
			key = "scanner.trust.stale_since"
		}
		t.Types = append(t.Types, Name{
			Name: visible.Text(l.Pick(typ.Labels)),
			Note: l.Text("scanner.trust.fresh_for", map[string]string{"age": l.Age(typ.FreshFor)}) + "; " + l.Text(key, map[string]string{"date": l.Date(until)}),
		})
	}
	for _, m := range b.Messages {
		t.Messages = append(t.Messages, visible.Text(l.Pick(m.Text)))
	}
	return t
}

// moment is now, but never before what is known to have been.
func (e *Engine) moment() time.Time {
	now := e.now()
	for _, t := range []time.Time{e.state.NewestSeen, e.state.AsOf} {
		if t.After(now) {
			now = t
		}
	}
	return now
}
