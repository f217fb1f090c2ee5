package verifier_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/verification"
)

// disclosed puts a key on the list.
func (s *scene) disclosed(t *testing.T, holder keys.Signer) {
	t.Helper()
	if err := once.Disclose(t.Context(), s.db, s.now(), holder.Key().Public); err != nil {
		t.Fatal(err)
	}
}

// privateCnf is a presentation whose issuer signed a private key in cnf.
func privateCnf(t *testing.T, text string, issuer keys.Signer, d string) string {
	t.Helper()
	jwt, rest, _ := strings.Cut(text, "~")
	m, err := jose.Parse(jwt, jose.Expect{Types: []string{sdjwt.Typ}, MaxBytes: sdjwt.MaxSize})
	if err != nil {
		t.Fatal(err)
	}
	payload := decode[object](t, m.Payload)
	payload["cnf"].(object)["jwk"].(object)["d"] = d
	b, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jose.Sign(rand.Reader, issuer, jose.Header{Type: sdjwt.Typ, KeyID: m.KeyID}, b)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed) + "~" + rest
}

// privateHalf is the d of a key of [keystest].
func privateHalf(t *testing.T, name string) string {
	t.Helper()
	d, err := keystest.Private(t, keys.ES256, name).(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return strict.Base64URL(d)
}

// holding gives the wallet this key of [keystest] and a card for it.
func (s *scene) holding(t *testing.T, name string) {
	s.holder = keystest.Signer(t, keys.Holder, keys.ES256, name)
	pub := s.holder.Key().Public
	s.token.Holder = &pub
}

// TestDisclosedKey: SIG-05. A credential with a private key in cnf is refused, and from then on
// each presentation by that key, on each server of the store. Keys of others are not concerned,
// even if somebody sent something else as their private half.
func TestDisclosedKey(t *testing.T) {
	for name, location := range map[string]func(t *testing.T) string{
		"file": func(t *testing.T) string { return filepath.Join(t.TempDir(), "once.db") }, "memory": func(*testing.T) string { return once.Memory },
		"PostgreSQL": func(t *testing.T) string { owner, _ := pgtest.New(t); return owner },
	} {
		t.Run(name, func(t *testing.T) { testDisclosedKey(t, newSceneOn(t, location(t))) })
	}
}

func testDisclosedKey(t *testing.T, s *scene) {
	s.reload(t)
	first := s.service
	second := s.serve(t, verifier.APIKey{Name: "library", Digest: sha256.Sum256([]byte(apiKey))})
	// show has the wallet answer a new request, and returns the result and the whole state.
	show := func(on *verifier.Service, policy string) (*verifier.Result, string) {
		t.Helper()
		s.service = on
		c := s.create(t, object{"policy": policy})
		s.respond(t, c.Link)
		_, result := s.state(t, c.ID)
		if result == nil {
			t.Fatal("SIG-05 no result")
		}
		return result, string(s.relying(t, "GET", "/requests/"+c.ID, nil).body)
	}
	want := func(r *verifier.Result, verdict verification.Verdict, reason string) {
		t.Helper()
		if first := append(r.Reasons, "")[0]; r.Verdict != verdict || first != reason {
			t.Errorf("SIG-05 %s %v, want %s %s", r.Verdict, r.Reasons, verdict, reason)
		}
	}
	s.holding(t, "victim")
	s.shown = func(text string) string { return privateCnf(t, text, s.signer, privateHalf(t, "disclosed")) }
	r, _ := show(first, "card")
	want(r, verification.Invalid, "malformed")
	s.shown = nil
	r, _ = show(first, "card")
	want(r, verification.Valid, "")

	s.holding(t, "disclosed")
	r, _ = show(first, "card")
	want(r, verification.Valid, "")
	s.shown = func(text string) string { return privateCnf(t, text, s.signer, privateHalf(t, "disclosed")) }
	r, _ = show(first, "card")
	want(r, verification.Invalid, "malformed")
	s.shown = nil
	for _, on := range []*verifier.Service{first, second} {
		r, state := show(on, "card")
		want(r, verification.Invalid, "holder_proof_bad")
		if len(r.Presentations) != 1 || len(r.Presentations[0].Claims) != 0 || strings.Contains(state, person) {
			t.Errorf("SIG-05 claims by a key that anybody may have: %s", state)
		}
		if !strings.Contains(state, "the private half of the holder's key was sent here before") {
			t.Errorf("SIG-05 the report does not say why: %s", state)
		}
	}
	s.holding(t, "another")
	r, _ = show(second, "card")
	want(r, verification.Valid, "")
	if strings.Contains(s.log.String(), privateHalf(t, "disclosed")) {
		t.Error("SIG-05 the private key is in the log")
	}
}

// TestDisclosedByStrangers: SIG-05. Only the answer that ends a request puts a key on the list.
func TestDisclosedByStrangers(t *testing.T) {
	s := newScene(t)
	s.holding(t, "disclosed")
	s.shown = func(text string) string { return privateCnf(t, text, s.signer, privateHalf(t, "disclosed")) }
	c := s.create(t, object{"policy": "card"})
	request := s.open(t, c.Link)
	form := s.present(t, request)
	listed := func() bool {
		k := once.Disclosed(s.holder.Key().Public)
		_, err := s.db.Get(t.Context(), s.now(), k.Kind, k.Digest)
		return err == nil
	}
	elsewhere := *request
	elsewhere.ResponseURI += "x"
	if g := s.post(t, &elsewhere, form); g.status != http.StatusNotFound || listed() {
		t.Errorf("SIG-05 an answer to nothing: %d %s", g.status, g.body)
	}
	if g := s.post(t, request, url.Values{"response": {"none"}}); g.status != http.StatusBadRequest || listed() {
		t.Errorf("SIG-05 an answer that cannot be read: %d %s", g.status, g.body)
	}
	s.shown = nil
	if g := s.post(t, request, s.present(t, request)); g.status != http.StatusOK || listed() {
		t.Fatalf("SIG-05 a good answer: %d %s", g.status, g.body)
	}
	if g := s.post(t, request, form); g.status != http.StatusGone || listed() {
		t.Errorf("SIG-05 an answer that comes too late: %d %s", g.status, g.body)
	}
	again := s.open(t, s.create(t, object{"policy": "card"}).Link)
	s.shown = func(text string) string { return privateCnf(t, text, s.signer, privateHalf(t, "disclosed")) }
	if g := s.post(t, again, s.present(t, again)); g.status != http.StatusBadRequest || !listed() {
		t.Errorf("SIG-05 the answer to a request: %d %s, on the list: %v", g.status, g.body, listed())
	}
}

// unread is a store that does not say which keys are on the list.
type unread struct{ verifier.Once }

func (u unread) Get(ctx context.Context, now time.Time, kind once.Kind, digest [32]byte) (once.Value, error) {
	if kind == once.DisclosedKey {
		return once.Value{}, errNoConnection
	}
	return u.Once.Get(ctx, now, kind, digest)
}

// TestDisclosedKeyUnread: SIG-05, P13. One of the keys is on the list, and which one cannot be
// read: then there is no result, and not one as if none was.
func TestDisclosedKeyUnread(t *testing.T) {
	s := newScene(t, func(s *scene) { s.once = func(o verifier.Once) verifier.Once { return unread{o} } })
	s.holding(t, "disclosed")
	if err := once.Disclose(t.Context(), s.db, s.now(), s.holder.Key().Public); err != nil {
		t.Fatal(err)
	}
	c := s.create(t, object{"policy": "card"})
	request := s.open(t, c.Link)
	if g := s.post(t, request, s.present(t, request)); g.status < 500 {
		t.Errorf("SIG-05 the answer: %d %s", g.status, g.body)
	}
	if state, r := s.state(t, c.ID); r != nil {
		t.Errorf("SIG-05 %v: %+v", state, r)
	}
}

// full is a store that puts no key on the list.
type full struct{ verifier.Once }

func (f full) Steps(ctx context.Context, now time.Time, steps ...once.Step) (int, error) {
	if len(steps[0].Put) > 0 && steps[0].Put[0].Kind == once.DisclosedKey {
		return 0, once.ErrFull
	}
	return f.Once.Steps(ctx, now, steps...)
}

// TestDisclosedKeyIsNotStored: SIG-05. The verdict is the same if the list cannot be written,
// and the operator hears why.
func TestDisclosedKeyIsNotStored(t *testing.T) {
	s := newScene(t, func(s *scene) { s.once = func(o verifier.Once) verifier.Once { return full{o} } })
	s.holding(t, "disclosed")
	s.shown = func(text string) string { return privateCnf(t, text, s.signer, privateHalf(t, "disclosed")) }
	c := s.create(t, object{"policy": "card"})
	s.respond(t, c.Link)
	if _, r := s.state(t, c.ID); r == nil || r.Verdict != verification.Invalid {
		t.Errorf("SIG-05 %+v", r)
	}
	if !strings.Contains(s.log.String(), "could not be put on the list") {
		t.Error("SIG-05 the log does not say that the list is full")
	}
}

// TestManyHolders: SIG-05 in an answer with more holders than one step can ask about.
func TestManyHolders(t *testing.T) {
	s := newScene(t)
	for range once.MaxKeys {
		s.alsoDiploma(t, newSigner(t, keys.Holder))
	}
	s.choices = func(c []oid4vp.Choice) []oid4vp.Choice {
		for i := range s.also[1:] {
			next := c[0]
			next.Credential = i + 2
			c = append(c, next)
		}
		return c
	}
	for _, want := range []struct {
		verdict verification.Verdict
		invalid int
	}{{verification.CheckNeeded, 0}, {verification.Invalid, 1}} {
		c := s.create(t, object{"policy": "several"})
		g := s.respond(t, c.Link)
		_, r := s.state(t, c.ID)
		if r == nil || r.Verdict != want.verdict || len(r.Presentations) != len(s.also) {
			t.Fatalf("SIG-05 %d %s: %+v, want %s", g.status, g.body, r, want.verdict)
		}
		invalid := 0
		for _, p := range r.Presentations {
			if p.Verdict == verification.Invalid {
				invalid++
			}
		}
		if invalid != want.invalid {
			t.Errorf("SIG-05 %d presentations are invalid, want %d", invalid, want.invalid)
		}
		s.disclosed(t, s.alsoHolders[len(s.alsoHolders)-1])
	}
}
