package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/symbol"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// What a counter asks of whoever comes.
const (
	AsksNothing  = ""         // paper and live codes
	AsksPoster   = "poster"   // a live code for this counter, whose poster hangs there
	AsksQuestion = "question" // the answer to a question on the screen
)

// A Counter is what an office has set up on its page. The zero Counter has no name and
// takes everything.
type Counter struct {
	// Verifier is the id under which the trust bundle names the office.
	Verifier string `json:"verifier,omitempty"`
	Asks     string `json:"asks,omitempty"`
	// Type, Claims (by their names in the bundle) and Purpose are what a question asks.
	// Type is the only type that counts once, too.
	Type    string   `json:"type,omitempty"`
	Claims  []string `json:"claims,omitempty"`
	Purpose string   `json:"purpose,omitempty"`
	// Names are names that copies are made out to, beside those of the bundle.
	Names []string `json:"names,omitempty"`
	// Once is the text of the key by which entitlements are counted once, empty if they
	// are not.
	Once string `json:"once,omitempty"`
}

// Limits on what people type.
const (
	maxCounterNames = 8
	maxCounterText  = 200
)

// refused are the codes of a setting that cannot be, each with a sentence
// "scanner.counter.CODE".
func (e *Engine) refused(c Counter) string {
	long := func(s string) bool { return len(s) > maxCounterText }
	switch {
	case c.Asks != AsksNothing && c.Asks != AsksPoster && c.Asks != AsksQuestion, long(c.Verifier), long(c.Type), long(c.Purpose),
		len(c.Names) > maxCounterNames, slices.ContainsFunc(c.Names, long), c.Verifier == verification.InPerson:
		return "wrong"
	case c.Asks != AsksNothing && c.Verifier == "":
		return "no_name"
	case c.Asks == AsksQuestion && c.Type == "":
		return "no_type"
	}
	if _, err := verification.ParseOnceKey(c.Once); c.Once != "" && err != nil {
		return "once_key"
	}
	if c.Asks == AsksQuestion && e.bundle != nil {
		q, err := e.ask(c)
		if err != nil {
			return "no_type"
		}
		if _, err := cwt.DraftQuestion(q, e.anyKey()); err != nil {
			return "wrong"
		}
		if v := e.verifier(c.Verifier); v != nil && !asksWithin(*v, c) {
			return "over_asking"
		}
	}
	return ""
}

// anyKey is a key to try a draft with, whoever's it is.
func (e *Engine) anyKey() keys.PublicKey { return e.bundle.Root.BundleKeys[0] }

// asksWithin reports whether an office may ask for what a counter asks, by its
// registration: wallets refuse it otherwise.
func asksWithin(v trust.Verifier, c Counter) bool {
	return v.Allows(c.Type, "") && !slices.ContainsFunc(c.Claims, func(name string) bool { return !v.Allows(c.Type, name) })
}

// verifier is the registered office with this id, nil if there is none.
func (e *Engine) verifier(id string) *trust.Verifier {
	if e.bundle == nil {
		return nil
	}
	for i := range e.bundle.Verifiers {
		if v := &e.bundle.Verifiers[i]; v.ID == id && id != "" {
			return v
		}
	}
	return nil
}

// A Setting is what became of a counter that was set.
type Setting struct {
	Done bool `json:"done"`
	// Refused is the code of the refusal, and Sentence what is wrong.
	Refused  string `json:"refused,omitempty"`
	Sentence string `json:"sentence,omitempty"`
}

// SetCounter makes this page a counter. An open question is dropped.
func (e *Engine) SetCounter(c Counter, l i18n.Language) Setting {
	c.Verifier, c.Purpose = strings.TrimSpace(c.Verifier), strings.TrimSpace(c.Purpose)
	if code := e.refused(c); code != "" {
		return Setting{Refused: code, Sentence: l.Text("scanner.counter."+code, nil)}
	}
	e.counter, e.question, e.draft = c, nil, nil
	return Setting{Done: true}
}

// NewOnceKey is a key for counting once, and its text.
func NewOnceKey() string {
	var k verification.OnceKey
	_, _ = rand.Read(k[:]) // never fails (Go 1.24)
	return k.Text()
}

// CounterView is the counter as the page shows it, with what can be chosen.
type CounterView struct {
	Counter Counter `json:"counter"`
	// Name is that of the office, and Summary the line that is always in view; both are
	// empty without a counter.
	Name    string `json:"name,omitempty"`
	Summary string `json:"summary,omitempty"`
	// Registered tells that the bundle lists the office.
	Registered bool     `json:"registered"`
	Verifiers  []Office `json:"verifiers"`
	// Any is what can be asked by an office that the bundle does not list.
	Any []Asked `json:"any"`
}

// An Office is a registered verifier with what it may ask for.
type Office struct {
	ID   string  `json:"id"`
	Name string  `json:"name"`
	Asks []Asked `json:"asks"`
}

// Asked is a type with its claims.
type Asked struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Claims []Choice `json:"claims"`
}

// A Choice is a claim.
type Choice struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Counter tells what is set up.
func (e *Engine) Counter(l i18n.Language) CounterView {
	view := CounterView{Counter: e.counter, Verifiers: []Office{}, Any: []Asked{}}
	if e.bundle != nil {
		view.Any = askable(e.bundle.Types, trust.Verifier{}, l)
		for _, v := range e.bundle.Verifiers {
			view.Verifiers = append(view.Verifiers, Office{ID: v.ID, Name: visible.Text(l.Pick(v.Names)), Asks: askable(e.bundle.Types, v, l)})
		}
	}
	c := e.counter
	view.Name, view.Registered = e.officeName(c.Verifier, l), e.verifier(c.Verifier) != nil
	var parts []string
	if view.Name != "" {
		parts = append(parts, view.Name)
	}
	if c.Asks != AsksNothing {
		parts = append(parts, l.Text("scanner.counter.asks."+c.Asks, nil))
	}
	if c.Once != "" {
		parts = append(parts, l.Text("scanner.counter.counts", nil))
	}
	view.Summary = strings.Join(parts, " · ")
	return view
}

// askable are the types with the claims that a verifier may ask for.
func askable(types []credential.Type, v trust.Verifier, l i18n.Language) []Asked {
	all := []Asked{}
	for _, t := range types {
		if !v.Allows(t.ID, "") {
			continue
		}
		a := Asked{ID: t.ID, Name: visible.Text(l.Pick(t.Labels)), Claims: []Choice{}}
		for _, f := range t.Fields {
			if v.Allows(t.ID, f.Name) {
				a.Claims = append(a.Claims, Choice{f.Name, visible.Text(l.Pick(f.Labels))})
			}
		}
		all = append(all, a)
	}
	return all
}

// asking is what this counter asks of the next code.
func (e *Engine) asking() verification.Counter {
	c := e.counter
	k := verification.Counter{ID: c.Verifier, Names: c.Names, Memory: &e.memory}
	if v := e.verifier(c.Verifier); v != nil {
		for _, name := range v.Names {
			k.Names = append(slices.Clip(k.Names), name)
		}
	}
	switch {
	case c.Asks == AsksPoster:
		k.Poster = true
	case c.Asks == AsksQuestion && e.question != nil:
		k.Nonce, k.Asked = e.question.Nonce, e.question.asked
	case c.Asks == AsksQuestion: // which nothing answers
		k.Nonce, k.Asked = newNonce(), e.now()
	}
	if key, err := verification.ParseOnceKey(c.Once); c.Once != "" && err == nil {
		k.Once = &verification.Once{Key: key, Day: e.today().Day, Type: c.Type, Admit: e.admit}
	}
	return k
}

func newNonce() []byte {
	nonce := make([]byte, cwt.MinNonce)
	_, _ = rand.Read(nonce)
	return nonce
}

// An openQuestion waits for its answer.
type openQuestion struct {
	cwt.Question
	asked time.Time
}

// A Draft is a question for the page to sign, with a key that the browser gives to nobody.
type Draft struct {
	ToBeSigned []byte `json:"to_be_signed"`
	// Listed tells that the bundle lists the key for this office: wallets do not answer
	// otherwise. Key is what the registrar has to list.
	Listed bool   `json:"listed"`
	Key    string `json:"key"`
}

// errNoQuestion: this counter asks no questions, or none was drafted.
var errNoQuestion = errors.New("engine: no question")

// ask is the question of a counter, before its nonce and time.
func (e *Engine) ask(c Counter) (cwt.Question, error) {
	q := cwt.Question{Verifier: c.Verifier, Type: c.Type, Purpose: c.Purpose, IssuedAt: e.now().UTC().Truncate(time.Second), Nonce: newNonce()}
	if e.bundle == nil {
		return q, errNoQuestion
	}
	t, ok := e.bundle.Type(c.Type)
	if !ok {
		return q, errNoQuestion
	}
	for _, name := range c.Claims {
		f, ok := t.Field(name)
		switch {
		case !ok:
			return q, errNoQuestion
		case f.Person:
			q.Person = append(q.Person, f.Key)
		default:
			q.Fields = append(q.Fields, f.Key)
		}
	}
	return q, nil
}

// publicKey reads a P-256 key in the form of a browser: an uncompressed point.
func publicKey(point []byte) (keys.PublicKey, error) {
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return keys.PublicKey{}, err
	}
	return keys.NewPublicKey(keys.ES256, k)
}

// Draft makes a new question for the key of this page, the point of a P-256 key. The one
// before it is dropped.
func (e *Engine) Draft(point []byte) (Draft, error) {
	pub, err := publicKey(point)
	if err != nil {
		return Draft{}, err
	}
	e.question, e.draft = nil, nil
	d := Draft{Key: string(pub.JWK())}
	if v := e.verifier(e.counter.Verifier); v != nil {
		d.Listed = slices.ContainsFunc(v.Keys, pub.Equal)
	}
	if e.counter.Asks != AsksQuestion {
		return d, nil
	}
	q, err := e.ask(e.counter)
	if err != nil {
		return d, err
	}
	draft, err := cwt.DraftQuestion(q, pub)
	if err != nil {
		return d, err
	}
	e.draft = &questionDraft{draft, q}
	d.ToBeSigned = draft.ToBeSigned()
	return d, nil
}

type questionDraft struct {
	*cwt.QuestionDraft
	question cwt.Question
}

// A Drawing is a code to be drawn: the data of an SVG path in a square of Side units.
type Drawing struct {
	Text string `json:"text"`
	Path string `json:"path"`
	Side int    `json:"side"`
	// Seconds is how long it is good for, 0 if it does not end.
	Seconds int `json:"seconds,omitempty"`
}

// draw makes the smallest code at level L, as screens show it.
func draw(text string) (Drawing, error) {
	s, err := symbol.Make(text, symbol.L)
	if err != nil {
		return Drawing{}, err
	}
	return Drawing{Text: text, Path: s.Path(), Side: s.Side()}, nil
}

// Question opens the drafted question, with its signature, for two minutes.
func (e *Engine) Question(signature []byte) (Drawing, error) {
	if e.draft == nil {
		return Drawing{}, errNoQuestion
	}
	b, err := e.draft.Signed(signature)
	if err != nil {
		return Drawing{}, err
	}
	text, err := qr.Encode(b)
	if err != nil {
		return Drawing{}, err
	}
	d, err := draw(text)
	if err != nil {
		return Drawing{}, err
	}
	d.Seconds = int(verification.AnswerFor / time.Second)
	e.question, e.draft = &openQuestion{e.draft.question, e.now()}, nil
	return d, nil
}

// OnceCode draws the key by which this counter counts, for others to scan.
func (e *Engine) OnceCode() (Drawing, error) {
	if e.counter.Once == "" {
		return Drawing{}, errNoQuestion
	}
	return draw(e.counter.Once)
}

// A Found is something else than a document that was scanned: what sets up this page.
type Found struct {
	// Kind is "poster", "once" or "trust".
	Kind string `json:"kind"`
	// Counter is what to set after a person has agreed: for "poster" and "once".
	Counter *Counter `json:"counter,omitempty"`
	// Text says what was found, and asks.
	Text string `json:"text,omitempty"`
	// File is the trust file of a code, for Import.
	File []byte `json:"file,omitempty"`
}

// find recognises what is no document but sets up this page. It is nil for all else, a
// poster that nobody answers for included.
func (e *Engine) find(input []byte, l i18n.Language) *Found {
	text := string(input)
	if k, err := verification.ParseOnceKey(text); err == nil {
		c := e.counter
		c.Once = k.Text()
		return &Found{Kind: "once", Counter: &c, Text: l.Text("scanner.found.once", nil)}
	}
	if file := update(text); file != nil {
		return &Found{Kind: "trust", File: file}
	}
	opened, err := verification.Open(input)
	if err != nil {
		return nil
	}
	q, err := cwt.ParseQuestion(opened.Message)
	if err != nil || !q.Poster() {
		return nil
	}
	v := e.verifier(q.Verifier)
	if v == nil || q.Verify(v.Keys) != nil || !e.moment().Before(q.Expires) {
		return &Found{Kind: "poster", Text: l.Text("scanner.found.no_poster", nil)}
	}
	c := e.counter
	c.Verifier, c.Asks, c.Type, c.Purpose, c.Claims = q.Verifier, AsksPoster, q.Type, q.Purpose, nil
	if t, ok := e.bundle.Type(q.Type); ok {
		for _, f := range t.Fields {
			if f.Person && slices.Contains(q.Person, f.Key) || !f.Person && slices.Contains(q.Fields, f.Key) {
				c.Claims = append(c.Claims, f.Name)
			}
		}
	}
	return &Found{Kind: "poster", Counter: &c, Text: l.Text("scanner.found.poster", map[string]string{"name": visible.Text(l.Pick(v.Names))})}
}

// update is the delta to a trust bundle in the text of a code, nil if there is none.
func update(text string) []byte {
	if qr.Recognise(text) != qr.Proof {
		return nil
	}
	file, err := trust.FromCode(text)
	if err != nil {
		return nil
	}
	return file
}
