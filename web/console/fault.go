package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// An awayError says that something we rest on is out of reach. Nothing was decided and
// nothing was done; the same may succeed later.
type awayError struct {
	part string
	err  error
}

// away marks an error of a part that is out of reach: 503.
func away(part string, err error) error {
	if err == nil {
		return nil
	}
	return &awayError{part, err}
}

func (e *awayError) Error() string { return fmt.Sprintf("%s: %v", e.part, e.err) }
func (e *awayError) Unwrap() error { return e.err }

// errNotFound: there is nothing here, or nothing for this office. The two look the same.
var errNotFound = errors.New("console: there is nothing here")

// faults is the only place where an error becomes a status and a sentence. Parts add
// rows for errors of their packages. What is not here is ours: 500, and logged.
var faults = []struct {
	err    error
	status int
	key    string
}{
	{errNotFound, http.StatusNotFound, "console.fault.not_found"},
	{staff.ErrNoOperator, http.StatusNotFound, "console.fault.not_found"},
	{staff.ErrNoOffice, http.StatusNotFound, "console.fault.not_found"},
	{staff.ErrNoProposal, http.StatusNotFound, "console.fault.not_found"},
	{staff.ErrMayNot, http.StatusForbidden, "console.fault.may_not"},
	{staff.ErrOwnProposal, http.StatusForbidden, "console.fault.own_proposal"},
	{staff.ErrChangedPayload, http.StatusConflict, "console.fault.changed"},
	{staff.ErrProposalOver, http.StatusConflict, "console.fault.over"},
	{staff.ErrNotApproved, http.StatusConflict, "console.fault.not_approved"},
	{staff.ErrLastPasskey, http.StatusConflict, "staff.fault.last_passkey"},
	{staff.ErrManyPasskeys, http.StatusConflict, "staff.fault.many_passkeys"},
	{staff.ErrLastAdministrator, http.StatusConflict, "staff.fault.last_administrator"},
	{errNoLink, http.StatusNotFound, "staff.fault.no_link"},
	{errRefused, http.StatusUnauthorized, "staff.fault.refused"},
	{errManyTries, http.StatusTooManyRequests, "staff.fault.many_tries"},
	{errSyncable, http.StatusForbidden, "staff.fault.syncable"},
	{errTaken, http.StatusConflict, "staff.fault.taken"},
	{errCrossed, http.StatusForbidden, "console.fault.crossed"},

	{work.ErrNoItem, http.StatusNotFound, "console.fault.not_found"},
	{work.ErrNoRecord, http.StatusNotFound, "console.fault.not_found"},
	{work.ErrNoPrint, http.StatusNotFound, "work.fault.no_print"},
	{work.ErrOwn, http.StatusForbidden, "console.fault.own_proposal"},
	{work.ErrChanged, http.StatusConflict, "work.fault.changed"},
	{work.ErrMoved, http.StatusConflict, "work.fault.moved"},
	{work.ErrState, http.StatusConflict, "work.fault.state"},
	{work.ErrBusy, http.StatusConflict, "work.fault.busy"},
	{work.ErrTooLate, http.StatusConflict, "work.fault.late"},
	{work.ErrNotAllowed, http.StatusConflict, "work.fault.not_allowed"},
	{work.ErrReason, http.StatusUnprocessableEntity, "work.fault.reason"},
	{work.ErrComment, http.StatusUnprocessableEntity, "work.fault.comment"},
	{batchwork.ErrOwn, http.StatusForbidden, "console.fault.own_proposal"},
	{batchwork.ErrState, http.StatusConflict, "console.fault.changed"},
	{batchwork.ErrMoved, http.StatusConflict, "console.fault.changed"},
	{batchwork.ErrTerms, http.StatusConflict, "console.fault.changed"},
	{errBusy, http.StatusConflict, "console.fault.changed"},
}

// fault answers an error with a page.
func (c *Console) fault(w http.ResponseWriter, r *request, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errSignedOut) && r.route.JSON:
		return c.faultPage(w, r, http.StatusUnauthorized, "staff.fault.signed_out")
	case errors.Is(err, errStale) && r.route.JSON:
		return c.faultPage(w, r, http.StatusUnauthorized, "console.confirm.why")
	case errors.Is(err, errSignedOut):
		return c.toSignIn(w, r)
	case errors.Is(err, errStale):
		return c.askAgain(w, r)
	}
	for _, f := range faults {
		if errors.Is(err, f.err) {
			return c.faultPage(w, r, f.status, f.key)
		}
	}
	if e, ok := errors.AsType[*awayError](err); ok || errors.Is(err, context.DeadlineExceeded) {
		part := ""
		if ok {
			part = e.part
		}
		c.cfg.Log.WarnContext(r.Context(), "not available", "part", part, "err", err, "request_id", web.RequestID(r.Context()))
		w.Header().Set("Retry-After", "5")
		return c.faultPage(w, r, http.StatusServiceUnavailable, "console.fault.later")
	}
	if p, ok := errors.AsType[*web.Problem](err); ok {
		return c.faultPage(w, r, p.Status, "console.fault.bad_request")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return c.faultPage(w, r, http.StatusRequestEntityTooLarge, "console.fault.too_large")
	}
	c.cfg.Log.ErrorContext(r.Context(), "request failed", "route", r.route.Name, "err", err, "request_id", web.RequestID(r.Context()))
	return c.faultPage(w, r, http.StatusInternalServerError, "console.fault.ours")
}

// faultPage draws the page of a refusal, or answers a script with its sentence.
func (c *Console) faultPage(w http.ResponseWriter, r *request, status int, key string) error {
	if r.route.JSON {
		return web.JSON(w, status, map[string]string{"code": key, "text": r.Lang.Text(key, nil)})
	}
	return c.render(w, r, status, "fault", struct{ Key, Request, Back string }{key, web.RequestID(r.Context()), c.back(r, status)})
}

// back is the page of the record or item that stands otherwise now than the form did which
// was sent; empty for other faults.
func (c *Console) back(r *request, status int) string {
	if status != http.StatusConflict {
		return ""
	}
	if ref := r.PathValue("ref"); ref != "" {
		return Base + "/records/" + ref
	}
	if id := r.PathValue("id"); strings.HasPrefix(r.route.Pattern, Base+"/items/") {
		return Base + "/items/" + id
	}
	return ""
}

// toSignIn leads to the sign-in page and from there back.
func (c *Console) toSignIn(w http.ResponseWriter, r *request) error {
	to := Base + "/sign-in"
	if r.Method == http.MethodGet && r.URL.Path != Base+"/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	redirect(w, to)
	return nil
}

// redirect is 303 to an address of ours.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// seeOther ends a change: the next page says the sentence of this key, if there is one.
func (c *Console) seeOther(w http.ResponseWriter, r *request, path, key string) error {
	if key != "" && r.token != "" {
		c.notify(r, key)
		if err := c.save(w, r); err != nil {
			return err
		}
	}
	redirect(w, Base+path)
	return nil
}
