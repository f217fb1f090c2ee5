package issuer

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

// A storedRequest is what belongs to a pushed request, and to the login that it leads to.
type storedRequest struct {
	Request oid4vci.AuthorizationRequest
	// Key and Instance are who pushed it, as far as they proved it.
	Key, Instance string

	// Login, Cookie, Nonce and Verifier are those of a login: what it is called, the digest
	// of the cookie of its browser, and what goes with a visit to the upstream provider.
	Login    string   `json:",omitempty"`
	Cookie   []byte   `json:",omitempty"`
	Nonce    string   `json:",omitempty"`
	Verifier string   `json:",omitempty"`
	Names    []string `json:",omitempty"` // configurations that are asked for
}

// A storedAuthorization is what belongs to an authorization code.
type storedAuthorization struct {
	Grant       string // the secret of the grant that it will become
	Allowed     allowance
	Details     []oid4vci.AuthorizationDetail `json:",omitempty"`
	Client      string
	RedirectURI string
	Challenge   string
	Key         string `json:",omitempty"`
	Instance    string `json:",omitempty"`
}

// par takes a pushed authorization request (RFC 9126).
func (e *Endpoints) par(w http.ResponseWriter, r *http.Request) error {
	if err := errors.Join(e.giveNonce(r.Context(), w), e.giveChallenge(r.Context(), w)); err != nil {
		return err
	}
	values, err := web.Form(r)
	if err != nil {
		return err
	}
	request, err := oid4vci.ParsePushedRequest(values)
	if err != nil {
		return err
	}
	if err := e.mayAct(r); err != nil {
		return err
	}
	q, err := e.requester(r, pathPAR, request.ClientID)
	if err != nil {
		return err
	}
	stored, err := e.checkPushed(r.Context(), request, q)
	if err != nil {
		return err
	}
	uri, err := oid4vci.NewRequestURI(e.cfg.Rand)
	if err != nil {
		return err
	}
	v, err := e.value(r.Context(), once.PushedRequest, uri, e.now().Add(e.cfg.Lifetimes.PushedRequest), stored)
	if err != nil {
		return err
	}
	if err := fromOnce(e.cfg.Once.Put(r.Context(), v)); err != nil {
		return err
	}
	b, err := oid4vci.PushedResponse{RequestURI: uri, Lifetime: e.cfg.Lifetimes.PushedRequest}.JSON()
	if err != nil {
		return err
	}
	e.cfg.Count("pushed_request")
	web.Write(w, http.StatusCreated, oid4vci.JSONType, b)
	return nil
}

// checkPushed checks what oid4vci leaves to the server.
func (e *Endpoints) checkPushed(ctx context.Context, r *oid4vci.AuthorizationRequest, q *requester) (*storedRequest, error) {
	i := slices.IndexFunc(e.cfg.Clients, func(c Client) bool { return c.ID == r.ClientID })
	switch {
	case i >= 0:
		if err := oid4vci.CheckRedirectURI(r.RedirectURI, append([]string{}, e.cfg.Clients[i].RedirectURIs...)); err != nil {
			return nil, err // corpus OA-01
		}
	case !e.cfg.AnyClient:
		return nil, oid4vci.NewError(oid4vci.InvalidClient, oid4vci.ErrUntrusted, "no such client")
	}
	if q.dpop != nil {
		if r.DPoPKey != "" && r.DPoPKey != q.key() {
			return nil, oid4vci.NewError(oid4vci.InvalidDPoPProof, oid4vci.ErrConflict, "dpop_jkt is not the key of the proof")
		}
		r.DPoPKey = q.key()
	}
	if r.Resource != "" && r.Resource != e.cfg.Issuer {
		return nil, oid4vci.NewError(oid4vci.InvalidTarget, oid4vci.ErrIssuer, "resource is not this issuer")
	}
	c, err := e.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	all := allowance{Configurations: c.ids()}
	asked, _, err := all.narrow(r.Scopes, r.Details, e.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	if r.IssuerState != "" {
		// Section 5.1.3: it may have been put there by an attacker. Nobody is to sign in for nothing.
		if _, err := e.load(ctx, once.IssuerState, r.IssuerState, &storedState{}); errors.Is(err, once.ErrNone) {
			return nil, oid4vci.NewError(oid4vci.InvalidRequest, oid4vci.ErrConflict, "issuer_state is of no offer that still works")
		} else if err != nil {
			return nil, err
		}
	}
	return &storedRequest{Request: *r, Key: r.DPoPKey, Instance: q.instance(), Names: asked.Configurations}, nil
}

// authorize begins a login with a pushed request, which is used up (RFC 9126 section 4).
func (e *Endpoints) authorize(w http.ResponseWriter, r *http.Request) error {
	query, err := web.Query(r)
	if err != nil {
		return err
	}
	client, uri, err := oid4vci.ParseAuthorizationQuery(query)
	if err != nil {
		return err
	}
	if err := e.mayAct(r); err != nil {
		return err
	}
	var s storedRequest
	pushed, err := e.load(r.Context(), once.PushedRequest, uri, &s)
	if err == nil && s.Request.ClientID != client {
		err = once.ErrNone // corpus OA-05
	}
	if err != nil {
		return err
	}
	id, err := e.secret()
	if err != nil {
		return err
	}
	cookie, err := e.secret()
	if err != nil {
		return err
	}
	s.Login, s.Cookie = string(id), digestCookie(string(cookie))
	login, err := e.value(r.Context(), once.Login, s.Login, e.now().Add(e.cfg.Lifetimes.Login), s)
	if err != nil {
		return err
	}
	if _, err := e.cfg.Once.Exchange(r.Context(), e.now(), []once.Key{pushed.Key()}, []once.Value{login}); err != nil {
		return fromOnce(err)
	}
	e.setCookie(w, s.Login, string(cookie), int(e.cfg.Lifetimes.Login/time.Second))
	http.Redirect(w, r, e.url(pathLogin+s.Login), http.StatusSeeOther)
	return nil
}

func digestCookie(cookie string) []byte {
	k := once.KeyOf(once.Login, "cookie", cookie)
	return k.Digest[:]
}

// cookieName is that of a login, so that several can go on in one browser.
func (e *Endpoints) cookieName(login string) string {
	name := "sanad-login-" + login[:min(len(login), 8)]
	if e.cfg.DevHTTP {
		return name
	}
	return "__Host-" + name
}

// setCookie ties a login to its browser: who has only its address cannot go on with it.
func (e *Endpoints) setCookie(w http.ResponseWriter, login, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: e.cookieName(login), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: !e.cfg.DevHTTP, SameSite: http.SameSiteLaxMode,
	})
}

// login returns the login of a request: known by its secret, and begun in this browser.
func (e *Endpoints) login(r *http.Request, secret string) (*storedRequest, once.Value, error) {
	s := &storedRequest{}
	v, err := e.load(r.Context(), once.Login, secret, s)
	if err != nil {
		return nil, v, err
	}
	c, err := r.Cookie(e.cookieName(s.Login))
	if err != nil || subtle.ConstantTimeCompare(digestCookie(c.Value), s.Cookie) != 1 {
		return nil, v, once.ErrNone
	}
	return s, v, nil
}

// sameSite refuses a form that another website sent.
var sameSite = http.NewCrossOriginProtection()

// showLogin shows how to sign in.
func (e *Endpoints) showLogin(w http.ResponseWriter, r *http.Request) error {
	s, _, err := e.login(r, r.PathValue("login"))
	if err != nil {
		return err
	}
	return e.loginPage(w, r, http.StatusOK, s, "")
}

// takeLogin takes the claim code that the holder typed.
func (e *Endpoints) takeLogin(w http.ResponseWriter, r *http.Request) error {
	s, v, form, err := e.formOfLogin(r)
	if err != nil {
		return err
	}
	if form["cancel"] != nil {
		return e.refuseLogin(w, r, s, v, oid4vci.NewError(oid4vci.AccessDenied, nil, "the holder has cancelled"))
	}
	// P11: the attempt counts before anybody looks at it.
	_, err = e.cfg.Once.Guess(r.Context(), e.now(), v.Kind, v.Digest, maxGuesses)
	if errors.Is(err, once.ErrGuesses) {
		// Nobody is looked at any more, but who was counted before may be right, and is not to
		// lose the login to who came after.
		return e.sendBack(w, r, s, oid4vci.NewError(oid4vci.AccessDenied, nil, "too many wrong codes"))
	}
	if err != nil {
		return fromOnce(err)
	}
	claim := claimCodes.Clean(oid4vci.Secret(strings.Join(form["code"], "")))
	var code storedCode
	claimed, err := e.load(r.Context(), once.ClaimCode, string(claim), &code)
	if err == nil && s.Request.IssuerState != "" && s.Request.IssuerState != code.State {
		err = once.ErrNone // the code of another offer
	}
	if errors.Is(err, once.ErrNone) {
		e.cfg.Count("wrong_claim_code")
		return e.loginPage(w, r, http.StatusBadRequest, s, "login.wrong")
	}
	if err != nil {
		return err
	}
	state, err := e.key(r.Context(), once.IssuerState, code.State)
	if err != nil {
		return err
	}
	return e.finish(w, r, s, code.Allowed, v.Key(), claimed.Key(), state)
}

// formOfLogin reads a form of the login page.
func (e *Endpoints) formOfLogin(r *http.Request) (*storedRequest, once.Value, map[string][]string, error) {
	if err := sameSite.Check(r); err != nil {
		return nil, once.Value{}, nil, web.Refuse(http.StatusForbidden, "cross_origin", "this form was sent by another website")
	}
	form, err := web.Form(r)
	if err != nil {
		return nil, once.Value{}, nil, err
	}
	if err := e.mayAct(r); err != nil {
		return nil, once.Value{}, nil, err
	}
	s, v, err := e.login(r, r.PathValue("login"))
	return s, v, form, err
}

// finish gives the wallet a code for what the holder may have. The login and whatever
// else is used up by it are taken in the same step.
func (e *Endpoints) finish(w http.ResponseWriter, r *http.Request, s *storedRequest, all allowance, taken ...once.Key) error {
	allowed, details, err := all.narrow(s.Request.Scopes, s.Request.Details, e.cfg.Issuer)
	if err != nil {
		// The code stays good for a request that asks for the right credential.
		return e.redirectError(w, r, s, oid4vci.NewError(oid4vci.InvalidScope, oid4vci.ErrConflict, "not the credential that the holder may have"), taken[0])
	}
	grantID, err := e.secret()
	if err != nil {
		return err
	}
	code, err := e.secret()
	if err != nil {
		return err
	}
	v, err := e.value(r.Context(), once.AuthorizationCode, string(code), e.now().Add(e.cfg.Lifetimes.Code), storedAuthorization{
		Grant: string(grantID), Allowed: allowed, Details: details, Client: s.Request.ClientID, RedirectURI: s.Request.RedirectURI,
		Challenge: s.Request.Challenge, Key: s.Key, Instance: s.Instance,
	})
	if err != nil {
		return err
	}
	if _, err := e.cfg.Once.Exchange(r.Context(), e.now(), taken, []once.Value{v}); err != nil {
		return fromOnce(err)
	}
	to, err := oid4vci.AuthorizationResponse{Code: code, State: s.Request.State, Issuer: e.cfg.Issuer}.Redirect(s.Request.RedirectURI)
	if err != nil {
		return err
	}
	e.cfg.Count("login")
	e.setCookie(w, s.Login, "", -1)
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// refuseLogin ends a login without success.
func (e *Endpoints) refuseLogin(w http.ResponseWriter, r *http.Request, s *storedRequest, v once.Value, refusal *oid4vci.Error) error {
	return e.redirectError(w, r, s, refusal, v.Key())
}

// redirectError ends a login and tells the wallet why (RFC 9207: with our identifier).
func (e *Endpoints) redirectError(w http.ResponseWriter, r *http.Request, s *storedRequest, refusal *oid4vci.Error, login once.Key) error {
	if _, err := e.cfg.Once.Exchange(r.Context(), e.now(), []once.Key{login}, nil); err != nil {
		return fromOnce(err)
	}
	return e.sendBack(w, r, s, refusal)
}

// sendBack sends the browser back to the wallet with a refusal.
func (e *Endpoints) sendBack(w http.ResponseWriter, r *http.Request, s *storedRequest, refusal *oid4vci.Error) error {
	to, err := refusal.Redirect(s.Request.RedirectURI, s.Request.State, e.cfg.Issuer)
	if err != nil {
		return err
	}
	e.cfg.Count("login_refused")
	e.setCookie(w, s.Login, "", -1)
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// visitUpstream sends the browser to the upstream provider.
func (e *Endpoints) visitUpstream(w http.ResponseWriter, r *http.Request) error {
	s, v, _, err := e.formOfLogin(r)
	if err != nil {
		return err
	}
	state, err := e.secret()
	if err != nil {
		return err
	}
	nonce, err := e.secret()
	if err != nil {
		return err
	}
	verifier, err := oid4vci.NewVerifier(e.cfg.Rand)
	if err != nil {
		return err
	}
	s.Nonce, s.Verifier = string(nonce), string(verifier)
	away, err := e.value(r.Context(), once.Login, string(state), v.Expires, s)
	if err != nil {
		return err
	}
	to, err := e.cfg.Login.Begin(r.Context(), string(state), s.Nonce, s.Verifier)
	if err != nil {
		return unavailable("upstream provider", err)
	}
	if _, err := e.cfg.Once.Exchange(r.Context(), e.now(), []once.Key{v.Key()}, []once.Value{away}); err != nil {
		return fromOnce(err)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// callback takes the browser back from the upstream provider.
func (e *Endpoints) callback(w http.ResponseWriter, r *http.Request) error {
	query, err := web.Query(r)
	if err != nil {
		return err
	}
	if err := e.mayAct(r); err != nil {
		return err
	}
	s, v, err := e.login(r, query.Get("state"))
	if err == nil && s.Nonce == "" {
		err = once.ErrNone // a login that never went there
	}
	if err != nil {
		return err
	}
	denied := oid4vci.NewError(oid4vci.AccessDenied, nil, "the holder has not signed in")
	if query.Get("code") == "" {
		return e.refuseLogin(w, r, s, v, denied)
	}
	record, err := e.cfg.Login.End(r.Context(), query.Get("code"), s.Nonce, s.Verifier)
	if errors.Is(err, ErrLogin) {
		e.cfg.Log.WarnContext(r.Context(), "login refused", "err", err, "request_id", web.RequestID(r.Context()))
		return e.refuseLogin(w, r, s, v, denied)
	}
	if err != nil {
		return unavailable("upstream provider", err)
	}
	all, taken, err := e.allowedTo(r.Context(), record, s.Request.IssuerState)
	if refused, ok := errors.AsType[*oid4vci.Error](err); ok {
		return e.refuseLogin(w, r, s, v, refused)
	}
	if err != nil {
		return err
	}
	return e.finish(w, r, s, all, append([]once.Key{v.Key()}, taken...)...)
}

// allowedTo is what the person of a record may have who has signed in, and what is used up
// by it. With the issuer_state of an offer that is what was offered, to nobody else.
func (e *Endpoints) allowedTo(ctx context.Context, record, issuerState string) (allowance, []once.Key, error) {
	c, err := e.catalogue(ctx)
	if err != nil {
		return allowance{}, nil, err
	}
	known := e.bySignIn(c)
	if len(known) == 0 {
		e.cfg.Log.WarnContext(ctx, "nobody can sign in", "err", ErrNoLogin)
		return allowance{}, nil, notBySignIn()
	}
	if issuerState == "" {
		return allowance{Record: record, Configurations: known, Actor: loginActor}, nil, nil
	}
	var offered storedState
	v, err := e.load(ctx, once.IssuerState, issuerState, &offered)
	switch {
	case errors.Is(err, once.ErrNone):
		return allowance{}, nil, oid4vci.NewError(oid4vci.AccessDenied, oid4vci.ErrConflict, "the offer does not work any more")
	case err != nil:
		return allowance{}, nil, err
	case slices.ContainsFunc(offered.Allowed.Configurations, func(id string) bool { return !slices.Contains(known, id) }):
		return allowance{}, nil, notBySignIn()
	case offered.Allowed.Record != record:
		// The offer stays good: it is somebody else's.
		return allowance{}, nil, oid4vci.NewError(oid4vci.AccessDenied, oid4vci.ErrConflict, "the offer is for somebody else than who has signed in")
	}
	taken := []once.Key{v.Key()}
	if offered.Claim != nil {
		taken = append(taken, once.Key{Kind: once.ClaimCode, Digest: [32]byte(offered.Claim)})
	}
	return offered.Allowed, taken, nil
}

func notBySignIn() error {
	return oid4vci.NewError(oid4vci.AccessDenied, oid4vci.ErrConflict, "signing in does not bring this credential")
}

// bySignIn are the configurations that signing in at the upstream provider brings: those of
// the programmes that are named, or of the only one there is.
func (e *Endpoints) bySignIn(c *catalogue) []string {
	if e.cfg.Login == nil {
		return nil
	}
	var all []string
	for _, f := range c.configurations {
		switch {
		case slices.Contains(e.cfg.LoginProgrammes, f.programme.ID):
		case len(e.cfg.LoginProgrammes) > 0:
			continue
		case f.programme.ID != c.configurations[0].programme.ID:
			return nil // several, and nobody said which
		}
		all = append(all, f.id)
	}
	return all
}

// redeemCode gives tokens for an authorization code. One that was used before is in two
// hands: what the first use brought ends (RFC 9700 section 4.13; corpus OA-03).
func (e *Endpoints) redeemCode(ctx context.Context, t *oid4vci.TokenRequest, q *requester) (*oid4vci.TokenResponse, error) {
	var a storedAuthorization
	v, err := e.load(ctx, once.AuthorizationCode, string(t.Code), &a)
	if err != nil {
		return nil, e.replayed(ctx, err, string(t.Code))
	}
	if q.id != a.Client || t.RedirectURI != a.RedirectURI || a.Key != "" && q.key() != a.Key || q.instance() != a.Instance {
		return nil, oid4vci.WrongGrant()
	}
	if err := oid4vci.CheckVerifier(a.Challenge, t.Verifier); err != nil {
		return nil, err
	}
	allowed, details, err := e.atToken(ctx, &a.Allowed, t, a.Details)
	if err != nil {
		return nil, err
	}
	g := grant{Allowed: allowed, Client: q.id, Key: q.key(), Instance: q.instance(), Details: details}
	response, err := e.begin(ctx, v.Key(), g, oid4vci.Secret(a.Grant))
	if err != nil {
		return nil, e.replayed(ctx, err, string(t.Code))
	}
	return response, nil
}
