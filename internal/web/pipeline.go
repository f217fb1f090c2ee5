package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
)

const requestIDHeader = "X-Request-Id"

// nowhere is the route of requests that no row of the table takes.
const nowhere = "none"

type contextKey int

const (
	requestIDKey contextKey = iota
	closingKey
)

// RequestID is the id of the request that a context belongs to, which the log and
// the answer carry; "" if there is none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// Closing is closed when the server is about to end, so that streams can. It is nil
// outside of a request.
func Closing(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(closingKey).(chan struct{})
	return c
}

// site serves one port.
type site struct {
	*Server
	private bool
	mux     *http.ServeMux
	routes  map[string]*Route // by the pattern of mux
}

func newSite(s *Server, private bool) *site {
	return &site{Server: s, private: private, mux: http.NewServeMux(), routes: map[string]*Route{}}
}

// add puts a route into the table. It fails if another takes the same requests.
func (s *site) add(r *Route) (err error) {
	defer func() {
		if p := recover(); p != nil { // so ServeMux says that two rows are at odds
			err = fmt.Errorf("the pattern %s %s: %v", r.Method, r.Pattern, p)
		}
	}()
	pattern := r.Method + " " + r.Pattern
	s.mux.Handle(pattern, s.endpoint(r))
	s.routes[pattern] = r
	return nil
}

// endpoint is what the table's handler has around it: only what depends on the path,
// the rest is done by ServeHTTP.
func (s *site) endpoint(route *Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := route.Handler(w, r); err != nil {
			w.(*answer).fail(r.Context(), err)
		}
	})
}

// ServeHTTP is everything that all requests have in common.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.cfg.Now()
	id := newRequestID()
	a := &answer{ResponseWriter: w, log: s.cfg.Log.With("request_id", id), leave: func() {}}
	route, refusal := s.find(r)
	s.headers(a, r, route, id)
	ctx := context.WithValue(r.Context(), requestIDKey, id)
	if !route.Stream {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, route.timeout())
		defer cancel()
	}
	s.cfg.Metrics.running.Inc()
	defer func() {
		took := s.cfg.Now().Sub(start)
		s.cfg.Metrics.running.Dec()
		p := recover()
		if p != nil && !errors.Is(asError(p), http.ErrAbortHandler) {
			s.cfg.Metrics.panics.Inc()
			a.log.Error("panic", "route", route.Name, "kind", fmt.Sprintf("%T", p), "at", frames())
			if a.status == 0 {
				internal.Reply(a)
			}
		}
		s.cfg.Metrics.request(route.Name, r.Method, a.code(), took, route.Stream)
		level := slog.LevelInfo
		if isOwn(route) {
			level = slog.LevelDebug
		}
		a.log.Log(ctx, level, "request", "route", route.Name, "method", knownMethod(r.Method), "status", a.code(), "bytes", a.bytes,
			"ms", took.Milliseconds())
		if p != nil && a.broken() {
			panic(http.ErrAbortHandler) // so that nobody takes half an answer for a whole one
		}
	}()
	if err := s.admit(ctx, a, r, route); err != nil {
		a.fail(ctx, err)
		return
	}
	if refusal != nil {
		a.fail(ctx, refusal)
		return
	}
	if s.private && foreign(r, route) {
		a.fail(ctx, Refuse(http.StatusForbidden, "origin", "pages of websites do not ask here"))
		return
	}
	if err := s.body(a, r, route); err != nil {
		a.fail(ctx, err)
		return
	}
	leave, err := s.arrive(a, r, route)
	if err != nil {
		a.fail(ctx, err)
		return
	}
	defer leave()
	if err := s.enter(a, route); err != nil {
		a.fail(ctx, err)
		return
	}
	defer a.leave()
	s.deadlines(a, route)
	s.mux.ServeHTTP(a, r.WithContext(ctx))
}

func isOwn(r *Route) bool { return r.Name == "healthz" || r.Name == "readyz" || r.Name == "metrics" }

// noRoute is what requests are measured by that no row takes.
var noRoute = &Route{Name: nowhere}

// find returns the row of a request, or noRoute and why there is none.
func (s *site) find(r *http.Request) (*Route, error) {
	notFound := Refuse(http.StatusNotFound, "not_found", "there is nothing at this address")
	if p := r.URL.Path; !strings.HasPrefix(p, "/") || p != "/" && path.Clean(p) != strings.TrimSuffix(p, "/") {
		return noRoute, notFound // ServeMux would redirect
	}
	h, pattern := s.mux.Handler(r)
	if route, ok := s.routes[pattern]; ok {
		return route, nil
	}
	if r.Method == http.MethodOptions {
		if err := s.preflight(r); err != nil {
			return noRoute, err
		}
	}
	// The handler of ServeMux says which of the two it is.
	var p probe
	h.ServeHTTP(&p, &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: http.Header{}})
	if p.status == http.StatusMethodNotAllowed {
		return noRoute, &notAllowed{
			Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "this address is not asked by that method"},
			p.Header().Get("Allow"),
		}
	}
	return noRoute, notFound
}

// A probe takes what a handler would answer.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}

func (p *probe) WriteHeader(status int) { p.status = status }

func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// notAllowed is 405, which names the methods that are.
type notAllowed struct {
	Problem
	allow string
}

func (n *notAllowed) Reply(w http.ResponseWriter) {
	w.Header().Set("Allow", n.allow)
	n.Problem.Reply(w)
}

// preflight answers the question of a browser whether a script may ask (Fetch
// standard, CORS-preflight request), for routes that everybody may.
func (s *site) preflight(r *http.Request) error {
	asked := r.Header.Get("Access-Control-Request-Method")
	if asked == "" || r.Header.Get("Origin") == "" {
		return nil
	}
	_, pattern := s.mux.Handler(&http.Request{Method: asked, URL: r.URL, Host: r.Host})
	if route, ok := s.routes[pattern]; ok {
		if origin := route.admits(r.Header.Get("Origin")); origin != "" {
			return &allowed{origin, asked}
		}
	}
	return nil
}

// allowed is the good answer to a preflight.
type allowed struct{ origin, method string }

func (a *allowed) Error() string { return "a script may ask by " + a.method }

func (a *allowed) Reply(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", a.origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Methods", a.method)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP, OAuth-Client-Attestation, OAuth-Client-Attestation-PoP")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// headers sets what every answer has.
func (s *site) headers(w http.ResponseWriter, r *http.Request, route *Route, id string) {
	h := w.Header()
	h.Set(requestIDHeader, id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", route.cache())
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if len(route.Origins) > 0 {
		h.Add("Vary", "Origin")
	}
	if origin := route.admits(r.Header.Get("Origin")); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "DPoP-Nonce, OAuth-Client-Attestation-Challenge, Retry-After, WWW-Authenticate, "+requestIDHeader)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
}

// admit asks the limits.
func (s *site) admit(ctx context.Context, a *answer, r *http.Request, route *Route) error {
	if s.private || isOwn(route) {
		return nil
	}
	class := route.rate()
	limit, who := s.cfg.Rates[class], client(clientAddress(r, s.cfg.Proxies))
	wait, err := s.limits.allow(ctx, class, limit, who)
	if err != nil {
		s.cfg.Metrics.degraded.Inc()
		a.log.Warn("the rate limits are out of reach", "route", route.Name, "err", err)
		if route.FailClosed {
			return &Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "try again later", Retry: 5 * time.Second}
		}
		if wait, err = s.fallback.allow(ctx, class, limit, who); err != nil {
			return err
		}
	}
	if wait > 0 {
		s.cfg.Metrics.limited.WithLabelValues(class).Inc()
		return &Problem{Status: http.StatusTooManyRequests, Code: "too_many_requests", Detail: "too many requests; try again later", Retry: wait}
	}
	return nil
}

// foreign tells whether a page of a website asks a private port without TLS: a browser on this
// machine may have it open, and the website let its name lead here, so that no other rule of
// browsers keeps its scripts from asking and reading. Only pages of this machine may.
func foreign(r *http.Request, route *Route) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || r.TLS != nil || route.admits(origin) != "" {
		return false
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return true // null, say
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.Unmap().IsLoopback())
}

// body refuses what the route does not take, and bounds what it does.
func (s *site) body(a *answer, r *http.Request, route *Route) error {
	if r.URL.RawQuery != "" && !route.Query {
		return Refuse(http.StatusBadRequest, "unexpected_query", "this address takes no query")
	}
	if route.MaxBody == 0 {
		if r.ContentLength != 0 {
			return Refuse(http.StatusBadRequest, "unexpected_body", "this address takes no body")
		}
		r.Body = http.NoBody
		return nil
	}
	if r.ContentLength > route.MaxBody {
		a.Header().Set("Connection", "close") // so that the rest is not read
		return tooLarge(route.MaxBody)
	}
	if r.ContentLength != 0 && !route.takes(r.Header.Get("Content-Type")) {
		return Refuse(http.StatusUnsupportedMediaType, "unsupported_media_type", "the body must be %s", strings.Join(route.Media, " or "))
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return Refuse(http.StatusUnsupportedMediaType, "unsupported_encoding", "the body must not be encoded")
	}
	r.Body = http.MaxBytesReader(a.ResponseWriter, r.Body, route.MaxBody)
	return nil
}

func tooLarge(limit int64) error {
	return Refuse(http.StatusRequestEntityTooLarge, "too_large", "the body is longer than %d bytes", limit)
}

// deadlines replaces those of the connection for answers that go on.
func (s *site) deadlines(a *answer, route *Route) {
	if !route.Stream {
		return
	}
	c := http.NewResponseController(a)
	_ = c.SetReadDeadline(time.Time{}) // nothing more is read
	_ = c.SetWriteDeadline(time.Now().Add(eventPatience))
}

// An answer knows what was answered.
type answer struct {
	http.ResponseWriter
	log    *slog.Logger
	status int
	bytes  int64
	leave  func() // gives back the place in the gate
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader sees to it that a refusal is not kept by anyone, and makes room for the next
// request.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
		a.leave()
		if status >= 300 && status != http.StatusNotModified {
			a.Header().Set("Cache-Control", NoStore)
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// code is the status that the client got.
func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// broken reports whether the client got an answer that is not whole.
func (a *answer) broken() bool { return a.status != 0 && a.status != http.StatusInternalServerError }

var internal = &Problem{Status: http.StatusInternalServerError, Code: "server_error"}

// fail answers an error.
func (a *answer) fail(ctx context.Context, err error) {
	if a.status != 0 {
		a.log.Warn("an answer was cut short", "err", clip(err))
		return
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = tooLarge(e.Limit)
	}
	if reply, ok := errors.AsType[Reply](err); ok {
		reply.Reply(a)
		return
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		a.log.Warn("a request took too long", "err", clip(err))
		(&Problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "it took too long; try again later", Retry: 5 * time.Second}).Reply(a)
		return
	}
	a.log.Error("request failed", "err", clip(err))
	internal.Reply(a)
}

// clip bounds what an error may put into the log.
func clip(err error) string {
	const most = 600
	text := err.Error()
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

func asError(p any) error {
	err, _ := p.(error)
	return err
}

// frames is where a panic came from: functions and lines, no values.
func frames() []string {
	var pcs [24]uintptr
	all := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	var out []string
	for {
		f, more := all.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			out = append(out, f.Function+":"+strconv.Itoa(f.Line))
		}
		if !more || len(out) == 12 {
			return out
		}
	}
}

func newRequestID() string {
	var b [12]byte
	if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
		panic("web: internal error: no randomness")
	}
	return strict.Base64URL(b[:])
}
