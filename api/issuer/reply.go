package issuer

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vci"
)

// An unavailableError says that something we rest on is out of reach. Nothing was
// decided; the same request may succeed later.
type unavailableError struct {
	part string
	err  error
}

func unavailable(part string, err error) error {
	if err == nil {
		return nil
	}
	return &unavailableError{part, err}
}

// later is the answer to it, outside of OAuth.
func (e *unavailableError) later() *web.Problem {
	return &web.Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "try again later", Retry: retryAfter}
}

// retryAfter is when to come again.
const retryAfter = 5 * time.Second

func (e *unavailableError) Error() string { return fmt.Sprintf("%s: %v", e.part, e.err) }
func (e *unavailableError) Unwrap() error { return e.err }

// A refusal is an error response of OAuth.
type refusal struct {
	err *oid4vci.Error
	at  oid4vci.Server
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

var _ web.Reply = (*refusal)(nil)

// Reply implements [web.Reply].
func (r *refusal) Reply(w http.ResponseWriter) {
	status := r.err.Status(r.at)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	if r.at == oid4vci.ResourceServer && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		w.Header().Set("WWW-Authenticate", r.err.Challenge(algorithms))
	}
	web.Write(w, status, oid4vci.JSONType, r.err.JSON())
}

// open is a handler of what everybody may read: what is out of reach is logged and
// answered with 503.
func (e *Endpoints) open(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		var away *unavailableError
		if !errors.As(err, &away) {
			return err
		}
		e.cfg.Count("unavailable")
		e.cfg.Log.WarnContext(r.Context(), "not available", "part", away.part, "err", away.err, "request_id", web.RequestID(r.Context()))
		return away.later()
	}
}

// oauth is a handler of one of the two servers: what it refuses is told in their
// words, and what is out of reach is logged and answered with 503.
func (e *Endpoints) oauth(at oid4vci.Server, h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if err == nil {
			return nil
		}
		var known *oid4vci.Error
		if errors.As(err, &known) {
			e.cfg.Count("refused")
			return &refusal{known, at}
		}
		var away *unavailableError
		if errors.As(err, &away) {
			e.cfg.Count("unavailable")
			e.cfg.Log.WarnContext(r.Context(), "not available", "part", away.part, "err", away.err, "request_id", web.RequestID(r.Context()))
			return &refusal{oid4vci.NewError(oid4vci.TemporarilyUnavailable, err, "try again later"), at}
		}
		if errors.Is(err, web.ErrRepeated) {
			return &refusal{oid4vci.NewError(oid4vci.InvalidRequest, oid4vci.ErrRepeated, "a parameter occurs twice"), at}
		}
		// RFC 6749 section 5.2: also a request that cannot be read is refused with an error code.
		if p, ok := errors.AsType[*web.Problem](err); ok && p.Status == http.StatusBadRequest {
			return &refusal{oid4vci.NewError(oid4vci.InvalidRequest, oid4vci.ErrMalformed, p.Detail), at}
		}
		return err
	}
}

// mayAct is asked before anything changes (promise P08).
func (e *Endpoints) mayAct(r *http.Request) error {
	return unavailable("office", e.cfg.Office.MayAct(r.Context()))
}
