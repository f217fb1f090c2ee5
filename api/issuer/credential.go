package issuer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/disclosed"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store/once"
)

// nonce answers with a c_nonce (section 7). Anybody may ask: nothing is stored.
func (e *Endpoints) nonce(w http.ResponseWriter, r *http.Request) error {
	if err := e.giveNonce(r.Context(), w); err != nil {
		return err
	}
	n, err := e.newNonce(r.Context(), holderNonce)
	if err != nil {
		return err
	}
	b, err := oid4vci.NonceResponse(n)
	if err != nil {
		return err
	}
	web.Write(w, http.StatusOK, oid4vci.JSONType, b)
	return nil
}

// A session is an access token that was shown, with its grant.
type session struct {
	token  string
	value  once.Value
	stored storedToken // its Granted is set
	unused []use       // what the request has brought and was not used up yet
	asked  bool        // whether the grant is still what Granted says

	disclosed []keys.PublicKey // whose private halves the request has brought
}

// grant is the grant of a session: as it stood when the token was stored, until something
// was used up.
func (s *session) grant() *grant { return &s.stored.Granted.Content }

// A use is of values that work once, or asks for values that must not be there, with the
// refusal if one of them is.
type use struct {
	values  []once.Value
	absent  []once.Key
	refusal error
}

func (u *use) step() once.Step { return once.Step{Put: u.values, Absent: u.absent} }

// useUp uses up what a request has brought, in one transaction, as if each came alone. It
// returns the refusal of the first that was there before.
func (e *Endpoints) useUp(ctx context.Context, uses ...use) error {
	steps := make([]once.Step, len(uses))
	for i, u := range uses {
		steps[i] = u.step()
	}
	done, err := e.cfg.Once.Steps(ctx, e.now(), steps...)
	if done < len(uses) && errors.Is(err, once.ErrExists) {
		return uses[done].refusal
	}
	return fromOnce(err)
}

// spend uses up what a session has brought, and takes more steps after that if all of it
// was new, in one transaction that first asks whether the grant still is what the session
// takes it for. It returns the refusal of the first value that was there before, and that
// of the token if the grant has ended, when nothing is used up; an error of the steps is that
// of the store.
func (e *Endpoints) spend(ctx context.Context, s *session, more ...once.Step) error {
	uses := s.unused
	s.unused = nil
	if s.asked && len(uses)+len(more) == 0 {
		return nil
	}
	s.asked = true
	for range 10 {
		k, err := e.key(ctx, once.Grant, s.stored.Grant)
		if err != nil {
			return err
		}
		steps := make([]once.Step, 1, 1+len(uses)+len(more))
		steps[0].Check = &once.Check{Key: k}
		copy(steps[0].Check.Sum[:], s.stored.Granted.Sum)
		for _, u := range uses {
			steps = append(steps, u.step())
		}
		done, err := e.cfg.Once.Steps(ctx, e.now(), append(steps, more...)...)
		switch {
		case done == 0 && errors.Is(err, once.ErrChanged): // by another delivery
			if err := e.refetch(ctx, s); err != nil {
				return expiredToken(err)
			}
			continue
		case done == 0:
			return expiredToken(fromOnce(err))
		case done <= len(uses) && errors.Is(err, once.ErrExists):
			return uses[done-1].refusal
		}
		return fromOnce(err)
	}
	return unavailable("grant", errors.New("changed all the time"))
}

// refetch reads the grant of a session.
func (e *Endpoints) refetch(ctx context.Context, s *session) error {
	g, v, err := e.grant(ctx, s.stored.Grant)
	if err == nil {
		s.stored.Granted = copyOf(*g, v)
	}
	return err
}

// session checks the access token of a request and the proof that goes with it, and
// uses the proof up.
func (e *Endpoints) session(r *http.Request, path string) (*session, error) {
	s, err := e.shown(r, path)
	if err != nil {
		return nil, err
	}
	return s, e.spend(r.Context(), s)
}

// shown is session, with the proof yet to be used up and the grant yet to be asked about.
func (e *Endpoints) shown(r *http.Request, path string) (*session, error) {
	headers := r.Header.Values("Authorization")
	kind := oid4vci.DPoPToken
	secret, err := oid4vci.ParseAuthorization(headers, kind)
	if errors.Is(err, oid4vci.ErrConflict) && e.cfg.Bearer {
		kind = oid4vci.BearerToken
		secret, err = oid4vci.ParseAuthorization(headers, kind)
	}
	if err != nil {
		return nil, err
	}
	wrong := oid4vci.NewError(oid4vci.InvalidToken, nil, "the access token is not valid")
	s := &session{token: string(secret)}
	if err = e.reload(r.Context(), s); err == nil && s.stored.Granted == nil {
		err = e.refetch(r.Context(), s) // it was stored by a version before
	}
	switch {
	case errors.Is(err, once.ErrNone):
		return nil, wrong
	case err != nil:
		return nil, err
	case (s.grant().Key == "") != (kind == oid4vci.BearerToken):
		return nil, wrong // corpus OA-08
	case kind == oid4vci.BearerToken:
		return s, nil
	}
	_, proof, err := e.checkProof(r, oid4vci.DPoPExpect{URL: e.url(path), At: oid4vci.ResourceServer, AccessToken: secret, Key: s.grant().Key})
	s.unused = []use{proof}
	return s, err
}

// reload reads the access token of a session.
func (e *Endpoints) reload(ctx context.Context, s *session) error {
	var stored storedToken
	v, err := e.load(ctx, once.AccessToken, s.token, &stored)
	if err == nil {
		s.value, s.stored = v, stored
	}
	return err
}

// expect is how requests are read.
func (e *Endpoints) expect() oid4vci.RequestExpect {
	want := oid4vci.RequestExpect{Keys: e.cfg.EncryptionKeys, Required: e.cfg.EncryptionRequired, ResponseRequired: e.cfg.EncryptionRequired}
	if len(want.Keys) > 0 {
		want.Encryptions = []jose.Encryption{jose.A128GCM, jose.A256GCM}
		want.ResponseEncryptions = want.Encryptions
	}
	return want
}

// credential answers a credential request (section 8).
func (e *Endpoints) credential(w http.ResponseWriter, r *http.Request) error {
	if err := e.giveNonce(r.Context(), w); err != nil {
		return err
	}
	if err := e.mayAct(r); err != nil {
		return err
	}
	s, err := e.shown(r, pathCredential)
	if err != nil {
		return err
	}
	err = e.credentialOf(w, r, s)
	if err == nil {
		return nil
	}
	// What was brought with a request that is refused is used up, too; and that it had been
	// used before, or that the grant has ended, is the first thing to be said.
	if before := e.spend(context.WithoutCancel(r.Context()), s); before != nil {
		err = before
	} else {
		e.remember(context.WithoutCancel(r.Context()), s.disclosed)
	}
	if errors.Is(err, errDisclosed) {
		e.cfg.Count("disclosed_key")
	}
	return err
}

// errDisclosed refuses a key of a holder whose private half was sent before, whoever sent it.
var errDisclosed = oid4vci.NewError(oid4vci.InvalidProof, oid4vci.ErrPrivateKey, "a key whose private half was sent to this issuer before")

// remember puts keys on the list of those that were disclosed ([once.Disclose]). The request
// that brought them is refused already, so that no more than the log hears if that fails. Only
// who had an access token whose grant still stands comes here: strangers do not fill the list.
func (e *Endpoints) remember(ctx context.Context, list []keys.PublicKey) {
	if len(list) == 0 {
		return
	}
	e.cfg.Count("disclosed_key")
	if err := once.Disclose(ctx, e.cfg.Once, e.now(), list...); err != nil {
		e.cfg.Log.ErrorContext(ctx, "a holder's key was disclosed and could not be put on the list", "err", err, "request_id", web.RequestID(ctx))
	}
}

// undisclosed asks that none of the keys is on that list.
func undisclosed(holders []keys.PublicKey) use {
	u := use{refusal: errDisclosed}
	for _, k := range holders {
		u.absent = append(u.absent, once.Disclosed(k))
	}
	return u
}

// credentialOf answers a credential request whose token and proof are good.
func (e *Endpoints) credentialOf(w http.ResponseWriter, r *http.Request, s *session) error {
	body, err := web.Body(r)
	if err != nil {
		return err
	}
	request, err := e.expect().CredentialRequest(r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	c, err := e.catalogue(r.Context())
	if err != nil {
		return err
	}
	id, err := s.grant().granted().Configuration(request, c.ids())
	if err != nil {
		return err
	}
	f, ok := c.find(id)
	if !ok {
		return oid4vci.NewError(oid4vci.UnknownCredentialConfiguration, oid4vci.ErrUnsupported, "no such credential any more")
	}
	holders, err := e.holders(r.Context(), s, c, f, request.Proofs)
	if err != nil {
		return err
	}
	response, err := e.deliver(r.Context(), s, f, holders)
	if err != nil {
		return err
	}
	return answer(w, response, request.Response)
}

func answer(w http.ResponseWriter, response *oid4vci.CredentialResponse, to *oid4vci.ResponseKey) error {
	status, media, b, err := response.Encode(to)
	if err != nil {
		return err
	}
	web.Write(w, status, media, b)
	return nil
}

// holders checks the proofs of the holder's keys and returns those that get a copy: the
// metadata say one batch size for all credentials, so for one with fewer copies a wallet brings
// more keys than it gets copies for (section 14.6). Their nonces are yet to be used up, and
// whether a key was disclosed is yet to be asked.
func (e *Endpoints) holders(ctx context.Context, s *session, c *catalogue, f configuration, proofs oid4vci.Proofs) ([]keys.PublicKey, error) {
	proven, err := oid4vci.CheckProofs(proofs, oid4vci.ProofExpect{
		Issuer: e.cfg.Issuer, Types: e.proofTypes(f), BatchSize: c.batch, Now: e.now(), MaxAge: proofAge, NeedNonce: true,
		ClientID: s.grant().Client, Attesters: e.cfg.KeyAttesters,
	})
	if err != nil {
		s.disclosed = disclosed.Keys(proofs.Tokens...)
		return nil, err
	}
	for _, a := range proven.Attestations {
		if err := e.stands(ctx, e.cfg.KeyStatus, a.Status, oid4vci.InvalidProof); err != nil {
			return nil, err
		}
	}
	var values []once.Value
	for _, n := range proven.Nonces {
		until, ok, err := e.checkNonce(ctx, holderNonce, n)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, oid4vci.WrongNonce()
		}
		v, err := e.used(ctx, once.Nonce, until, n)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	holders := f.copied(proven.Keys)
	s.unused = append(s.unused, use{values: values, refusal: oid4vci.WrongNonce()}, undisclosed(holders))
	return holders, nil
}

// deliver issues, or says when to come again because the registry is out of reach.
func (e *Endpoints) deliver(ctx context.Context, s *session, f configuration, holders []keys.PublicKey) (*oid4vci.CredentialResponse, error) {
	attempt, err := e.attempt(ctx, s, f.id, holders)
	if err != nil {
		return nil, err
	}
	record, err := e.cfg.Office.Record(ctx, f.programme.ID, s.grant().Allowed.Record)
	if err != nil && !decided(err) {
		e.cfg.Log.WarnContext(ctx, "the registry is out of reach", "programme", f.programme.ID, "err", err, "request_id", web.RequestID(ctx))
		return e.deferTo(ctx, s, f, holders, attempt)
	}
	if err != nil {
		return nil, e.denied(err)
	}
	issued, err := e.issue(ctx, s.grant(), f, record, holders, attemptName(s, f.id, attempt), s.stored.Grant)
	if err != nil {
		e.excuse(ctx, s, f.id, err)
		return nil, err
	}
	return e.released(s.stored.Grant, issued)
}

// decided reports whether a registry has answered.
func decided(err error) bool {
	return errors.Is(err, registry.ErrNoRecord) || errors.Is(err, registry.ErrAmbiguous)
}

// denied is the answer to a wallet for whose holder nothing can be issued. The reasons
// are the office's business.
func (e *Endpoints) denied(err error) error {
	e.cfg.Count("denied")
	return oid4vci.NewError(oid4vci.CredentialRequestDenied, err, "the issuer does not issue this credential for this holder")
}

// attemptName is what the ladder knows an attempt by.
func attemptName(s *session, id string, attempt int) string {
	return "oid4vci " + hex.EncodeToString(s.value.Digest[:]) + " " + id + " " + strconv.Itoa(attempt)
}

// maxAttempts is how often the same keys may be asked for again.
const maxAttempts = 5

// attempt notes that the access token brings credentials for these keys, before they
// are made, and uses up what the request has brought. A wallet that lost the answer asks again, for the same keys; for others it
// gets a new token first (promise P12).
func (e *Endpoints) attempt(ctx context.Context, s *session, id string, holders []keys.PublicKey) (int, error) {
	digest := digestKeys(holders)
	for range 10 {
		d, begun := s.stored.Delivered[id]
		switch {
		case begun && !bytes.Equal(d.Keys, digest):
			return 0, oid4vci.NewError(oid4vci.CredentialRequestDenied, oid4vci.ErrRepeated, "this access token has brought its credentials, for other keys")
		case d.Attempt >= maxAttempts:
			return 0, oid4vci.NewError(oid4vci.CredentialRequestDenied, oid4vci.ErrRepeated, "this access token has brought its credentials several times")
		}
		next := storedToken{Grant: s.stored.Grant, Granted: s.stored.Granted, Delivered: map[string]delivery{id: {Keys: digest, Attempt: d.Attempt + 1}}}
		for other, d := range s.stored.Delivered {
			if other != id {
				next.Delivered[other] = d
			}
		}
		v := s.value
		var err error
		if v.Data, err = e.seal(v.Kind, s.token, next); err != nil {
			return 0, err
		}
		err = e.spend(ctx, s, once.Step{Swap: &once.Swap{Old: s.value, Next: v}})
		if err == nil {
			s.value, s.stored.Delivered = v, next.Delivered
			return d.Attempt + 1, nil
		}
		if !errors.Is(err, once.ErrChanged) {
			return 0, expiredToken(err)
		}
		granted := s.stored.Granted // which is as new as what the token has
		if err := e.reload(ctx, s); err != nil {
			return 0, expiredToken(err)
		}
		s.stored.Granted = granted
	}
	return 0, unavailable("access token", errors.New("changed all the time"))
}

// excuse lets an attempt not count that ended because something is out of reach: who is told
// to come again is not refused for coming (promise P30). The next one goes by the same name, and
// the ladder knows if this one has brought something after all. It is best effort: where the
// store is away, too, or another request of the token has come in between, the attempt counts.
func (e *Endpoints) excuse(ctx context.Context, s *session, id string, err error) {
	if _, ok := errors.AsType[*unavailableError](err); !ok {
		return
	}
	d := s.stored.Delivered[id]
	next := s.stored
	next.Delivered = maps.Clone(s.stored.Delivered)
	next.Delivered[id] = delivery{Keys: d.Keys, Attempt: d.Attempt - 1}
	v := s.value
	if v.Data, err = e.seal(v.Kind, s.token, next); err == nil {
		_ = e.cfg.Once.Swap(context.WithoutCancel(ctx), e.now(), s.value, v)
	}
}

// expiredToken is the answer to a token that ended meanwhile.
func expiredToken(err error) error {
	if errors.Is(err, once.ErrNone) {
		return oid4vci.NewError(oid4vci.InvalidToken, nil, "the access token is not valid")
	}
	return err
}

func digestKeys(holders []keys.PublicKey) []byte {
	h := sha256.New()
	for _, k := range holders {
		t := k.Thumbprint()
		h.Write(t[:])
	}
	return h.Sum(nil)
}

// issue climbs the ladder. The first delivery of a grant goes by the grant's own name,
// so that the ladder knows, from the step that stores the intent, what the grant has
// brought; and a grant that supersedes does so once.
func (e *Endpoints) issue(ctx context.Context, g *grant, f configuration, record registry.Record, holders []keys.PublicKey, name, grantID string) (*issuance.Issued, error) {
	d := issuance.Delivery{
		Programme: f.programme.ID, Record: record, Form: f.form.Name, Holders: holders, Actor: g.Allowed.Actor, Idempotency: name, Follows: g.Brought[f.id],
	}
	if d.Follows == "" {
		sum := sha256.Sum256([]byte(grantID))
		first := d
		first.Idempotency, first.Supersede = "oid4vci grant "+hex.EncodeToString(sum[:])+" "+f.id, g.Allowed.Supersede
		issued, err := e.cfg.Office.Deliver(ctx, first)
		refused, ok := errors.AsType[*issuance.RecordError](err)
		if !ok || refused.Code() != issuance.CodeRepeated {
			return issued, e.notIssued(err)
		}
		if refused.Released {
			d.Follows = refused.Credential
		}
	}
	// A name that the ladder knows is that of a request whose answer was lost.
	for again := 1; ; again++ {
		issued, err := e.cfg.Office.Deliver(ctx, d)
		if refused, ok := errors.AsType[*issuance.RecordError](err); !ok || refused.Code() != issuance.CodeRepeated || again == maxAttempts {
			return e.brought(ctx, grantID, f.id, issued, err)
		}
		d.Idempotency = name + " again " + strconv.Itoa(again)
	}
}

// brought notes in the grant what a later delivery brought, before the wallet gets it.
func (e *Endpoints) brought(ctx context.Context, grantID, id string, issued *issuance.Issued, err error) (*issuance.Issued, error) {
	if err != nil {
		return nil, e.notIssued(err)
	}
	for range 10 {
		g, v, err := e.grant(ctx, grantID)
		if err != nil {
			return nil, expiredToken(err)
		}
		if g.Brought[id] == issued.Credential.ID {
			return issued, nil
		}
		if g.Brought == nil {
			g.Brought = map[string]string{}
		}
		g.Brought[id] = issued.Credential.ID
		next := v
		if next.Data, err = e.seal(v.Kind, grantID, g); err != nil {
			return nil, err
		}
		err = fromOnce(e.cfg.Once.Swap(ctx, e.now(), v, next))
		if err == nil {
			return issued, nil
		}
		if !errors.Is(err, once.ErrChanged) {
			return nil, expiredToken(err)
		}
	}
	return nil, unavailable("grant", errors.New("changed all the time"))
}

// notIssued tells a refusal from what may go better later.
func (e *Endpoints) notIssued(err error) error {
	refused, ok := errors.AsType[*issuance.RecordError](err)
	switch {
	case err == nil:
		return nil
	case ok && refused.Code() != issuance.CodeInProgress:
		return e.denied(err)
	case errors.Is(err, issuance.ErrSampleKey):
		e.cfg.Count("sample_key")
		return oid4vci.NewError(oid4vci.InvalidProof, oid4vci.ErrKey, "a key whose private half is published")
	case errors.Is(err, issuance.ErrHolders):
		return oid4vci.NewError(oid4vci.InvalidProof, oid4vci.ErrKey, "not as many keys as this credential has copies")
	}
	return unavailable("issuance", err)
}

// released is the response with credentials.
func (e *Endpoints) released(grantID string, issued *issuance.Issued) (*oid4vci.CredentialResponse, error) {
	response := &oid4vci.CredentialResponse{}
	for _, f := range issued.Forms {
		response.Credentials = append(response.Credentials, f.Text)
	}
	var b [nonceRandom]byte
	if _, err := io.ReadFull(e.cfg.Rand, b[:]); err != nil {
		return nil, fmt.Errorf("issuer: make notification id: %w", err)
	}
	mac, err := e.notificationMAC(grantID, b[:])
	if err != nil {
		return nil, err
	}
	response.NotificationID = strict.Base64URL(append(b[:], mac...))
	e.cfg.Count("credential")
	return response, nil
}

// notificationMAC ties a notification id to a grant, so that it takes no place.
func (e *Endpoints) notificationMAC(grantID string, random []byte) ([]byte, error) {
	return e.mac(random, "sanad notification %d:%s", len(grantID), grantID)
}

// notification takes note of what became of credentials (section 11). It changes nothing,
// so that it can be sent again.
func (e *Endpoints) notification(w http.ResponseWriter, r *http.Request) error {
	if err := e.giveNonce(r.Context(), w); err != nil {
		return err
	}
	s, err := e.session(r, pathNotification)
	if err != nil {
		return err
	}
	body, err := web.Body(r)
	if err != nil {
		return err
	}
	n, err := oid4vci.ReadNotification(r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	b, err := strict.DecodeBase64URL(n.ID)
	if err != nil || len(b) != nonceRandom+nonceMAC {
		return oid4vci.UnknownNotification() // corpus VCI-13
	}
	mac, err := e.notificationMAC(s.stored.Grant, b[:nonceRandom])
	if err != nil {
		return err
	}
	if !hmac.Equal(b[nonceRandom:], mac) {
		return oid4vci.UnknownNotification()
	}
	e.cfg.Count("notification_" + strings.TrimPrefix(string(n.Event), "credential_"))
	w.WriteHeader(http.StatusNoContent)
	return nil
}
