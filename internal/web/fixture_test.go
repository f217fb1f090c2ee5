package web_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/web"
)

// count is how often a loop runs: change for every change, night for a nightly run.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(1, change/4)
	}
	return change
}

// A logbook keeps what was logged.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// served is a server that runs until the test ends.
type served struct {
	*web.Server
	log    *logbook
	client *http.Client
	stop   func() error
}

// serve starts a server on the loopback, without TLS unless c says otherwise.
func serve(t testing.TB, c web.Config, routes ...web.Route) *served {
	t.Helper()
	s := &served{log: &logbook{}}
	c.Addr, c.Private = "127.0.0.1:0", "127.0.0.1:0"
	c.DevHTTP = c.TLSCert == ""
	c.Log = slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if s.Server, err = web.Listen(t.Context(), c, routes); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = s.stop() })
	s.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       20 * time.Second,
	}
	return s
}

// got is an answer that was read.
type got struct {
	status int
	header http.Header
	body   string
}

// code is the code of a problem.
func (g got) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(g.body), &p)
	return p.Code
}

func (s *served) do(t testing.TB, method, address, media, body string, header ...string) got {
	t.Helper()
	if strings.HasPrefix(address, "/") {
		address = s.URL() + address
	}
	var content io.Reader
	if media != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, content)
	if err != nil {
		t.Fatal(err)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{res.StatusCode, res.Header, string(b)}
}

func (s *served) get(t testing.TB, address string, header ...string) got {
	t.Helper()
	return s.do(t, http.MethodGet, address, "", "", header...)
}

// hello is a route that says hello.
func hello(name, pattern string) web.Route {
	return web.Route{Method: http.MethodGet, Pattern: pattern, Name: name, Handler: func(w http.ResponseWriter, r *http.Request) error {
		return web.JSON(w, http.StatusOK, map[string]string{"hello": r.PathValue("id")})
	}}
}

// echo is a route that answers with its body.
func echo(most int64) web.Route {
	return web.Route{
		Method: http.MethodPost, Pattern: "/echo", Name: "echo", MaxBody: most, Media: []string{web.MediaJSON},
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			b, err := web.Body(r)
			if err != nil {
				return err
			}
			web.Write(w, http.StatusOK, web.MediaJSON, b)
			return nil
		},
	}
}

// many are rates that no test reaches.
func many() map[string]web.Rate {
	return map[string]web.Rate{web.DefaultRate: {Requests: 1 << 20, Per: time.Second, Burst: 1 << 20}}
}

// newCertificate writes a certificate for the loopback and its key.
func newCertificate(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// dial opens a bare connection.
func (s *served) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.URL()[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func say(t testing.TB, w io.Writer, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		t.Fatal(err)
	}
}
