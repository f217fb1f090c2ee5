package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/verification/explain"
	"github.com/sanad-id/sanad/wallet"
)

// redraw is how long a live code is shown before the next one, and fresh how long one
// that is not drawn anew may be shown: a verifier takes it for as long.
const (
	redraw = 25 * time.Second
	fresh  = verification.AnswerFor
)

// A Home is what the page shows first.
type Home struct {
	Profile  string    `json:"profile"`
	Profiles []Profile `json:"profiles"`
	Cards    []Card    `json:"cards"`
	// Later is how many cards the office has yet to give.
	Later int `json:"later"`
	// Known says that there is a trust bundle, and AsOf its date in words.
	Known bool   `json:"known"`
	AsOf  string `json:"as_of,omitempty"`
}

// A Card is one line of the list.
type Card struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Issuer string `json:"issuer"`
	// State is good, expired, not_yet, revoked, suspended or no_key, and Sentence says
	// that with its date.
	State    string `json:"state"`
	Sentence string `json:"sentence"`
	// Live says that it can be shown as a live code: this phone has its key.
	Live bool `json:"live"`
}

// Home lists what the profile in use has.
func (e *Engine) Home(l i18n.Language) (*Home, error) {
	profiles, err := e.profiles()
	if err != nil {
		return nil, err
	}
	if profiles[0].Name == "" {
		profiles[0].Name = l.Text("pocket.profile.first", nil)
	}
	k := keeper{e.cfg.Memory, e.profile}
	held, err := k.Held()
	if err != nil {
		return nil, err
	}
	waiting, err := k.Pending()
	if err != nil {
		return nil, err
	}
	out := &Home{Profile: e.profile, Profiles: profiles, Cards: []Card{}, Later: len(waiting), Known: e.bundle != nil}
	if e.bundle != nil {
		out.AsOf = l.Date(e.bundle.AsOf)
	}
	for i := range held {
		out.Cards = append(out.Cards, e.card(&held[i], l))
	}
	return out, nil
}

// card is a card as the list has it.
func (e *Engine) card(h *wallet.Held, l i18n.Language) Card {
	i := h.Fresh()
	c := Card{ID: h.ID, Name: named(e.names(h), h.Type, l), Issuer: named(h.IssuerNames, h.Issuer, l), Live: len(h.Copies[i].Key) > 0}
	v, err := h.Says(i)
	if err != nil {
		c.State = "not_as_issued"
		c.Sentence = l.Text("wallet.refused.not_as_issued", nil)
		return c
	}
	until := l.Text("label.no_expiry", nil)
	if !v.Expires.IsZero() {
		until = l.Date(v.Expires)
	}
	at := ""
	now := e.cfg.Now()
	switch {
	case h.Copies[i].Revoked:
		c.State = "revoked"
	case !v.Expires.IsZero() && !now.Before(v.Expires):
		c.State = "expired"
	case !v.NotBefore.IsZero() && now.Before(v.NotBefore):
		c.State, until = "not_yet", l.Date(v.NotBefore)
	default:
		if c.State, at = e.listed(v.Status, l); c.State == "" {
			c.State = "good"
		}
	}
	if c.State == "good" && !c.Live {
		c.State = "no_key"
	}
	c.Sentence = l.Text("pocket.state."+c.State, map[string]string{"date": until})
	if at != "" {
		c.Sentence += " " + l.Text("pocket.state.as_of", map[string]string{"date": at})
	}
	return c
}

// listed is what the lists of the trust bundle say about a card, "" if nothing is held
// against it, and the date of the list.
func (e *Engine) listed(ref *credential.StatusRef, l i18n.Language) (state, asOf string) {
	if e.bundle == nil || ref == nil {
		return "", ""
	}
	list, snapshot, ok := e.bundle.StatusList(ref.URI)
	if !ok {
		return "", ""
	}
	asOf = l.Date(snapshot.IssuedAt)
	r, _ := errors.AsType[*credential.RejectedError](list.Check(ref.Index))
	switch {
	case r == nil && ref.Beside:
		return "", "" // the list alone does not clear it
	case r == nil:
		return "", asOf
	case r.Reason == credential.Suspended:
		return "suspended", asOf
	}
	return "revoked", asOf
}

// names are those of the type by the bundle, which says more than the offer did.
func (e *Engine) names(h *wallet.Held) map[string]string {
	if e.bundle != nil {
		if t, ok := e.bundle.Type(h.Type); ok {
			return t.Labels
		}
	}
	return h.Names
}

// A View is one card in full.
type View struct {
	Card
	Claims []Claim `json:"claims"`
	Facts  []Row   `json:"facts"`
	// Fresh is how many copies were never shown.
	Fresh int `json:"fresh"`
	// Again is where a new one is asked for: who issued it.
	Again string `json:"again"`
}

// A Claim is one line of a card.
type Claim struct {
	Row
	// Name is what Show knows the claim by. Optional claims are shown if they are chosen.
	Name     string `json:"name"`
	Optional bool   `json:"optional"`
}

// A Row is something with its label.
type Row struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// View is one card in full.
func (e *Engine) View(id string, l i18n.Language) (*View, error) {
	h, err := keeper{e.cfg.Memory, e.profile}.get(id)
	if err != nil {
		return nil, err
	}
	i := h.Fresh()
	v, err := h.Says(i)
	if err != nil {
		return nil, err
	}
	claims, err := h.CardClaims(i)
	if err != nil {
		return nil, err
	}
	out := &View{Card: e.card(h, l), Claims: []Claim{}, Facts: []Row{}}
	out.Again = out.Issuer
	for _, c := range claims {
		out.Claims = append(out.Claims, Claim{Row: e.row(h, c, l), Name: c.Name, Optional: c.Optional})
	}
	for _, f := range []struct {
		key string
		at  time.Time
	}{{"label.issued", v.IssuedAt}, {"label.not_before", v.NotBefore}, {"label.expires", v.Expires}} {
		if !f.at.IsZero() {
			out.Facts = append(out.Facts, Row{l.Text(f.key, nil), l.Date(f.at)})
		}
	}
	for _, c := range h.Copies {
		if c.Shown == 0 && !c.Revoked {
			out.Fresh++
		}
	}
	return out, nil
}

// row is a claim in words.
func (e *Engine) row(h *wallet.Held, c wallet.CardClaim, l i18n.Language) Row {
	in := verification.Claim{Name: c.Name, Value: c.Value, Labels: c.Labels}
	if e.bundle != nil {
		if t, ok := e.bundle.Type(h.Type); ok {
			f, _ := t.Field(c.Name)
			in.Kind, in.Words = f.Kind, f.Values
		}
	}
	return Row{named(c.Labels, c.Name, l), visible.Text(explain.Value(in, l))}
}

// A Show says how a card is shown.
type Show struct {
	ID string `json:"id"`
	// Mode is static, live or copy.
	Mode string `json:"mode"`
	// Claims are the optional claims that are shown.
	Claims []string `json:"claims"`
	// For and Until are whom a copy is made out to and its last day, as 2026-12-31.
	For   string `json:"for"`
	Until string `json:"until"`
}

// A Shown is a code to be shown.
type Shown struct {
	SVG     string `json:"svg"`
	Modules int    `json:"modules"`
	Text    string `json:"text"`
	// Redraw is after how many seconds Redraw is to be called; 0 for never. Ends is for
	// how many seconds the code is any good; 0 for as long as the card is.
	Redraw int `json:"redraw"`
	Ends   int `json:"ends"`
	// Sentence says what whoever scans it learns.
	Sentence string `json:"sentence"`
}

// A showing is what is on the screen.
type showing struct {
	held   *wallet.Held
	copy   int
	claims []string
	proof  func(at time.Time) cwt.Proof // nil for a code without a proof
	redraw bool
}

// Show shows a card.
func (e *Engine) Show(s Show, l i18n.Language) (*Shown, error) {
	e.showing = nil
	h, err := keeper{e.cfg.Memory, e.profile}.get(s.ID)
	if err != nil {
		return nil, err
	}
	on := &showing{held: h, copy: h.Fresh(), claims: s.Claims}
	entry := wallet.Entry{Party: s.Mode}
	sentence := l.Text("pocket.shown."+s.Mode, nil)
	switch s.Mode {
	case "static":
	case "live":
		on.redraw = true
		on.proof = func(at time.Time) cwt.Proof { return cwt.Proof{Audience: cwt.AudienceInPerson, IssuedAt: at} }
	case "copy":
		name := strings.TrimSpace(s.For)
		day, err := time.Parse(time.DateOnly, s.Until)
		if name == "" || err != nil || !day.AddDate(0, 0, 1).After(e.cfg.Now()) {
			return nil, &wallet.RefusedError{Reason: wallet.BadChoice, Detail: "a copy is for somebody and until a day to come"}
		}
		last := day.AddDate(0, 0, 1).UTC()
		if v, err := h.Says(on.copy); err == nil && !v.Expires.IsZero() && last.After(v.Expires) {
			last = v.Expires // no longer than the card itself
		}
		entry.Party = name
		sentence = l.Text("pocket.shown.copy", map[string]string{"name": visible.Text(name), "date": l.Date(last.Add(-time.Second))})
		on.proof = func(at time.Time) cwt.Proof { return cwt.Proof{Audience: name, IssuedAt: at, Expires: last} }
	default:
		return nil, errGone
	}
	return e.begin(on, entry, sentence, 0)
}

// begin makes the first code of a showing and counts the copy as shown, before the page
// gets to draw it.
func (e *Engine) begin(on *showing, entry wallet.Entry, sentence string, ends time.Duration) (*Shown, error) {
	shown, err := e.draw(on)
	if err != nil {
		return nil, err
	}
	k := keeper{e.cfg.Memory, e.profile}
	on.held.Copies[on.copy].Shown++
	if err := k.Put(*on.held); err != nil {
		return nil, err
	}
	entry.At, entry.Deed = e.cfg.Now().UTC(), wallet.Presented
	entry.Credential, entry.Type, entry.Claims = on.held.ID, on.held.Type, append([]string{}, on.claims...)
	if err := k.Note(entry); err != nil {
		return nil, err
	}
	e.showing = on
	shown.Sentence = sentence
	if on.redraw {
		shown.Redraw, shown.Ends = int(redraw/time.Second), int(verification.LiveFor/time.Second)
	}
	if ends > 0 {
		shown.Ends = int(ends / time.Second)
	}
	return shown, nil
}

// Redraw makes the next live code of what is shown.
func (e *Engine) Redraw() (*Shown, error) {
	if e.showing == nil || !e.showing.redraw {
		return nil, errGone
	}
	return e.draw(e.showing)
}

// Stop ends what is shown.
func (e *Engine) Stop() { e.showing = nil }

// draw makes the code of a showing for this moment.
func (e *Engine) draw(on *showing) (*Shown, error) {
	var text string
	var err error
	if on.proof == nil {
		text, err = on.held.Code(on.copy, on.claims)
	} else {
		if len(on.held.Copies[on.copy].Key) == 0 {
			return nil, &wallet.RefusedError{Reason: wallet.OtherKey, Detail: "this phone does not have the key"}
		}
		var a *wallet.Agent
		if a, err = e.agent(); err != nil {
			return nil, err
		}
		text, err = a.LiveCode(on.held, on.copy, on.claims, on.proof(e.cfg.Now().UTC().Truncate(time.Second)))
	}
	if err != nil {
		return nil, err
	}
	svg, modules, err := e.cfg.Draw(text)
	if err != nil {
		return nil, err
	}
	return &Shown{SVG: svg, Modules: modules, Text: text}, nil
}

// An Asking is a question of a verifier: who asks, on whose word, what, why, and what
// becomes of it.
type Asking struct {
	Verifier Party  `json:"verifier"`
	Poster   bool   `json:"poster"`
	Purpose  string `json:"purpose"`
	// Card is the one that answers, Claims what is shown of it beside Always, which it
	// always shows.
	Card   string   `json:"card"`
	Claims []Row    `json:"claims"`
	Always []string `json:"always"`
	// Kept says how long it is kept: nobody says so in a question.
	Kept string `json:"kept"`
}

// Question reads the text of a poster or of a challenge. Nothing has been shown then.
func (e *Engine) Question(text string, l i18n.Language) (*Asking, error) {
	e.asking = nil
	a, err := e.agent()
	if err != nil {
		return nil, err
	}
	q, err := a.Question(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	out := &Asking{
		Verifier: party(q.Verifier, l), Poster: q.Poster, Purpose: visible.Text(q.Purpose), Card: named(e.names(q.Card), q.Card.Type, l),
		Claims: []Row{}, Always: []string{}, Kept: l.Text("pocket.kept", nil),
	}
	if out.Purpose == "" {
		out.Purpose = l.Text("wallet.said.silent", nil)
	}
	all, err := q.Card.CardClaims(q.Copy)
	if err != nil {
		return nil, err
	}
	for _, c := range q.Claims {
		out.Claims = append(out.Claims, e.row(q.Card, c, l))
	}
	for _, c := range all {
		if !c.Optional && !slices.Contains(q.Names(), c.Name) {
			out.Always = append(out.Always, named(c.Labels, c.Name, l))
		}
	}
	e.asking = q
	return out, nil
}

// Answer shows what was asked for last. Knowing says that the person answers somebody for
// whom nobody vouches.
func (e *Engine) Answer(knowing bool, l i18n.Language) (*Shown, error) {
	q := e.asking
	switch {
	case q == nil:
		return nil, errGone
	case q.Verifier.Vouched == wallet.ByNobody && !knowing:
		return nil, errUnknown
	}
	on := &showing{held: q.Card, copy: q.Copy, claims: q.Names(), proof: q.Proof, redraw: q.Poster}
	entry := wallet.Entry{Party: q.Verifier.ID, Anchor: q.Verifier.Anchor, Purpose: q.Purpose}
	name := map[string]string{"name": party(q.Verifier, l).Name}
	sentence, ends := l.Text("pocket.shown.poster", name), time.Duration(0)
	if !q.Poster {
		sentence, ends = l.Text("pocket.shown.answer", name), fresh
	}
	shown, err := e.begin(on, entry, sentence, ends)
	if err == nil && !q.Poster {
		e.asking = nil // one answer to a question
	}
	return shown, err
}

// A Line is one line of the log.
type Line struct {
	When string `json:"when"`
	What string `json:"what"`
	// Why is the purpose that was stated, "" if none was.
	Why string `json:"why,omitempty"`
}

// Log says what was done, the newest first. It holds no value of a claim.
func (e *Engine) Log(l i18n.Language) ([]Line, error) {
	entries, err := list[wallet.Entry](e.cfg.Memory, logKind, e.profile)
	if err != nil {
		return nil, err
	}
	slices.Reverse(entries)
	held, err := keeper{e.cfg.Memory, e.profile}.Held()
	if err != nil {
		return nil, err
	}
	out := []Line{}
	for _, entry := range entries {
		card := entry.Type
		if i := slices.IndexFunc(held, func(h wallet.Held) bool { return h.ID == entry.Credential }); i >= 0 {
			card = named(e.names(&held[i]), entry.Type, l)
		}
		key := "pocket.log." + string(entry.Deed)
		if entry.Deed == wallet.Presented && (entry.Party == "static" || entry.Party == "live") {
			key = "pocket.log." + entry.Party
		}
		who := visible.Text(entry.Party)
		if e.bundle != nil {
			for _, v := range e.bundle.Verifiers {
				if v.ID == entry.Party {
					who = named(v.Names, entry.Party, l)
				}
			}
			if i, ok := e.bundle.Issuer(entry.Party); ok {
				who = named(i.Names, entry.Party, l)
			}
		}
		out = append(out, Line{
			When: l.DateTime(entry.At.Local()), What: l.Text(key, map[string]string{"card": visible.Text(card), "name": who}), Why: visible.Text(entry.Purpose),
		})
	}
	return out, nil
}

// Ask asks the office whether a card still stands. The office learns that somebody asked.
func (e *Engine) Ask(ctx context.Context, id string) error {
	k := keeper{e.cfg.Memory, e.profile}
	h, err := k.get(id)
	if err != nil {
		return err
	}
	a, err := e.agent()
	if err != nil {
		return err
	}
	err = a.Status(ctx, *h)
	if r, ok := errors.AsType[*credential.RejectedError](err); ok {
		switch r.Reason {
		case credential.Revoked:
			return &wallet.RefusedError{Reason: wallet.Revoked}
		case credential.Suspended:
			return &wallet.RefusedError{Reason: wallet.Suspended}
		}
	}
	return err
}

// Delete forgets a card. Its key stays with the browser until the page is removed, and
// is of no use without it.
func (e *Engine) Delete(id string) error {
	k := keeper{e.cfg.Memory, e.profile}
	h, err := k.get(id)
	if err != nil {
		return err
	}
	e.forget()
	if err := e.cfg.Memory.Delete(heldKind, id); err != nil {
		return err
	}
	return k.Note(wallet.Entry{At: e.cfg.Now().UTC(), Deed: wallet.Deleted, Credential: id, Type: h.Type, Party: h.Issuer})
}
