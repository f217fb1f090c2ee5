package issuer

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sanad-id/sanad/internal/fetch"
)

// UpstreamConfig is an OpenID provider at which holders sign in. Fields without
// "optional" must be set.
type UpstreamConfig struct {
	// Issuer is its identifier.
	Issuer string
	// ClientID and ClientSecret are what it knows us by. The secret is optional.
	ClientID, ClientSecret string
	// Redirect is our address that it sends the browser back to: [CallbackURL].
	Redirect string
	// Scopes are asked for beside openid. Optional.
	Scopes []string
	// RecordClaim is the claim of the ID token that is the id of the person's record.
	RecordClaim string
	// Fetch sends the requests.
	Fetch *fetch.Client
}

// CallbackURL is where an upstream provider sends the browser back to.
func CallbackURL(issuer string) string { return issuer + pathCallback }

// An Upstream is a [Login] at an OpenID provider (OpenID Connect Core 1.0, the code flow
// with PKCE and nonce).
type Upstream struct {
	cfg UpstreamConfig

	mu       sync.Mutex
	provider *oidc.Provider // nil until it was asked for its metadata
}

var _ Login = (*Upstream)(nil)

// NewUpstream returns an Upstream. The provider is asked when somebody signs in.
func NewUpstream(c UpstreamConfig) (*Upstream, error) {
	for name, value := range map[string]string{"Issuer": c.Issuer, "ClientID": c.ClientID, "Redirect": c.Redirect, "RecordClaim": c.RecordClaim} {
		if value == "" {
			return nil, fmt.Errorf("issuer: UpstreamConfig.%s is not set", name)
		}
	}
	if c.Fetch == nil {
		return nil, errors.New("issuer: UpstreamConfig.Fetch is not set")
	}
	return &Upstream{cfg: c}, nil
}

// client returns how the provider is asked.
func (u *Upstream) client(ctx context.Context) (context.Context, *oidc.Provider, *oauth2.Config, error) {
	ctx = oidc.ClientContext(ctx, u.cfg.Fetch.HTTPClient())
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.provider == nil {
		// The provider keeps its context for fetching keys later.
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), u.cfg.Fetch.HTTPClient()), u.cfg.Issuer)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("metadata of the provider: %v", err)
		}
		u.provider = p
	}
	return ctx, u.provider, &oauth2.Config{
		ClientID: u.cfg.ClientID, ClientSecret: u.cfg.ClientSecret, Endpoint: u.provider.Endpoint(), RedirectURL: u.cfg.Redirect,
		Scopes: slices.Concat([]string{oidc.ScopeOpenID}, u.cfg.Scopes),
	}, nil
}

// Begin implements [Login].
func (u *Upstream) Begin(ctx context.Context, state, nonce, verifier string) (string, error) {
	_, _, c, err := u.client(ctx)
	if err != nil {
		return "", err
	}
	return c.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// End implements [Login].
func (u *Upstream) End(ctx context.Context, code, nonce, verifier string) (string, error) {
	ctx, provider, c, err := u.client(ctx)
	if err != nil {
		return "", err
	}
	tokens, err := c.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// What it says may hold what was sent.
		return "", fmt.Errorf("%w: the provider answers %d", ErrLogin, refused.Response.StatusCode)
	}
	if err != nil {
		return "", errors.New("the provider does not answer the token request")
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return "", fmt.Errorf("%w: no ID token", ErrLogin)
	}
	t, err := provider.Verifier(&oidc.Config{ClientID: u.cfg.ClientID}).Verify(ctx, raw)
	if err != nil {
		return "", fmt.Errorf("%w: the ID token does not verify", ErrLogin)
	}
	// The library leaves the nonce to us (OpenID Connect Core 1.0 section 3.1.3.7 step 11).
	if nonce == "" || subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(nonce)) != 1 {
		return "", fmt.Errorf("%w: an ID token for another login", ErrLogin)
	}
	var claims map[string]any
	if err := t.Claims(&claims); err != nil {
		return "", fmt.Errorf("%w: an ID token that cannot be read", ErrLogin)
	}
	record, ok := claims[u.cfg.RecordClaim].(string)
	if !ok || record == "" || len(record) > 256 {
		return "", fmt.Errorf("%w: an ID token without the claim %q", ErrLogin, u.cfg.RecordClaim)
	}
	return record, nil
}
