package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/web"
)

func TestAnswers(t *testing.T) {
	s := serve(t, web.Config{}, hello("hello", "/hello/{id}"), echo(100),
		web.Route{Method: "POST", Pattern: "/hello/{id}", Name: "other", Handler: hello("x", "/").Handler})
	cached := hello("cached", "/cached")
	cached.Cache, cached.AnyOrigin, cached.Query = web.MaxAge(time.Hour), true, true
	c := serve(t, web.Config{}, cached)
	for _, tt := range []struct {
		name   string
		server *served
		method string
		path   string
		media  string
		body   string
		header []string
		status int
		code   string
		more   [2]string // a header of the answer
	}{
		{name: "good", server: s, method: "GET", path: "/hello/x", status: 200, more: [2]string{"Cache-Control", "no-store"}},
		{name: "HEAD", server: s, method: "HEAD", path: "/hello/x", status: 200},
		{name: "good body", server: s, method: "POST", path: "/echo", media: "application/json; charset=utf-8", body: "{}", status: 200},
		{name: "largest body", server: s, method: "POST", path: "/echo", media: web.MediaJSON, body: strings.Repeat("x", 100), status: 200},
		{name: "unknown path", server: s, method: "GET", path: "/nothing", status: 404, code: "not_found", more: [2]string{"Cache-Control", "no-store"}},
		{name: "a path with dots", server: s, method: "GET", path: "/hello/../hello/x", status: 404, code: "not_found"},
		{name: "a path with two slashes", server: s, method: "GET", path: "//hello/x", status: 404, code: "not_found"},
		{name: "JSON-07 wrong method", server: s, method: "DELETE", path: "/hello/x", status: 405, code: "method_not_allowed", more: [2]string{"Allow", "GET, HEAD, POST"}},
		{name: "JSON-07 odd method", server: s, method: "CANARY", path: "/hello/x", status: 405, code: "method_not_allowed"},
		{name: "JSON-07 wrong media type", server: s, method: "POST", path: "/echo", media: "text/plain", body: "{}", status: 415, code: "unsupported_media_type"},
		{name: "JSON-07 multipart", server: s, method: "POST", path: "/echo", media: "multipart/form-data; boundary=x", body: "{}", status: 415, code: "unsupported_media_type"},
		{name: "a packed body", server: s, method: "POST", path: "/echo", media: web.MediaJSON, body: "{}", header: []string{"Content-Encoding", "gzip"}, status: 415, code: "unsupported_encoding"},
		{name: "VP-13 body too large", server: s, method: "POST", path: "/echo", media: web.MediaJSON, body: strings.Repeat("x", 101), status: 413, code: "too_large"},
		{name: "body where none is taken", server: s, method: "GET", path: "/hello/x", media: web.MediaJSON, body: "{}", status: 400, code: "unexpected_body"},
		{name: "query where none is taken", server: s, method: "GET", path: "/hello/x?token=1", status: 400, code: "unexpected_query"},
		{name: "cache rule", server: c, method: "GET", path: "/cached?x=1", status: 200, more: [2]string{"Cache-Control", "public, max-age=3600"}},
		{name: "no cache rule for a refusal", server: c, method: "GET", path: "/cached", media: web.MediaJSON, body: "{}", status: 400, code: "unexpected_body", more: [2]string{"Cache-Control", "no-store"}},
		{name: "any origin", server: c, method: "GET", path: "/cached", status: 200, more: [2]string{"Access-Control-Allow-Origin", "*"}},
		{name: "preflight", server: c, method: "OPTIONS", path: "/cached", header: []string{"Origin", "https://x.example", "Access-Control-Request-Method", "GET"}, status: 204, more: [2]string{"Access-Control-Allow-Methods", "GET"}},
		{name: "preflight of what is not for all", server: s, method: "OPTIONS", path: "/hello/x", header: []string{"Origin", "https://x.example", "Access-Control-Request-Method", "GET"}, status: 405, code: "method_not_allowed"},
		{name: "health", server: s, method: "GET", path: "/healthz", status: 200},
		{name: "ready", server: s, method: "GET", path: "/readyz", status: 200},
		{name: "figures are private", server: s, method: "GET", path: "/metrics", status: 404, code: "not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := tt.server.do(t, tt.method, tt.path, tt.media, tt.body, tt.header...)
			if g.status != tt.status || g.code() != tt.code {
				t.Errorf("%d %q, want %d %q\n%s", g.status, g.code(), tt.status, tt.code, g.body)
			}
			if tt.code != "" && g.header.Get("Content-Type") != web.MediaProblem {
				t.Errorf("a refusal is %q, want %q", g.header.Get("Content-Type"), web.MediaProblem)
			}
			if name := tt.more[0]; name != "" && g.header.Get(name) != tt.more[1] {
				t.Errorf("%s: %q, want %q", name, g.header.Get(name), tt.more[1])
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": "",
			} {
				if got := g.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if len(g.header.Get("X-Request-Id")) != 16 {
				t.Errorf("request id %q", g.header.Get("X-Request-Id"))
			}
		})
	}
}

// TestWebsitesAtThePrivatePort: a website whose name leads to this machine (NET-02 from the
// other side) has browsers send its scripts' requests with Host and Origin alike. They are
// refused; programs, which send no Origin, and pages of this machine are not.
func TestWebsitesAtThePrivatePort(t *testing.T) {
	private, shared := echo(100), hello("shared", "/shared")
	private.Private, shared.Private, shared.Origins = true, true, []string{"https://scanner.example"}
	s := serve(t, web.Config{}, private, shared)
	for origin, want := range map[string]int{
		"": 200, "http://127.0.0.1:3000": 200, "http://localhost:3000": 200, "http://[::1]": 200,
		"http://evil.example": 403, "http://localhost.evil.example": 403, "http://10.0.0.7": 403, "null": 403, "https://scanner.example": 403,
	} {
		var header []string
		if origin != "" {
			header = []string{"Origin", origin}
		}
		if g := s.do(t, "POST", s.PrivateURL()+"/echo", web.MediaJSON, "1", header...); g.status != want || want == 403 && g.code() != "origin" {
			t.Errorf("from %q: %d %s, want %d", origin, g.status, g.body, want)
		}
	}
	if g := s.do(t, "GET", s.PrivateURL()+"/shared", "", "", "Origin", "https://scanner.example"); g.status != 200 {
		t.Errorf("a website that is named: %d", g.status)
	}
}

// parameters is a form of so many parameters.
func parameters(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("p%d=", i)
	}
	return strings.Join(all, "&")
}

// TestLongHeaders: a request whose headers are longer than any that is needed is not read.
func TestLongHeaders(t *testing.T) {
	s := serve(t, web.Config{}, hello("hello", "/hello"))
	if g := s.get(t, "/hello", "X-Long", strings.Repeat("a", 8<<10)); g.status != http.StatusOK {
		t.Errorf("8 KiB of headers: %d", g.status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("a", 64<<10))
	res, err := s.client.Do(r)
	if err != nil {
		return // the server has closed the connection before all of it was sent
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %d, want 431", res.StatusCode)
	}
}

// TestUnknownLength sends a body whose length nobody says before.
func TestUnknownLength(t *testing.T) {
	s := serve(t, web.Config{}, echo(100))
	c := s.dial(t)
	say(t, c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 20 {
		say(t, c, "a\r\n0123456789\r\n")
	}
	say(t, c, "0\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d, want 413", res.StatusCode)
	}
}

// TestSlowClients (slowloris): neither headers nor bodies may take for ever, and
// others are served meanwhile.
func TestSlowClients(t *testing.T) {
	s := serve(t, web.Config{}.Impatient(200*time.Millisecond, 400*time.Millisecond), echo(100), hello("hello", "/hello"))
	for _, tt := range []struct{ name, begin, drip string }{
		{"headers", "POST /echo HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n"},
		{"body", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n", "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begin := time.Now()
			var wg sync.WaitGroup
			for range 20 {
				c := s.dial(t)
				say(t, c, "%s", tt.begin)
				wg.Go(func() {
					ended := make(chan struct{})
					go func() {
						_, _ = io.Copy(io.Discard, c)
						close(ended)
					}()
					for {
						select {
						case <-ended:
							return
						case <-time.After(30 * time.Millisecond):
							_, _ = io.WriteString(c, tt.drip)
						}
					}
				})
			}
			if g := s.get(t, "/hello"); g.status != 200 {
				t.Errorf("meanwhile: %d, want 200", g.status)
			}
			wg.Wait() // the server has ended all of them
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %v until the last was ended", took)
			}
		})
	}
}

// TestPanic answers 500 and logs where, not what.
func TestPanic(t *testing.T) {
	secret := "CANARY-panic"
	routes := []web.Route{
		{Method: "GET", Pattern: "/panic", Name: "panic", Handler: func(http.ResponseWriter, *http.Request) error { panic(secret) }},
		{Method: "GET", Pattern: "/index", Name: "index", Handler: func(http.ResponseWriter, *http.Request) error {
			return fmt.Errorf("%d", strings.Index(secret, "p")/len(secret[:0]))
		}},
		{Method: "GET", Pattern: "/half", Name: "half", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half an ans")
			_ = http.NewResponseController(w).Flush()
			panic(secret)
		}},
		hello("hello", "/hello"),
	}
	s := serve(t, web.Config{}, routes...)
	for _, path := range []string{"/panic", "/index"} {
		if g := s.get(t, path); g.status != 500 || g.code() != "server_error" || strings.Contains(g.body, "CANARY") {
			t.Errorf("OUT-05 %s: %d %s", path, g.status, g.body)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/half", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := s.client.Do(r); err == nil {
		if _, err = io.ReadAll(res.Body); err == nil {
			t.Error("half an answer looks like a whole one")
		}
		res.Body.Close()
	}
	if g := s.get(t, "/hello"); g.status != 200 {
		t.Errorf("afterwards: %d", g.status)
	}
	log := s.log.String()
	if strings.Contains(log, "CANARY") {
		t.Errorf("OUT-05 the log says what the panic said:\n%s", log)
	}
	if n := strings.Count(log, `"msg":"panic"`); n != 3 || !strings.Contains(log, "web_test.TestPanic") {
		t.Errorf("%d panics in the log, want 3, with the function:\n%s", n, log)
	}
	if m := s.get(t, s.PrivateURL()+"/metrics"); !strings.Contains(m.body, "sanad_http_panics_total 3") {
		t.Error("the figures do not know of three panics")
	}
}

// TestNothingInTheLog runs requests that carry canaries everywhere.
func TestNothingInTheLog(t *testing.T) {
	const canary = "CANARY"
	failing := web.Route{Method: "GET", Pattern: "/fail/{id}", Name: "fail", Query: true, Handler: func(http.ResponseWriter, *http.Request) error {
		return errors.New("the database is away")
	}}
	refusing := web.Route{Method: "GET", Pattern: "/refuse/{id}", Name: "refuse", Query: true, Handler: func(_ http.ResponseWriter, r *http.Request) error {
		return web.Refuse(http.StatusBadRequest, "no", "not so")
	}}
	s := serve(t, web.Config{}, hello("hello", "/hello/{id}"), echo(100), failing, refusing)
	for _, path := range []string{"/hello/CANARY", "/hello/x?name=CANARY", "/CANARY", "/fail/CANARY?x=CANARY", "/refuse/CANARY?CANARY=1"} {
		s.get(t, path, "User-Agent", canary, "X-Request-Id", canary, "X-Forwarded-For", canary, "Authorization", "Bearer "+canary, "Cookie", "a="+canary)
	}
	if g := s.get(t, "/fail/CANARY"); g.status != 500 || strings.Contains(g.body, "database") || strings.Contains(g.body, canary) || !strings.Contains(g.body, g.header.Get("X-Request-Id")) {
		t.Errorf("OUT-05 an error that nobody foresaw tells %d %s", g.status, g.body)
	}
	s.do(t, "POST", "/echo", web.MediaJSON, `"CANARY"`)
	s.do(t, "POST", "/echo", "text/CANARY", `"CANARY"`)
	s.do(t, "CANARY", "/hello/x", "", "")
	c := s.dial(t)
	say(t, c, "GET /CANARY HTTP/9.9\r\nCANARY\r\n\r\n")
	_, _ = io.Copy(io.Discard, c)
	log, figures := s.log.String(), s.get(t, s.PrivateURL()+"/metrics").body
	for name, text := range map[string]string{"log": log, "figures": figures} {
		for _, what := range []string{canary, "127.0.0.1"} {
			if strings.Contains(text, what) {
				t.Errorf("OUT-06 %s in the %s:\n%s", what, name, text)
			}
		}
	}
	// It is not empty either.
	for _, want := range []string{`"route":"hello"`, `"route":"none"`, `"status":500`, "the database is away", `"method":"other"`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in the log:\n%s", want, log)
		}
	}
	for _, want := range []string{
		`sanad_http_requests_total{method="GET",route="fail",status="5xx"} 2`, `sanad_http_requests_total{method="other",route="none",status="4xx"} 1`,
		`sanad_http_request_seconds_count{route="fail"} 2`,
	} {
		if !strings.Contains(figures, want) {
			t.Errorf("no %s in the figures", want)
		}
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not one JSON a line: %s", line)
		}
	}
}

// TestCertificateIsReadAgain replaces the files while the server runs.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := newCertificate(t, dir, "first")
	s := serve(t, web.Config{TLSCert: cert, TLSKey: key}, hello("hello", "/hello"))
	s.LookOften()
	name := func() string {
		t.Helper()
		c, err := tls.Dial("tcp", s.URL()[len("https://"):], &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Errorf("%q, want the first", got)
	}
	if g := s.get(t, "/hello"); g.status != 200 || g.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("over TLS: %d, %q", g.status, g.header.Get("Strict-Transport-Security"))
	}
	if err := os.WriteFile(cert, []byte("half of the fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "first" {
		t.Errorf("%q while the file is broken, want the first", got)
	}
	newCertificate(t, dir, "second")
	if got := name(); got != "second" {
		t.Errorf("%q, want the second", got)
	}
	if _, err := tls.Dial("tcp", s.URL()[len("https://"):], &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is served")
	}
	plain, err := http.NewRequestWithContext(t.Context(), "GET", "http"+s.URL()[len("https"):]+"/hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := s.client.Do(plain); err == nil {
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("plain http is answered on the TLS port")
		}
	}
}

func TestReadiness(t *testing.T) {
	down := errors.New("the store is away")
	s := serve(t, web.Config{Ready: []web.Readiness{
		{Name: "store", Check: func(context.Context) error { return down }},
		{Name: "keys", Check: func(context.Context) error { return nil }},
	}})
	if g := s.get(t, "/readyz"); g.status != 503 || strings.Contains(g.body, "store") {
		t.Errorf("public: %d %s", g.status, g.body)
	}
	if g := s.get(t, s.PrivateURL()+"/readyz"); g.status != 503 || !strings.Contains(g.body, `"down":["store"]`) {
		t.Errorf("private: %d %s", g.status, g.body)
	}
	if g := s.get(t, "/healthz"); g.status != 200 {
		t.Errorf("healthz: %d", g.status)
	}
}

// TestGracefulEnd lets a running request finish, ends streams and takes nothing new.
func TestGracefulEnd(t *testing.T) {
	entered, streaming, finish := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := web.Route{Method: "GET", Pattern: "/slow", Name: "slow", Handler: func(w http.ResponseWriter, r *http.Request) error {
		close(entered)
		<-finish
		return web.JSON(w, http.StatusOK, "done")
	}}
	stream := web.Route{Method: "GET", Pattern: "/stream", Name: "stream", Stream: true, Timeout: time.Hour, Handler: func(w http.ResponseWriter, r *http.Request) error {
		e, err := web.NewEvents(w)
		if err != nil {
			return err
		}
		if err := e.Send("first", []byte("1")); err != nil {
			return err
		}
		close(streaming)
		<-web.Closing(r.Context())
		return e.Send("last", []byte("2"))
	}}
	s := serve(t, web.Config{}, slow, stream)
	answers := make(chan string, 2)
	ask := func(path string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		res, err := s.client.Do(r)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			b = []byte(err.Error())
		}
		answers <- string(b)
	}
	go ask("/stream")
	go ask("/slow")
	<-entered
	<-streaming
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	if got := <-answers; !strings.Contains(got, "event: first\ndata: 1") || !strings.Contains(got, "event: last\ndata: 2") {
		t.Errorf("the stream: %q", got)
	}
	select {
	case err := <-ended:
		t.Errorf("it ended before its request: %v", err)
	default:
	}
	close(finish)
	if got := <-answers; got != `"done"` {
		t.Errorf("the slow request: %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if res, err := s.client.Get(s.URL() + "/slow"); err == nil {
		res.Body.Close()
		t.Error("it serves after its end")
	}
}

// TestStreamOutlivesTheDeadlines: those of the connection are for other requests.
func TestStreamOutlivesTheDeadlines(t *testing.T) {
	stream := web.Route{Method: "GET", Pattern: "/stream", Name: "stream", Stream: true, Timeout: time.Hour, Handler: func(w http.ResponseWriter, r *http.Request) error {
		e, err := web.NewEvents(w)
		if err != nil {
			return err
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(600 * time.Millisecond):
		}
		return e.Send("late", []byte("1"))
	}}
	s := serve(t, web.Config{}.Impatient(100*time.Millisecond, 200*time.Millisecond), stream)
	if g := s.get(t, "/stream"); !strings.Contains(g.body, "event: late") {
		t.Errorf("%q", g.body)
	}
}

// TestListenRefuses spoils one setting at a time.
func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	cert, key := newCertificate(t, dir, "x")
	for _, tt := range []struct {
		name  string
		spoil func(c *web.Config, r *web.Route)
		want  string
	}{
		{"no address", func(c *web.Config, _ *web.Route) { c.Addr = "" }, "Config.Addr"},
		{"no log", func(c *web.Config, _ *web.Route) { c.Log = nil }, "Config.Log"},
		{"neither TLS nor the switch", func(c *web.Config, _ *web.Route) { c.DevHTTP = false }, "plain http is not switched on"},
		{"plain http for all", func(c *web.Config, _ *web.Route) { c.Addr = ":0" }, "loopback only"},
		{"plain http on every address", func(c *web.Config, _ *web.Route) { c.Addr = "0.0.0.0:0" }, "loopback only"},
		{"plain http on a name", func(c *web.Config, _ *web.Route) { c.Addr = "issuer.example:0" }, "loopback only"},
		{"figures for all", func(c *web.Config, _ *web.Route) { c.Private = ":0" }, "loopback only"},
		{"TLS and the switch", func(c *web.Config, _ *web.Route) { c.TLSCert, c.TLSKey = cert, key }, "exclude each other"},
		{"a certificate without key", func(c *web.Config, _ *web.Route) { c.DevHTTP, c.TLSCert = false, cert }, "belong together"},
		{"no such certificate", func(c *web.Config, _ *web.Route) {
			c.DevHTTP, c.TLSCert, c.TLSKey = false, filepath.Join(dir, "none"), key
		}, "TLS certificate"},
		{"a key that is none", func(c *web.Config, _ *web.Route) { c.DevHTTP, c.TLSCert, c.TLSKey = false, cert, cert }, "TLS certificate"},
		{"Redis nowhere", func(c *web.Config, _ *web.Route) { c.Redis = "http://:CANARY@x" }, "address of Redis"},
		{"no default rate", func(c *web.Config, _ *web.Route) { c.Rates = map[string]web.Rate{"x": {1, 1, 1}} }, "default"},
		{"an empty rate", func(c *web.Config, _ *web.Route) { c.Rates = map[string]web.Rate{"default": {}} }, "must be positive"},
		{"a route without name", func(_ *web.Config, r *web.Route) { r.Name = "" }, "name"},
		{"a route with a name of ours", func(_ *web.Config, r *web.Route) { r.Name = "healthz" }, "name"},
		{"a route twice", func(_ *web.Config, r *web.Route) { r.Name = "hello" }, "two routes"},
		{"a pattern twice", func(_ *web.Config, r *web.Route) { r.Pattern = "/hello" }, "pattern"},
		{"a pattern of ours", func(_ *web.Config, r *web.Route) { r.Pattern = "/healthz" }, "pattern"},
		{"a pattern with a method", func(_ *web.Config, r *web.Route) { r.Pattern = "GET /y" }, "pattern"},
		{"a broken pattern", func(_ *web.Config, r *web.Route) { r.Pattern = "/{" }, "pattern"},
		{"an odd method", func(_ *web.Config, r *web.Route) { r.Method = "FETCH" }, "method"},
		{"no handler", func(_ *web.Config, r *web.Route) { r.Handler = nil }, "handler"},
		{"a body without type", func(_ *web.Config, r *web.Route) { r.Method, r.MaxBody = "POST", 1 }, "Media"},
		{"a body of a GET", func(_ *web.Config, r *web.Route) { r.MaxBody, r.Media = 1, []string{web.MediaJSON} }, "GET"},
		{"a type that is none", func(_ *web.Config, r *web.Route) { r.Method, r.MaxBody, r.Media = "POST", 1, []string{"json"} }, "media type"},
		{"an unknown rate", func(_ *web.Config, r *web.Route) { r.Rate = "x" }, "no rate"},
		{"a stream without end", func(_ *web.Config, r *web.Route) { r.Stream = true }, "timeout"},
		{"a private route without port", func(c *web.Config, r *web.Route) { r.Private, c.Private = true, "" }, "Config.Private"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := web.Config{Addr: "127.0.0.1:0", Private: "127.0.0.1:0", DevHTTP: true, Log: slog.New(slog.DiscardHandler)}
			r := hello("second", "/second")
			tt.spoil(&c, &r)
			s, err := web.Listen(t.Context(), c, []web.Route{hello("hello", "/hello"), r})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("Listen: %v, want %q", err, tt.want)
			}
		})
	}
}

// TestOneRequestNeverSeesAnother (P21): unique canaries, connections that are used
// again, and clients that go away.
func TestOneRequestNeverSeesAnother(t *testing.T) {
	s := serve(t, web.Config{Rates: many()}, echo(100))
	s.client.Transport = &http.Transport{MaxIdleConnsPerHost: 16}
	const workers = 8
	each := count(2_000, 1_000_000) / workers
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range each {
				canary := fmt.Sprintf(`"canary %d %d"`, worker, i)
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == 0 {
					go func() {
						runtime.Gosched()
						cancel()
					}()
				}
				r, err := http.NewRequestWithContext(ctx, "POST", s.URL()+"/echo", strings.NewReader(canary))
				if err != nil {
					t.Error(err)
				}
				r.Header.Set("Content-Type", web.MediaJSON)
				if res, err := s.client.Do(r); err == nil {
					b, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err == nil && string(b) != canary {
						t.Errorf("%d %q, want %q", res.StatusCode, b, canary)
					}
				} else if ctx.Err() == nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

func TestReading(t *testing.T) {
	reading := func(name string, f func(r *http.Request) error) web.Route {
		return web.Route{
			Method: "POST", Pattern: "/" + name, Name: name, MaxBody: 4096, Media: []string{web.MediaForm, web.MediaJSON}, Query: true,
			Handler: func(w http.ResponseWriter, r *http.Request) error {
				if err := f(r); err != nil {
					return err
				}
				return web.JSON(w, http.StatusOK, "ok")
			},
		}
	}
	s := serve(t, web.Config{},
		reading("form", func(r *http.Request) error { _, err := web.Form(r); return err }),
		reading("query", func(r *http.Request) error { _, err := web.Query(r); return err }),
		reading("json", func(r *http.Request) error { _, err := web.ReadJSON(r, 4, 20); return err }),
		reading("bearer", func(r *http.Request) error {
			if web.Bearer(r) != "abc" {
				return web.Refuse(http.StatusUnauthorized, "no", "")
			}
			return nil
		}),
		reading("repeated", func(r *http.Request) error {
			if _, err := web.Form(r); !errors.Is(err, web.ErrRepeated) {
				return web.Refuse(http.StatusTeapot, "no", "")
			}
			return nil
		}),
	)
	for _, tt := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"form", "/form", "a=1&b=2", 200, ""},
		{"JSON-06 repeated", "/form", "a=1&a=2", 400, "bad_form"},
		{"JSON-06 repeated, told apart", "/repeated", "a=1&a=2", 200, ""},
		{"not a form", "/form", "a=%zz", 400, "bad_form"},
		{"VP-13 a large form", "/form", parameters(65), 400, "bad_form"},
		{"the largest form", "/form", parameters(64), 200, ""},
		{"JSON-06 repeated in the query", "/query?a=1&a=2", "", 400, "bad_form"},
		{"JSON", "/json", `{"a":[1,2]}`, 200, ""},
		{"JSON-01 a member twice", "/json", `{"a":1,"a":2}`, 400, "bad_json"},
		{"JSON-03 too deep", "/json", `[[[[[1]]]]]`, 400, "bad_json"},
		{"JSON-03 too many", "/json", `[` + strings.Repeat("1,", 30) + `1]`, 400, "bad_json"},
		{"JSON-04 more after it", "/json", `{} {}`, 400, "bad_json"},
		{"no body", "/json", ``, 400, "bad_json"},
		{"no bearer", "/bearer", ``, 401, "no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if g := s.do(t, "POST", tt.path, web.MediaForm, tt.body); g.status != tt.status || g.code() != tt.code {
				t.Errorf("%d %q, want %d %q", g.status, g.code(), tt.status, tt.code)
			}
		})
	}
	if g := s.do(t, "POST", "/bearer", web.MediaForm, "", "Authorization", "bearer abc"); g.status != 200 {
		t.Errorf("bearer: %d", g.status)
	}
	if g := s.do(t, "POST", "/bearer", web.MediaForm, "", "Authorization", "Basic abc"); g.status != 401 {
		t.Errorf("basic: %d", g.status)
	}
}
