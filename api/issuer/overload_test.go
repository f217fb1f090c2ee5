package issuer_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/loadtest"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
)

// newFullBed is a bed whose replicas have few places.
func newFullBed(t testing.TB, e engine, places int, people *web.Rate, change ...func(*issuer.Config)) *bed {
	t.Helper()
	b := &bed{TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}, places: places, people: people}
	return b.start(e, change...)
}

// A stalled office delivers to nobody until it is told to go on.
type stalled struct {
	issuer.Office
	*stall
}

type stall struct {
	on     atomic.Bool
	came   atomic.Int64 // deliveries that were asked for
	finish chan struct{}
}

func (s stalled) Deliver(ctx context.Context, d issuance.Delivery) (*issuance.Issued, error) {
	if s.came.Add(1); s.on.Load() {
		<-s.finish
	}
	return s.Office.Deliver(ctx, d)
}

// patient is the transport of a wallet that comes again when it is told to, with the very
// same request: who is refused for overload has used nothing up.
func (b *bed) patient(refused *loadtest.Refusals) http.RoundTripper {
	return loadtest.Patient{Refused: refused, Check: func(status int, h http.Header, body []byte) { b.isRefusal(answer{status, h, body}) }}
}

// isRefusal wants an answer to be one to too many requests, and nothing else.
func (b *bed) isRefusal(a answer) {
	b.Helper()
	if err := loadtest.CheckRefusal(a.status, a.header, a.body, "credential"); err != nil {
		b.Errorf("P30: %v", err)
	}
}

// TestP30Full: while all places are taken by requests that do not come to an end, every
// further one is refused without waiting for them, what everybody reads and the server's own
// pages are answered, and then who was refused gets one credential by the same request.
func TestP30Full(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		s := &stall{finish: make(chan struct{})}
		const places = 3
		b := newFullBed(t, e, places, nil, func(c *issuer.Config) { c.Office = stalled{c.Office, s} })
		var refused loadtest.Refusals
		goOn := sync.OnceFunc(func() { close(s.finish) })
		t.Cleanup(goOn) // also if somebody waits who should not
		all := places * len(b.servers)
		const late = 4
		wallets := make([]*wallet, all+late)
		requests := make([]post, len(wallets))
		for n := range wallets {
			w := b.wallet()
			w.client.Timeout = time.Minute
			w.signIn(b.offer(n))
			wallets[n], requests[n] = w, w.ask(w.request(1))
		}
		unused := b.wallet()
		unused.client.Timeout = time.Minute
		o := unused.accept(b.offer(len(wallets)).Link)
		s.on.Store(true)
		var wg sync.WaitGroup
		for n, w := range wallets[:all] {
			w.client.Transport = b.patient(&refused) // one replica may get more of them than it has places
			wg.Go(func() { w.check(w.read(w.send(requests[n]), 1), n, 1) })
		}
		b.until("all places are taken", func() bool { return s.came.Load() == int64(all) })
		for n := all; n < len(wallets); n++ {
			b.isRefusal(wallets[n].send(requests[n]))
		}
		b.isRefusal(unused.send(formPost("/oauth/token", redeem(o, ""))))
		b.isRefusal(unused.send(post{path: "/oid4vci/nonce", noDPoP: true}))
		b.isRefusal(unused.get("/offer/nothing"))
		for _, path := range append([]string{"/.well-known/openid-credential-issuer", "/jwks.json", "/healthz", "/readyz"}, b.ownPages()...) {
			if a := unused.get(path); a.status != http.StatusOK {
				t.Errorf("P30 %s meanwhile: %v", path, a)
			}
		}
		if n := s.came.Load(); n != int64(all) {
			t.Errorf("P30 %d deliveries were begun, want %d", n, all)
		}
		if n := len(b.credentials()); n != 0 {
			t.Errorf("P30 %d credentials while nothing was delivered", n)
		}
		goOn()
		wg.Wait()
		for n := all; n < len(wallets); n++ {
			wallets[n].check(wallets[n].read(wallets[n].send(requests[n]), 1), n, 1)
		}
		unused.tokens(unused.send(formPost("/oauth/token", redeem(o, ""))))
		unused.check(unused.fetch(1), len(wallets), 1)
		b.onceEach(len(wallets) + 1)
	})
}

// TestP30Storm: many more wallets than there are places go from offer to credential at once,
// a third of them breaking a request off on the way. They are refused with 503, or 429, and
// come again, and each has one credential in the end.
func TestP30Storm(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newFullBed(t, e, 3, &web.Rate{Requests: 300, Per: time.Second, Burst: 5})
		var refused loadtest.Refusals
		over, looked := make(chan struct{}), make(chan int)
		go func() {
			n := 0
			for w := b.wallet(); ; n++ {
				select {
				case <-over:
					looked <- n
					return
				case <-time.After(10 * time.Millisecond):
				}
				for _, path := range append([]string{"/healthz"}, b.ownPages()...) {
					if a := w.get(path); a.status != http.StatusOK {
						t.Errorf("P30 %s meanwhile: %d", path, a.status)
					}
				}
			}
		}()
		wallets := count(24, 500)
		atOnce := make(chan struct{}, 64)
		var wg sync.WaitGroup
		for n := range wallets {
			w, made := b.wallet(), b.offer(n)
			w.client.Transport = b.patient(&refused)
			atOnce <- struct{}{}
			wg.Go(func() {
				defer func() { <-atOnce }()
				w.signIn(made)
				if n%3 == 0 {
					w.giveUp(w.ask(w.request(1)))
				}
				w.check(w.fetch(1), n, 1)
				w.check(w.fetch(1), n, 1) // its answer was lost, say
			})
		}
		wg.Wait()
		close(over)
		n := <-looked
		b.onceEach(wallets)
		full, often := refused.Of(http.StatusServiceUnavailable), refused.Of(http.StatusTooManyRequests)
		if (full == 0 || n == 0) && !testing.Short() { // which has two wallets only, for the race detector
			t.Errorf("503 %d times, %d looks at the figures; the test tests little", full, n)
		}
		t.Logf("P30 %d wallets on %d places: 503 %d times, 429 %d times, %d looks at the figures meanwhile",
			wallets, 3*len(b.servers), full, often, n)
	})
}

// ownPages are those of the private ports.
func (b *bed) ownPages() (all []string) {
	for _, private := range b.private {
		all = append(all, private+"/healthz", private+"/metrics")
	}
	return all
}

// until waits for a condition.
func (b *bed) until(what string, ok func() bool) {
	b.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatalf("after a minute: %s", what)
}

// onceEach wants each of the first people to hold one credential, nothing to be half made,
// and no slot to be used twice.
func (b *bed) onceEach(people int) {
	b.Helper()
	b.settled()
	used, held := map[issuance.Slot]string{}, map[issuance.Pseudonym]int{}
	for _, c := range b.credentials() {
		for _, f := range c.Forms {
			if other := used[f.Slot]; other != "" {
				b.Errorf("P30 %s and %s share slot %v", c.ID, other, f.Slot)
			}
			used[f.Slot] = c.ID
		}
		if c.State == issuance.Active && c.PartOf == "" {
			held[c.Record]++
		}
	}
	for n := range people {
		if k := held[b.offices[0].service.Pseudonym("licence", recordID(n))]; k != 1 {
			b.Errorf("P30 person %d holds %d credentials, want 1", n, k)
		}
	}
	if len(held) != people {
		b.Errorf("P30 %d people hold a credential, want %d", len(held), people)
	}
}

// settled waits until nothing is half made.
func (b *bed) settled() {
	b.Helper()
	b.until("nothing is being made", func() bool {
		return !slices.ContainsFunc(b.credentials(), func(c issuance.Credential) bool { return c.State == issuance.Intended })
	})
}
