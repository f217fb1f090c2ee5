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
	// TxCode asks for a transaction code, nil for none. ClaimCode has the holder sign in
	// with a code of ours, in place of a pre-authorized code. Login has the holder sign
	// in at the upstream provider.
	TxCode           *oid4vci.TxCodeRule
	ClaimCode, Login bool
	// Supersede replaces the credential that the record has: the phone was lost.
	Supersede bool
	// Actor is the account of the operator, for the audit log.
	Actor string
}

// An OfferMade is what the operator hands out. Codes are shown once and kept nowhere.
type OfferMade struct {
	// Link is the openid-credential-offer URI, by reference.
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
)

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
	now := e.now()
	made := &OfferMade{Expires: now.Add(e.cfg.Lifetimes.Offer)}
	offer := oid4vci.Offer{Issuer: e.cfg.Issuer, Configurations: []string{f.id}}
	code := storedCode{Allowed: allowance{Record: r.Record, Configurations: []string{f.id}, Supersede: r.Supersede, Actor: r.Actor}}
	var values []once.Value
	switch {
	case r.Login:
		offer.AuthorizationCode = &oid4vci.AuthorizationCodeGrant{}
	case r.ClaimCode:
		values, err = e.offerClaim(ctx, &offer, code, made)
	default:
		values, err = e.offerCode(ctx, &offer, code, r.TxCode, made)
	}
	if err != nil {
		return nil, err
	}
	b, err := offer.JSON()
	if err != nil {
		return nil, err
	}
	ref, err := e.secret()
	if err != nil {
		return nil, err
	}
	stored, err := e.value(ctx, once.Offer, string(ref), made.Expires, storedOffer{b})
	if err != nil {
		return nil, err
	}
	if err := fromOnce(e.cfg.Once.Put(ctx, append(values, stored)...)); err != nil {
		return nil, err
	}
	e.cfg.Count("offer")
	made.Link, err = oid4vci.ReferenceLink(oid4vci.OfferScheme, e.url(pathOffer+string(ref)))
	return made, err
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

// offerClaim gives an offer a claim code, by which the holder signs in.
func (e *Endpoints) offerClaim(ctx context.Context, offer *oid4vci.Offer, code storedCode, made *OfferMade) ([]once.Value, error) {
	claim, err := claimCodes.NewTxCode(e.cfg.Rand)
	if err != nil {
		return nil, err
	}
	state, err := e.secret()
	if err != nil {
		return nil, err
	}
	code.State = string(state)
	offer.AuthorizationCode = &oid4vci.AuthorizationCodeGrant{IssuerState: code.State}
	v, err := e.value(ctx, once.ClaimCode, string(claim), made.Expires, code)
	made.ClaimCode = groups(string(claim))
	return []once.Value{v}, err
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
	var away *unavailableError
	if errors.As(err, &away) {
		return &web.Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "try again later", Retry: 5 * time.Second}
	}
	if err != nil {
		return err
	}
	web.Write(w, http.StatusOK, oid4vci.JSONType, o.Offer)
	return nil
}
