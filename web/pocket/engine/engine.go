// Package engine is the pocket page without its browser: a wallet for people without an
// app. It accepts offers, keeps cards and shows them as codes, and says all that in the
// reader's language. The page runs it as WASM (web/pocket/wasm); tests run it as it is.
//
// Start with [New], [Engine.Home] and [Engine.Offer]. Everything that comes back is a
// value that encoding/json writes. The rules are those of package wallet, which the
// command line follows, too; nothing here decides about a credential.
//
// What a browser has and Go has not is given to it: a [Memory], a network
// ([wallet.Sender]), keys that never leave the device ([wallet.Keyring], see [Key]), and
// what draws a code.
//
// Several people may share a phone: each has a profile, which is a name over their cards
// and their log and no lock.
//
// Left to others: pictures (the page reads codes with its camera), storing, the words of
// buttons (the page reads the catalogue of area pocket as it is).
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/wallet"
)

// Config is what an Engine needs. Every field but LoopbackHTTP must be set.
type Config struct {
	Memory Memory
	Sender wallet.Sender
	Keys   wallet.Keyring
	// Draw draws the code of a text as SVG and returns how many modules it has a side,
	// its border included. It returns [ErrTooLong] if no code holds the text.
	Draw func(text string) (svg string, modules int, err error)
	Now  func() time.Time
	// LoopbackHTTP also takes http addresses of this machine. It is for development.
	LoopbackHTTP bool
}

// ErrTooLong: the text does not fit a code.
var ErrTooLong = errors.New("engine: too much for a code")

// An Engine is the page's. It is for one goroutine at a time.
type Engine struct {
	cfg     Config
	profile string // "" is the first one, which is always there
	state   trust.State
	bundle  *trust.Bundle

	proposal *wallet.Proposal
	asking   *wallet.Asking
	showing  *showing
}

// New returns an Engine for what is in memory.
func New(c Config) (*Engine, error) {
	if c.Memory == nil || c.Sender == nil || c.Keys == nil || c.Draw == nil || c.Now == nil {
		return nil, errors.New("engine: Config is not complete")
	}
	e := &Engine{cfg: c}
	mark, err := one(c.Memory, trustKind, "mark")
	if err != nil {
		return nil, err
	}
	bundle, err := one(c.Memory, trustKind, "bundle")
	if err != nil {
		return nil, err
	}
	if mark != nil {
		// A bundle that does not belong to its mark is asked for again.
		if e.state, err = trust.Remember(mark, bundle); err == nil {
			e.bundle, _ = e.state.Open()
		}
	}
	return e, nil
}

// agent speaks for the holder of the profile in use.
func (e *Engine) agent() (*wallet.Agent, error) {
	return wallet.NewAgent(wallet.Config{
		Wallet: keeper{e.cfg.Memory, e.profile}, Sender: e.cfg.Sender, Keys: e.cfg.Keys, Trust: e.bundle, Now: e.cfg.Now,
		UnknownIssuers: true, // Accept asks
		ClientID:       "sanad-pocket", LoopbackHTTP: e.cfg.LoopbackHTTP,
	})
}

// Trust judges the trust bundle that came with the page. Fingerprint is the one of its
// root that whoever serves the page has compared. It reports whether something changed.
func (e *Engine) Trust(file []byte, fingerprint string) (bool, error) {
	next, b, err := trust.Accept(e.state, file, trust.Pinned(fingerprint))
	if err != nil {
		return false, err
	}
	changed := e.bundle == nil || e.state.HighWater != next.HighWater
	mark, err := next.Mark()
	if err != nil {
		return false, err
	}
	for _, part := range []struct {
		id string
		b  []byte
	}{{"bundle", next.Bundle}, {"mark", mark}} {
		if err := e.cfg.Memory.Put(trustKind, part.id, part.b); err != nil {
			return false, err
		}
	}
	e.state, e.bundle = next, b
	return changed, nil
}

// A Problem is why something was not done, in the reader's words.
type Problem struct {
	// Code is one of [wallet.Refusals], "wrong_code", "unknown", "too_long", "passphrase",
	// "not_an_export", "gone", "no_answer" or "internal".
	Code     string `json:"code"`
	Sentence string `json:"sentence"`
	Advice   string `json:"advice,omitempty"`
	// Detail is for whoever looks closer, in English.
	Detail string `json:"detail,omitempty"`
}

// errors of our own, each with its code.
var (
	errWrongCode  = errors.New("wrong_code")
	errUnknown    = errors.New("unknown")
	errGone       = errors.New("gone")
	errPassphrase = errors.New("passphrase")
	errNoExport   = errors.New("not_an_export")
)

// advice names what to do about a refusal: the sentence pocket.advice.NAME.
var advice = map[wallet.Refusal]string{
	wallet.BadLink: "copy_again", wallet.UnsafeAddress: "new_offer", wallet.BadMessage: "later", wallet.PeerRefused: "new_offer",
	wallet.OtherIssuer: "new_offer", wallet.MetadataSigner: "new_offer", wallet.UnknownIssuer: "new_offer", wallet.NotUsable: "card",
	wallet.WeakServer: "tell_office", wallet.NeedsTxCode: "code", wallet.NeedsSignIn: "card", wallet.NotAsIssued: "tell_office",
	wallet.OtherKey: "tell_office", wallet.OtherType: "tell_office", wallet.OtherCredentialIssuer: "tell_office", wallet.BadSignature: "tell_office",
	wallet.BadDates: "clock", wallet.BadType: "tell_office", wallet.ForgedRequest: "warn", wallet.OldRequest: "ask_again",
	wallet.OverAsking: "warn", wallet.NothingToShow: "get_card", wallet.NotACard: "card", wallet.Expired: "renew", wallet.Revoked: "ask_why",
	wallet.Suspended: "ask_why", wallet.BadChoice: "later",
}

// Explain says why something was not done. An error that is no refusal is a fault of the
// network or of the page.
func Explain(err error, l i18n.Language) Problem {
	p := Problem{Detail: err.Error()}
	if r, ok := errors.AsType[*wallet.RefusedError](err); ok {
		p.Code, p.Sentence = string(r.Reason), l.Text("wallet.refused."+string(r.Reason), nil)
		if a := advice[r.Reason]; a != "" {
			p.Advice = l.Text("pocket.advice."+a, nil)
		}
		return p
	}
	for _, known := range []error{errWrongCode, errUnknown, errGone, errPassphrase, errNoExport} {
		if errors.Is(err, known) {
			p.Code = known.Error()
		}
	}
	switch {
	case p.Code != "":
	case errors.Is(err, ErrTooLong):
		p.Code = "too_long"
	case errors.Is(err, wallet.ErrNoAnswer):
		p.Code = "no_answer"
	default:
		p.Code = "internal"
	}
	p.Sentence = l.Text("pocket.problem."+p.Code, nil)
	return p
}

// A Party is who offers or asks, as the person reads it.
type Party struct {
	Name string `json:"name"`
	// Address is its identifier.
	Address string `json:"address"`
	// Known says that somebody vouches for it, and Vouched says who, or that nobody does.
	Known   bool   `json:"known"`
	Vouched string `json:"vouched"`
}

func party(p wallet.Party, l i18n.Language) Party {
	out := Party{Name: visible.Text(l.Pick(p.Names)), Address: visible.Text(p.ID), Known: p.Vouched != wallet.ByNobody}
	if !out.Known {
		// What it calls itself is no name here.
		out.Vouched = l.Text("pocket.unknown", nil)
		out.Name = out.Address
		if said := l.Pick(p.Said); said != "" {
			out.Vouched += " " + l.Text("pocket.calls_itself", map[string]string{"name": visible.Text(said)})
		}
		return out
	}
	out.Vouched = l.Text("pocket.vouched", map[string]string{"anchor": visible.Text(p.Anchor)})
	if out.Name == "" {
		out.Name = out.Address
	}
	return out
}

// An Offer is what is offered, as the person is asked about it.
type Offer struct {
	Issuer Party `json:"issuer"`
	// Cards are what would be kept.
	Cards []Offered `json:"cards"`
	// Code describes the transaction code that is needed; nil if none is.
	Code *Code `json:"code,omitempty"`
}

// Offered is one card of an offer.
type Offered struct {
	Name string `json:"name"`
	// Claims are what will be in it.
	Claims []string `json:"claims"`
}

// A Code is a transaction code that is asked for.
type Code struct {
	Length  int    `json:"length,omitempty"`
	Numeric bool   `json:"numeric"`
	Hint    string `json:"hint,omitempty"`
}

// Offer reads an offer: a link of a wallet, or the address of this page with one in its
// fragment (#offer=). Nothing has been accepted then.
func (e *Engine) Offer(ctx context.Context, link string, l i18n.Language) (*Offer, error) {
	e.proposal = nil
	a, err := e.agent()
	if err != nil {
		return nil, err
	}
	p, err := a.Offer(ctx, offerLink(link))
	if err != nil {
		return nil, err
	}
	p.Credentials = slices.DeleteFunc(p.Credentials, func(o wallet.Offered) bool { return o.Format != oid4vci.CWTFormat })
	if len(p.Credentials) == 0 {
		return nil, &wallet.RefusedError{Reason: wallet.NotUsable, Detail: "no card among what is offered"}
	}
	if !p.PreAuthorized {
		return nil, &wallet.RefusedError{Reason: wallet.NeedsSignIn, Detail: "the offer is for signing in"}
	}
	out := &Offer{Issuer: party(p.Issuer, l)}
	for _, o := range p.Credentials {
		card := Offered{Name: named(o.Names, o.Type, l), Claims: []string{}}
		for _, c := range o.Claims {
			card.Claims = append(card.Claims, named(c.Labels, c.Path, l))
		}
		out.Cards = append(out.Cards, card)
	}
	if c := p.TxCode; c != nil {
		out.Code = &Code{Length: c.Length, Numeric: c.Mode == "" || c.Mode == oid4vci.Numeric, Hint: visible.Text(c.Description)}
	}
	e.proposal = p
	return out, nil
}

// fragment is before an offer in the address of this page.
const fragment = "#offer="

// offerLink is the link of an offer that text leads to: the one in the fragment of an
// address of the page, else text itself.
func offerLink(text string) string {
	text = strings.TrimSpace(text)
	i := strings.Index(text, fragment)
	if i < 0 {
		return text
	}
	return oid4vci.OfferScheme + "?" + text[i+len(fragment):]
}

func named(names map[string]string, otherwise string, l i18n.Language) string {
	if s := l.Pick(names); s != "" {
		return visible.Text(s)
	}
	return visible.Text(otherwise)
}

// Accepted is what became of an offer.
type Accepted struct {
	// Cards are the ids of the cards that came; Later is how many come later.
	Cards []string `json:"cards"`
	Later int      `json:"later"`
}

// Accept takes up the offer that was read last. Typed is the transaction code, and
// knowing says that the person deals with an issuer for whom nobody vouches. After a
// wrong code it may be called again.
func (e *Engine) Accept(ctx context.Context, typed string, knowing bool) (*Accepted, error) {
	p := e.proposal
	switch {
	case p == nil:
		return nil, errGone
	case p.Issuer.Vouched == wallet.ByNobody && !knowing:
		return nil, errUnknown
	}
	a, err := e.agent()
	if err != nil {
		return nil, err
	}
	g, err := a.Redeem(ctx, p, strings.TrimSpace(typed))
	if err != nil {
		if r, ok := errors.AsType[*wallet.RefusedError](err); ok && r.Reason == wallet.PeerRefused && p.TxCode != nil {
			return nil, fmt.Errorf("%w: %w", errWrongCode, errors.Unwrap(r))
		}
		return nil, err
	}
	e.proposal = nil
	held, later, err := a.Fetch(ctx, g)
	out := &Accepted{Cards: []string{}, Later: len(later)}
	for _, h := range held {
		out.Cards = append(out.Cards, h.ID)
	}
	if len(held)+len(later) == 0 {
		return nil, err
	}
	return out, nil // some came; what did not is offered again by the office
}

// Poll asks for cards that were put off, and returns the ids of those that came. One
// office that cannot be reached does not keep the cards of another from coming.
func (e *Engine) Poll(ctx context.Context) (*Accepted, error) {
	a, err := e.agent()
	if err != nil {
		return nil, err
	}
	waiting, err := keeper{e.cfg.Memory, e.profile}.Pending()
	if err != nil {
		return nil, err
	}
	out := &Accepted{Cards: []string{}}
	var failed []error
	for _, w := range waiting {
		h, err := a.Poll(ctx, w)
		switch {
		case err != nil:
			failed = append(failed, err)
		case h == nil:
			out.Later++
		default:
			out.Cards = append(out.Cards, h.ID)
		}
	}
	if len(out.Cards) == 0 {
		return out, errors.Join(failed...)
	}
	return out, nil
}

// decode reads a record of our own.
func decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("engine: a record in memory is damaged: %w", err)
	}
	return nil
}
