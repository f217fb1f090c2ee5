package wallet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/oid4vci"
)

// Fetch fetches what was granted and keeps what is as it should be. What is not ready
// yet is kept as Pending, and comes with [Agent.Poll]. Credentials that came before an
// error are returned with it.
func (a *Agent) Fetch(ctx context.Context, g *Grant) ([]Held, []Pending, error) {
	var got []Held
	var later []Pending
	for _, o := range g.p.Credentials {
		c, _ := g.p.meta.Configuration(o.Configuration)
		w, err := a.newPending(g, o)
		if err != nil {
			return got, later, err
		}
		// The keys are kept before anybody makes a credential for them.
		if err := a.cfg.Wallet.PutPending(*w); err != nil {
			return got, later, err
		}
		err = a.ask(ctx, g.p.meta, c, g.session, w)
		var h *Held
		if err == nil {
			h, err = a.settle(ctx, g.p.meta, g.session, w)
		}
		switch {
		case errors.Is(err, errNotReady):
			later = append(later, *w)
		case err != nil:
			if _, ok := errors.AsType[*RefusedError](err); ok {
				err = errors.Join(err, a.cfg.Wallet.DeletePending(w.ID))
			}
			return got, later, err
		default:
			got = append(got, *h)
		}
	}
	return got, later, nil
}

// newPending makes the keys for one credential.
func (a *Agent) newPending(g *Grant, o Offered) (*Pending, error) {
	id, err := newID(a.now())
	if err != nil {
		return nil, err
	}
	issuer := g.p.Issuer.Names
	if len(issuer) == 0 {
		issuer = g.p.Issuer.Said
	}
	w := &Pending{
		Held: Held{
			ID: id, Issuer: g.p.meta.Issuer, Configuration: o.Configuration, Format: o.Format, Type: o.Type,
			Names: o.Names, IssuerNames: issuer, Labels: map[string]map[string]string{}, Accepted: a.now(),
		},
		Token: string(g.token.AccessToken), Session: g.session.key, ClientID: g.client, Anchor: g.p.Issuer.Anchor,
	}
	for _, c := range o.Claims {
		w.Held.Labels[c.Path] = c.Labels
	}
	for _, d := range g.token.Details {
		if d.Configuration == o.Configuration && len(d.Identifiers) > 0 {
			w.Identifier = d.Identifiers[0]
		}
	}
	if w.Identifier == "" && len(g.token.Details) > 0 {
		return nil, refuse(NotUsable, "the issuer did not grant %s", o.Configuration)
	}
	for range max(1, min(a.cfg.Copies, g.p.meta.BatchSize)) {
		handle, _, err := a.cfg.Keys.New()
		if err != nil {
			return nil, err
		}
		w.Held.Copies = append(w.Held.Copies, Copy{Key: handle})
	}
	return w, nil
}

// ask sends the credential request. A nonce that is too old by now is replaced once;
// an issuer that hands out fewer copies of this credential than it does of others is
// asked for one.
func (a *Agent) ask(ctx context.Context, m *oid4vci.IssuerMetadata, c oid4vci.Configuration, s *session, w *Pending) error {
	fresh, one := false, len(w.Held.Copies) == 1
	for {
		err := a.request(ctx, m, s, w)
		e, ok := errors.AsType[*oid4vci.Error](err)
		switch {
		case !ok:
			return err
		case e.Code == oid4vci.InvalidNonce && !fresh:
			fresh = true
		case e.Code == oid4vci.InvalidProof && !one:
			one, w.Held.Copies = true, w.Held.Copies[:1]
		default:
			return err
		}
	}
}

// request sends the credential request once; w gets what came.
func (a *Agent) request(ctx context.Context, m *oid4vci.IssuerMetadata, s *session, w *Pending) error {
	nonce := ""
	if m.NonceEndpoint != "" {
		answer, err := a.send(ctx, Request{Address: m.NonceEndpoint, Type: oid4vci.FormType, Accept: oid4vci.JSONType, MaxBytes: 16 << 10})
		if err != nil {
			return err
		}
		if nonce, err = oid4vci.ReadNonceResponse(answer.Status, answer.Body); err != nil {
			return asMessage(err)
		}
	}
	r := oid4vci.CredentialRequest{Proofs: oid4vci.Proofs{Type: oid4vci.JWTProof}, Identifier: w.Identifier}
	if r.Identifier == "" {
		r.Configuration = w.Held.Configuration
	}
	for i := range w.Held.Copies {
		key, err := a.cfg.Keys.Signer(w.Held.Copies[i].Key)
		if err != nil {
			return err
		}
		proof, err := oid4vci.MakeProof(a.cfg.Rand, key, oid4vci.ProofClaims{Issuer: m.Issuer, Nonce: nonce, Now: a.now(), ClientID: w.ClientID})
		if err != nil {
			return err
		}
		r.Proofs.Tokens = append(r.Proofs.Tokens, proof)
	}
	want := oid4vci.ResponseExpect{Keys: len(w.Held.Copies)}
	var err error
	if r.Response, err = responseKey(m, &want); err != nil {
		return err
	}
	contentType, body, err := r.Encode(m.RequestEncryption)
	if err != nil {
		return asMessage(err)
	}
	return a.take(ctx, s, m.CredentialEndpoint, contentType, body, want, w)
}

// take sends a request for credentials and notes what came.
func (a *Agent) take(ctx context.Context, s *session, endpoint, contentType string, body []byte, want oid4vci.ResponseExpect, w *Pending) error {
	answer, err := a.post(ctx, s, endpoint, contentType, body, oid4vci.Secret(w.Token))
	if err != nil {
		return err
	}
	response, err := want.CredentialResponse(answer.Status, answer.Type, answer.Body)
	if err != nil {
		return asMessage(err)
	}
	w.came, w.NotificationID, w.TransactionID = response.Credentials, response.NotificationID, string(response.TransactionID)
	w.NotBefore = a.now().Add(response.Interval)
	return nil
}

// responseKey is how the answer is to be encrypted: whenever the issuer can.
func responseKey(m *oid4vci.IssuerMetadata, want *oid4vci.ResponseExpect) (*oid4vci.ResponseKey, error) {
	if m.ResponseEncryption == nil || m.RequestEncryption == nil {
		return nil, nil
	}
	offered := m.ResponseEncryption.Encryptions
	if len(offered) == 0 {
		return nil, nil
	}
	enc := offered[0]
	if slices.Contains(offered, jose.A256GCM) {
		enc = jose.A256GCM
	}
	key, err := jose.NewDecryptionKey("answer")
	if err != nil {
		return nil, err
	}
	want.Key, want.Encryption = key, enc
	return &oid4vci.ResponseKey{Key: key.Public(), Encryption: enc}, nil
}

// errNotReady: the issuer makes the credential later.
var errNotReady = errors.New("wallet: not ready yet")

// settle checks what came, keeps it, and tells the issuer. What is not ready stays
// pending.
func (a *Agent) settle(ctx context.Context, m *oid4vci.IssuerMetadata, s *session, w *Pending) (*Held, error) {
	if len(w.came) == 0 {
		if m.DeferredEndpoint == "" {
			return nil, refuse(BadMessage, "put off by an issuer that cannot be asked again")
		}
		return nil, errors.Join(errNotReady, a.cfg.Wallet.PutPending(*w))
	}
	h, err := a.check(ctx, w.Held, w.came)
	if err != nil {
		// The wallet refuses; the issuer learns no more than that.
		a.notify(ctx, m, s, w, oid4vci.CredentialFailure)
		return nil, err
	}
	if err := a.cfg.Wallet.Put(*h); err != nil {
		return nil, err
	}
	if err := a.cfg.Wallet.DeletePending(w.ID); err != nil {
		return nil, err
	}
	if err := a.cfg.Wallet.Note(Entry{At: a.cfg.Now().UTC(), Deed: Accepted, Credential: h.ID, Type: h.Type, Party: h.Issuer, Anchor: w.Anchor}); err != nil {
		return nil, err
	}
	a.notify(ctx, m, s, w, oid4vci.CredentialAccepted)
	return h, nil
}

// notify tells the issuer what became of its credential. That is a courtesy: whether it
// works changes nothing here.
func (a *Agent) notify(ctx context.Context, m *oid4vci.IssuerMetadata, s *session, w *Pending, event oid4vci.Event) {
	if m.NotificationEndpoint == "" || w.NotificationID == "" {
		return
	}
	body, err := oid4vci.Notification{ID: w.NotificationID, Event: event}.JSON()
	if err != nil {
		return
	}
	_, _ = a.post(ctx, s, m.NotificationEndpoint, oid4vci.JSONType, body, oid4vci.Secret(w.Token))
}

// Poll asks again for what was not ready, if its time has come. Ready is nil as long as
// it is not.
func (a *Agent) Poll(ctx context.Context, w Pending) (ready *Held, err error) {
	if w.TransactionID == "" {
		return nil, errors.Join(refuse(BadMessage, "the request was broken off before the issuer answered"), a.cfg.Wallet.DeletePending(w.ID))
	}
	if a.now().Before(w.NotBefore) {
		return nil, nil
	}
	m, _, err := a.issuer(ctx, w.Held.Issuer)
	if err != nil {
		return nil, err
	}
	if m.DeferredEndpoint == "" {
		return nil, refuse(BadMessage, "the issuer cannot be asked again")
	}
	s, err := a.restoreSession(w.Session)
	if err != nil {
		return nil, err
	}
	want := oid4vci.ResponseExpect{Keys: len(w.Held.Copies), TransactionID: oid4vci.Secret(w.TransactionID)}
	r := oid4vci.DeferredRequest{TransactionID: want.TransactionID}
	if r.Response, err = responseKey(m, &want); err != nil {
		return nil, err
	}
	contentType, body, err := r.Encode(m.RequestEncryption)
	if err != nil {
		return nil, asMessage(err)
	}
	before := w.NotificationID
	if err = a.take(ctx, s, m.DeferredEndpoint, contentType, body, want, &w); err == nil {
		if w.NotificationID == "" {
			w.NotificationID = before
		}
		ready, err = a.settle(ctx, m, s, &w)
	}
	if errors.Is(err, errNotReady) {
		return nil, nil
	}
	if _, ok := errors.AsType[*RefusedError](err); ok {
		err = errors.Join(err, a.cfg.Wallet.DeletePending(w.ID))
	}
	return ready, err
}

// Pending is a credential that was asked for and has not come: with its keys, so that
// none is made for a key that was lost.
type Pending struct {
	Held
	// Identifier is what the issuer calls the credential, "" if it does not.
	Identifier string `json:"identifier,omitempty"`
	// Token is the access token, and Session the key that it is bound to.
	Token   string `json:"token"`
	Session []byte `json:"session"`
	// ClientID is that of the token request, Anchor who vouches for the issuer.
	ClientID string `json:"client_id,omitempty"`
	Anchor   string `json:"anchor,omitempty"`
	// TransactionID is how to ask again, "" while the first request is under way, and
	// NotBefore from when on.
	TransactionID  string    `json:"transaction_id,omitempty"`
	NotBefore      time.Time `json:"not_before,omitzero"`
	NotificationID string    `json:"notification_id,omitempty"`

	came []string // what the issuer sent
}

// String names the credential and shows no secret.
func (w Pending) String() string { return "pending credential " + w.ID }

// GoString is String.
func (w Pending) GoString() string { return w.String() }
