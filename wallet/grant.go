package wallet

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"

	"github.com/sanad-id/sanad/oid4vci"
)

// A Grant is the right to fetch what was proposed.
type Grant struct {
	p       *Proposal
	token   *oid4vci.TokenResponse
	session *session
	client  string // client_id of the token request, "" if anonymous
}

// Redeem takes up a proposal with its pre-authorised code. Typed is the transaction
// code as the person typed it, "" if none is needed.
func (a *Agent) Redeem(ctx context.Context, p *Proposal, typed string) (*Grant, error) {
	if !p.PreAuthorized {
		return nil, refuse(NeedsSignIn, "the offer has no code")
	}
	r := oid4vci.TokenRequest{Grant: oid4vci.PreAuthorizedCode, PreAuthorizedCode: p.offer.PreAuthorized.Code}
	if p.TxCode != nil {
		r.TxCode = p.TxCode.Clean(typed)
	}
	if (p.TxCode != nil) != (typed != "") || p.TxCode != nil && !p.TxCode.Possible(r.TxCode) {
		return nil, refuse(NeedsTxCode, "")
	}
	if !p.server.Anonymous {
		r.ClientID = a.cfg.ClientID
	}
	s, err := a.newSession()
	if err != nil {
		return nil, err
	}
	return a.token(ctx, p, s, r)
}

// token takes a proposal up with a token request.
func (a *Agent) token(ctx context.Context, p *Proposal, s *session, r oid4vci.TokenRequest) (*Grant, error) {
	t, err := a.tokens(ctx, p.server, s, r)
	if err != nil {
		return nil, err
	}
	return &Grant{p: p, token: t, session: s, client: r.ClientID}, nil
}

// tokens sends a token request.
func (a *Agent) tokens(ctx context.Context, server *oid4vci.ServerMetadata, s *session, r oid4vci.TokenRequest) (*oid4vci.TokenResponse, error) {
	form, err := r.Form()
	if err != nil {
		return nil, err
	}
	answer, err := a.post(ctx, s, server.TokenEndpoint, oid4vci.FormType, []byte(form.Encode()), "")
	if err != nil {
		return nil, err
	}
	t, err := oid4vci.ReadTokenResponse(answer.Status, answer.Body, oid4vci.DPoPToken)
	if err != nil {
		return nil, asMessage(err)
	}
	return t, nil
}

// A SignIn is an authorization that waits for the person in the browser.
type SignIn struct {
	// URL is where the browser goes.
	URL string

	p        *Proposal
	session  *session
	state    string
	verifier oid4vci.Secret
	redirect string
}

// SignIn begins the authorization code flow: it pushes a request and returns where the
// person signs in. The browser comes back to the redirect address.
func (a *Agent) SignIn(ctx context.Context, p *Proposal, redirect string) (*SignIn, error) {
	if !p.SignIn {
		return nil, refuse(NotUsable, "the offer is not for signing in")
	}
	s, err := a.newSession()
	if err != nil {
		return nil, err
	}
	verifier, err := oid4vci.NewVerifier(a.cfg.Rand)
	if err != nil {
		return nil, err
	}
	state, err := oid4vci.NewSecret(a.cfg.Rand)
	if err != nil {
		return nil, err
	}
	r := oid4vci.AuthorizationRequest{
		ClientID: a.cfg.ClientID, RedirectURI: redirect, State: string(state), Challenge: oid4vci.PKCEChallenge(verifier),
		DPoPKey: s.signer.Key().Public.JWKThumbprint(),
	}
	if p.offer.AuthorizationCode != nil {
		r.IssuerState = p.offer.AuthorizationCode.IssuerState
	}
	for _, o := range p.Credentials {
		c, _ := p.meta.Configuration(o.Configuration)
		if c.Scope != "" {
			r.Scopes = append(r.Scopes, c.Scope)
			continue
		}
		d := oid4vci.AuthorizationDetail{Configuration: o.Configuration}
		if len(p.meta.Servers) > 0 {
			d.Locations = []string{p.meta.Issuer}
		}
		r.Details = append(r.Details, d)
	}
	if len(p.meta.Servers) > 0 && len(r.Scopes) > 0 {
		r.Resource = p.meta.Issuer // a scope alone says of no issuer (section 5.1.2; corpus VCI-17)
	}
	form, err := r.Form()
	if err != nil {
		return nil, err
	}
	answer, err := a.post(ctx, s, p.server.PAREndpoint, oid4vci.FormType, []byte(form.Encode()), "")
	if err != nil {
		return nil, err
	}
	pushed, err := oid4vci.ReadPushedResponse(answer.Status, answer.Body)
	if err != nil {
		return nil, asMessage(err)
	}
	to, err := oid4vci.AuthorizationURL(p.server.AuthorizationEndpoint, a.cfg.ClientID, pushed.RequestURI)
	if err != nil {
		return nil, asMessage(err)
	}
	return &SignIn{URL: to, p: p, session: s, state: string(state), verifier: verifier, redirect: redirect}, nil
}

// Answers tells whether the browser came back with the answer to this authorization. Whatever
// else a page sends to the redirect address is none, and ends nothing.
func (in *SignIn) Answers(query url.Values) bool {
	return len(query["state"]) == 1 && subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(in.state)) == 1
}

// Finish goes on with the query with which the browser came back.
func (a *Agent) Finish(ctx context.Context, in *SignIn, query url.Values) (*Grant, error) {
	code, err := oid4vci.ReadAuthorizationResponse(query, in.p.server.Issuer, in.state)
	switch {
	case errors.Is(err, oid4vci.ErrPeer):
		return nil, because(PeerRefused, err)
	case err != nil:
		return nil, because(OtherAnswer, err) // corpus OA-04
	}
	return a.token(ctx, in.p, in.session, oid4vci.TokenRequest{
		Grant: oid4vci.AuthorizationCode, ClientID: a.cfg.ClientID, Code: code, RedirectURI: in.redirect, Verifier: in.verifier,
	})
}
