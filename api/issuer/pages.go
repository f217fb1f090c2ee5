package issuer

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("page").Parse(pageText))

// pagePolicy lets the pages have their style and nothing else.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

// pageView is what a page shows.
type pageView struct {
	Style           template.CSS
	Language        i18n.Language
	Direction       string
	Issuer          string
	Credentials     []string
	Form, Upstream  string // where the forms go; "" if there is none
	ByCode          bool   // a claim code may be typed
	GoesTo, Host    string // where the credential goes: a website, or with Host empty an app
	App, Yours      string
	Title, Note     string
	Label, Continue string
	SignIn, Cancel  string
}

// pages are the routes that browsers visit.
func (e *Endpoints) pages() []web.Route {
	page := func(method, name, path string, h web.Handler) web.Route {
		r := web.Route{Method: method, Pattern: e.path + path, Name: name, Handler: e.browser(h), Rate: ratePeople}
		if method == http.MethodPost {
			r.MaxBody, r.Media = 4<<10, []string{web.MediaForm}
		}
		return r
	}
	// uses is a page that uses up what its address names.
	uses := func(name, path string, h web.Handler) web.Route {
		return page(http.MethodGet, name, path, func(w http.ResponseWriter, r *http.Request) error {
			if r.Method == http.MethodHead { // it changes nothing (RFC 9110 section 9.2.1)
				w.Header().Set("Allow", http.MethodGet)
				return web.Refuse(http.StatusMethodNotAllowed, "method_not_allowed", "this address is not asked by that method")
			}
			return h(w, r)
		})
	}
	authorize := uses("authorize", pathAuthorize, e.authorize)
	authorize.Query = true
	routes := []web.Route{
		authorize,
		page(http.MethodGet, "login_page", pathLogin+"{login}", e.showLogin),
		page(http.MethodPost, "login", pathLogin+"{login}", e.takeLogin),
	}
	if e.cfg.Login != nil {
		callback := uses("upstream_callback", pathCallback, e.callback)
		callback.Query = true
		routes = append(routes, page(http.MethodPost, "upstream", pathUpstream+"{login}", e.visitUpstream), callback)
	}
	return routes
}

// browser is a handler whose errors are pages.
func (e *Endpoints) browser(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		var known *oid4vci.Error
		var away *unavailableError
		switch {
		case err == nil:
			return nil
		case errors.Is(err, once.ErrNone), errors.As(err, &known):
			return e.errorPage(w, r, http.StatusBadRequest, "login.over")
		case errors.As(err, &away):
			e.cfg.Log.WarnContext(r.Context(), "not available", "part", away.part, "err", away.err, "request_id", web.RequestID(r.Context()))
			w.Header().Set("Retry-After", "5")
			return e.errorPage(w, r, http.StatusServiceUnavailable, "login.later")
		}
		return err
	}
}

func (e *Endpoints) newView(r *http.Request) pageView {
	l := i18n.For(r.Header.Get("Accept-Language"))
	return pageView{Style: template.CSS(pageStyle), Language: l, Direction: l.Direction(), Issuer: l.Pick(e.cfg.Names)}
}

// loginPage shows the form for the claim code, unless it is for an offer that has none, and
// the way to the upstream provider.
func (e *Endpoints) loginPage(w http.ResponseWriter, r *http.Request, status int, s *storedRequest, note string) error {
	c, err := e.catalogue(r.Context())
	if err != nil {
		return err
	}
	v := e.newView(r)
	text := func(key string) string { return v.Language.Text(key, nil) }
	v.Title, v.Label, v.Continue, v.Cancel = text("login.title"), text("login.code"), text("login.continue"), text("login.cancel")
	v.Form, v.ByCode = e.url(pathLogin+s.Login), true
	v.GoesTo, v.Host, v.App, v.Yours = text("login.to"), hostOf(s.Request.RedirectURI), text("login.app"), text("login.yours")
	if s.Request.IssuerState != "" {
		var offered storedState
		if _, err := e.load(r.Context(), once.IssuerState, s.Request.IssuerState, &offered); err != nil && !errors.Is(err, once.ErrNone) {
			return err
		}
		v.ByCode = offered.Claim != nil
	}
	known := e.bySignIn(c)
	if slices.ContainsFunc(s.Names, func(id string) bool { return slices.Contains(known, id) }) {
		v.Upstream, v.SignIn = e.url(pathUpstream+s.Login), text("login.upstream")
	}
	if note != "" {
		v.Note = text(note)
	}
	for _, id := range s.Names {
		if f, ok := c.find(id); ok {
			v.Credentials = append(v.Credentials, v.Language.Pick(f.programme.Labels))
		}
	}
	return writePage(w, status, v)
}

// hostOf is the website that a browser is sent back to, "" for an app on the same device. Where
// any wallet may ask, its host is all that tells the holder's own from somebody else's.
func hostOf(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	return u.Host
}

func (e *Endpoints) errorPage(w http.ResponseWriter, r *http.Request, status int, key string) error {
	v := e.newView(r)
	v.Title = v.Language.Text(key, nil)
	return writePage(w, status, v)
}

func writePage(w http.ResponseWriter, status int, v pageView) error {
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Language", v.Language.String())
	// With no-referrer browsers would hide the origin of the form from us (Fetch standard), and
	// those that send no Sec-Fetch-Site could not sign in.
	w.Header().Set("Referrer-Policy", "same-origin")
	web.Write(w, status, "text/html; charset=utf-8", b.Bytes())
	return nil
}
