package verifier

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/store/parties"
	"github.com/sanad-id/sanad/verification"
)

// A walletError is an error as OAuth writes it (OpenID4VP 1.0 section 8.5).
type walletError struct{ e *oid4vp.Error }

func (w walletError) Error() string { return w.e.Error() }

// Reply writes the error. The description is ours and holds nothing of what was sent.
func (w walletError) Reply(out http.ResponseWriter) {
	b, err := json.Marshal(struct {
		Error       oid4vp.Code `json:"error"`
		Description string      `json:"error_description,omitempty"`
	}{w.e.Code, w.e.Description})
	if err != nil {
		panic("verifier: internal error: an error has no JSON")
	}
	web.Write(out, w.e.Status(), web.MediaJSON, b)
}

// toWallet turns refusals of messages into answers.
func toWallet(err error) error {
	if e, ok := errors.AsType[*oid4vp.Error](err); ok {
		return walletError{e}
	}
	return err
}

// notAccepted is all that a wallet learns about why (security.md, OUT-10).
var notAccepted = walletError{&oid4vp.Error{Code: oid4vp.InvalidRequest, Description: "the presentation was not accepted"}}

// object hands out the signed request (OpenID4VP 1.0 section 5.10). A wallet may ask
// twice; it gets the same request, with its own nonce.
func (s *Service) object(w http.ResponseWriter, r *http.Request) error {
	secret := r.PathValue("id")
	tx, err := s.find(r.Context(), once.Request, secret)
	if err != nil {
		return err
	}
	var nonce string
	var wallet *oid4vp.WalletMetadata
	if r.Method == http.MethodPost {
		form, err := web.Form(r)
		if err != nil {
			return err
		}
		if wallet, nonce, err = oid4vp.ParseRequestForm(form); err != nil {
			return toWallet(err)
		}
	}
	sec := s.secrets(s.responseSecret(secret))
	p, request, err := s.request(tx, sec)
	if err != nil {
		return err
	}
	sig, err := s.Signature(s.Now())
	if err != nil {
		return err
	}
	if !request.Client.ID.Signed() {
		return errUnknown // the link had all of it
	}
	if now, err := s.client(p, sig, request.ResponseURI); err != nil || now != request.Client.ID {
		return errors.Join(err, errChanged) // the certificate was replaced meanwhile
	}
	if wallet != nil && !wallet.Serves(request.Client.ID, sig.Signer.Key().Public.Algorithm()) {
		return walletError{&oid4vp.Error{Code: oid4vp.InvalidRequest, Description: "requests here are not of a kind that the wallet reads"}}
	}
	request.WalletNonce = nonce
	token, err := request.Sign(s.Rand, signs(sig, request.Client.ID))
	if err != nil {
		return err
	}
	s.recent.add(once.KeyOf(once.Response, sec.response), tx)
	web.Write(w, http.StatusOK, oid4vp.RequestMediaType, []byte(token))
	return nil
}

// respond takes what a wallet sends (section 8.2): the first answer that can be read
// ends the transaction.
func (s *Service) respond(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(r)
	if err != nil {
		return err
	}
	secret := r.PathValue("id")
	tx, remembered := s.recent.take(once.KeyOf(once.Response, secret), s.Now())
	if !remembered {
		if tx, err = s.find(r.Context(), once.Response, secret); err != nil {
			return err
		}
	}
	taken, err := s.respondTo(w, r, secret, tx, form)
	if err == nil || taken || !remembered {
		return err
	}
	// That it was answered elsewhere, or is no more, is said first.
	if _, gone := s.find(r.Context(), once.Response, secret); gone != nil {
		return gone
	}
	return err
}

// respondTo is respond to a transaction. Taken says that the store was asked to take the
// answer, whatever became of it.
func (s *Service) respondTo(w http.ResponseWriter, r *http.Request, secret string, tx *transaction, form url.Values) (taken bool, err error) {
	now := s.Now()
	sec := s.secrets(secret)
	p, request, err := s.request(tx, sec)
	if err != nil {
		return false, err
	}
	expect := oid4vp.ExpectResponse{Mode: request.ResponseMode, State: sec.state}
	if expect.Mode == oid4vp.DirectPostJWT {
		expect.Key, expect.Encryptions = sec.key, request.Metadata.Encryptions
	}
	response, err := oid4vp.ParseResponse(form, expect)
	if err != nil {
		return false, toWallet(err)
	}
	result, err := s.judge(r.Context(), now, p, tx, request, response, nil)
	if err != nil {
		return false, toWallet(err)
	}
	redirect, err := s.settle(r, now, p, tx, sec, result, result.holders)
	if errors.Is(err, errDisclosed) {
		listed, err := s.listed(r.Context(), result.holders)
		if err != nil {
			return true, err
		}
		if result, err = s.judge(r.Context(), now, p, tx, request, response, listed); err != nil {
			return true, toWallet(err)
		}
		if redirect, err = s.settle(r, now, p, tx, sec, result, nil); err != nil {
			return true, err
		}
	} else if err != nil {
		return true, err
	}
	s.remember(r.Context(), result.disclosed)
	s.verdicts.Add(result.word())
	s.ledger.count(tx.Owner, parties.KindRequest, tx.Policy, result.word())
	s.Log.InfoContext(r.Context(), "answer", "request_id", web.RequestID(r.Context()), "policy", tx.Policy, "verdict", result.word(), "reasons", result.Reasons)
	if redirect == "" && result.Verdict == verification.Invalid && result.Refused == "" {
		return true, notAccepted
	}
	web.Write(w, http.StatusOK, oid4vp.ReplyMediaType, oid4vp.Reply{RedirectURI: redirect}.JSON())
	return true, nil
}

// settle stores the result in the step that uses the response address up, so that of
// many answers one counts. It returns where the wallet sends the browser. With [errDisclosed]
// nothing is stored: one of the holders' keys was disclosed.
func (s *Service) settle(r *http.Request, now time.Time, p *Policy, tx *transaction, sec *secrets, result *Result, holders []keys.PublicKey) (string, error) {
	if len(holders) > maxHolders {
		if listed, err := s.listed(r.Context(), holders); err != nil || len(listed) > 0 {
			return "", cmp.Or(err, errDisclosed)
		}
		holders = nil
	}
	o := &outcome{Handle: tx.Handle, Verdict: result.word(), Reasons: result.Reasons, Received: now.Unix()}
	if tx.Receipt {
		var err error
		if result.Receipt, err = s.receipt(now, tx, result); err != nil {
			return "", err
		}
	}
	plain, err := result.fit()
	if err != nil {
		return "", err
	}
	if err := s.close(tx, o, plain); err != nil {
		return "", err
	}
	k := outcomeKey(tx.Handle)
	v, err := value(k, tx.Until, o)
	if err != nil {
		return "", err
	}
	put, redirect := []once.Value{v}, ""
	if tx.ReturnTo != "" {
		code, err := oid4vp.NewSecret(s.Rand)
		if err != nil {
			return "", err
		}
		if redirect, err = oid4vp.WithResponseCode(tx.ReturnTo, code); err != nil {
			return "", err
		}
		c, err := value(once.KeyOf(once.ResponseCode, tx.Handle, code), tx.Until, tx.Handle)
		if err != nil {
			return "", err
		}
		put = append(put, c)
	}
	take := []once.Key{once.KeyOf(once.Response, sec.response), once.KeyOf(once.PresentationNonce, sec.nonce)}
	steps := []once.Step{{}, {Take: take, Put: put}}
	for _, k := range holders {
		steps[0].Absent = append(steps[0].Absent, once.Disclosed(k))
	}
	// Not as of when the answer came: meanwhile the relying party may have been told that
	// the time is over.
	done, err := s.Once.Steps(r.Context(), s.Now(), steps...)
	switch {
	case done == 0 && errors.Is(err, once.ErrExists):
		return "", errDisclosed
	case errors.Is(err, once.ErrUsed):
		return "", errAnswered
	case errors.Is(err, once.ErrExpired):
		return "", errExpired
	case errors.Is(err, once.ErrFull):
		return "", errFull
	case err != nil:
		return "", err
	}
	return redirect, nil
}

// link is what calls a wallet.
func (s *Service) link(tx *transaction, request, scheme string) (string, error) {
	client, err := oid4vp.ParseClientID(tx.Client)
	if err != nil {
		return "", err
	}
	if client.Signed() {
		i := oid4vp.Invocation{ClientID: client, RequestURI: s.URL + "/request/" + url.PathEscape(request), Method: oid4vp.Post}
		return i.URL(scheme), nil
	}
	sec := s.secrets(s.responseSecret(request))
	_, r, err := s.request(tx, sec)
	if err != nil {
		return "", err
	}
	i, err := r.Unsigned()
	if err != nil {
		return "", err
	}
	return i.URL(scheme), nil
}
