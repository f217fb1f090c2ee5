package fetch_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/fetch"
)

// errWatched is what a connection ends with that the guard has let through: nothing
// leaves this machine in a test.
var errWatched = errors.New("let through")

// All tests of the package run with a proxy in the environment, which is set here since
// net/http reads it once.
func init() {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if err := os.Setenv(name, "http://9.9.9.9:3128"); err != nil {
			panic(err)
		}
	}
}

// TestGuardAddresses: NET-01 of the corpus, each address as a literal and as the
// answer of a name server.
func TestGuardAddresses(t *testing.T) {
	forbidden := []string{
		"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
		"169.254.169.254", "169.254.170.2", "169.254.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.192", "192.0.2.1",
		"192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1",
		"fe80::1", "febf::1", "fec0::1", "ff00::1", "ff02::1",
	}
	public := []string{"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "223.255.255.255", "2606:4700::1", "2a00::1"}
	ask := func(address string, answers ...string) error {
		c := fetch.NewWatched(fetch.Config{Timeout: 5 * time.Second}, names(t, answers...), func(string) error { return errWatched })
		_, err := c.Get(t.Context(), address)
		return err
	}
	for _, a := range forbidden {
		if err := ask("https://" + literal(a) + "/"); !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("NET-01 %s: %v, want ErrForbidden", a, err)
		}
		if err := ask("https://host.example/", a); !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("NET-01 a name for %s: %v, want ErrForbidden", a, err)
		}
	}
	// What the system says that a connection goes to may be an IPv4 address in IPv6, too.
	for _, a := range []string{"127.0.0.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1"} {
		if err := fetch.CheckPublic("[::ffff:" + a + "]:443"); !errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("NET-01 a connection to %s in IPv6: %v, want ErrForbidden", a, err)
		}
	}
	for _, a := range public {
		if err := ask("https://" + literal(a) + "/"); err == nil || errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("%s: %v, want it let through", a, err)
		}
	}
}

func literal(a string) string {
	if strings.Contains(a, ":") {
		return "[" + a + "]"
	}
	return a
}

// names is a resolver that answers each question for an address with the next of
// answers, and the last one from then on.
func names(t *testing.T, answers ...string) *net.Resolver {
	t.Helper()
	var mu sync.Mutex
	asked := 0
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			size := make([]byte, 2)
			for {
				if _, err := io.ReadFull(ours, size); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size))
				if _, err := io.ReadFull(ours, query); err != nil {
					return
				}
				mu.Lock()
				ip := netip.MustParseAddr(answers[min(asked, len(answers)-1)])
				reply, counted := reply(query, ip)
				if counted {
					asked++
				}
				mu.Unlock()
				if _, err := ours.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
					return
				}
			}
		}()
		return theirs, nil
	}}
}

// reply answers a DNS query (RFC 1035 section 4.1) for the kind of address that ip is,
// and says that there is none of the other kind.
func reply(query []byte, ip netip.Addr) (b []byte, counted bool) {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	question := query[12 : end+5]
	kind := binary.BigEndian.Uint16(query[end+1:])
	want := uint16(1)
	if ip.Is6() {
		want = 28
	}
	answers := uint16(0)
	if kind == want {
		answers = 1
	}
	b = append(b, query[0], query[1], 0x81, 0x80, 0, 1)
	b = binary.BigEndian.AppendUint16(b, answers)
	b = append(append(b, 0, 0, 0, 0), question...)
	if answers == 1 {
		raw := ip.AsSlice()
		b = append(b, 0xc0, 12, 0, byte(want), 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
		b = append(b, raw...)
	}
	return b, answers == 1
}

// TestRebinding: NET-02. Whatever a name leads to when it is first looked up, no
// connection goes to where it leads later, and what is checked is what is connected to.
func TestRebinding(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer s.Close()
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	var connected []string
	c := fetch.NewWatched(fetch.Config{Timeout: 5 * time.Second}, names(t, "1.1.1.1", "127.0.0.1", "8.8.8.8", "127.0.0.1"), func(address string) error {
		connected = append(connected, address)
		return errWatched
	})
	for i, want := range []bool{false, true, false, true, true} {
		if _, err := c.Get(t.Context(), "https://rebind.example"+port+"/"); err == nil || errors.Is(err, fetch.ErrForbidden) != want {
			t.Errorf("NET-02 request %d: %v, forbidden: %v, want %v", i+1, err, errors.Is(err, fetch.ErrForbidden), want)
		}
	}
	if got := fmt.Sprint(connected); got != fmt.Sprintf("[1.1.1.1%s 8.8.8.8%s]", port, port) {
		t.Errorf("NET-02 connected to %s", got)
	}
	if asked.Load() > 0 {
		t.Error("a server inside was asked")
	}
}

// TestLocalNames: a host of the settings may be inside, but its name does not open the
// way to the secrets of a cloud.
func TestLocalNames(t *testing.T) {
	cfg := fetch.Config{LocalHosts: []string{"witness.local", "169.254.169.254"}, Timeout: 5 * time.Second}
	for answer, want := range map[string]bool{"10.1.2.3": false, "127.0.0.1": false, "169.254.169.254": true, "fd00:ec2::254": true, "224.0.0.1": true} {
		c := fetch.NewWatched(cfg, names(t, answer), func(string) error { return errWatched })
		if _, err := c.Get(t.Context(), "http://witness.local/"); err == nil || errors.Is(err, fetch.ErrForbidden) != want {
			t.Errorf("%s: %v, forbidden: want %v", answer, err, want)
		}
	}
	c := fetch.NewWatched(cfg, nil, func(string) error { return errWatched })
	if _, err := c.Get(t.Context(), "http://169.254.169.254/"); errors.Is(err, fetch.ErrForbidden) {
		t.Errorf("an address that the settings name: %v", err)
	}
}

// TestAddressesThatNobodyAsks: NET-05, NET-09 and ST-07 of the corpus.
func TestAddressesThatNobodyAsks(t *testing.T) {
	c := fetch.NewWatched(fetch.Config{LocalHosts: []string{"127.0.0.1"}}, names(t, "1.1.1.1"), func(address string) error {
		t.Errorf("a connection to %s", address)
		return errWatched
	})
	for name, addresses := range map[string][]string{
		"NET-05 zones and proxies": {
			"https://[::ffff:127.0.0.1%25eth0]/", "https://[fe80::1%25lo]/", "https://[fe80::1%lo]/",
		},
		"NET-09 schemes": {
			"", "/", "//good.example/", "good.example", "ftp://good.example/", "file:///etc/passwd", "file://good.example/etc/passwd",
			"data:text/plain,x", "gopher://good.example/", "javascript:alert(1)", "unix:/run/x", "https:good.example", "https:///x", "https://",
		},
		"NET-09 who it seems to be": {
			"https://good@evil.example/", "https://good:pass@evil.example/", "https://@evil.example/", "https://good.example\\@evil.example/", "https://good.example\\.evil.example/",
			"https://good.example#@evil.example/", "https://good.example/#", "https://good.example?", "https://good.example%2f@evil.example/", "https://%67ood.example/",
			"https://ｇood.example/", "https://bücher.example/", "https://good.example/ü", "http://127.0.0.1@evil.example/", "http://127.0.0.1.evil.example/",
		},
		"NET-09 brackets and numbers": {
			"https://[::1", "https://::1/", "https://[good.example]/", "https://[::1]evil/", "https://127.1/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/",
			"https://2130706433/", "https://127.0.0.1.1/", "https://good.example:0/", "https://good.example:99999/", "https://good.example:/", "https://good.example:080/", "https://good.example:https/",
			"https://good.example:443:443/", "https://good..example/", "https://.good.example/",
		},
		"NET-09 blanks and lengths": {
			"https://good example/", "https://good.example/a b", "https://good.example/\r\nX: y", "https://good.example/\x00", "https://good.example/\t",
			"https://" + strings.Repeat("a.", 130) + "example/", "https://" + strings.Repeat("a", 64) + ".example/", "https://good.example/" + strings.Repeat("a", 9<<10),
		},
		"ST-07 without TLS, or inside": {"http://good.example/", "HTTP://good.example/", "http://127.0.0.2/", "http://localhost/"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, address := range addresses {
				if a, err := c.Get(t.Context(), address, "application/json"); !errors.Is(err, fetch.ErrURL) {
					t.Errorf("%.80q: %d, %v, want ErrURL", address, a.Status, err)
				}
			}
		})
	}
	t.Run("NET-09 by the client for libraries", func(t *testing.T) {
		for _, address := range []string{
			"http://good.example/", "https://good@evil.example/", "https://good.example:0/", "https://0177.0.0.1/", "https://[fe80::1%25lo]/", "ftp://good.example/",
		} {
			if r, err := c.HTTPClient().Get(address); !errors.Is(err, fetch.ErrURL) {
				t.Errorf("%s: %v, %v", address, r, err)
			}
		}
	})
	for _, address := range []string{"https://good.example/?a", "https://good.example/#a", "http://good.example/"} {
		if err := fetch.CheckURL(address, nil); !errors.Is(err, fetch.ErrURL) {
			t.Errorf("CheckURL %s: %v", address, err)
		}
	}
}

func redirect(t *testing.T, to func(self string) string) string {
	var self string
	self = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/end":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			w.Header().Set("Location", to(self))
			w.WriteHeader(http.StatusFound)
		}
	})
	return self
}

// TestRedirects: NET-03, NET-07 and DID-04 of the corpus.
func TestRedirects(t *testing.T) {
	secret := make(chan string, 10)
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) { secret <- r.Header.Get("Authorization") })
	for _, tt := range []struct {
		name string
		to   func(self string) string
		most int
		want error
	}{
		{"none by default", func(string) string { return "/end" }, 0, fetch.ErrRedirect},
		{"one, on the same host", func(string) string { return "/end" }, 1, nil},
		{"one, written out", func(self string) string { return self + "/end" }, 1, nil},
		{"NET-07 to another port of the host", func(string) string { return elsewhere + "/end" }, 5, fetch.ErrRedirect},
		{"NET-07 to another host", func(string) string { return "http://127.0.0.2/end" }, 5, fetch.ErrRedirect},
		{"NET-03 to a host inside", func(string) string { return "https://169.254.169.254/latest" }, 5, fetch.ErrRedirect},
		{"NET-03 to another scheme", func(self string) string { return "https" + strings.TrimPrefix(self, "http") }, 5, fetch.ErrRedirect},
		{"NET-03 to a file", func(string) string { return "file:///etc/passwd" }, 5, fetch.ErrRedirect},
		{"NET-03 with a user", func(self string) string { return strings.Replace(self, "//", "//a@", 1) }, 5, fetch.ErrRedirect},
		{"NET-07 to a host without scheme", func(string) string { return "//evil.example/end" }, 5, fetch.ErrRedirect},
		{"NET-03 nowhere", func(string) string { return "" }, 5, fetch.ErrRedirect},
		{"NET-03 to what is no address", func(string) string { return "http://[::1" }, 5, fetch.ErrNoAnswer},
		{"NET-03 without end", func(string) string { return "/loop" }, 5, fetch.ErrRedirect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := fetch.New(here).Do(t.Context(), fetch.Request{
				Address: redirect(t, tt.to) + "/", Types: []string{"application/json"}, Redirects: tt.most, Header: http.Header{"Authorization": {"secret"}},
			})
			if !errors.Is(err, tt.want) || err == nil && string(a.Body) != "{}" {
				t.Errorf("%d, %v, want %v", a.Status, err, tt.want)
			}
			// The client for libraries hands a redirect out and follows none, wherever it leads.
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, redirect(t, tt.to)+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "secret")
			res, err := fetch.New(here).HTTPClient().Do(r)
			if err != nil { // net/http reads where a redirect leads before it asks
				if tt.name != "NET-03 to what is no address" {
					t.Errorf("the client for libraries: %v", err)
				}
				return
			}
			res.Body.Close()
			if res.StatusCode != http.StatusFound {
				t.Errorf("the client for libraries followed it: %d", res.StatusCode)
			}
		})
	}
	if len(secret) > 0 {
		t.Errorf("NET-07 another host was asked, with %q", <-secret)
	}
	if _, err := fetch.New(here).Do(t.Context(), fetch.Request{Address: elsewhere, Redirects: 20}); err == nil {
		t.Error("NET-03 20 redirects were allowed")
	}
}

// TestRedirectsElsewhere: NET-03, NET-07 and ST-07 of the corpus. What is signed may have moved to
// another host, and no way leads inside that did not begin there.
func TestRedirectsElsewhere(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			http.Redirect(w, r, "http://localhost:1/", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "moved")
	})
	for _, tt := range []struct {
		name, to string
		want     error
	}{
		{"another host", elsewhere + "/end", nil},
		{"NET-03 without end", "/loop", fetch.ErrRedirect},
		{"NET-03 inside, by TLS", "https://169.254.169.254/latest", fetch.ErrForbidden},
		{"NET-03 inside, without TLS", "http://169.254.169.254/latest", fetch.ErrRedirect},
		{"NET-03 a host of this machine that is not named", "http://localhost/", fetch.ErrRedirect},
		{"NET-03 the same, on the way", elsewhere + "/back", fetch.ErrRedirect},
		{"NET-03 a public host without TLS", "http://good.example/", fetch.ErrRedirect},
		{"NET-03 a file", "file:///etc/passwd", fetch.ErrRedirect},
		{"NET-03 a user", strings.Replace(elsewhere, "//", "//a@", 1), fetch.ErrRedirect},
		{"NET-03 nowhere", "", fetch.ErrRedirect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := fetch.Request{Address: redirect(t, func(string) string { return tt.to }) + "/", Types: []string{"text/plain"}, Redirects: 3, Keep: true, Elsewhere: true}
			if a, err := fetch.New(here).Do(t.Context(), r); !errors.Is(err, tt.want) || err == nil && string(a.Body) != "moved" {
				t.Errorf("%d %q, %v, want %v", a.Status, a.Body, err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name, from, to string
		may            bool
	}{
		{"outside to outside", "https://a.example/", "https://b.example/", true},
		{"outside to a local host", "https://a.example/", "https://witness.local/", false},
		{"outside to a local host without TLS", "https://a.example/", "http://witness.local/", false},
		{"outside to a local address", "https://a.example/", "https://127.0.0.1/", false},
		{"a local host to outside", "http://witness.local/", "https://a.example/", true},
		{"a local host to another", "http://witness.local/", "http://127.0.0.1:8080/", true},
		{"from TLS to none", "https://witness.local/", "http://127.0.0.1:8080/", false},
		{"an address in another spelling", "https://a.example/", "https://0x7f.0.0.1/", false},
	} {
		if may := fetch.MayLead(fetch.Config{LocalHosts: []string{"witness.local", "127.0.0.1"}}, tt.from, tt.to); may != tt.may {
			t.Errorf("NET-03 %s: %v", tt.name, may)
		}
	}
	for name, r := range map[string]fetch.Request{
		"of who says who asks": {Header: http.Header{"Authorization": {"secret"}}, Keep: true}, "of what is not for everybody": {}, "of a POST": {Method: http.MethodPost, Keep: true},
	} {
		r.Address, r.Elsewhere = elsewhere, true
		if a, err := fetch.New(here).Do(t.Context(), r); err == nil {
			t.Errorf("NET-07 redirects %s: %d", name, a.Status)
		}
	}
}

// TestAnswersThatAreTooMuch: NET-04 of the corpus.
func TestAnswersThatAreTooMuch(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"NET-04 a body without end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, fetch.ErrTooLarge},
		{"NET-04 a length that is promised", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10000000000")
			_, _ = w.Write(make([]byte, 2000))
		}, fetch.ErrTooLarge},
		{"NET-04 a byte now and then", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte{'a'})
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		}, fetch.ErrNoAnswer},
		{"NET-04 compressed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 1<<20))
			_ = z.Close()
		}, fetch.ErrType},
		{"NET-04 headers without end", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 1000 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("a", 100))
			}
		}, fetch.ErrNoAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			quick := here
			if tt.name == "NET-04 a byte now and then" {
				quick.Timeout = 300 * time.Millisecond
			}
			url := serve(t, tt.answer)
			if a, err := fetch.New(quick).Get(t.Context(), url); !errors.Is(err, tt.want) {
				t.Errorf("%d bytes, %v, want %v", len(a.Body), err, tt.want)
			}
			began := time.Now()
			res, err := fetch.New(quick).HTTPClient().Get(url)
			if err == nil {
				var b []byte
				b, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
				res.Body.Close()
				if int64(len(b)) > quick.MaxBytes {
					t.Errorf("the client for libraries read %d bytes", len(b))
				}
			}
			if err == nil && tt.want != fetch.ErrType {
				t.Error("the client for libraries took it")
			}
			if took := time.Since(began); took > 10*quick.Timeout {
				t.Errorf("the client for libraries waited for %v, its timeout is %v", took, quick.Timeout)
			}
		})
	}
}

// TestRedirectsTakeTheTimeOfOne: NET-04. A timeout is for a request with all of its redirects.
func TestRedirectsTakeTheTimeOfOne(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		http.Redirect(w, r, "/", http.StatusFound)
	})
	quick := here
	quick.Timeout = 400 * time.Millisecond
	if a, err := fetch.New(quick).Do(t.Context(), fetch.Request{Address: url, Redirects: 5}); !errors.Is(err, fetch.ErrNoAnswer) {
		t.Errorf("NET-04 redirects that take their time: %d, %v, want ErrNoAnswer", a.Status, err)
	}
}

// TestTLS: NET-06 and DID-04 of the corpus.
func TestTLS(t *testing.T) {
	start := func(edit func(*tls.Config)) (address string, roots *x509.CertPool) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{}
		edit(s.TLS)
		s.StartTLS()
		t.Cleanup(s.Close)
		roots = x509.NewCertPool()
		roots.AddCert(s.Certificate())
		return s.URL, roots
	}
	good, roots := start(func(*tls.Config) {})
	old, oldRoots := start(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	plain := "https" + strings.TrimPrefix(serve(t, func(http.ResponseWriter, *http.Request) {}), "http")
	for _, tt := range []struct {
		name, url string
		roots     *x509.CertPool
		want      error
	}{
		{"good", good, roots, nil},
		{"NET-06 unknown authority", good, x509.NewCertPool(), fetch.ErrTLS},
		{"NET-06 the system's authorities", good, nil, fetch.ErrTLS},
		{"NET-06 old TLS", old, oldRoots, fetch.ErrTLS},
		{"NET-06 wrong name", strings.Replace(good, "127.0.0.1", "localhost", 1), roots, fetch.ErrTLS},
		{"NET-06 no TLS at all", plain, roots, fetch.ErrTLS},
	} {
		cfg := fetch.Config{LocalHosts: []string{"127.0.0.1", "localhost"}, Roots: tt.roots, Timeout: 5 * time.Second}
		a, err := fetch.New(cfg).Get(t.Context(), tt.url)
		if !errors.Is(err, tt.want) || err == nil && string(a.Body) != "in" {
			t.Errorf("%s: %q, %v, want %v", tt.name, a.Body, err, tt.want)
		}
	}
}

func TestTypes(t *testing.T) {
	for _, tt := range []struct {
		kind   string
		status int
		want   error
	}{
		{"application/json", 200, nil},
		{"Application/JSON; charset=utf-8", 200, nil},
		{"text/html", 200, fetch.ErrType}, // DID-04
		{"", 200, fetch.ErrType},
		{"application/json, text/html", 200, fetch.ErrType},
		{"application/jsonp", 200, fetch.ErrType},
		{"application/json", 201, fetch.ErrStatus},
		{"application/json", 304, fetch.ErrStatus},
		{"application/json", 404, fetch.ErrStatus},
		{"application/json", 500, fetch.ErrStatus},
		{"application/json", 302, fetch.ErrRedirect},
	} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Accept"); got != "application/json" {
				t.Errorf("Accept: %q", got)
			}
			w.Header()["Content-Type"] = []string{tt.kind}
			w.WriteHeader(tt.status)
		})
		if _, err := fetch.New(here).Do(t.Context(), fetch.Request{Address: url, Types: []string{"application/json"}, Redirects: 1, Keep: true}); !errors.Is(err, tt.want) {
			t.Errorf("%d %q: %v, want %v", tt.status, tt.kind, err, tt.want)
		}
	}
}

// TestErrorsKeepSecrets: an address may hold a code, and an answer a name.
func TestErrorsKeepSecrets(t *testing.T) {
	quick := here
	quick.Timeout = 100 * time.Millisecond
	stop := make(chan struct{})
	hang := serve(t, func(http.ResponseWriter, *http.Request) { <-stop })
	defer close(stop)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "Amina Diallo\r\n\r\n")
			conn.Close()
		}
	}()
	redirects := redirect(t, func(string) string { return "http://127.0.0.2/s3cret" })
	for _, address := range []string{hang, "http://" + l.Addr().String(), redirects, "http://127.0.0.1:1", "https://127.0.0.1:1", "ftp://127.0.0.1"} {
		_, err := fetch.New(quick).Get(t.Context(), address+"/s3cret?code=s3cret", "application/json")
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "Amina") || len(err.Error()) > 200 {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := fetch.New(quick).Get(t.Context(), hang); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want context.DeadlineExceeded", err)
	}
}

func TestNoCookies(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" || r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("sent %v", r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	c := fetch.New(here)
	for range 2 {
		if _, err := c.Get(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		res, err := c.HTTPClient().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// TestCache: NET-08 of the corpus.
func TestCache(t *testing.T) {
	var asked, confirmed atomic.Int32
	control, lay, status := "max-age=60", "", http.StatusOK
	body := "1"
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", control)
		if lay != "" {
			w.Header().Set("Age", lay)
		}
		w.Header().Set("ETag", `"`+body+`"`)
		if r.Header.Get("If-None-Match") == `"`+body+`"` && status == http.StatusOK {
			confirmed.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body+r.URL.Path)
	})
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	cfg := here
	cfg.MaxAge, cfg.Entries, cfg.Now = time.Hour, 2, func() time.Time { return now }
	c := fetch.New(cfg)
	check := func(what, path, want string, asks, confirms int32) {
		t.Helper()
		now = now.Add(time.Millisecond) // what was used when is told apart
		asked.Store(0)
		confirmed.Store(0)
		a, err := c.Get(t.Context(), url+path, "application/json")
		if want == "" && err == nil || want != "" && (err != nil || string(a.Body) != want) || asked.Load() != asks || confirmed.Load() != confirms {
			t.Errorf("%s: %q, %v, %d asked, %d confirmed; want %q, %d, %d", what, a.Body, err, asked.Load(), confirmed.Load(), want, asks, confirms)
		}
	}
	check("first", "/a", "1/a", 1, 0)
	check("kept", "/a", "1/a", 0, 0)
	check("NET-08 another address", "/b", "1/b", 1, 0)
	check("NET-08 another query", "/a?x", "1/a", 1, 0) // the third pushes out the first
	check("pushed out", "/a", "1/a", 1, 0)
	now = now.Add(61 * time.Second)
	check("over, and confirmed", "/a", "1/a", 1, 1)
	check("kept after that", "/a", "1/a", 0, 0)
	now, body = now.Add(61*time.Second), "2"
	check("over, and changed", "/a", "2/a", 1, 0)
	now, status = now.Add(61*time.Second), http.StatusInternalServerError
	check("NET-08 over, and out of order", "/a", "", 1, 0)
	check("NET-08 errors are not kept", "/a", "", 1, 0)
	for range 2 { // nor where any status will do
		asked.Store(0)
		a, err := c.Do(t.Context(), fetch.Request{Address: url + "/e", Keep: true})
		if err != nil || a.Status != http.StatusInternalServerError || asked.Load() != 1 {
			t.Errorf("NET-08 an error that is handed on: %d, %v, %d asked", a.Status, err, asked.Load())
		}
	}
	status = http.StatusNotModified
	if a, err := c.Do(t.Context(), fetch.Request{Address: url + "/f", Keep: true}); !errors.Is(err, fetch.ErrStatus) {
		t.Errorf("NET-08 a confirmation of what nobody has: %d, %v, want ErrStatus", a.Status, err)
	}
	control, status = "max-age=999999999", http.StatusOK
	check("NET-08 for ever", "/a", "2/a", 1, 1)
	now = now.Add(59 * time.Minute)
	check("NET-08 for an hour at most", "/a", "2/a", 0, 0)
	now, body = now.Add(2*time.Minute), "3"
	check("NET-08 for an hour at most, then asked", "/a", "3/a", 1, 0)
	for _, control = range []string{"no-store", "private, max-age=60", "max-age=60, no-store"} {
		now, body = now.Add(2*time.Hour), body+"x"
		check("NET-08 "+control, "/a", body+"/a", 1, 0)
		check("NET-08 "+control+" again", "/a", body+"/a", 1, 0)
	}
	for _, control = range []string{"no-cache", "", "max-age=-1", "max-age=x", "max-age"} {
		now, body = now.Add(2*time.Hour), body+"x"
		check(control, "/a", body+"/a", 1, 0)
		check(control+" again", "/a", body+"/a", 1, 1)
	}
	control = "max-age=7200"
	for _, lay = range []string{"7200", "9000", "x"} {
		now, body = now.Add(3*time.Hour), body+"x"
		check("NET-08 as old as it may be, Age "+lay, "/a", body+"/a", 1, 0)
		check("NET-08 as old as it may be, Age "+lay+", again", "/a", body+"/a", 1, 1)
	}
	now, lay, body = now.Add(3*time.Hour), "7190", body+"x"
	check("some seconds are left", "/a", body+"/a", 1, 0)
	check("some seconds are left, again", "/a", body+"/a", 0, 0)
	now = now.Add(11 * time.Second)
	check("NET-08 none is left", "/a", body+"/a", 1, 1)
	// What was asked for as one media type does not answer for another.
	control, lay = "max-age=60", ""
	check("as JSON", "/c", body+"/c", 1, 0)
	if _, err := c.Get(t.Context(), url+"/c", "application/jwt"); !errors.Is(err, fetch.ErrType) {
		t.Errorf("as JWT: %v, want ErrType", err)
	}
	// Who says who asks gets no answer that was for all, and leaves none behind.
	asked.Store(0)
	for range 2 {
		_, err := c.Do(t.Context(), fetch.Request{Address: url + "/c", Types: []string{"application/json"}, Header: http.Header{"Authorization": {"DPoP x"}}, Keep: true})
		if err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("two requests with a token asked %d times", asked.Load())
	}
	// What may not be kept any longer takes the place of what was: nothing confirms that.
	now, control, body = now.Add(2*time.Hour), "max-age=60", "old"
	check("kept once more", "/d", "old/d", 1, 0)
	now, control, body = now.Add(2*time.Hour), "no-store", "new"
	check("NET-08 not any longer", "/d", "new/d", 1, 0)
	body = "old"
	check("NET-08 its tag is forgotten, too", "/d", "old/d", 1, 0)
	// A client without MaxAge keeps nothing.
	c = fetch.New(here)
	check("nothing kept", "/a", body+"/a", 1, 0)
	check("nothing kept, again", "/a", body+"/a", 1, 0)
}

// TestCacheByContent: NET-08. What a document says of how long it will do goes before what the
// server says, and not before the settings.
func TestCacheByContent(t *testing.T) {
	asked, control := 0, ""
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Cache-Control", control)
		_, _ = io.WriteString(w, "document")
	})
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	cfg := here
	cfg.MaxAge, cfg.Now = time.Minute, func() time.Time { return now }
	for _, tt := range []struct {
		name, control string
		says          time.Duration // 0 if it does not say
		after         time.Duration
		want          int
	}{
		{"no-store, within its time", "no-store", 30 * time.Second, 29 * time.Second, 1},
		{"no-store, after it", "no-store", 30 * time.Second, 30 * time.Second, 2},
		{"for an hour, after its own time", "max-age=3600", 30 * time.Second, 30 * time.Second, 2},
		{"longer than the settings allow", "", time.Hour, 59 * time.Second, 1},
		{"NET-08 longer than the settings allow, after that", "", time.Hour, time.Minute, 2},
		{"in the past", "max-age=3600", -time.Second, 0, 2},
		{"it does not say, and the server does", "max-age=30", 0, 29 * time.Second, 1},
		{"it does not say, nor may it be kept", "no-store", 0, 0, 2},
	} {
		c := fetch.New(cfg)
		asked, control = 0, tt.control
		for range 2 {
			a, err := c.Do(t.Context(), fetch.Request{Address: url, Keep: true, Fresh: func(body []byte) (time.Duration, bool) {
				return tt.says, string(body) == "document" && tt.says != 0
			}})
			if err != nil || string(a.Body) != "document" {
				t.Errorf("%s: %q, %v", tt.name, a.Body, err)
			}
			now = now.Add(tt.after)
		}
		if asked != tt.want {
			t.Errorf("%s: asked %d times, want %d", tt.name, asked, tt.want)
		}
	}
}

// TestCacheIsBounded: NET-08. What is kept has a size, all of it and each of it, also by a clock
// that goes back.
func TestCacheIsBounded(t *testing.T) {
	asked := 0
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, strings.Repeat("a", 9_000))
		if r.URL.Path == "/long" {
			_, _ = io.WriteString(w, strings.Repeat("a", 1_000))
		}
	})
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	cfg := here
	cfg.MaxBytes, cfg.MaxAge, cfg.MaxKept, cfg.Now = 20_000, time.Minute, 40_000, func() time.Time { return now }
	c := fetch.New(cfg)
	for _, tt := range []struct {
		path string
		want int
	}{
		{"/1", 1}, {"/2", 1}, {"/3", 1}, {"/4", 1}, {"/1", 0}, {"/2", 0}, {"/long", 1}, {"/long", 1}, {"/3", 0}, {"/4", 0},
		{"/5", 1}, {"/1", 1}, {"/2", 1}, {"/4", 0}, {"/5", 0},
	} {
		asked = 0
		now = now.Add(-time.Millisecond)
		if _, err := c.Get(t.Context(), url+tt.path); err != nil || asked != tt.want {
			t.Errorf("NET-08 %s: %v, asked %d times, want %d", tt.path, err, asked, tt.want)
		}
	}
}

// FuzzCheckURL: what is let through is https to one host that every reader reads alike.
func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://good.example/", "https://good@evil.example/", "https://[::1%25lo]/", "https://a\\@b/", "http://127.0.0.1/", "https://a.example:443/x?y"} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		if fetch.CheckURL(s, nil) != nil {
			return
		}
		rest, ok := strings.CutPrefix(strings.ToLower(s), "https://")
		host, _, _ := strings.Cut(rest, "/")
		if !ok || host == "" || strings.ContainsAny(host, "@\\?#% ") || strings.ContainsAny(s, "\r\n\t\x00") {
			t.Fatalf("%q is let through", s)
		}
	})
}
