package wallet

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/oid4vci"
)

// Fetch fetches what was granted and keeps what is as it should be. What is not ready
// yet is kept as Pending, and comes with [Agent.Poll]; so is what the issuer has not
// answered, with an error that is no [*RefusedError]. What goes wrong with one credential
// keeps no other from coming: those that came are returned with the error.
func (a *Agent) Fetch(ctx context.Context, g *Grant) ([]Held, []Pending, error) {
	var got []Held
	var later, all []Pending
	var failed []error
	for _, o := range g.p.Credentials {
		w, err := a.newPending(g, o)
		if err == nil {
			// The keys are kept before anybody makes a credential for them, and the token
			// before anything can go wrong: the code that it was given for works once.
			err = a.cfg.Wallet.PutPending(*w)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, *w)
	}
	for i := range all {
		w := &all[i]
		err := a.ask(ctx, g.p.meta, g.session, w)
		var h *Held
		if err == nil {
			h, err = a.settle(ctx, g.p.meta, g.session, w)
		}
		_, refused := errors.AsType[*RefusedError](err)
		switch {
		case err == nil:
			got = append(got, *h)
		case errors.Is(err, errNotReady):
			later = append(later, *w)
		case refused:
			failed = append(failed, err, a.cfg.Wallet.DeletePending(w.ID))
		default:
			later, failed = append(later, *w), append(failed, err)
		}
	}
	return got, later, errors.Join(failed...)
}

// newPending makes the keys for one credential.
func (a *Agent) newPending(g *Grant, o Offered) (*Pending, error) {
	id, err := newID(a.now())
	if err != nil {
		return nil, err
	}
	issuer := g.p.Issuer.Names
	if len(issuer) == 0 && g.p.Issuer.Vouched != ByNobody { // else anybody could be kept as any office
		issuer = g.p.Issuer.Said
	}
	w := &Pending{
		Held: Held{
			ID: id, Issuer: g.p.meta.Issuer, Configuration: o.Configuration, Format: o.Format, Type: o.Type,
			Names: o.Names, IssuerNames: issuer, Labels: map[string]map[string]string{}, Accepted: a.now(),
		},
		Session: g.session.key, Server: g.p.server.Issuer, ClientID: g.client, Anchor: g.p.Issuer.Anchor,
	}
	w.take(g.token, a.now())
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
func (a *Agent) ask(ctx context.Context, m *oid4vci.IssuerMetadata, s *session, w *Pending) error {
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
	if answer.Status == 401 && strings.Contains(answer.header("WWW-Authenticate"), string(oid4vci.InvalidToken)) {
		// RFC 6750 section 3: whether there is a body is the server's affair.
		return because(PeerRefused, oid4vci.NewError(oid4vci.InvalidToken, oid4vci.ErrPeer, ""))
	}
	response, err := want.CredentialResponse(answer.Status, answer.Type, answer.Body)
	if err != nil {
		return asMessage(err)
	}
	w.Came, w.NotificationID, w.TransactionID = response.Credentials, response.NotificationID, string(response.TransactionID)
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
// pending, and so does what cannot be checked now.
func (a *Agent) settle(ctx context.Context, m *oid4vci.IssuerMetadata, s *session, w *Pending) (*Held, error) {
	if len(w.Came) == 0 && m.DeferredEndpoint == "" {
		return nil, refuse(BadMessage, "put off by an issuer that cannot be asked again")
	}
	// The issuer need not hand it out a second time.
	if err := a.cfg.Wallet.PutPending(*w); err != nil {
		return nil, err
	}
	if len(w.Came) == 0 {
		return nil, errNotReady
	}
	h, err := a.check(ctx, w.Held, w.Came)
	if _, refused := errors.AsType[*RefusedError](err); refused {
		// The wallet refuses; the issuer learns no more than that.
		a.notify(ctx, m, s, w, oid4vci.CredentialFailure)
		return nil, errors.Join(err, a.cfg.Wallet.DeletePending(w.ID))
	}
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Wallet.Put(*h); err != nil {
		return nil, err
	}
	if err := a.cfg.Wallet.DeletePending(w.ID); err != nil {
		return nil, err
	}
	e := Entry{At: a.cfg.Now().UTC(), Deed: Accepted, Credential: h.ID, Type: h.Type, Party: h.Issuer, Name: a.cfg.Language.Pick(h.IssuerNames), Anchor: w.Anchor}
	if err := a.cfg.Wallet.Note(e); err != nil {
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
