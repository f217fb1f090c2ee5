package console

import (
	"errors"
	"net/http"
	"slices"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
)

// A request is what a handler gets: the frame has asked who it is and whether they may.
type request struct {
	*http.Request
	// Operator is who asks; without ID on pages of [staff.Visit] for strangers.
	Operator staff.Operator
	// Office is where the operator works.
	Office staff.Office
	// Lang is the language of the answer.
	Lang i18n.Language

	route *route
	token string // of the session, "" if there is none
}

// serve is what every route has in common.
func (c *Console) serve(w http.ResponseWriter, hr *http.Request, row *route) error {
	c.headers(w)
	r := &request{Request: hr, route: row, Lang: chosen(hr)}
	err := c.crossed(hr)
	if err == nil {
		err = c.admit(w, r)
	}
	if err == nil {
		err = row.Serve(w, r)
	}
	return c.fault(w, r, err)
}

// headers replaces those of package web that pages need otherwise.
func (c *Console) headers(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", c.policy)
	// With no-referrer browsers would hide the origin of a form from us.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(self), publickey-credentials-get=(self), publickey-credentials-create=(self), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Add("Vary", "Cookie, Accept-Language")
}

// errCrossed: a form of another website.
var errCrossed = errors.New("console: the request comes from another website")

// crossed refuses what another website made a browser send. A browser always says
// where a POST comes from.
func (c *Console) crossed(r *http.Request) error {
	if err := c.cross.Check(r); err != nil {
		return errCrossed
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !safe && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return errCrossed
	}
	return nil
}

// admit asks who it is and whether they may.
func (c *Console) admit(w http.ResponseWriter, r *request) error {
	if r.route.Bare {
		return nil
	}
	err := c.identify(w, r)
	visit := r.route.Action == staff.Visit
	switch {
	case visit && errors.Is(err, errSignedOut):
		return nil
	case err != nil:
		return err
	case visit:
		return nil
	case !r.Operator.MayEver(r.route.Action):
		return staff.ErrMayNot
	case r.route.Fresh && !c.fresh(r):
		return errStale
	}
	return nil
}

// May reports whether the operator may do this to something in this state.
func (r *request) May(a staff.Action, s staff.State) bool { return r.Operator.May(a, s) }

// must is [staff.ErrMayNot] unless the operator may do what the route is to something
// in this state. A handler asks once it knows the state.
func (r *request) must(s staff.State) error {
	if !r.Operator.May(r.route.Action, s) {
		return staff.ErrMayNot
	}
	return nil
}

// query reads a parameter of the address; "" if it is not there.
func (r *request) query(name string) (string, error) {
	q, err := web.Query(r.Request)
	if err != nil {
		return "", err
	}
	return q.Get(name), nil
}

// chosen is the language that a person chose here, or that suits their browser.
func chosen(r *http.Request) i18n.Language {
	if k, err := r.Cookie(languageCookie); err == nil {
		all := i18n.Languages()
		if i := slices.IndexFunc(all, func(l i18n.Language) bool { return l.Tag() == k.Value }); i >= 0 {
			return all[i]
		}
	}
	return i18n.For(r.Header.Get("Accept-Language"))
}
