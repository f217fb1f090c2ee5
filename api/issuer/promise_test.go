package issuer_test

import (
	"bytes"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

// parallel is how many clients redeem the same thing at once.
var parallel = sync.OnceValue(func() int { return max(8, count(64, 64)) })

// race has many clients try at once and wants one to succeed. It returns the answer
// of that one.
func (b *bed) race(what string, try func() (a answer, won bool)) answer {
	b.Helper()
	var mu sync.Mutex
	var winners []answer
	var wg sync.WaitGroup
	for range parallel() {
		wg.Go(func() {
			a, won := try()
			mu.Lock()
			defer mu.Unlock()
			if won {
				winners = append(winners, a)
			}
		})
	}
	wg.Wait()
	if len(winners) != 1 {
		b.Fatalf("P10 %s: %d of %d succeeded, want 1", what, len(winners), parallel())
	}
	return winners[0]
}

// TestP10Endpoints: of many (64) who redeem one thing at once, on all replicas, one succeeds:
// codes of both flows, pushed requests, logins, nonces, proofs, transactions and refresh
// tokens. Redis, where it is, forgets everything and dies meanwhile.
func TestP10Endpoints(t *testing.T) {
	for _, e := range []engine{
		engines[0], {"three replicas on PostgreSQL", 3, onPostgres, false}, {"DB-06 three replicas on PostgreSQL with a Redis that forgets and dies", 3, onPostgres, true},
	} {
		t.Run(e.name, func(t *testing.T) {
			b := newBed(t, e)
			if b.redis != nil {
				defer b.disturb()()
			}
			for n := range count(1, 150) {
				b.oncePreAuthorized(4 * n)
				b.onceDeferred(4*n + 1)
				b.onceAuthorization(4*n + 2)
				b.onceRefresh(4*n + 3)
			}
		})
	}
}

// disturb has Redis forget, die and come back until the function it returns is called.
func (b *bed) disturb() func() {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if i%5 == 4 {
				b.redis.Kill(b.TB)
				b.redis.Restart(b.TB)
			} else {
				b.redis.Do(b.TB, "FLUSHALL")
			}
		}
	}()
	return func() { close(stop); <-ended }
}

func ok(a answer) (answer, bool) { return a, a.status == http.StatusOK }

// oncePreAuthorized: the code of an offer, a DPoP proof, and a proof with its nonce.
func (b *bed) oncePreAuthorized(n int) {
	w := b.wallet()
	o := w.accept(b.offer(n).Link)
	w.cNonce()
	w.tokens(b.race("VCI-02 pre-authorized code", func() (answer, bool) {
		mine := *w
		return ok(mine.send(formPost("/oauth/token", redeem(o, ""))))
	}))
	r := w.request(1)
	a := b.race("VCI-07 proof of a key", func() (answer, bool) {
		mine := *w
		return ok(mine.send(mine.ask(r)))
	})
	w.check(w.read(a, 1), n, 1)
	var proof string
	note := post{path: "/oid4vci/notification", media: oid4vci.JSONType, body: []byte(`{"notification_id":"none","event":"credential_accepted"}`), token: w.token.AccessToken}
	note.proof = func(d oid4vci.DPoPRequest) string {
		if proof == "" {
			var err error
			proof, err = oid4vci.MakeDPoP(cryptorand.Reader, w.dpop, d)
			b.must(err)
		}
		return proof
	}
	note.proof(oid4vci.DPoPRequest{Method: http.MethodPost, URL: w.url + note.path, Now: w.clock.Now(), Nonce: w.nonce, AccessToken: note.token})
	b.race("OA-07 DPoP proof", func() (answer, bool) {
		mine := *w
		a := mine.send(note)
		return a, a.code() == oid4vci.InvalidNotificationID
	})
}

// onceDeferred: what waits for the registry.
func (b *bed) onceDeferred(n int) {
	w := b.wallet()
	w.signIn(b.offer(n))
	b.registry.down.Store(true)
	first := w.fetch(1)
	b.registry.down.Store(false)
	media, body, err := oid4vci.DeferredRequest{TransactionID: first.TransactionID}.Encode(nil)
	b.must(err)
	a := b.race("VCI-14 transaction", func() (answer, bool) {
		mine := *w
		a := mine.send(post{path: "/oid4vci/deferred", media: media, body: body, token: w.token.AccessToken})
		return a, a.status == http.StatusOK && bytes.Contains(a.body, []byte(`"credentials"`))
	})
	w.check(w.read(a, 1), n, 1)
}

// onceAuthorization: a pushed request, a login, and the code that it brings.
func (b *bed) onceAuthorization(n int) {
	made := b.offer(n, func(r *issuer.OfferRequest) { r.ClaimCode = true })
	w := b.wallet()
	o := w.accept(made.Link)
	z, a := w.push(func(r *oid4vci.AuthorizationRequest) { r.IssuerState = o.AuthorizationCode.IssuerState })
	if a.status != http.StatusCreated {
		b.Fatalf("pushed request: %v", a)
	}
	z.page = b.race("OA-05 pushed request", func() (answer, bool) {
		mine := *z
		a := mine.visit()
		return a, a.status == http.StatusSeeOther
	}).header.Get("Location")
	a = b.race("OA-03 login", func() (answer, bool) {
		a := z.submit(z.page, url.Values{"code": {made.ClaimCode}})
		return a, a.status == http.StatusSeeOther && strings.Contains(a.header.Get("Location"), "code=")
	})
	code, err := z.code(a)
	b.must(err)
	b.race("OA-03 authorization code", func() (answer, bool) {
		mine := *z.wallet
		return ok(mine.send(formPost("/oauth/token", z.tokenForm(code))))
	})
}

// onceRefresh: a refresh token.
func (b *bed) onceRefresh(n int) {
	w := b.wallet()
	w.signIn(b.offer(n))
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}}
	b.race("OA-09 refresh token", func() (answer, bool) {
		mine := *w
		return ok(mine.send(formPost("/oauth/token", form)))
	})
}

// TestP11Endpoint: many wallets (64) that guess at once get five guesses between them, after
// which the code is dead (VCI-03); of fewer guesses what is left works.
func TestP11Endpoint(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		for n := range count(2, 300) {
			made := b.offer(n, func(r *issuer.OfferRequest) { r.TxCode = sixDigits })
			first := b.wallet()
			o := first.accept(made.Link)
			first.cNonce()
			before, clients := b.happened("wrong_tx_code"), parallel()
			if n%2 == 1 {
				clients = 4
			}
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					w := *first
					if a := w.send(formPost("/oauth/token", redeem(o, flip(made.TxCode)))); a.code() != oid4vci.InvalidGrant {
						t.Errorf("a wrong code: %v", a)
					}
				})
			}
			wg.Wait()
			if n := b.happened("wrong_tx_code") - before; n != min(clients, 5) {
				t.Errorf("P11 %d guesses of %d were looked at, want 5 at most", n, clients)
			}
			a := first.send(formPost("/oauth/token", redeem(o, made.TxCode)))
			if clients > 5 && a.code() != oid4vci.InvalidGrant {
				t.Errorf("P11 the right code too late: %v", a)
			}
			if clients < 5 && a.status != http.StatusOK {
				t.Errorf("P11 the right code in time: %v", a)
			}
		}
	})
}

// usable is how many credentials about person n can be used.
func (b *bed) usable(n int) int {
	b.Helper()
	found := 0
	for _, c := range b.credentials() {
		if c.Record == b.offices[0].service.Pseudonym("licence", recordID(n)) && c.State == issuance.Active && c.PartOf == "" {
			found++
		}
	}
	return found
}

// TestP12LostAnswers: a wallet that lost the answer asks again, with a fresh nonce and
// the same keys, and there is one credential.
func TestP12LostAnswers(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		for n := range count(2, 100) {
			w := b.wallet()
			w.signIn(b.offer(n))
			for range 3 {
				w.check(w.fetch(2), n, 2)
			}
			r := w.request(3) // other keys: one more
			if a := w.send(w.ask(r)); a.code() != oid4vci.CredentialRequestDenied {
				t.Errorf("P12 other keys with the same token: %v", a)
			}
			if k := b.usable(n); k != 1 {
				t.Errorf("P12 %d active credentials for one grant, want 1", k)
			}
		}
	})
}

// errLost is what a step says whose outcome is not known.
var errLost = errors.New("the answer was lost")

// A fault hits one call of what the endpoints need: before it has an effect, or after.
type fault struct {
	left  atomic.Int64 // calls until then; negative for never
	after atomic.Bool
}

func (f *fault) arm(call int, after bool) {
	f.after.Store(after)
	f.left.Store(int64(call))
}

// hit reports whether this call is the one.
func (f *fault) hit() bool { return f.left.Load() > 0 && f.left.Add(-1) == 0 }

// done disarms, and reports whether it has hit.
func (f *fault) done() bool { return f.left.Swap(-1) == 0 }

func (f *fault) step(do func() error) error {
	if !f.hit() {
		return do()
	}
	if f.after.Load() {
		_ = do()
	}
	return errLost
}

// lossyOnce and lossyOffice lose what the fault says.
type lossyOnce struct {
	issuer.Once
	*fault
}

func (l lossyOnce) Put(ctx context.Context, values ...once.Value) error {
	return l.step(func() error { return l.Once.Put(ctx, values...) })
}

func (l lossyOnce) Exchange(ctx context.Context, now time.Time, take []once.Key, put []once.Value) (v []once.Value, err error) {
	return v, l.step(func() error { v, err = l.Once.Exchange(ctx, now, take, put); return err })
}

func (l lossyOnce) Swap(ctx context.Context, now time.Time, old, next once.Value) error {
	return l.step(func() error { return l.Once.Swap(ctx, now, old, next) })
}

func (l lossyOnce) Steps(ctx context.Context, now time.Time, steps ...once.Step) (n int, err error) {
	err = l.step(func() error { n, err = l.Once.Steps(ctx, now, steps...); return err })
	return n, err
}

type lossyOffice struct {
	issuer.Office
	*fault
}

func (l lossyOffice) Deliver(ctx context.Context, d issuance.Delivery) (i *issuance.Issued, err error) {
	err = l.step(func() error { i, err = l.Office.Deliver(ctx, d); return err })
	if err != nil {
		return nil, err
	}
	return i, nil
}

// TestP12EachStep loses the outcome of every step of the requests for a token, for a
// credential and for a deferred one: before it has an effect, or after. The wallet asks
// again as a wallet does. There is one usable credential at most for what was granted,
// and one in the end unless a code was used up that nobody has the tokens for.
func TestP12EachStep(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		f := &fault{}
		f.left.Store(-1)
		b := newBed(t, e, func(c *issuer.Config) { c.Once, c.Office = lossyOnce{c.Once, f}, lossyOffice{c.Office, f} })
		n := 0
		for _, s := range []struct {
			name   string
			atMost int // steps
			try    func(w *wallet, n int, lose func(func() answer) answer) (tokensLost bool)
		}{{"token", 8, b.tokenAgain}, {"credential", 12, b.credentialAgain}, {"deferred", 12, b.deferredAgain}} {
			for range count(1, 60) {
				points := 0
				for call, reached := 1, true; reached && call <= s.atMost; call++ {
					for _, after := range []bool{false, true} {
						n++
						at := fmt.Sprintf("P12 %s, step %d lost (%v)", s.name, call, map[bool]string{false: "before", true: "after"}[after])
						var first answer
						lost := s.try(b.wallet(), n, func(do func() answer) answer {
							f.arm(call, after)
							first = do()
							reached = f.done()
							return first
						})
						if !reached {
							break
						}
						points++
						if first.status < 400 {
							t.Errorf("%s: answered %v", at, first)
						}
						if k := b.usable(n); k > 1 || k == 0 && !lost {
							t.Errorf("%s: %d usable credentials, want 1", at, k)
						}
					}
				}
				if points < 4 {
					t.Errorf("P12 %s: %d points only; the test tests little", s.name, points)
				}
			}
		}
	})
}

func (b *bed) tokenAgain(w *wallet, n int, lose func(func() answer) answer) (tokensLost bool) {
	o := w.accept(b.offer(n).Link)
	w.cNonce()
	ask := func() answer { return w.send(formPost("/oauth/token", redeem(o, ""))) }
	lose(ask)
	a := ask()
	if a.code() == oid4vci.InvalidGrant {
		return true // the code was used up, and its tokens reached nobody
	}
	w.tokens(a)
	w.check(w.fetch(1), n, 1)
	return false
}

func (b *bed) credentialAgain(w *wallet, n int, lose func(func() answer) answer) bool {
	w.signIn(b.offer(n))
	r := w.request(2)
	lose(func() answer { return w.send(w.ask(r)) })
	w.check(w.fetch(2), n, 2)
	w.check(w.fetch(2), n, 2)
	return false
}

func (b *bed) deferredAgain(w *wallet, n int, lose func(func() answer) answer) bool {
	w.signIn(b.offer(n))
	b.registry.down.Store(true)
	first := w.fetch(1)
	b.registry.down.Store(false)
	media, body, err := oid4vci.DeferredRequest{TransactionID: first.TransactionID}.Encode(nil)
	b.must(err)
	later := post{path: "/oid4vci/deferred", media: media, body: body, token: w.token.AccessToken}
	lose(func() answer { return w.send(later) })
	for range 3 {
		a := w.send(later)
		if a.code() == oid4vci.InvalidTransactionID {
			w.check(w.fetch(1), n, 1) // it has ended; the token still works for the same key
			return false
		}
		if c := w.read(a, 1); len(c.Credentials) > 0 {
			w.check(c, n, 1)
			return false
		}
		b.clock.add(2 * time.Minute) // somebody was at it, and is gone
	}
	b.Fatal("P12 the transaction stays pending")
	return false
}

// TestP21P22Canaries: many wallets at once get what is theirs and nothing else, some
// giving up half way, and no person is in the log, the figures, the audit log or what is
// kept for a short time.
func TestP21P22Canaries(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		n := count(24, 5000)
		var wg sync.WaitGroup
		slots := make(chan struct{}, 8)
		for i := range n {
			w := b.wallet()
			made := b.offer(i)
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				w.signIn(made)
				if i%3 == 0 {
					w.giveUp(w.ask(w.request(1)))
				}
				c := w.fetchPatiently(1)
				for _, d := range disclosures(c.Credentials[0]) {
					if strings.Contains(d, "Canary") && !strings.Contains(d, canary(i)) {
						t.Errorf("P21 wallet %d got somebody else", i)
					}
				}
				if !disclosed(c.Credentials[0], canary(i)) {
					t.Errorf("P21 wallet %d did not get its person", i)
				}
				if a := w.send(w.ask(w.request(9))); a.status < 400 {
					t.Errorf("a request that must fail: %v", a)
				}
			})
		}
		wg.Wait()
		b.registry.down.Store(true)
		late := b.wallet()
		late.signIn(b.offer(n))
		late.fetch(1) // deferred
		written := b.logs.String()
		for _, private := range b.private {
			a := b.wallet().get(private + "/metrics")
			if a.status != http.StatusOK || !strings.Contains(string(a.body), "sanad_http_requests_total") {
				t.Errorf("figures: %d", a.status)
			}
			written += string(a.body)
		}
		if !strings.Contains(written, `"route":"credential"`) {
			t.Error("the log says nothing; the test tests little")
		}
		// Of what is stored, nothing that names a person is in the clear: neither in the
		// issuer's records and audit log nor among the values that work once.
		b.must(filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			written += string(content)
			return err
		}))
		for i := range n + 1 {
			for _, text := range []string{canary(i), recordID(i)} {
				if strings.Contains(written, text) {
					t.Errorf("P22 %q was written where it must not be", text)
				}
			}
		}
	})
}

// disclosures are those of a credential, decoded.
func disclosures(token string) []string {
	var all []string
	for _, d := range strings.Split(token, "~")[1:] {
		if b, err := strict.DecodeBase64URL(d); err == nil {
			all = append(all, string(b))
		}
	}
	return all
}

// fetchPatiently is fetch by a wallet that comes again when it is told to: what it gave up
// may still be on its way.
func (w *wallet) fetchPatiently(n int) *oid4vci.CredentialResponse {
	w.Helper()
	a := w.send(w.ask(w.request(n)))
	for again := 1; a.status == http.StatusServiceUnavailable && again < 4; again++ {
		time.Sleep(time.Duration(again) * 200 * time.Millisecond)
		a = w.send(w.ask(w.request(n)))
	}
	return w.read(a, n)
}

// giveUp sends a request and does not wait for its end.
func (w *wallet) giveUp(p post) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(4000))*time.Microsecond)
	defer cancel()
	proof, err := oid4vci.MakeDPoP(cryptorand.Reader, w.dpop, oid4vci.DPoPRequest{Method: http.MethodPost, URL: w.url + p.path, Now: w.clock.Now(), Nonce: w.nonce, AccessToken: p.token})
	w.must(err)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+p.path, bytes.NewReader(p.body))
	w.must(err)
	r.Header.Set("Content-Type", p.media)
	r.Header.Set("Authorization", string(oid4vci.DPoPToken)+" "+string(p.token))
	r.Header.Set(oid4vci.DPoPHeader, proof)
	if res, err := w.client.Do(r); err == nil {
		_ = res.Body.Close()
	}
}
