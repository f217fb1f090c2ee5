package issuer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

// A storedDeferral is a credential that was asked for while the registry was out of
// reach.
type storedDeferral struct {
	Grant         string
	Configuration string
	Holders       []string // as JWK
	// Name is what the ladder knows the attempt by.
	Name string
	// Busy is until when somebody is at it.
	Busy time.Time
}

// lease is how long one request may be at a deferral, before another may try.
const lease = time.Minute

// deferTo puts a request off (section 9).
func (e *Endpoints) deferTo(ctx context.Context, s *session, f configuration, holders []keys.PublicKey, attempt int) (*oid4vci.CredentialResponse, error) {
	id, err := e.secret()
	if err != nil {
		return nil, err
	}
	d := storedDeferral{Grant: s.stored.Grant, Configuration: f.id, Name: attemptName(s, f.id, attempt)}
	for _, k := range holders {
		d.Holders = append(d.Holders, string(k.BareJWK()))
	}
	v, err := e.value(ctx, once.Deferred, string(id), e.now().Add(e.cfg.Lifetimes.Deferred), d)
	if err != nil {
		return nil, err
	}
	if err := fromOnce(e.cfg.Once.Put(ctx, v)); err != nil {
		return nil, err
	}
	e.cfg.Count("deferred")
	return &oid4vci.CredentialResponse{TransactionID: id, Interval: e.cfg.Lifetimes.Interval}, nil
}

// deferred answers a deferred credential request (section 9.1).
func (e *Endpoints) deferred(w http.ResponseWriter, r *http.Request) error {
	if err := e.giveNonce(r.Context(), w); err != nil {
		return err
	}
	if err := e.mayAct(r); err != nil {
		return err
	}
	s, err := e.session(r, pathDeferred)
	if err != nil {
		return err
	}
	body, err := web.Body(r)
	if err != nil {
		return err
	}
	request, err := e.expect().DeferredRequest(r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	response, err := e.resume(r.Context(), s, request.TransactionID)
	if err != nil {
		return err
	}
	return answer(w, response, request.Response)
}

// resume tries again what was put off.
func (e *Endpoints) resume(ctx context.Context, s *session, id oid4vci.Secret) (*oid4vci.CredentialResponse, error) {
	pending := &oid4vci.CredentialResponse{TransactionID: id, Interval: e.cfg.Lifetimes.Interval}
	var d storedDeferral
	v, err := e.load(ctx, once.Deferred, string(id), &d)
	switch {
	case errors.Is(err, once.ErrNone):
		return nil, oid4vci.UnknownTransaction()
	case err != nil:
		return nil, err
	case d.Grant != s.stored.Grant:
		return nil, oid4vci.UnknownTransaction() // corpus VCI-14
	case e.now().Before(d.Busy):
		return pending, nil
	}
	c, err := e.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	f, ok := c.find(d.Configuration)
	if !ok {
		return nil, oid4vci.NewError(oid4vci.CredentialRequestDenied, oid4vci.ErrUnsupported, "no such credential any more")
	}
	record, err := e.cfg.Office.Record(ctx, f.programme.ID, s.grant().Allowed.Record)
	if err != nil && !decided(err) {
		return pending, nil
	}
	if err != nil {
		return nil, e.denied(err)
	}
	holders, err := readHolders(d.Holders)
	if err != nil {
		return nil, err
	}
	holders = f.copied(holders)
	d.Busy = e.now().Add(lease)
	held := v
	if held.Data, err = e.seal(v.Kind, string(id), d); err != nil {
		return nil, err
	}
	asked := undisclosed(holders)
	_, err = e.cfg.Once.Steps(ctx, e.now(), asked.step(), once.Step{Swap: &once.Swap{Old: v, Next: held}})
	switch err := fromOnce(err); {
	case errors.Is(err, once.ErrExists): // since they were proven
		e.cfg.Count("disclosed_key")
		return nil, oid4vci.NewError(oid4vci.CredentialRequestDenied, oid4vci.ErrPrivateKey, "the private half of a key was sent to this issuer meanwhile")
	case errors.Is(err, once.ErrChanged):
		return pending, nil
	case errors.Is(err, once.ErrNone):
		return nil, oid4vci.UnknownTransaction()
	case err != nil:
		return nil, err
	}
	issued, err := e.issue(ctx, s.grant(), f, record, holders, d.Name, s.stored.Grant)
	if err != nil {
		return nil, err
	}
	// What is released was asked for with a transaction that nobody used before.
	if _, err := e.cfg.Once.Exchange(ctx, e.now(), []once.Key{v.Key()}, nil); err != nil {
		if errors.Is(err, once.ErrNone) {
			return nil, oid4vci.UnknownTransaction()
		}
		return nil, fromOnce(err)
	}
	return e.released(s.stored.Grant, issued)
}

var jwkLimits = strict.Limits{Bytes: 4 << 10, Depth: 2, Items: 32}

func readHolders(list []string) ([]keys.PublicKey, error) {
	var out []keys.PublicKey
	for _, text := range list {
		v, err := jwkLimits.JSONText(text)
		if err != nil {
			return nil, err
		}
		k, err := jose.Key(v)
		if err != nil {
			return nil, err
		}
		out = append(out, *k)
	}
	return out, nil
}
