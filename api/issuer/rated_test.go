package issuer_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/loadtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
)

// fewConnections are engines whose connections run out before the places of their servers do.
var fewConnections = []engine{engines[0], {"two replicas on PostgreSQL with two connections each", 2, onFewConnections, false}}

func onFewConnections(t testing.TB, dir string) (location, values string) {
	location, values = onPostgres(t, dir)
	return location + "&pool_max_conns=2", values + "&pool_max_conns=2"
}

// A ledger is what clients received and were told.
type ledger struct {
	*bed
	refused loadtest.Refusals
	later   atomic.Int64 // answers that something is out of reach

	mu       sync.Mutex
	received map[int][]credential.StatusRef // by person
	lost     map[int]bool                   // whose tokens may have reached nobody
	gone     map[int]bool                   // whose credential is revoked
	revoked  []credential.StatusRef         // in the order in which it was acknowledged
}

func newLedger(b *bed) *ledger {
	return &ledger{bed: b, received: map[int][]credential.StatusRef{}, lost: map[int]bool{}, gone: map[int]bool{}}
}

// again asks until the answer is another one than 503: each time anew, with a proof of its
// own. Unsure says that it was 503 once; nobody knows what came of that.
func (l *ledger) again(ask func() answer) (a answer, unsure bool) {
	l.Helper()
	for a = ask(); a.status == http.StatusServiceUnavailable; a = ask() {
		if a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
			l.Errorf("P30: %v %v, want Retry-After", a, a.header)
		}
		unsure = true
		l.later.Add(1)
		time.Sleep(loadtest.Pause(0))
	}
	return a, unsure
}

// life is the way of person n: an offer, whose code two redeem at once and a third later,
// a credential, whose first request breaks off for one in three, and for another one in
// three the end of the credential.
func (l *ledger) life(n int, made *issuer.OfferMade) {
	l.Helper()
	w := l.wallet()
	w.client.Timeout, w.client.Transport = 5*time.Minute, l.patient(&l.refused)
	if !l.redeemed(w, w.accept(made.Link), n) {
		return
	}
	if n%3 == 0 {
		w.giveUp(w.ask(w.request(1)))
	}
	a, _ := l.again(func() answer { return w.send(w.ask(w.request(1))) })
	c := w.read(a, 1)
	w.check(c, n, 1)
	l.receive(n, c.Credentials[0])
	if n%3 == 1 {
		l.revoke(n)
	}
}

// redeemed has two clients redeem a code at once, and one after them.
func (l *ledger) redeemed(w *wallet, o *oid4vci.Offer, n int) bool {
	l.Helper()
	form := formPost("/oauth/token", redeem(o, ""))
	var answers [2]answer
	var unsure [2]bool
	var wg sync.WaitGroup
	for i := range answers {
		mine := *w
		wg.Go(func() { answers[i], unsure[i] = l.again(func() answer { return mine.send(form) }) })
	}
	wg.Wait()
	won := slices.IndexFunc(answers[:], func(a answer) bool { return a.status == http.StatusOK })
	for i, a := range answers {
		if i != won && a.code() != oid4vci.InvalidGrant {
			l.Errorf("P10 a code twice: %v", answers)
		}
	}
	if a, _ := l.again(func() answer { mine := *w; return mine.send(form) }); a.code() != oid4vci.InvalidGrant {
		l.Errorf("P10 a code once more: %v", a)
	}
	if won >= 0 {
		w.tokens(answers[won])
		return true
	}
	if !unsure[0] && !unsure[1] {
		l.Errorf("P10 a code works for nobody: %v", answers)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost[n] = true
	return false
}

// receive notes the slot of what a wallet got.
func (l *ledger) receive(n int, token string) {
	l.Helper()
	v, err := sdjwt.Verify(token, sdjwt.Expect{Keys: everyKey{l.keys}, Now: l.clock.Now(), Binding: sdjwt.BindingRefused})
	l.must(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received[n] = append(l.received[n], *v.Status)
}

// revoke revokes what person n holds. Who asks goes away at any moment, and comes again
// until it is acknowledged.
func (l *ledger) revoke(n int) {
	l.Helper()
	o := l.offices[n%len(l.offices)]
	for id := range l.heldBy(n) {
		for patience := 2 * time.Millisecond; ; patience *= 4 {
			ctx, cancel := context.WithTimeout(l.Context(), patience)
			_, err := o.service.Revoke(ctx, id, issuance.Lost, "tester")
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				l.Errorf("P05 revoke: %v, want that time ran out", err)
				return
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone[n] = true
	l.revoked = append(l.revoked, l.received[n]...)
}

// heldBy are the active credentials of person n.
func (l *ledger) heldBy(n int) map[string]bool {
	l.Helper()
	all := map[string]bool{}
	for c, err := range l.offices[0].db.Find(l.Context(), issuance.Query{Programme: "licence", Record: l.offices[0].service.Pseudonym("licence", recordID(n)), State: issuance.Active}) {
		l.must(err)
		if c.PartOf == "" {
			all[c.ID] = true
		}
	}
	return all
}

// publish publishes the lists, and wants them to have every revocation that was
// acknowledged before.
func (l *ledger) publish() {
	l.Helper()
	l.mu.Lock()
	before := slices.Clone(l.revoked)
	l.mu.Unlock()
	all, err := l.offices[0].service.PublishStatus(l.Context(), issuance.StatusRequest{Lifetime: time.Hour, TTL: time.Minute, Actor: "tester"})
	l.must(err)
	own, err := l.keys.Keys(l.Context())
	l.must(err)
	var signers []keys.PublicKey
	for _, k := range own {
		if k.Purpose == keys.StatusList {
			signers = append(signers, k.Public)
		}
	}
	lists := map[string]*status.List{}
	for _, p := range all {
		if uri, isJWT := issuance.IsJWT(p.Name); isJWT {
			info, err := issuance.OpenList(p.Name, p.Content, signers)
			l.must(err)
			lists[uri] = info.List
		}
	}
	for _, s := range before {
		list := lists[s.URI]
		if list == nil {
			l.Errorf("P05 the list %s is not published", s.URI)
			continue
		}
		if v, err := list.Get(s.Index); err != nil || v != status.Invalid {
			l.Errorf("P05 slot %v of what was revoked says %d, %v", s, v, err)
		}
	}
}

// hold holds what was received and told to what is stored (P01, P04, P05).
func (l *ledger) hold(people int) {
	l.Helper()
	l.settled()
	used := map[issuance.Slot]string{}
	of := map[credential.StatusRef]issuance.Credential{}
	for _, c := range l.credentials() {
		for _, f := range c.Forms {
			if other := used[f.Slot]; other != "" {
				l.Errorf("P04 %s and %s share slot %v", c.ID, other, f.Slot)
			}
			used[f.Slot] = c.ID
			of[credential.StatusRef{URI: f.Slot.List, Index: f.Slot.Index}] = c
		}
	}
	owner := map[credential.StatusRef]int{}
	for n := range people {
		for _, ref := range l.received[n] {
			if c, ok := of[ref]; !ok || c.Record != l.offices[0].service.Pseudonym("licence", recordID(n)) {
				l.Errorf("P01 person %d has slot %v, which is not on record as theirs", n, ref)
			}
			if other, twice := owner[ref]; twice {
				l.Errorf("P04 persons %d and %d have slot %v", n, other, ref)
			}
			owner[ref] = n
		}
		held, want := len(l.heldBy(n)), 1
		if l.gone[n] || l.lost[n] {
			want = 0
		}
		if held != want {
			l.Errorf("P30 person %d holds %d credentials, want %d", n, held, want)
		}
	}
	l.publish()
}

// TestP30TwiceRated measures how many wallets the machine serves, and then has twice as many
// come, whatever has become of those before, and takes the store away for a moment. Every
// answer is whole or a refusal; what works once works once, what was received is on record,
// no slot is used twice, and every revocation that was acknowledged is in every list that
// is published afterwards.
func TestP30TwiceRated(t *testing.T) {
	for _, e := range fewConnections {
		t.Run(e.name, func(t *testing.T) {
			const places = 3
			b := newFullBed(t, e, places, nil)
			l := newLedger(b)
			all := places * len(b.servers)
			over, published := make(chan struct{}), make(chan int)
			go func() {
				for k := 0; ; k++ {
					select {
					case <-over:
						published <- k
						return
					case <-time.After(20 * time.Millisecond):
						l.publish()
					}
				}
			}()
			offers := map[int]*issuer.OfferMade{}
			people, rate := loadtest.Storm{
				Clients: all, Measure: time.Duration(count(250, 2000)) * time.Millisecond, For: time.Duration(count(500, 5000)) * time.Millisecond,
				Least: 3 * all, Most: count(60, 1000), Rounds: count(1, 10), Exhaust: func() { l.exhaust(int64(all)) },
				// Offers are made before the store is taken away.
				Prepare: func(first, end int) { offers = l.offers(first, end) },
				Deed: func(n int) {
					if made := offers[n]; made != nil {
						l.life(n, made)
					} else {
						l.life(n, l.offer(n))
					}
				},
			}.Run()
			close(over)
			lists := <-published
			l.hold(people)
			full := l.refused.Of(http.StatusServiceUnavailable)
			if full == 0 && !testing.Short() {
				t.Error("503 never; the test tests little")
			}
			t.Logf("P30 %d wallets, in the end %.0f a second, on %d places: 503 %d times at the gate and %d times behind it, %d revoked, lists published %d times meanwhile",
				people, rate, all, full, l.later.Load(), len(l.revoked), lists)
		})
	}
}

// offers are those for persons from first to the one before end.
func (l *ledger) offers(first, end int) map[int]*issuer.OfferMade {
	l.Helper()
	all := map[int]*issuer.OfferMade{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	atOnce := make(chan struct{}, 16)
	for n := first; n < end; n++ {
		atOnce <- struct{}{}
		wg.Go(func() {
			defer func() { <-atOnce }()
			made := l.offer(n)
			mu.Lock()
			defer mu.Unlock()
			all[n] = made
		})
	}
	wg.Wait()
	return all
}

// exhaust takes the stores away until so many were refused, at most for a time that nothing
// else gives up in.
func (l *ledger) exhaust(refused int64) {
	l.Helper()
	before := l.refused.Of(http.StatusServiceUnavailable)
	values := loadtest.Exhaust(l, l.stores[1], "sanad_once.value")
	defer values()
	credentials := loadtest.Exhaust(l, l.stores[0], "sanad.credential", "sanad.status_list")
	defer credentials()
	loadtest.Until(5*time.Second, func() bool { return l.refused.Of(http.StatusServiceUnavailable) >= before+refused })
}

// TestP30RefusedAttempts: however often a wallet is told to come again it has its credential
// in the end, by the same token.
func TestP30RefusedAttempts(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		f := &away{}
		b := newBed(t, e, func(c *issuer.Config) { c.Office = awayOffice{c.Office, f} })
		w := b.wallet()
		w.signIn(b.offer(1))
		f.on.Store(true)
		for range 12 {
			if a := w.send(w.ask(w.request(1))); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Fatalf("P30 while the store is away: %v", a)
			}
		}
		f.on.Store(false)
		w.check(w.fetch(1), 1, 1)
		if k := b.usable(1); k != 1 {
			t.Errorf("P30 %d credentials, want 1", k)
		}
	})
}

// away is a switch.
type away struct{ on atomic.Bool }

// awayOffice has no time for anybody while it is away.
type awayOffice struct {
	issuer.Office
	*away
}

func (o awayOffice) Deliver(ctx context.Context, d issuance.Delivery) (*issuance.Issued, error) {
	if o.on.Load() {
		return nil, context.DeadlineExceeded
	}
	return o.Office.Deliver(ctx, d)
}
