package verifier_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/verification"
)

// TestMemory: with everything in memory a request is answered, read and forgotten as with a
// database; the flow on one device, webhooks and a refusal of the wallet, too.
func TestMemory(t *testing.T) {
	s := newSceneOn(t, once.Memory)
	c := s.create(t, object{"policy": "card"})
	if status, _ := s.state(t, c.ID); status != "waiting" {
		t.Errorf("before the answer: %s", status)
	}
	r := s.open(t, c.Link)
	form := s.present(t, r)
	if g := s.post(t, r, form); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	if g := s.post(t, r, form); g.status != http.StatusGone {
		t.Errorf("the same answer again: %d %s", g.status, g.body)
	}
	for range 2 {
		if status, result := s.state(t, c.ID); status != "answered" || result.Verdict != verification.Valid || len(result.Presentations) != 1 || len(result.Presentations[0].Claims) == 0 {
			t.Errorf("%s %+v", status, result)
		}
	}
	s.service.Deliver(t.Context())
	if all := s.posts.all(); len(all) != 1 {
		t.Errorf("%d webhooks, want 1", len(all))
	}
	one := s.create(t, object{"policy": "card", "return_to": "https://library.example/done", "browser": browser})
	g := s.respond(t, one.Link)
	reply, err := oid4vp.ParseReply(g.body, true)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(reply.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	if _, result := s.state(t, one.ID); result != nil {
		t.Error("polling releases the result of the flow on one device")
	}
	if g := s.relying(t, "POST", "/requests/"+one.ID+"/result", object{"response_code": u.Query().Get("response_code"), "browser": browser}); g.status != http.StatusOK || !strings.Contains(string(g.body), person) {
		t.Errorf("%d %s", g.status, g.body)
	}
	// When the result has ended it is gone from memory, not only from sight.
	s.clock.Add(int64(16 * time.Minute))
	if _, err := s.db.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	if g := s.relying(t, "GET", "/requests/"+c.ID, nil); g.status != http.StatusGone {
		t.Errorf("after its end: %d %s", g.status, g.body)
	}
}

// TestMemoryIsOfOneServer: another server, or the same after a restart, refuses what this one
// handed out, and makes requests of its own.
func TestMemoryIsOfOneServer(t *testing.T) {
	s := newSceneOn(t, once.Memory)
	answered, asked := s.create(t, object{"policy": "card"}), s.create(t, object{"policy": "card"})
	s.respond(t, answered.Link)
	r := s.open(t, asked.Link)
	form := s.present(t, r)
	first := s.service.URL

	other, err := once.Open(t.Context(), once.Memory, once.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	s.db = other
	s.service = s.serve(t, verifier.APIKey{Name: "library", Digest: sha256.Sum256([]byte(apiKey))})
	there := func(address string) string { return strings.Replace(address, first, s.service.URL, 1) }
	for name, g := range map[string]got{
		"the result of before":  s.relying(t, "GET", "/requests/"+answered.ID, nil),
		"the request of before": s.relying(t, "GET", "/requests/"+asked.ID, nil),
		"its answer":            s.call(t, "POST", there(r.ResponseURI), "application/x-www-form-urlencoded", []byte(form.Encode())),
		"its address":           s.call(t, "GET", requestPath(t, asked.Link), "", nil),
	} {
		if g.status != http.StatusNotFound || bytes.Contains(g.body, []byte(person)) {
			t.Errorf("%s: %d %s", name, g.status, g.body)
		}
	}
	c := s.create(t, object{"policy": "card"})
	s.respond(t, c.Link)
	if status, result := s.state(t, c.ID); status != "answered" || result.Verdict != verification.Valid {
		t.Errorf("a request of its own: %s %+v", status, result)
	}
}

// requestPath is the path of a request's address, by its link.
func requestPath(t *testing.T, link string) string {
	t.Helper()
	i, err := oid4vp.ParseInvocation(link)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(i.RequestURI)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}

// TestMemoryFull: when there is no room new requests are refused until something has ended;
// those that were made can be answered.
func TestMemoryFull(t *testing.T) {
	s := newSceneOn(t, once.Memory)
	c := s.create(t, object{"policy": "card"})
	fill := once.Value{Kind: once.Nonce, Expires: s.now().Add(time.Minute), Data: make([]byte, 64<<10)}
	for i := 0; ; i++ {
		fill.Digest = sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		if err := s.db.Put(t.Context(), fill); errors.Is(err, once.ErrFull) {
			if len(fill.Data) == 0 {
				break
			}
			fill.Data = fill.Data[:len(fill.Data)/8]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	g := s.relying(t, "POST", "/requests", object{"policy": "card"})
	if g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" || !strings.Contains(string(g.body), "unavailable") {
		t.Errorf("full: %d %s", g.status, g.body)
	}
	if g := s.respond(t, c.Link); g.status != http.StatusOK {
		t.Errorf("the answer to what was asked before: %d %s", g.status, g.body)
	}
	s.clock.Add(int64(2 * time.Minute))
	if _, err := s.db.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	s.create(t, object{"policy": "card"})
	if status, _ := s.state(t, c.ID); status != "answered" {
		t.Errorf("what was answered while it was full: %s", status)
	}
}

// TestSealedWhereDurable: what a database holds of a result is sealed, and what says that it
// is not is not believed.
func TestSealedWhereDurable(t *testing.T) {
	for _, durable := range []bool{true, false} {
		s := newSceneOn(t, once.Memory)
		if durable {
			s = newScene(t)
		}
		c := s.create(t, object{"policy": "card"})
		s.respond(t, c.Link)
		o := s.service.Outcome(t.Context(), c.Handle)
		if o == nil || (len(o.Sealed) > 0) != durable || (len(o.Plain) > 0) == durable {
			t.Errorf("durable %v: %+v", durable, o)
		}
		if durable {
			o.Plain, o.Sealed = []byte(`{"verdict":"valid"}`), nil
			if b, err := s.service.Disclose(o, c.ID); err == nil {
				t.Errorf("a result in the clear is believed: %s", b)
			}
		}
	}
}

// BenchmarkAnswer is what an answer costs beside HTTP and the store.
func BenchmarkAnswer(b *testing.B) {
	s := newSceneOn(b, once.Memory)
	c := s.create(b, object{"policy": "open"})
	r := s.open(b, c.Link)
	answer := s.service.Answering(b.Context(), r.ResponseURI[strings.LastIndexByte(r.ResponseURI, '/')+1:], s.present(b, r))
	b.ReportAllocs()
	for b.Loop() {
		if err := answer(); err != nil {
			b.Fatal(err)
		}
	}
}
