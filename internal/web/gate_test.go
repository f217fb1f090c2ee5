package web_test

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/web"
)

// twoRates are rates that no test reaches, by two names.
func twoRates() map[string]web.Rate {
	rates := many()
	rates["light"] = rates[web.DefaultRate]
	return rates
}

// held is a route whose requests wait for each other: entered gets one value a request, and
// they go on when finish is closed.
func held(entered chan<- struct{}, finish <-chan struct{}) web.Route {
	return web.Route{Method: http.MethodGet, Pattern: "/held", Name: "held", Handler: func(w http.ResponseWriter, _ *http.Request) error {
		entered <- struct{}{}
		<-finish
		return web.JSON(w, http.StatusOK, "done")
	}}
}

// overloaded tells whether an answer says that there are too many, and when to come again.
func overloaded(g got) bool {
	return g.status == http.StatusServiceUnavailable && g.code() == "unavailable" && g.header.Get("Retry-After") == "2" &&
		g.header.Get("Cache-Control") == web.NoStore
}

// TestP30Gate: while all places of a rate are taken its requests are refused at once, other
// rates and the server's own pages answer, and a place that is given back is free.
func TestP30Gate(t *testing.T) {
	entered, finish := make(chan struct{}), make(chan struct{})
	s := serve(t, web.Config{Rates: twoRates(), MaxRequests: 2}, held(entered, finish), hello("hello", "/hello"), echo(100), limited("light", "light"))
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			if g := s.get(t, "/held"); g.status != http.StatusOK {
				t.Errorf("who was let in: %d", g.status)
			}
		})
	}
	<-entered
	<-entered
	for range 3 {
		if g := s.get(t, "/hello"); !overloaded(g) {
			t.Errorf("no place is left: %d %s", g.status, g.body)
		}
	}
	if g := s.do(t, http.MethodPost, "/echo", web.MediaJSON, "1"); !overloaded(g) {
		t.Errorf("no place is left for a body: %d %s", g.status, g.body)
	}
	for path, want := range map[string]int{
		"/light": 200, "/healthz": 200, "/readyz": 200, "/nowhere": 404, "/hello?q": 400, s.PrivateURL() + "/healthz": 200, s.PrivateURL() + "/metrics": 200,
	} {
		if g := s.get(t, path); g.status != want {
			t.Errorf("%s meanwhile: %d, want %d", path, g.status, want)
		}
	}
	if g := s.get(t, s.PrivateURL()+"/metrics"); !strings.Contains(g.body, `sanad_http_overloaded_total{class="default"} 4`) {
		t.Error("the figures do not know of the refusals")
	}
	close(finish)
	running.Wait()
	if g := s.get(t, "/hello"); g.status != http.StatusOK {
		t.Errorf("afterwards: %d", g.status)
	}
}

// TestP30WhoHoldsNoPlace: with one place in all, a request is answered beside others that
// are not worked on, and after such as ended in every way.
func TestP30WhoHoldsNoPlace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(t *testing.T, s *served)
	}{
		{"who sends slowly", func(t *testing.T, s *served) {
			for range 5 {
				say(t, s.dial(t), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\nx")
			}
			time.Sleep(50 * time.Millisecond) // they are there by then; one that is not proves nothing
		}},
		{"who reads a stream", func(t *testing.T, s *served) {
			for range 5 {
				res, err := s.client.Get(s.URL() + "/stream")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = res.Body.Close() })
				if res.StatusCode != http.StatusOK {
					t.Errorf("the stream: %d", res.StatusCode)
				}
			}
		}},
		{"a panic", func(t *testing.T, s *served) {
			for range 3 {
				if g := s.get(t, "/panic"); g.status != http.StatusInternalServerError {
					t.Errorf("a panic: %d", g.status)
				}
			}
		}},
		{"a handler that answers nothing", func(t *testing.T, s *served) {
			for range 3 {
				if g := s.get(t, "/nothing"); g.status != http.StatusOK {
					t.Errorf("nothing: %d", g.status)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, web.Config{Rates: many(), MaxRequests: 1}, echo(100), hello("hello", "/hello"),
				web.Route{Method: http.MethodGet, Pattern: "/panic", Name: "panic", Handler: func(http.ResponseWriter, *http.Request) error { panic("on purpose") }},
				web.Route{Method: http.MethodGet, Pattern: "/nothing", Name: "nothing", Handler: func(http.ResponseWriter, *http.Request) error { return nil }},
				web.Route{Method: http.MethodGet, Pattern: "/stream", Name: "stream", Stream: true, Timeout: time.Hour, Handler: func(w http.ResponseWriter, r *http.Request) error {
					_, err := web.NewEvents(w)
					<-web.Closing(r.Context())
					return err
				}})
			tt.begin(t, s)
			if g := s.get(t, "/hello"); g.status != http.StatusOK {
				t.Errorf("beside it: %d %s", g.status, g.body)
			}
			if g := s.do(t, http.MethodPost, "/echo", web.MediaJSON, "1"); g.status != http.StatusOK || g.body != "1" {
				t.Errorf("a body beside it: %d %s", g.status, g.body)
			}
		})
	}
}

// TestP30Connections: one client has its share of the connections, idle or not, and keeps
// neither others nor, through a proxy, many out.
func TestP30Connections(t *testing.T) {
	get := func(t *testing.T, s *served, from string) bool {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
		res, err := c.Get(s.URL() + "/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}
	s := serve(t, web.Config{Rates: many(), MaxConns: 8})
	var idle []net.Conn
	for range 2 {
		c := s.dial(t)
		say(t, c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	if get(t, s, "127.0.0.1") {
		t.Error("a client has more than its share")
	}
	if !get(t, s, "127.0.0.2") {
		t.Error("another client is kept out")
	}
	_ = idle[0].Close()
	for n := 0; !get(t, s, "127.0.0.1"); n++ {
		if n == 100 {
			t.Fatal("a connection that ended still counts")
		}
		time.Sleep(20 * time.Millisecond)
	}
	proxied := serve(t, web.Config{Rates: many(), MaxConns: 8, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	for range 4 {
		say(t, proxied.dial(t), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if !get(t, proxied, "127.0.0.1") {
		t.Error("a proxy has the share of one client")
	}
}

// TestP30LongBodies: who sends long bodies slowly fills the memory with as many as there are
// places for them. More are refused, short ones are taken meanwhile, and a place is free again
// when its sender has gone.
func TestP30LongBodies(t *testing.T) {
	const most = 1 << 20
	s := serve(t, web.Config{Rates: many(), MaxRequests: 4}, echo(most))
	long := `"` + strings.Repeat("x", most/8) + `"`
	var slow []net.Conn
	for range 2 {
		c := s.dial(t)
		say(t, c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", most, long)
		slow = append(slow, c)
	}
	until := func(what string, good func() bool) {
		t.Helper()
		for range 500 {
			if good() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error(what)
	}
	until("a third long body is taken", func() bool { return overloaded(s.do(t, http.MethodPost, "/echo", web.MediaJSON, long)) })
	if g := s.do(t, http.MethodPost, "/echo", web.MediaJSON, "1"); g.status != http.StatusOK || g.body != "1" {
		t.Errorf("a short body beside them: %d %s", g.status, g.body)
	}
	for _, c := range slow {
		_ = c.Close()
	}
	until("a place is not given back", func() bool {
		g := s.do(t, http.MethodPost, "/echo", web.MediaJSON, long)
		return g.status == http.StatusOK && g.body == long
	})
}

// TestP30NeverMore: however many ask, no more are worked on than there are places, and
// everybody is either answered or refused as it should be.
func TestP30NeverMore(t *testing.T) {
	const places, clients = 4, 32
	var now, most, worked, answered, refused atomic.Int64
	work := web.Route{Method: http.MethodGet, Pattern: "/work", Name: "work", Handler: func(w http.ResponseWriter, _ *http.Request) error {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		worked.Add(1)
		time.Sleep(time.Millisecond)
		now.Add(-1) // before the answer begins, with which the place is given back
		return web.JSON(w, http.StatusOK, "done")
	}}
	s := serve(t, web.Config{Rates: many(), MaxRequests: places}, work)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range count(20, 2000) {
				switch g := s.get(t, "/work"); {
				case g.status == http.StatusOK:
					answered.Add(1)
				case overloaded(g):
					refused.Add(1)
				default:
					t.Errorf("%d %s", g.status, g.body)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() > places || worked.Load() != answered.Load() {
		t.Errorf("P30: %d at once, want %d at most; %d worked on, %d answered", most.Load(), places, worked.Load(), answered.Load())
	}
	if refused.Load() == 0 || answered.Load() == 0 {
		t.Errorf("%d answered and %d refused; the test tests little", answered.Load(), refused.Load())
	}
}
