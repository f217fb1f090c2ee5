package verifier_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/loadtest"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/verification"
)

// A crowd is many wallets and the relying party that asks them.
type crowd struct {
	*scene
	t       *testing.T
	refused loadtest.Refusals
	later   atomic.Int64 // answers that the store is away

	still sync.RWMutex // held by who stops answers from being judged

	mu       sync.Mutex
	answered map[string]string // what the result says, by the handle of the request
}

// answeredBy is the name on the card of person n; anybody matches all of them.
func answeredBy(n int) string { return fmt.Sprintf("Person-%06d-Canary", n) }

var anybody = regexp.MustCompile(`Person-\d{6}-Canary`)

func newCrowd(t *testing.T, s *scene) *crowd {
	c := &crowd{scene: s, t: t, answered: map[string]string{}}
	s.judging = func() {
		c.still.RLock()
		defer c.still.RUnlock()
	}
	s.http.Timeout = 5 * time.Minute
	s.http.Transport = loadtest.Patient{Refused: &c.refused, Check: func(status int, h http.Header, body []byte) {
		if err := loadtest.CheckRefusal(status, h, body, "verdict", "redirect_uri", "Canary"); err != nil {
			t.Errorf("P30: %v", err)
		}
	}}
	return c
}

// again asks until the answer is another one than 503. Unsure says that it was 503 once
// although the request was let in; nobody knows what came of that.
func (c *crowd) again(ask func() got) (g got, unsure bool) {
	c.t.Helper()
	for g = ask(); g.status == http.StatusServiceUnavailable; g = ask() {
		if g.header.Get("Retry-After") == "" || g.header.Get("Cache-Control") != "no-store" {
			c.t.Errorf("P30: %d %s, want Retry-After", g.status, g.body)
		}
		unsure = true
		c.later.Add(1)
		time.Sleep(loadtest.Pause(0))
	}
	return g, unsure
}

// life is a request from its beginning to its result, answered by person n. Of three
// wallets one breaks its answer off and sends it again, one sends it several times at once,
// and one again when it was taken. Every other request is one of the flow on one device.
func (c *crowd) life(n int) {
	t := c.t
	t.Helper()
	body := object{"policy": "card"}
	oneDevice := n%2 == 0
	if oneDevice {
		body = object{"policy": "card", "return_to": "https://library.example/done", "browser": browser}
	}
	g, _ := c.again(func() got { return c.relying(t, "POST", "/requests", body) })
	if g.status != http.StatusCreated {
		t.Errorf("P30 a request: %d %s", g.status, g.body)
		return
	}
	made := decode[verifier.Created](t, g.body)
	if n%3 == 0 {
		c.breakOff("GET", "/requests/"+made.ID, nil)
	}
	r, ok := c.opened(made.Link)
	if !ok {
		return
	}
	card := c.token
	card.Claims = maps.Clone(card.Claims)
	card.Claims["full_name"] = sdjwt.Hidden{Value: answeredBy(n)}
	reply, ok := c.answer(r, c.presentToken(t, r, card).Encode(), n%3)
	if !ok {
		return
	}
	if oneDevice {
		c.exchange(made, reply, n)
	} else {
		c.result(made, n)
	}
	if n%5 == 0 {
		g, _ := c.again(func() got {
			return c.call(t, "GET", "/requests/"+made.ID, "", nil, "Authorization", "Bearer "+bankKey)
		})
		if g.status != http.StatusNotFound {
			t.Errorf("P30 another relying party gets %d %s", g.status, g.body)
		}
	}
}

// opened has the wallet fetch a request, until the answer is another one than 503.
func (c *crowd) opened(link string) (*oid4vp.Request, bool) {
	t := c.t
	t.Helper()
	i, err := oid4vp.ParseInvocation(link)
	if err != nil {
		t.Error(err)
		return nil, false
	}
	want := c.expect
	want.Now, want.WalletNonce = c.now(), "wallet nonce"
	form, err := i.Form(nil, want.WalletNonce)
	if err != nil {
		t.Error(err)
		return nil, false
	}
	g, _ := c.again(func() got { return c.call(t, "POST", i.RequestURI, web.MediaForm, []byte(form.Encode())) })
	r, err := i.Open(t.Context(), string(g.body), want)
	if g.status != http.StatusOK || err != nil {
		t.Errorf("P30 a request object: %d %.200s, %v", g.status, g.body, err)
		return nil, false
	}
	return r, true
}

// answer sends an answer in one of three ways. Of all the times that it is sent one counts
// (P10); reply is what the wallet is told then, nil if that was lost.
func (c *crowd) answer(r *oid4vp.Request, form string, way int) (reply *got, ok bool) {
	t := c.t
	t.Helper()
	times, perhaps := 1, 0
	switch way {
	case 0:
		c.breakOff("POST", r.ResponseURI, []byte(form))
		perhaps = 1
	case 1:
		times = 3
	}
	var mu sync.Mutex
	var won []got
	send := func() {
		g, unsure := c.again(func() got { return c.call(t, "POST", r.ResponseURI, web.MediaForm, []byte(form)) })
		mu.Lock()
		defer mu.Unlock()
		if unsure {
			perhaps++
		}
		switch {
		case g.status == http.StatusOK:
			won = append(won, g)
		case g.status != http.StatusGone || g.code() != "already_answered":
			t.Errorf("P30 an answer: %d %s", g.status, g.body)
		}
	}
	var wg sync.WaitGroup
	for range times {
		wg.Go(send)
	}
	wg.Wait()
	if way == 2 {
		send()
	}
	if len(won) > 1 || len(won) == 0 && perhaps == 0 {
		t.Errorf("P10 an answer counts %d times, want once", len(won))
		return nil, false
	}
	if len(won) == 0 {
		return nil, true
	}
	return &won[0], true
}

// breakOff sends a request and goes away at any moment.
func (c *crowd) breakOff(method, address string, body []byte) {
	c.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = c.server.URL() + address
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Duration(rand.IntN(4000))*time.Microsecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(string(body)))
	if err != nil {
		c.t.Error(err)
		return
	}
	if body == nil {
		r.Header.Set("Authorization", "Bearer "+apiKey)
	} else {
		r.Header.Set("Content-Type", web.MediaForm)
	}
	if res, err := c.http.Do(r); err == nil {
		_ = res.Body.Close()
	}
}

// result wants the relying party to get the answer of person n.
func (c *crowd) result(made verifier.Created, n int) {
	c.t.Helper()
	g, _ := c.again(func() got { return c.relying(c.t, "GET", "/requests/"+made.ID, nil) })
	if g.status != http.StatusOK {
		c.t.Errorf("P30 the state: %d %s", g.status, g.body)
		return
	}
	st := decode[verifier.State](c.t, g.body)
	c.says(made, st.Status, st.Result, n)
}

// says wants a result to be whole, and about person n.
func (c *crowd) says(made verifier.Created, status string, result json.RawMessage, n int) {
	c.t.Helper()
	names := anybody.FindAllString(string(result), -1)
	for _, name := range names {
		if name != answeredBy(n) {
			c.t.Errorf("P21 the result of person %d names %s", n, name)
		}
	}
	if status != "answered" || len(names) == 0 || decode[verifier.Result](c.t, noReports(c.t, result)).Verdict != verification.Valid {
		c.t.Errorf("P30 person %d has answered, and the relying party is told %s %s", n, status, result)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered[made.Handle] = string(result)
}

// exchange has two bring the response code at once, and wants one to get the result (P10).
// Where the reply with the code was lost nobody gets it.
func (c *crowd) exchange(made verifier.Created, reply *got, n int) {
	t := c.t
	t.Helper()
	c.mu.Lock()
	c.answered[made.Handle] = ""
	c.mu.Unlock()
	if reply == nil {
		return
	}
	parsed, err := oid4vp.ParseReply(reply.body, true)
	if err != nil {
		t.Error(err)
		return
	}
	u, err := url.Parse(parsed.RedirectURI)
	if err != nil {
		t.Error(err)
		return
	}
	var answers [2]got
	var unsure [2]bool
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i], unsure[i] = c.again(func() got {
				return c.relying(t, "POST", "/requests/"+made.ID+"/result", object{"response_code": u.Query().Get("response_code"), "browser": browser})
			})
		})
	}
	wg.Wait()
	won := 0
	for _, g := range answers {
		switch g.status {
		case http.StatusOK:
			won++
			c.says(made, "answered", json.RawMessage(g.body), n)
		case http.StatusForbidden:
		default:
			t.Errorf("P30 a response code: %d %s", g.status, g.body)
		}
	}
	if won > 1 || won == 0 && !unsure[0] && !unsure[1] {
		t.Errorf("P10 a response code works %d times, want once", won)
	}
}

// delivering sends webhooks, as a server does beside its requests, until it is stopped.
func (c *crowd) delivering() (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
				c.service.Deliver(c.t.Context())
			}
		}
	}()
	return func() { close(over); <-ended }
}

// settled wants each request to be answered once and for all: as many verdicts as answers,
// and a webhook about each of them, and nothing that waits once the time
// of all requests is over.
func (c *crowd) settled() {
	t := c.t
	t.Helper()
	figures := string(c.call(t, "GET", c.server.PrivateURL()+"/metrics", "", nil).body)
	if want := fmt.Sprintf(`sanad_verifier_verdicts_total{verdict="valid"} %d`+"\n", len(c.answered)); !strings.Contains(figures, want) {
		t.Errorf("P10 %d requests are answered, and the figures say otherwise", len(c.answered))
	}
	told := map[string]bool{}
	for range 20 { // one may wait for its next try, if the store was away at the first
		c.service.Deliver(t.Context())
		for _, text := range c.posts.all() { // and come twice, if it was when it had arrived
			handle, _ := c.statement(t, text, "sanad-webhook+jwt").Get("jti").Text()
			if _, ok := c.answered[handle]; !ok {
				t.Errorf("P30 a webhook about %s, which was not answered", handle)
			}
			told[handle] = true
		}
		if len(told) == len(c.answered) {
			break
		}
		c.clock.Add(int64(20 * time.Second))
	}
	if len(told) != len(c.answered) {
		t.Errorf("P30 %d webhooks about %d requests", len(told), len(c.answered))
	}
	c.clock.Add(int64(time.Hour))
	for range 100 {
		if c.service.Queued(t.Context()) == 0 {
			break
		}
		c.service.Deliver(t.Context())
	}
	if n := c.service.Queued(t.Context()); n != 0 {
		t.Errorf("P30 %d webhooks wait for requests that are over", n)
	}
}

// TestP30Storm measures how many requests the machine takes from the wish of a relying party
// to the result, and then has twice as many come, on few places and few connections,
// whatever has become of those before; the store is taken away for a moment. Every answer
// is whole or a refusal, what works once works once, nobody sees the result of another, and
// nothing is left half done.
func TestP30Storm(t *testing.T) {
	const places = 3
	few := func(s *scene) { s.places = places }
	for _, tt := range []struct {
		name string
		open func(t *testing.T) (s *scene, location string)
	}{
		{"SQLite", func(t *testing.T) (*scene, string) { s := newScene(t, few); return s, s.path }},
		{"PostgreSQL with two connections", func(t *testing.T) (*scene, string) {
			owner, _ := pgtest.New(t)
			return newSceneOn(t, owner+"&pool_max_conns=2", few), owner
		}},
		{"memory", func(t *testing.T) (*scene, string) { return newSceneOn(t, once.Memory, few), "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, location := tt.open(t)
			c := newCrowd(t, s)
			deliver := c.delivering()
			came, rate := loadtest.Storm{
				Clients: places, Measure: time.Duration(count(200, 2000)) * time.Millisecond, For: time.Duration(count(500, 5000)) * time.Millisecond,
				Least: 5 * places, Most: count(80, 1000), Rounds: count(1, 10), Deed: c.life, Exhaust: func() { c.exhaust(location) },
			}.Run()
			deliver()
			c.settled()
			full := c.refused.Of(http.StatusServiceUnavailable)
			if full == 0 && !testing.Short() {
				t.Error("503 never; the test tests little")
			}
			t.Logf("P30 %d requests, in the end %.0f a second, on %d places: 503 %d times at the gate and %d times behind it", came, rate, places, full, c.later.Load())
		})
	}
}

// exhaust takes the store away until some were refused, at most for a time that nothing else
// gives up in. Where it is memory, which cannot be taken away, answers stand still.
func (c *crowd) exhaust(location string) {
	c.t.Helper()
	before := c.refused.Of(http.StatusServiceUnavailable)
	if location == "" {
		c.still.Lock()
		defer c.still.Unlock()
	} else {
		defer loadtest.Exhaust(c.t, location, "sanad_once.value")()
	}
	loadtest.Until(5*time.Second, func() bool { return c.refused.Of(http.StatusServiceUnavailable) > before+2 })
}

// losing is a store that is away at one of its calls, before that has an effect.
type losing struct {
	verifier.Once
	left *atomic.Int64 // calls until then
}

var errNoConnection = errors.New("no connection is free")

func (l losing) lose() error {
	if l.left.Add(-1) == 0 {
		return errNoConnection
	}
	return nil
}

func (l losing) Put(ctx context.Context, values ...once.Value) error {
	if err := l.lose(); err != nil {
		return err
	}
	return l.Once.Put(ctx, values...)
}

func (l losing) Get(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte) (once.Value, error) {
	if err := l.lose(); err != nil {
		return once.Value{}, err
	}
	return l.Once.Get(ctx, now, kind, digest)
}

func (l losing) Exchange(ctx context.Context, now time.Time, take []once.Key, put []once.Value) ([]once.Value, error) {
	if err := l.lose(); err != nil {
		return nil, err
	}
	return l.Once.Exchange(ctx, now, take, put)
}

func (l losing) Swap(ctx context.Context, now time.Time, old, next once.Value) error {
	if err := l.lose(); err != nil {
		return err
	}
	return l.Once.Swap(ctx, now, old, next)
}

func (l losing) Steps(ctx context.Context, now time.Time, steps ...once.Step) (int, error) {
	if err := l.lose(); err != nil {
		return 0, err
	}
	return l.Once.Steps(ctx, now, steps...)
}

// TestP30EachStep has the store away at each call of each request: the answer is 503, which
// says when to come again, and the very same request then does what it should.
func TestP30EachStep(t *testing.T) {
	left := &atomic.Int64{}
	s := newScene(t, func(s *scene) { s.once = func(o verifier.Once) verifier.Once { return losing{o, left} } })
	made := func() verifier.Created {
		return s.create(t, object{"policy": "card", "return_to": "https://library.example/done", "browser": browser})
	}
	// Each prepares a request, which may be sent several times.
	for _, tt := range []struct {
		name    string
		prepare func() func() got
		want    int
	}{
		{"a request", func() func() got {
			return func() got { return s.relying(t, "POST", "/requests", object{"policy": "card"}) }
		}, http.StatusCreated},
		{"its object", func() func() got {
			path := requestPath(t, made().Link)
			return func() got { return s.call(t, "GET", path, "", nil) }
		}, http.StatusOK},
		{"its state", func() func() got {
			c := s.create(t, object{"policy": "card"})
			s.respond(t, c.Link)
			return func() got { return s.relying(t, "GET", "/requests/"+c.ID, nil) }
		}, http.StatusOK},
		{"an answer", func() func() got {
			r := s.open(t, made().Link)
			form := s.present(t, r)
			return func() got { return s.post(t, r, form) }
		}, http.StatusOK},
		{"a response code", func() func() got {
			c := made()
			reply, err := oid4vp.ParseReply(s.respond(t, c.Link).body, true)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(reply.RedirectURI)
			if err != nil {
				t.Fatal(err)
			}
			return func() got {
				return s.relying(t, "POST", "/requests/"+c.ID+"/result", object{"response_code": u.Query().Get("response_code"), "browser": browser})
			}
		}, http.StatusOK},
	} {
		points := 0
		for call := int64(1); ; call++ {
			send := tt.prepare()
			left.Store(call)
			g := send()
			if left.Swap(0) > 0 {
				break // there is no such call
			}
			points++
			if g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" || g.code() != "unavailable" {
				t.Errorf("P30 %s, call %d of the store: %d %s, want 503", tt.name, call, g.status, g.body)
			}
			if g := send(); g.status != tt.want {
				t.Errorf("P30 %s, sent again after call %d: %d %s, want %d", tt.name, call, g.status, g.body, tt.want)
			}
		}
		if points == 0 {
			t.Errorf("P30 %s asks the store nothing; the test tests little", tt.name)
		}
	}
}
