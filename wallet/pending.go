package wallet

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/sanad-id/sanad/oid4vci"
)

// Pending is a credential that was asked for and has not come: with its keys, so that
// none is made for a key that was lost.
type Pending struct {
	Held
	// Identifier is what the issuer calls the credential, "" if it does not.
	Identifier string `json:"identifier,omitempty"`
	// Token is the access token, and Session the key that it is bound to. What one grant
	// brings has one Session.
	Token   string `json:"token"`
	Session []byte `json:"session"`
	// Refresh is the refresh token, "" if there is none; it works once. Server is the
	// authorization server that takes it, "" for the issuer's first.
	Refresh string `json:"refresh,omitempty"`
	Server  string `json:"server,omitempty"`
	// Granted is when the tokens were got.
	Granted time.Time `json:"granted,omitzero"`
	// ClientID is that of the token request, Anchor who vouches for the issuer.
	ClientID string `json:"client_id,omitempty"`
	Anchor   string `json:"anchor,omitempty"`
	// TransactionID is how to ask again, "" if the issuer has not answered the first
	// request, and NotBefore from when on.
	TransactionID string    `json:"transaction_id,omitempty"`
	NotBefore     time.Time `json:"not_before,omitzero"`
	// Asked says that the answer to a question with TransactionID may have been lost, and
	// the transaction with it.
	Asked bool `json:"asked,omitempty"`
	// Came are the credentials that came and have yet to be checked.
	Came           []string `json:"came,omitempty"`
	NotificationID string   `json:"notification_id,omitempty"`
}

// String names the credential and shows no secret.
func (w Pending) String() string { return "pending credential " + w.ID }

// GoString is String.
func (w Pending) GoString() string { return w.String() }

// take takes the tokens of an answer. A refresh token stays if there is no newer one (RFC
// 6749 section 6).
func (w *Pending) take(t *oid4vci.TokenResponse, at time.Time) {
	w.Token, w.Granted = string(t.AccessToken), at
	if t.RefreshToken != "" {
		w.Refresh = string(t.RefreshToken)
	}
}

// maxWait is after how long the wallet stops asking for what does not come. It is as long
// as a grant of Sanad's issuer lasts.
const maxWait = 90 * 24 * time.Hour

// Poll asks again for what was not ready or was broken off, if its time has come, with the
// same keys. Ready is nil as long as it is not.
//
// A credential is given up, with its keys, if the issuer denies it or does not know of it
// any more, if what came is refused, or after 90 days. Whatever else goes wrong decides
// nothing: it stays pending.
func (a *Agent) Poll(ctx context.Context, w Pending) (ready *Held, err error) {
	if err := a.latest(&w); err != nil {
		return nil, err
	}
	if a.now().Before(w.NotBefore) {
		return nil, nil
	}
	ready, err = a.poll(ctx, &w)
	code := saidBy(err)
	switch {
	case err == nil:
		return ready, nil
	case code == oid4vci.InvalidTransactionID || code == oid4vci.CredentialRequestDenied:
	case a.now().After(w.Accepted.Add(maxWait)):
		if errors.Is(err, errNotReady) {
			err = refuse(PeerRefused, "it has not come in %d days", maxWait/(24*time.Hour))
		}
	case errors.Is(err, errNotReady):
		return nil, nil
	default:
		return nil, err
	}
	return nil, errors.Join(err, a.cfg.Wallet.DeletePending(w.ID))
}

// poll asks once more, with new tokens if those that there are have ended.
func (a *Agent) poll(ctx context.Context, w *Pending) (*Held, error) {
	m, _, err := a.issuer(ctx, w.Held.Issuer)
	if err != nil {
		return nil, err
	}
	s, err := a.restoreSession(w.Session)
	if err != nil {
		return nil, err
	}
	if len(w.Came) == 0 {
		err = a.again(ctx, m, s, w)
		if saidBy(err) == oid4vci.InvalidToken && w.Refresh != "" {
			if err = a.refresh(ctx, m, s, w); err == nil {
				err = a.again(ctx, m, s, w)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return a.settle(ctx, m, s, w)
}

// saidBy is what the issuer said was wrong, "" if the error is of another kind.
func saidBy(err error) oid4vci.Code {
	if e, ok := errors.AsType[*oid4vci.Error](err); ok && errors.Is(e, oid4vci.ErrPeer) {
		return e.Code
	}
	return ""
}

// latest is the credential as it is kept now, with the newest tokens of its grant: what
// the same grant brings besides may have got them since it was read.
func (a *Agent) latest(w *Pending) error {
	all, err := a.cfg.Wallet.Pending()
	for _, other := range all {
		if other.ID == w.ID {
			*w, err = other, nil // a damaged file of another credential is no matter here
		}
	}
	for _, other := range all {
		if bytes.Equal(other.Session, w.Session) && other.Granted.After(w.Granted) {
			w.Token, w.Refresh, w.Granted = other.Token, other.Refresh, other.Granted
		}
	}
	return err
}

// again asks for what was put off or broken off; w gets what came.
func (a *Agent) again(ctx context.Context, m *oid4vci.IssuerMetadata, s *session, w *Pending) error {
	if w.TransactionID == "" {
		return a.ask(ctx, m, s, w)
	}
	if m.DeferredEndpoint == "" {
		return refuse(BadMessage, "the issuer cannot be asked again")
	}
	want := oid4vci.ResponseExpect{Keys: len(w.Held.Copies), TransactionID: oid4vci.Secret(w.TransactionID)}
	r := oid4vci.DeferredRequest{TransactionID: want.TransactionID}
	var err error
	if r.Response, err = responseKey(m, &want); err != nil {
		return err
	}
	contentType, body, err := r.Encode(m.RequestEncryption)
	if err != nil {
		return asMessage(err)
	}
	lost, notification := w.Asked, w.NotificationID
	w.Asked = true
	if err := a.cfg.Wallet.PutPending(*w); err != nil {
		return err
	}
	err = a.take(ctx, s, m.DeferredEndpoint, contentType, body, want, w)
	switch {
	case err == nil:
		w.Asked = false
		if w.NotificationID == "" {
			w.NotificationID = notification
		}
		return nil
	case lost && saidBy(err) == oid4vci.InvalidTransactionID:
		// It was used up with the answer that was lost. Who asks anew with the same keys
		// gets the same once more (promise P12).
		w.TransactionID, w.Asked = "", false
		return a.ask(ctx, m, s, w)
	case saidBy(err) != "": // so nothing was handed out
		w.Asked = lost
		return errors.Join(err, a.cfg.Wallet.PutPending(*w))
	}
	return err
}

// refresh gets new tokens for those of a grant that ended, and keeps them with all that the
// grant brings: the old refresh token must not be shown twice (RFC 9700 section 4.14.2).
func (a *Agent) refresh(ctx context.Context, m *oid4vci.IssuerMetadata, s *session, w *Pending) error {
	hint := w.Server
	if hint == m.Issuer && len(m.Servers) == 0 {
		hint = ""
	}
	server, err := a.server(ctx, m, hint)
	if err != nil {
		return err
	}
	t, err := a.tokens(ctx, server, s, oid4vci.TokenRequest{Grant: oid4vci.RefreshToken, ClientID: w.ClientID, RefreshToken: oid4vci.Secret(w.Refresh)})
	if err != nil {
		return err
	}
	w.take(t, a.now())
	if err := a.cfg.Wallet.PutPending(*w); err != nil {
		return err
	}
	all, err := a.cfg.Wallet.Pending()
	for _, other := range all {
		if other.ID != w.ID && bytes.Equal(other.Session, w.Session) {
			other.Token, other.Refresh, other.Granted = w.Token, w.Refresh, w.Granted
			err = errors.Join(err, a.cfg.Wallet.PutPending(other))
		}
	}
	return err
}
