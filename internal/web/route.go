package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Handler answers a request or returns an error, as long as it has not answered.
// A [Reply] is sent as it is; [*http.MaxBytesError] is 413; any other error is 500,
// and its text is only logged.
type Handler func(w http.ResponseWriter, r *http.Request) error

// A Reply is an error that knows its answer. [*Problem] is one; servers of
// protocols with error formats of their own have others.
type Reply interface {
	error
	// Reply writes the answer.
	Reply(w http.ResponseWriter)
}

// Cache rules.
const (
	// NoStore is the rule of routes that state none.
	NoStore = "no-store"
	// Immutable is for what an address that holds its digest leads to.
	Immutable = "public, max-age=31536000, immutable"
)

// MaxAge is the rule for what everybody may keep this long.
func MaxAge(d time.Duration) string { return fmt.Sprintf("public, max-age=%d", int(d.Seconds())) }

// A Route is one row of the table of a server.
type Route struct {
	// Method is GET, POST, PUT, PATCH or DELETE. A GET route answers HEAD, too.
	Method string
	// Pattern is a path as [http.ServeMux] reads it, such as /requests/{id}, without
	// method and host.
	Pattern string
	// Name is what logs, figures and the OpenAPI file call it: lower-case letters,
	// digits, - and _. Each occurs once.
	Name string
	// Handler answers.
	Handler Handler

	// MaxBody is the greatest length of a body in bytes. Zero takes none.
	MaxBody int64
	// Media are the media types that a body may have, such as application/json. It
	// must be set if MaxBody is.
	Media []string
	// Query allows a query in the address. Without it a request with one is
	// refused, so that nothing is overlooked that somebody meant.
	Query bool
	// Rate names the limit in [Config.Rates]. [DefaultRate] if empty.
	Rate string
	// FailClosed answers 503 while the store of the limits is out of reach. Otherwise
	// each process then counts by itself.
	FailClosed bool
	// Cache is the Cache-Control of good answers; [NoStore] if empty. Refusals are
	// never stored.
	Cache string
	// AnyOrigin lets scripts of every website read the answer. For what is public
	// anyway: metadata, keys, lists.
	AnyOrigin bool
	// Origins are websites, such as https://scanner.example, whose scripts may read the
	// answer and send an Authorization header. Not with AnyOrigin. Optional.
	Origins []string
	// Timeout ends the request's context; 20 seconds if zero.
	Timeout time.Duration
	// Stream is for answers that go on, such as server-sent events: Timeout is then
	// the longest that one lasts, and must be set. See [Closing].
	Stream bool
	// Private routes are on [Config.Private] only.
	Private bool
}

// MediaForm and the others are media types of requests and answers.
const (
	MediaForm    = "application/x-www-form-urlencoded"
	MediaJSON    = "application/json"
	MediaProblem = "application/problem+json"
	MediaEvents  = "text/event-stream"
)

var routeName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// methods that a route may have.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// ownRoutes are the names that the server gives to its own.
var ownRoutes = []string{"healthz", "readyz", "metrics", nowhere}

func (r *Route) check(c *Config) error {
	switch {
	case !routeName.MatchString(r.Name) || slices.Contains(ownRoutes, r.Name):
		return fmt.Errorf("the name %q cannot be", r.Name)
	case !slices.Contains(methods, r.Method):
		return fmt.Errorf("the method %q cannot be", r.Method)
	case !strings.HasPrefix(r.Pattern, "/") || strings.ContainsAny(r.Pattern, " \t"):
		return fmt.Errorf("the pattern %q is not a path", r.Pattern)
	case r.Handler == nil:
		return errors.New("there is no handler")
	case r.MaxBody < 0:
		return errors.New("the greatest body is negative")
	case (r.MaxBody == 0) != (len(r.Media) == 0):
		return errors.New("MaxBody and Media belong together")
	case r.MaxBody > 0 && r.Method == http.MethodGet:
		return errors.New("a GET takes no body")
	case r.AnyOrigin && len(r.Origins) > 0:
		return errors.New("some origins, and any")
	case r.Timeout < 0 || r.Stream && r.Timeout == 0:
		return errors.New("a stream has a timeout, and none is negative")
	}
	for _, o := range r.Origins {
		if !isOrigin(o) {
			return fmt.Errorf("the origin %q is not SCHEME://HOST", o)
		}
	}
	for _, m := range r.Media {
		if got, params, err := mime.ParseMediaType(m); err != nil || got != m || len(params) > 0 || !strings.Contains(m, "/") {
			return fmt.Errorf("the media type %q cannot be", m)
		}
	}
	if _, ok := c.Rates[r.rate()]; !ok {
		return fmt.Errorf("there is no rate %q", r.rate())
	}
	return nil
}

// isOrigin tells whether a text is an origin as browsers write it (RFC 6454 section 6.2).
func isOrigin(o string) bool {
	u, err := url.Parse(o)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Scheme+"://"+strings.ToLower(u.Host) == o
}

// admits is the origin whose scripts may read the answer to a request from this one: "*",
// the same, or "" for none.
func (r *Route) admits(origin string) string {
	switch {
	case r.AnyOrigin:
		return "*"
	case origin != "" && slices.Contains(r.Origins, origin):
		return origin
	}
	return ""
}

func (r *Route) rate() string {
	if r.Rate == "" {
		return DefaultRate
	}
	return r.Rate
}

func (r *Route) cache() string {
	if r.Cache == "" {
		return NoStore
	}
	return r.Cache
}

func (r *Route) timeout() time.Duration {
	if r.Timeout == 0 {
		return 20 * time.Second
	}
	return r.Timeout
}

// takes tells whether a body of this Content-Type is taken.
func (r *Route) takes(contentType string) bool {
	got, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(r.Media, got)
}
