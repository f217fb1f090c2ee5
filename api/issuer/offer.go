package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

// An OfferRequest says what an operator offers to whom.
type OfferRequest struct {
	// Programme and Form name the credential. Form is optional if there is one wallet
	// form.
	Programme, Form string
	// Record is the id of the registry record that it will be about.
	Record string
	// TxCode asks for a transaction code, nil for none; see [CheckTxCode]. ClaimCode has the holder sign in
	// with a code of ours, in place of a pre-authorized code. Login has the holder sign
	// in at the upstream provider. Whoever signs in there with either must be the record's
	// person.
	TxCode           *oid4vci.TxCodeRule
	ClaimCode, Login bool
	// Supersede replaces the credential that the record has: the phone was lost.
	Supersede bool
	// ByValue has the link carry the whole offer, for wallets that do not fetch one.
	ByValue bool
	// Actor is the account of the operator, for the audit log.
	Actor string
}

// An OfferMade is what the operator hands out. Codes are shown once and kept nowhere.
type OfferMade struct {
	// Link is the openid-credential-offer URI: by reference, unless it was to be by value.
	Link string
	// TxCode and ClaimCode are what the holder is told by another way; "" if none.
	TxCode, ClaimCode string
	Expires           time.Time
}

// Errors of [Endpoints.Offer].
var (
	// ErrNoConfiguration: no wallet form that could be offered.
	ErrNoConfiguration = errors.New("issuer: nothing that could be offered")
	// ErrNeedsCode: the programme is not offered by a bare code.
	ErrNeedsCode = errors.New("issuer: this programme is not offered without a second code or a login")
	// ErrNoClient: no wallet may have holders sign in, so nobody could use such an offer.
	ErrNoClient = errors.New("issuer: no wallet may have holders sign in")
	// ErrNoLogin: signing in at the upstream provider does not bring this programme's
	// credentials; see [Config.LoginProgrammes].
	ErrNoLogin = errors.New("issuer: signing in at the provider does not bring credentials of this programme")
)

// ErrWeakCode: transaction codes that could be guessed; see [CheckTxCode].
var ErrWeakCode = errors.New("issuer: transaction codes that are too easily guessed")

// leastCodes is how many transaction codes there must be at least: whoever has an offer
// and uses up all guesses finds its code once in 200 000 offers at most (promise P11).
const leastCodes = 200_000 * maxGuesses

// CheckTxCode says whether transaction codes are long enough for the guesses that people
// have. Its error is [ErrWeakCode] if they are not; it names the shortest that are.
func CheckTxCode(r oid4vci.TxCodeRule) error {
	if r.Mode != oid4vci.Numeric && r.Mode != oid4vci.AnyText {
		return fmt.Errorf("%w: the input mode %.16q is neither %q nor %q", ErrWeakCode, r.Mode, oid4vci.Numeric, oid4vci.AnyText)
	}
	if r.Codes() < leastCodes {
		return fmt.Errorf("%w: of length %d there are %d, and with %d guesses there must be %d at least: %d digits, or %d characters of a text",
			ErrWeakCode, r.Length, r.Codes(), maxGuesses, leastCodes, shortest(oid4vci.Numeric), shortest(oid4vci.AnyText))
	}
	return nil
}

// shortest is the least length of transaction codes of this kind.
func shortest(mode oid4vci.InputMode) int {
	r := oid4vci.TxCodeRule{Mode: mode, Length: 1}
	for r.Codes() < leastCodes {
		r.Length++
	}
	return r.Length
}

// bareLife is the longest that an offer works which whoever has it can take.
const bareLife = 10 * time.Minute

// claimCodes are codes that people copy from paper: 12 letters of 24, 55 bits.
var claimCodes = oid4vci.TxCodeRule{Mode: oid4vci.AnyText, Length: 12}

// storedOffer is what belongs to the reference in an offer's link.
type storedOffer struct{ Offer []byte }

// storedCode is what belongs to a pre-authorized code or a claim code.
type storedCode struct {
	Allowed allowance
	// TxCode is the digest of the transaction code, nil if none is needed. It is sealed
	// with the pre-authorized code like the rest, and guesses are counted.
	TxCode []byte              `json:",omitempty"`
	Rule   *oid4vci.TxCodeRule `json:",omitempty"`
	State  string              `json:",omitempty"` // of the issuer_state that goes with a claim code
}

// storedState is what belongs to the issuer_state of an offer: for whom it is, whichever way
// the holder signs in.
type storedState struct {
	Allowed allowance
	Claim   []byte `json:",omitempty"` // digest of the claim code of the same offer, if it has one
}

// Offer makes an offer for a record (section 4.1). Nothing is asked of the registry
// before the credential is fetched.
func (e *Endpoints) Offer(ctx context.Context, r OfferRequest) (*OfferMade, error) {
	if r.Record == "" {
		return nil, errors.New("issuer: OfferRequest.Record is not set")
	}
	if err := e.cfg.Office.MayAct(ctx); err != nil {
		return nil, err
	}
	c, err := e.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.offered(r.Programme, r.Form)
	if err != nil {
		return nil, err
	}
	bare := r.TxCode == nil && !r.ClaimCode && !r.Login
	if bare && slices.Contains(e.cfg.HighAssurance, r.Programme) {
		return nil, ErrNeedsCode
	}
	if (r.Login || r.ClaimCode) && len(e.cfg.Clients) == 0 && !e.cfg.AnyClient {
		return nil, ErrNoClient
	}
	if r.Login && !slices.Contains(e.bySignIn(c), f.id) {
		return nil, ErrNoLogin
	}
	if r.TxCode != nil {
		if err := CheckTxCode(*r.TxCode); err != nil {
			return nil, err
		}
	}
	now := e.now()
	made := &OfferMade{Expires: now.Add(e.cfg.Lifetimes.Offer)}
	if short := now.Add(bareLife); bare && short.Before(made.Expires) {
		made.Expires = short
	}
	offer := oid4vci.Offer{Issuer: e.cfg.Issuer, Configurations: []string{f.id}}
	code := storedCode{Allowed: allowance{Record: r.Record, Configurations: []string{f.id}, Supersede: r.Supersede, Actor: r.Actor}}
	var values []once.Value
	switch {
	case r.Login, r.ClaimCode:
		values, err = e.offerSignIn(ctx, &offer, code, r.ClaimCode, made)
	default:
		values, err = e.offerCode(ctx, &offer, code, r.TxCode, made)
	}
	if err != nil {
		return nil, err
	}
	if r.ByValue {
		made.Link, err = offer.Link(oid4vci.OfferScheme)
	} else {
		var stored once.Value
		made.Link, stored, err = e.reference(ctx, offer, made.Expires)
		values = append(values, stored)
	}
	if err != nil {
		return nil, err
	}
	if err := fromOnce(e.cfg.Once.Put(ctx, values...)); err != nil {
		return nil, err
	}
	e.cfg.Count("offer")
	return made, nil
}

// reference is a link to an offer, and what is to be stored for whoever fetches it.
func (e *Endpoints) reference(ctx context.Context, offer oid4vci.Offer, until time.Time) (link string, stored once.Value, err error) {
	b, err := offer.JSON()
	if err != nil {
		return "", stored, err
	}
	ref, err := e.secret()
	if err != nil {
		return "", stored, err
	}
	if stored, err = e.value(ctx, once.Offer, string(ref), until, storedOffer{b}); err != nil {
		return "", stored, err
	}
	link, err = oid4vci.ReferenceLink(oid4vci.OfferScheme, e.url(pathOffer+string(ref)))
	return link, stored, err
}

// offered finds the wallet form of a programme.
func (c *catalogue) offered(programmeID, form string) (configuration, error) {
	var found []configuration
	for _, f := range c.configurations {
		if f.programme.ID == programmeID && (form == "" || f.form.Name == form) {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 0:
		return configuration{}, fmt.Errorf("%w: programme %.64q has no wallet form %.64q", ErrNoConfiguration, programmeID, form)
	case 1:
		return found[0], nil
	}
	return configuration{}, fmt.Errorf("%w: programme %.64q has several wallet forms; name one", ErrNoConfiguration, programmeID)
}

// offerCode gives an offer a pre-authorized code.
func (e *Endpoints) offerCode(ctx context.Context, offer *oid4vci.Offer, code storedCode, rule *oid4vci.TxCodeRule, made *OfferMade) ([]once.Value, error) {
	secret, err := e.secret()
	if err != nil {
		return nil, err
	}
	grant := &oid4vci.PreAuthorizedGrant{Code: secret}
	if rule != nil {
		tx, err := rule.NewTxCode(e.cfg.Rand)
		if err != nil {
			return nil, err
		}
		grant.TxCode = rule.Input("")
		code.TxCode, code.Rule, made.TxCode = digestTxCode(secret, tx), rule, string(tx)
	}
	offer.PreAuthorized = grant
	v, err := e.value(ctx, once.PreAuthorizedCode, string(secret), made.Expires, code)
	return []once.Value{v}, err
}

// offerSignIn gives an offer an issuer_state, by which whoever signs in with it is held to
// the offer, and a claim code to sign in with if it is to have one.
func (e *Endpoints) offerSignIn(ctx context.Context, offer *oid4vci.Offer, code storedCode, withClaim bool, made *OfferMade) ([]once.Value, error) {
	secret, err := e.secret()
	if err != nil {
		return nil, err
	}
	code.State = string(secret)
	offer.AuthorizationCode = &oid4vci.AuthorizationCodeGrant{IssuerState: code.State}
	var values []once.Value
	state := storedState{Allowed: code.Allowed}
	if withClaim {
		claim, err := claimCodes.NewTxCode(e.cfg.Rand)
		if err != nil {
			return nil, err
		}
		v, err := e.value(ctx, once.ClaimCode, string(claim), made.Expires, code)
		if err != nil {
			return nil, err
		}
		values, state.Claim, made.ClaimCode = append(values, v), v.Digest[:], groups(string(claim))
	}
	v, err := e.value(ctx, once.IssuerState, code.State, made.Expires, state)
	return append(values, v), err
}

// groups writes a code in fours, as people read it.
func groups(code string) string {
	var b strings.Builder
	for i, c := range code {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// serveOffer answers with the offer that a link refers to (section 4.1.3). One that
// never was and one that has expired cannot be told apart (corpus VCI-15).
func (e *Endpoints) serveOffer(w http.ResponseWriter, r *http.Request) error {
	var o storedOffer
	_, err := e.load(r.Context(), once.Offer, r.PathValue("ref"), &o)
	if errors.Is(err, once.ErrNone) {
		return notFound()
	}
	if err != nil {
		return err
	}
	web.Write(w, http.StatusOK, oid4vci.JSONType, o.Offer)
	return nil
}
