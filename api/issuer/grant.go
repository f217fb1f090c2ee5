package issuer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

// An allowance is what somebody may fetch.
type allowance struct {
	Record         string // id of the registry record
	Configurations []string
	Supersede      bool   `json:",omitempty"` // the phone was lost
	Actor          string // who allowed it: an operator, or loginActor
	// Scopes are those of them that were asked for by scope, which token responses name (RFC
	// 6749 section 5.1).
	Scopes []string `json:",omitempty"`
}

// loginActor stands in the audit log for holders who signed in by themselves.
const loginActor = "holder"

// A grant is an allowance that a wallet has redeemed. Tokens end with it.
type grant struct {
	Allowed allowance
	// Client is the wallet, "" if it did not say; Key is the thumbprint of its DPoP key, ""
	// for tokens that anybody could use; Instance is that of an attested instance.
	Client, Key, Instance string
	// Details are those of the token response, if it has any.
	Details []oid4vci.AuthorizationDetail `json:",omitempty"`
	// Brought are the credentials that it brought, by configuration. Once one has ended,
	// by a revocation or because a new phone took its place, the grant brings no more.
	Brought map[string]string `json:",omitempty"`
	// Renewable is until when its refresh tokens work; zero, of a version before, is as long as
	// it is stored.
	Renewable time.Time `json:",omitzero"`
}

// granted is what tokens of the grant allow, in the words of oid4vci.
func (g *grant) granted() oid4vci.Granted {
	return oid4vci.Granted{Details: g.Details, Configurations: g.Allowed.Configurations}
}

// A storedToken is what belongs to a code or a token: its grant and, for an access
// token, what it has brought.
type storedToken struct {
	Grant     string              // the secret of the grant
	Delivered map[string]delivery `json:",omitempty"` // by configuration
	// Granted is the grant of an access token as it stood when the token was stored.
	Granted *grantCopy `json:",omitempty"`
}

// A grantCopy is a grant beside what is stored of it, so that it need not be read: whether
// it is still that is asked in the step that uses a request up.
type grantCopy struct {
	Content grant
	Sum     []byte // SHA-256 of what is stored
}

// A delivery is one set of keys that an access token has brought credentials for. The
// same set may be asked for again if the answer was lost.
type delivery struct {
	Keys    []byte // digest over the thumbprints
	Attempt int
}

// copyOf is a grant that is stored as v.
func copyOf(g grant, v once.Value) *grantCopy {
	sum := sha256.Sum256(v.Data)
	return &grantCopy{g, sum[:]}
}

// identified is what grants a configuration by an identifier.
func identified(id string) oid4vci.AuthorizationDetail {
	return oid4vci.AuthorizationDetail{Configuration: id, Identifiers: []string{id + ".1"}}
}

// narrow returns the part of an allowance that is asked for, with the authorization
// details to answer with, if any were in the request: then also for what was asked for by
// scope, since wallets ask by identifier only once there are details (section 8.2).
func (a *allowance) narrow(scopes []string, details []oid4vci.AuthorizationDetail, issuer string) (allowance, []oid4vci.AuthorizationDetail, error) {
	if len(scopes) == 0 && len(details) == 0 {
		return *a, nil, nil
	}
	n := *a
	n.Configurations, n.Scopes = nil, nil
	add := func(id string) bool {
		if !slices.Contains(a.Configurations, id) {
			return false
		}
		if !slices.Contains(n.Configurations, id) {
			n.Configurations = append(n.Configurations, id)
		}
		return true
	}
	var answer []oid4vci.AuthorizationDetail
	for _, d := range details {
		if len(d.Locations) > 0 && !slices.Contains(d.Locations, issuer) || !add(d.Configuration) {
			return n, nil, oid4vci.NewError(oid4vci.InvalidAuthorizationDetails, oid4vci.ErrConflict, "a credential that is not allowed")
		}
		answer = append(answer, identified(d.Configuration))
	}
	for _, s := range scopes {
		if !add(s) {
			continue // section 5.1.2: unknown scopes are passed over
		}
		n.Scopes = append(n.Scopes, s)
		if len(details) > 0 && !slices.ContainsFunc(answer, ofConfiguration(s)) {
			answer = append(answer, identified(s))
		}
	}
	if len(n.Configurations) == 0 {
		return n, nil, oid4vci.NewError(oid4vci.InvalidScope, oid4vci.ErrConflict, "no credential that is allowed")
	}
	return n, answer, nil
}

// ofConfiguration tells details of a configuration.
func ofConfiguration(id string) func(oid4vci.AuthorizationDetail) bool {
	return func(d oid4vci.AuthorizationDetail) bool { return d.Configuration == id }
}

// atToken is narrow for a token request, with the details of the authorization request if
// there was one. Scopes that are no credential's are passed over, so that with nothing else
// all is granted that was allowed; and details that were used in either request are answered
// (section 6.2).
func (e *Endpoints) atToken(ctx context.Context, a *allowance, t *oid4vci.TokenRequest, before []oid4vci.AuthorizationDetail) (allowance, []oid4vci.AuthorizationDetail, error) {
	scopes := t.Scopes
	if len(scopes) > 0 {
		c, err := e.catalogue(ctx)
		if err != nil {
			return allowance{}, nil, err
		}
		known := c.ids()
		scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(known, s) })
	}
	n, details, err := a.narrow(scopes, t.Details, e.cfg.Issuer)
	if len(t.Scopes) > 0 && len(n.Scopes) == 0 {
		n.Scopes = n.Configurations
	}
	if err != nil || details != nil {
		return n, details, err
	}
	for _, d := range before {
		if slices.Contains(n.Configurations, d.Configuration) {
			details = append(details, d)
		}
	}
	return n, details, nil
}

// A requester is who sends a request to the authorization server.
type requester struct {
	id          string // the client, "" if anonymous
	dpop        *oid4vci.DPoP
	attestation *oid4vci.ClientAttestation
}

// key is the thumbprint that tokens are bound to, "" without DPoP.
func (q *requester) key() string {
	if q.dpop == nil {
		return ""
	}
	return q.dpop.Thumbprint
}

// instance is the thumbprint of the attested instance, "" without attestation.
func (q *requester) instance() string {
	if q.attestation == nil {
		return ""
	}
	return q.attestation.Key.JWKThumbprint()
}

// requester finds out who asks: by the DPoP proof and by the client attestation. ClientID
// is that of the form.
func (e *Endpoints) requester(r *http.Request, path, clientID string) (*requester, error) {
	q := &requester{id: clientID}
	if proofs := r.Header.Values(oid4vci.DPoPHeader); len(proofs) > 0 {
		var err error
		q.dpop, err = e.proof(r, oid4vci.DPoPExpect{URL: e.url(path), At: oid4vci.AuthorizationServer})
		if err != nil {
			return nil, err
		}
	}
	a := e.cfg.Attestation
	attestations := r.Header.Values(oid4vci.ClientAttestationHeader)
	if a.Attesters == nil || len(attestations) == 0 && !a.Required {
		return q, nil
	}
	var err error
	q.attestation, err = oid4vci.CheckClientAttestation(attestations, r.Header.Values(oid4vci.ClientAttestationPoPHeader), q.dpop, oid4vci.AttestationExpect{
		Audience: e.cfg.Issuer, ClientID: clientID, Now: e.now(), MaxAge: proofAge, Algorithms: algorithms, Attesters: a.Attesters, NeedChallenge: a.NeedChallenge,
	})
	if err != nil {
		return nil, err
	}
	if err := e.stands(r.Context(), a.Status, q.attestation.Status, oid4vci.InvalidClient); err != nil {
		return nil, err
	}
	q.id = q.attestation.ClientID
	if q.attestation.Replay == [sha256.Size]byte{} {
		return q, nil // the DPoP proof was both
	}
	if c := q.attestation.Challenge; c != "" {
		switch _, ok, err := e.checkNonce(r.Context(), attestationChallenge, c); {
		case err != nil:
			return nil, err
		case !ok:
			return nil, oid4vci.NeedChallenge()
		}
	}
	proof, err := e.first(r.Context(), q.attestation.Replay, q.attestation.Until,
		oid4vci.NewError(oid4vci.InvalidClient, oid4vci.ErrRepeated, "the proof of possession was used before"))
	if err != nil {
		return nil, err
	}
	return q, e.useUp(r.Context(), proof)
}

// stands asks whether an attestation still holds, if it says where that stands. While nobody
// can tell it is not taken (promise P13).
func (e *Endpoints) stands(ctx context.Context, ask AttestationStatus, at *credential.StatusRef, code oid4vci.Code) error {
	switch {
	case at == nil:
		return nil
	case ask == nil:
		return oid4vci.NewError(code, oid4vci.ErrUnsupported, "attestations with a status are not taken here")
	}
	err := ask(ctx, *at)
	if _, ok := errors.AsType[*credential.RejectedError](err); ok {
		return oid4vci.NewError(code, oid4vci.ErrAttestation, "the attestation does not hold any more")
	}
	return unavailable("status list of attestations", err)
}

// proof checks the DPoP proof of a request, and that it is new.
func (e *Endpoints) proof(r *http.Request, want oid4vci.DPoPExpect) (*oid4vci.DPoP, error) {
	d, proof, err := e.checkProof(r, want)
	if err != nil {
		return nil, err
	}
	return d, e.useUp(r.Context(), proof)
}

// checkProof checks the DPoP proof of a request, which is yet to be used up.
func (e *Endpoints) checkProof(r *http.Request, want oid4vci.DPoPExpect) (*oid4vci.DPoP, use, error) {
	want.Method, want.Now, want.MaxAge, want.Algorithms, want.NeedNonce = r.Method, e.now(), proofAge, algorithms, true
	d, err := oid4vci.CheckDPoP(r.Header.Values(oid4vci.DPoPHeader), want)
	if err != nil {
		return nil, use{}, err
	}
	switch _, ok, err := e.checkNonce(r.Context(), dpopNonce, d.Nonce); {
	case err != nil:
		return nil, use{}, err
	case !ok:
		return nil, use{}, oid4vci.NeedDPoPNonce()
	}
	proof, err := e.first(r.Context(), d.Replay, d.Until, oid4vci.NewError(oid4vci.InvalidDPoPProof, oid4vci.ErrRepeated, "the proof was used before"))
	return d, proof, err
}

// first is the use of a proof, which is refused if it was brought before.
func (e *Endpoints) first(ctx context.Context, replay [sha256.Size]byte, until time.Time, refusal error) (use, error) {
	v, err := e.used(ctx, once.ProofID, until.Add(oid4vci.Leeway), string(replay[:]))
	return use{values: []once.Value{v}, refusal: refusal}, err
}

// giveNonce puts a fresh DPoP nonce into the answer (RFC 9449 section 8.2).
func (e *Endpoints) giveNonce(ctx context.Context, w http.ResponseWriter) error {
	n, err := e.newNonce(ctx, dpopNonce)
	if err != nil {
		return err
	}
	w.Header().Set(oid4vci.DPoPNonceHeader, n)
	return nil
}

// giveChallenge puts a fresh challenge for client attestations into the answer (client
// attestation draft-10 section 6.2), if somebody may attest.
func (e *Endpoints) giveChallenge(ctx context.Context, w http.ResponseWriter) error {
	if e.cfg.Attestation.Attesters == nil {
		return nil
	}
	n, err := e.newNonce(ctx, attestationChallenge)
	if err != nil {
		return err
	}
	w.Header().Set(oid4vci.ClientAttestationChallengeHeader, n)
	return nil
}

// challenge answers with a challenge for client attestations (section 6.1 there), and since
// draft-11 with a nonce for DPoP, too. Anybody may ask: nothing is stored.
func (e *Endpoints) challenge(w http.ResponseWriter, r *http.Request) error {
	if err := e.giveNonce(r.Context(), w); err != nil {
		return err
	}
	n, err := e.newNonce(r.Context(), attestationChallenge)
	if err != nil {
		return err
	}
	b, err := oid4vci.ChallengeResponse(n)
	if err != nil {
		return err
	}
	web.Write(w, http.StatusOK, oid4vci.JSONType, b)
	return nil
}

// digestTxCode is what is kept of a transaction code. It is sealed with the code of the
// offer, and as short as it is it is no secret from whoever has that.
func digestTxCode(code, tx oid4vci.Secret) []byte {
	k := once.KeyOf(once.PreAuthorizedCode, "tx_code", string(code), string(tx))
	return k.Digest[:]
}

// maxGuesses is how many transaction codes, or claim codes in a login, are looked at.
const maxGuesses = 5

// token answers a token request (RFC 6749 section 3.2, OpenID4VCI section 6).
func (e *Endpoints) token(w http.ResponseWriter, r *http.Request) error {
	if err := errors.Join(e.giveNonce(r.Context(), w), e.giveChallenge(r.Context(), w)); err != nil {
		return err
	}
	values, err := web.Form(r)
	if err != nil {
		return err
	}
	t, err := oid4vci.ParseTokenRequest(values)
	if err != nil {
		return err
	}
	if err := e.mayAct(r); err != nil {
		return err
	}
	q, err := e.requester(r, pathToken, t.ClientID)
	if err != nil {
		return err
	}
	if q.dpop == nil && !(e.cfg.Bearer && t.Grant == oid4vci.PreAuthorizedCode) {
		return oid4vci.NewError(oid4vci.InvalidDPoPProof, oid4vci.ErrMissing, "no DPoP proof")
	}
	var response *oid4vci.TokenResponse
	switch t.Grant {
	case oid4vci.PreAuthorizedCode:
		response, err = e.redeemPreAuthorized(r.Context(), t, q)
	case oid4vci.AuthorizationCode:
		response, err = e.redeemCode(r.Context(), t, q)
	default:
		response, err = e.refresh(r.Context(), t, q)
	}
	if err != nil {
		return err
	}
	b, err := response.JSON()
	if err != nil {
		return err
	}
	e.cfg.Count("token")
	w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1, beside the no-store of every answer
	web.Write(w, http.StatusOK, oid4vci.JSONType, b)
	return nil
}

// wrongGrant is the one answer to a code or token that does not work.
func wrongGrant(err error) error {
	if errors.Is(err, once.ErrNone) || errors.Is(err, once.ErrGuesses) {
		return oid4vci.WrongGrant()
	}
	return err
}

func (e *Endpoints) redeemPreAuthorized(ctx context.Context, t *oid4vci.TokenRequest, q *requester) (*oid4vci.TokenResponse, error) {
	var code storedCode
	v, err := e.load(ctx, once.PreAuthorizedCode, string(t.PreAuthorizedCode), &code)
	if err != nil {
		return nil, wrongGrant(err)
	}
	if err := t.CheckTxCode(code.TxCode != nil); err != nil {
		return nil, err
	}
	if code.TxCode != nil {
		// P11: the attempt counts before anybody looks at it.
		if _, err := e.cfg.Once.Guess(ctx, e.now(), v.Kind, v.Digest, maxGuesses); err != nil {
			return nil, wrongGrant(fromOnce(err))
		}
		if subtle.ConstantTimeCompare(code.TxCode, digestTxCode(t.PreAuthorizedCode, code.Rule.Clean(t.TxCode))) != 1 {
			e.cfg.Count("wrong_tx_code")
			return nil, oid4vci.WrongGrant()
		}
	}
	allowed, details, err := e.atToken(ctx, &code.Allowed, t, nil)
	if err != nil {
		return nil, err
	}
	response, err := e.begin(ctx, v.Key(), grant{Allowed: allowed, Client: q.id, Key: q.key(), Instance: q.instance(), Details: details}, "")
	return response, wrongGrant(err)
}

// begin exchanges a code for tokens of a new grant. GrantID is "" unless the code knew
// it already.
func (e *Endpoints) begin(ctx context.Context, code once.Key, g grant, grantID oid4vci.Secret) (*oid4vci.TokenResponse, error) {
	var err error
	if grantID == "" {
		if grantID, err = e.secret(); err != nil {
			return nil, err
		}
	}
	g.Renewable = e.now().Add(max(0, e.cfg.Lifetimes.Refresh))
	until := e.now().Add(max(e.cfg.Lifetimes.Refresh, e.cfg.Lifetimes.Access, e.cfg.Lifetimes.Deferred))
	granted, err := e.value(ctx, once.Grant, string(grantID), until, g)
	if err != nil {
		return nil, err
	}
	return e.tokens(ctx, code, g, grantID, granted, granted)
}

// tokens exchanges a code or a refresh token for tokens of a grant, which is stored as
// granted.
func (e *Endpoints) tokens(ctx context.Context, taken once.Key, g grant, grantID oid4vci.Secret, granted once.Value, more ...once.Value) (*oid4vci.TokenResponse, error) {
	access, err := e.secret()
	if err != nil {
		return nil, err
	}
	response := &oid4vci.TokenResponse{AccessToken: access, Type: oid4vci.DPoPToken, Lifetime: e.cfg.Lifetimes.Access, Scopes: g.Allowed.Scopes, Details: g.Details}
	if g.Key == "" {
		response.Type, response.Lifetime = oid4vci.BearerToken, min(e.cfg.Lifetimes.Access, maxBearer)
	}
	stored := storedToken{Grant: string(grantID)}
	v, err := e.value(ctx, once.AccessToken, string(access), e.now().Add(response.Lifetime), storedToken{Grant: stored.Grant, Granted: copyOf(g, granted)})
	if err != nil {
		return nil, err
	}
	more = append(more, v)
	if e.cfg.Lifetimes.Refresh > 0 && g.Key != "" {
		if response.RefreshToken, err = e.secret(); err != nil {
			return nil, err
		}
		end := granted.Expires
		if !g.Renewable.IsZero() {
			end = g.Renewable
		}
		if v, err = e.value(ctx, once.RefreshToken, string(response.RefreshToken), end, stored); err != nil {
			return nil, err
		}
		more = append(more, v)
	}
	if _, err := e.cfg.Once.Exchange(ctx, e.now(), []once.Key{taken}, more); err != nil {
		return nil, fromOnce(err)
	}
	return response, nil
}

// refresh gives new tokens for a refresh token, which is used up. One that was used
// before is in two hands: the whole grant ends (RFC 9700 section 4.14.2; corpus OA-09).
func (e *Endpoints) refresh(ctx context.Context, t *oid4vci.TokenRequest, q *requester) (*oid4vci.TokenResponse, error) {
	var stored storedToken
	v, err := e.load(ctx, once.RefreshToken, string(t.RefreshToken), &stored)
	if err != nil {
		return nil, e.replayed(ctx, err, string(t.RefreshToken))
	}
	g, granted, err := e.grant(ctx, stored.Grant)
	if err != nil {
		return nil, wrongGrant(err)
	}
	if q.key() != g.Key || q.instance() != g.Instance || q.id != g.Client && q.id != "" {
		return nil, oid4vci.WrongGrant()
	}
	response, err := e.tokens(ctx, v.Key(), *g, oid4vci.Secret(stored.Grant), granted)
	if err != nil {
		return nil, e.replayed(ctx, err, string(t.RefreshToken))
	}
	if len(t.Scopes) > 0 { // the grant stays what it is, whatever is asked for
		response.Scopes = g.Allowed.Configurations
	}
	return response, nil
}

// grant returns a grant by its secret.
func (e *Endpoints) grant(ctx context.Context, secret string) (*grant, once.Value, error) {
	g := &grant{}
	v, err := e.load(ctx, once.Grant, secret, g)
	return g, v, err
}

// replayed is the answer to a code or a token that does not work. If it came a second
// time its grant ends.
func (e *Endpoints) replayed(ctx context.Context, err error, secret string) error {
	used, ok := errors.AsType[*once.UsedError](err)
	if !ok {
		return wrongGrant(err)
	}
	var stored storedToken
	if err := open(used.Value, secret, &stored); err != nil {
		return err
	}
	e.cfg.Count("grant_ended_by_replay")
	k, err := e.key(ctx, once.Grant, stored.Grant)
	if err != nil {
		return err
	}
	if _, err := e.cfg.Once.Exchange(ctx, e.now(), []once.Key{k}, nil); err != nil && !errors.Is(err, once.ErrNone) {
		return fromOnce(err)
	}
	return oid4vci.WrongGrant()
}
