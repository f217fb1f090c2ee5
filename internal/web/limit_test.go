package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/redistest"
	"github.com/sanad-id/sanad/internal/web"
)

// few is a rate that is used up at once and comes back after an hour.
func few() map[string]web.Rate {
	return map[string]web.Rate{
		web.DefaultRate: {Requests: 1 << 20, Per: time.Second, Burst: 1 << 20},
		"heavy":         {Requests: 1, Per: time.Hour, Burst: 3},
		"light":         {Requests: 1, Per: time.Hour, Burst: 5},
	}
}

func limited(name, rate string) web.Route {
	r := hello(name, "/"+name)
	r.Rate = rate
	return r
}

// spend asks until it is refused, and returns how often it was not.
func spend(t testing.TB, path string, servers ...*served) int {
	t.Helper()
	for n := range 100 {
		g := servers[n%len(servers)].get(t, path)
		switch g.status {
		case http.StatusOK:
		case http.StatusTooManyRequests:
			if g.code() != "too_many_requests" || g.header.Get("Retry-After") == "" || g.header.Get("Retry-After") == "0" {
				t.Errorf("429 is %q, Retry-After %q", g.code(), g.header.Get("Retry-After"))
			}
			return n
		default:
			t.Fatalf("%s: %d", path, g.status)
		}
	}
	return 100
}

func TestLimits(t *testing.T) {
	t.Run("in process", func(t *testing.T) {
		s := serve(t, web.Config{Rates: few()}, limited("a", "heavy"), limited("b", "light"), limited("c", ""))
		checkLimits(t, s)
		if m := s.get(t, s.PrivateURL()+"/metrics"); !strings.Contains(m.body, `sanad_http_rate_limited_total{class="heavy"} 1`) {
			t.Error("the figures do not know of the refusal")
		}
	})
	t.Run("Redis", func(t *testing.T) {
		r := redistest.New(t)
		config := web.Config{Rates: few(), Redis: r.URL()}.Patient()
		one := serve(t, config, limited("a", "heavy"), limited("b", "light"), limited("c", ""))
		two := serve(t, config, limited("a", "heavy"), limited("b", "light"), limited("c", ""))
		checkLimits(t, one, two)
		if n := r.Do(t, "DBSIZE"); n == ":0" {
			t.Error("Redis knows nothing")
		}
	})
}

func checkLimits(t *testing.T, s ...*served) {
	t.Helper()
	if n := spend(t, "/a", s...); n != 3 {
		t.Errorf("%d requests of the heavy class, want 3", n)
	}
	if n := spend(t, "/b", s...); n != 5 {
		t.Errorf("%d requests of the light class, want 5: each class counts by itself", n)
	}
	if g := s[0].get(t, "/c"); g.status != http.StatusOK {
		t.Errorf("another class: %d", g.status)
	}
	if g := s[0].get(t, "/healthz"); g.status != http.StatusOK {
		t.Errorf("healthz: %d", g.status)
	}
}

// TestLimitsTogether: however many ask at once, no more than the burst get through.
func TestLimitsTogether(t *testing.T) {
	run := func(t *testing.T, s ...*served) {
		var passed atomic.Int64
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				if g := s[i%len(s)].get(t, "/a"); g.status == http.StatusOK {
					passed.Add(1)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 3 {
			t.Errorf("%d got through, want 3", passed.Load())
		}
	}
	t.Run("in process", func(t *testing.T) { run(t, serve(t, web.Config{Rates: few()}, limited("a", "heavy"))) })
	t.Run("Redis", func(t *testing.T) {
		c := web.Config{Rates: few(), Redis: redistest.New(t).URL()}.Patient()
		run(t, serve(t, c, limited("a", "heavy")), serve(t, c, limited("a", "heavy")))
	})
}

// TestRedisAway: what then is decided for each route.
func TestRedisAway(t *testing.T) {
	r := redistest.New(t)
	closed := limited("closed", "heavy")
	closed.FailClosed = true
	s := serve(t, web.Config{Rates: few(), Redis: r.URL()}.Patient(), limited("open", "light"), closed)
	if g := s.get(t, "/closed"); g.status != http.StatusOK {
		t.Fatalf("%d", g.status)
	}
	r.Kill(t)
	if g := s.get(t, "/closed"); g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" {
		t.Errorf("DB-06 fail closed: %d, want 503", g.status)
	}
	if n := spend(t, "/open", s); n != 5 {
		t.Errorf("DB-06 fail open: %d requests, want 5 counted by this process", n)
	}
	if strings.Contains(s.log.String(), r.Socket()+" CANARY") || !strings.Contains(s.log.String(), "out of reach") {
		t.Error("the log does not say that Redis is away")
	}
	r.Restart(t)
	if g := s.get(t, "/closed"); g.status != http.StatusOK {
		t.Errorf("after Redis came back: %d", g.status)
	}
}

// TestLocalIsBounded: a flood of addresses takes no more memory than the table has.
func TestLocalIsBounded(t *testing.T) {
	l := web.NewLocal(time.Now, 50)
	r := web.Rate{Requests: 1, Per: time.Hour, Burst: 1}
	for i := range 5_000 {
		l.Allow(r, fmt.Sprintf("10.%d.%d.1", i/250, i%250))
	}
	if l.Size() != 50 {
		t.Errorf("%d clients remembered, want 50", l.Size())
	}
	// The one that asks all the time is not forgotten.
	l.Allow(r, "192.0.2.1")
	for i := range 500 {
		l.Allow(r, fmt.Sprintf("10.9.%d.%d", i/250, i%250))
		if l.Allow(r, "192.0.2.1") == 0 {
			t.Fatal("a busy client was forgotten, and asks on")
		}
	}
}

// TestRateComesBack with time, and a refused request does not use it up.
func TestRateComesBack(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	l := web.NewLocal(func() time.Time { return now }, 50)
	r := web.Rate{Requests: 60, Per: time.Minute, Burst: 2}
	for i, want := range []bool{true, true, false, false, false} {
		if got := l.Allow(r, "192.0.2.1") == 0; got != want {
			t.Errorf("request %d: %v, want %v", i, got, want)
		}
	}
	now = now.Add(time.Second)
	if wait := l.Allow(r, "192.0.2.1"); wait != 0 {
		t.Errorf("a second later: wait %v", wait)
	}
	if wait := l.Allow(r, "192.0.2.1"); wait <= 0 || wait > time.Second {
		t.Errorf("at once after it: wait %v, want up to a second", wait)
	}
}

func TestWhoCounts(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		name, peer, forwarded, want string
	}{
		{"a client", "192.0.2.7:1234", "", "192.0.2.7/32"},
		{"WA-11 a client that lies", "192.0.2.7:1234", "198.51.100.1", "192.0.2.7/32"},
		{"IPv6", "[2001:db8:1:2:3:4:5:6]:1", "", "2001:db8:1::/56"},
		{"IPv6 of one household", "[2001:db8:1:ff:9:9:9:9]:1", "", "2001:db8:1::/56"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.7]:1", "", "192.0.2.7/32"},
		{"a zone", "[fe80::1%eth0]:1", "", "fe80::/56"},
		{"behind a proxy", "10.1.1.1:1", "192.0.2.7", "192.0.2.7/32"},
		{"behind two", "10.1.1.1:1", "192.0.2.7, 10.2.2.2", "192.0.2.7/32"},
		{"WA-11 what a client wrote before", "10.1.1.1:1", "203.0.113.9, 192.0.2.7", "192.0.2.7/32"},
		{"WA-11 nonsense before", "10.1.1.1:1", "nonsense, 192.0.2.7", "192.0.2.7/32"},
		{"WA-11 nonsense last", "10.1.1.1:1", "192.0.2.7, nonsense", "10.1.1.1/32"},
		{"a proxy that says nothing", "10.1.1.1:1", "", "10.1.1.1/32"},
		{"only proxies", "10.1.1.1:1", "10.2.2.2", "10.2.2.2/32"},
		{"no address", "@", "", "invalid Prefix"},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{}}
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		// WA-11: nobody is believed in these words.
		for _, name := range []string{"X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"} {
			r.Header.Set(name, map[bool]string{false: "203.0.113.66", true: "for=203.0.113.66"}[name == "Forwarded"])
		}
		if got := web.ClientOf(r, proxies); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	// A proxy may add a header field of its own after that of the client.
	r := &http.Request{RemoteAddr: "10.1.1.1:1", Header: http.Header{"X-Forwarded-For": {"203.0.113.9", "192.0.2.7"}}}
	if got := web.ClientOf(r, proxies); got != "192.0.2.7/32" {
		t.Errorf("WA-11 what a client wrote in a header field of its own: %s", got)
	}
}
