package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/fetch"
)

// serve is a server on this machine.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

var here = fetch.Config{LocalHosts: []string{"127.0.0.1"}, Timeout: 5 * time.Second, MaxBytes: 1000}

func TestPost(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/x.test")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+string(b))
	})
	a, err := fetch.New(here).Post(t.Context(), url+"/a/b", "text/plain", []byte("content"))
	if err != nil || a.Status != 409 || a.Type != "text/x.test" || string(a.Body) != "POST /a/b text/plain content" {
		t.Errorf("%d %q %q, %v", a.Status, a.Type, a.Body, err)
	}
}

func TestPostRefuses(t *testing.T) {
	asked := make(chan string, 100)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path })
	port := url[strings.LastIndex(url, ":"):]
	for _, tt := range []struct {
		name, url string
		cfg       fetch.Config
		want      error
	}{
		{"plain http", "http://witness.example/", here, fetch.ErrURL},
		{"this machine, not named", "https://127.0.0.1" + port, fetch.Config{}, fetch.ErrForbidden},
		{"this machine by name", "https://localhost" + port, fetch.Config{}, fetch.ErrForbidden},
		{"this machine in IPv6", "https://[::1]" + port, fetch.Config{}, fetch.ErrForbidden},
		{"IPv4 in IPv6", "https://[::ffff:127.0.0.1]" + port, fetch.Config{}, fetch.ErrForbidden},
		{"no address", "https://0.0.0.0" + port, fetch.Config{}, fetch.ErrForbidden},
		{"private", "https://10.0.0.1" + port, fetch.Config{}, fetch.ErrForbidden},
		{"private in IPv6", "https://[fd00::1]" + port, fetch.Config{}, fetch.ErrForbidden},
		{"link-local, where clouds keep secrets", "https://169.254.169.254/latest", fetch.Config{}, fetch.ErrForbidden},
		{"carrier's network", "https://100.64.0.1/", fetch.Config{}, fetch.ErrForbidden},
		{"translated IPv4", "https://[64:ff9b::7f00:1]/", fetch.Config{}, fetch.ErrForbidden},
		{"multicast", "https://224.0.0.1/", fetch.Config{}, fetch.ErrForbidden},
		{"another local host than named", "http://127.0.0.2" + port, here, fetch.ErrURL},
		{"user", "https://a:b@witness.example/", here, fetch.ErrURL},
		{"fragment", "https://witness.example/#a", here, fetch.ErrURL},
		{"file", "file:///etc/passwd", here, fetch.ErrURL},
		{"no host", "https:///a", here, fetch.ErrURL},
		{"no scheme", "witness.example/a", here, fetch.ErrURL},
		{"line break", "https://witness.example/\n", here, fetch.ErrURL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := fetch.New(tt.cfg).Post(t.Context(), tt.url, "text/plain", nil)
			if !errors.Is(err, tt.want) {
				t.Errorf("Post: %v, %v, want %v", a, err, tt.want)
			}
			if len(asked) > 0 {
				t.Errorf("it was asked: %s", <-asked)
			}
		})
	}
}

func TestPostLimits(t *testing.T) {
	t.Run("redirects are not followed", func(t *testing.T) {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		})
		a, err := fetch.New(here).Post(t.Context(), url+"/", "text/plain", nil)
		if err != nil || a.Status != http.StatusTemporaryRedirect {
			t.Errorf("%d, %v", a.Status, err)
		}
	})
	t.Run("too long", func(t *testing.T) {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1001)) })
		if _, err := fetch.New(here).Post(t.Context(), url, "text/plain", nil); !errors.Is(err, fetch.ErrTooLarge) {
			t.Errorf("%v, want ErrTooLarge", err)
		}
	})
	t.Run("endless headers", func(t *testing.T) {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("A", strings.Repeat("a", 64<<10)) })
		if a, err := fetch.New(here).Post(t.Context(), url, "text/plain", nil); err == nil {
			t.Errorf("%v", a.Status)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		stop := make(chan struct{})
		url := serve(t, func(http.ResponseWriter, *http.Request) { <-stop })
		defer close(stop)
		cfg := here
		cfg.Timeout = 50 * time.Millisecond
		if _, err := fetch.New(cfg).Post(t.Context(), url, "text/plain", nil); err == nil {
			t.Error("it answered")
		}
	})
	t.Run("half an answer", func(t *testing.T) {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		})
		if a, err := fetch.New(here).Post(t.Context(), url, "text/plain", nil); err == nil {
			t.Errorf("%q", a.Body)
		}
	})
	t.Run("a context that has ended", func(t *testing.T) {
		url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := fetch.New(here).Post(ctx, url, "text/plain", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
	})
	t.Run("NET-05 a proxy of the environment", func(t *testing.T) {
		var connected []string
		c := fetch.NewWatched(here, names(t, "1.1.1.1"), func(address string) error {
			connected = append(connected, address)
			return errWatched
		})
		if _, err := c.Post(t.Context(), "https://good.example/", "text/plain", nil); err == nil || fmt.Sprint(connected) != "[1.1.1.1:443]" {
			t.Errorf("connected to %v, %v", connected, err)
		}
	})
}
