package verification_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	sign1 "github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/verification"
)

const desk = "bank.xa-12"

// A showing is a live code before it is checked.
type showing struct {
	*scene
	holder  keys.Signer
	proof   cwt.Proof
	choose  []cwt.Path
	counter verification.Counter
	twice   bool                // it is shown before it is checked
	after   func([]byte) []byte // what somebody does to the code
	before  bool                // the token is shown alone
}

func newShowing(t testing.TB) *showing {
	s := &showing{scene: newScene(t), holder: newSigner(t, keys.Holder, start)}
	public := s.holder.Key().Public
	s.token.Holder = &public
	s.proof = cwt.Proof{Audience: verification.InPerson, IssuedAt: now.Add(-10 * time.Second)}
	s.after = func(b []byte) []byte { return b }
	return s
}

func (s *showing) code(t testing.TB) []byte {
	t.Helper()
	b, err := cwt.Present(sign(t, s.signer, s.token), s.choose...)
	if err != nil {
		t.Fatal(err)
	}
	if !s.before {
		if b, err = cwt.Bind(rand.Reader, b, s.proof, s.holder); err != nil {
			t.Fatal(err)
		}
	}
	return s.after(b)
}

func (s *showing) show(t testing.TB) verification.Report {
	t.Helper()
	s.input = s.code(t)
	s.conf.Counter = s.counter
	if s.twice {
		s.check(t)
	}
	return s.scene.check(t)
}

// ask is a question that was asked a minute ago, and its answer.
func ask(s *showing) {
	s.counter.ID, s.counter.Nonce, s.counter.Asked = desk, []byte("123456789012"), now.Add(-time.Minute)
	s.proof.Audience, s.proof.Nonce = desk, []byte("123456789012")
}

func poster(s *showing) {
	s.counter.ID, s.counter.Poster = desk, true
	s.proof.Audience = desk
}

func madeOut(s *showing) {
	s.counter.Names = []string{"Janata Bank Jessore"}
	s.proof.Audience, s.proof.IssuedAt, s.proof.Expires = "Janata Bank Jessore", now.AddDate(0, 0, -7), now.AddDate(0, 0, 23)
}

func TestLiveCodes(t *testing.T) {
	second := time.Second
	ago := func(d time.Duration) func(*showing) {
		return func(s *showing) { s.proof.IssuedAt = now.Add(-d) }
	}
	both := func(fs ...func(*showing)) func(*showing) {
		return func(s *showing) {
			for _, f := range fs {
				f(s)
			}
		}
	}
	clock := func(at1 time.Time) func(*showing) {
		return func(s *showing) { s.conf.Now = at(at1) }
	}
	remember := func(s *showing) { s.counter.Memory = new(verification.Memory) }
	tests := []struct {
		name    string
		spoil   func(*showing)
		verdict verification.Verdict
		reason  credential.Reason
		holder  verification.Binding
		mode    verification.Mode
	}{
		// L0.
		{"L0 ten seconds old", func(*showing) {}, "valid", "", "key", "rotating"},
		{"L0 a minute old", ago(60 * second), "valid", "", "key", "rotating"},
		{"L0 61 seconds old", ago(61 * second), "invalid", credential.HolderProofOld, "none", "rotating"},
		{"L0 a screenshot, two minutes old", ago(2 * time.Minute), "invalid", credential.HolderProofOld, "none", "rotating"},
		{"L0 a minute ahead", ago(-60 * second), "valid", "", "key", "rotating"},
		{"L0 61 seconds ahead", ago(-61 * second), "invalid", credential.HolderProofAhead, "none", "rotating"},
		{"L0 where policy asks for the holder", func(s *showing) { s.token.Type = pension }, "valid", "", "key", "rotating"},
		{"L0 part of the card", func(s *showing) { s.token.Person[4] = cwt.Hidden{Value: "Rahima Begum"} }, "valid", "", "key", "rotating"},
		{"L0 at a counter with a name", func(s *showing) { s.counter.ID = desk }, "valid", "", "key", "rotating"},
		{"L0 revoked", func(s *showing) { s.token.Status.Index = revoked }, "invalid", credential.Revoked, "key", "rotating"},
		{"L0 old lists", both(clock(now.Add(9*day)), func(s *showing) { s.proof.IssuedAt = now.Add(9 * day) }), "check_needed", credential.StatusOld, "key", "rotating"},
		{"KB-01 L0 without its proof", func(s *showing) { s.before = true }, "check_needed", credential.HolderNotProven, "none", ""},

		// The clock.
		{"OFF-03 clock in 1970", clock(time.Unix(1000, 0)), "check_needed", credential.ClockDoubtful, "key", "rotating"},
		{"OFF-03 clock in 2100, and the card is over", clock(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)), "invalid", credential.Expired, "key", "rotating"},
		{"OFF-03 clock behind what was seen", func(s *showing) { s.conf.NewestSeen = now.Add(hour) }, "check_needed", credential.ClockDoubtful, "key", "rotating"},
		{"an issuer three minutes ahead was seen", func(s *showing) { s.conf.NewestSeen = now.Add(3 * time.Minute) }, "valid", "", "key", "rotating"},
		{"OFF-03 a question, and a clock in 1970", both(ask, clock(time.Unix(1000, 0)), func(s *showing) { s.counter.Asked = time.Unix(990, 0) }), "check_needed", credential.ClockDoubtful, "key+challenge", "question"},

		// L1.
		{"L1 for this counter", poster, "valid", "", "key", "poster"},
		{"L1 for this counter, which did not ask", both(poster, func(s *showing) { s.counter.Poster = false }), "valid", "", "key", "poster"},
		{"L1 61 seconds old", both(poster, ago(61*second)), "invalid", credential.HolderProofOld, "none", "poster"},
		{"KB-02 L1 for another counter", both(poster, func(s *showing) { s.proof.Audience = "bank.xa-13" }), "invalid", credential.WrongAudience, "none", ""},
		{"KB-07 L1 in other letters", both(poster, func(s *showing) { s.proof.Audience = strings.ToUpper(desk) }), "invalid", credential.WrongAudience, "none", ""},
		{"KB-07 L1 with a blank", both(poster, func(s *showing) { s.proof.Audience = desk + " " }), "invalid", credential.WrongAudience, "none", ""},
		{"L1 at a counter without a name", both(poster, func(s *showing) { s.counter = verification.Counter{} }), "invalid", credential.WrongAudience, "none", ""},
		{"KB-02 L0 where a poster hangs", both(poster, func(s *showing) { s.proof.Audience = verification.InPerson }), "invalid", credential.WrongAudience, "none", ""},
		{"KB-01 the card alone where a poster hangs", both(poster, func(s *showing) { s.before = true }), "invalid", credential.HolderProofMissing, "none", ""},
		{"KB-01 paper where a poster hangs", both(poster, func(s *showing) { s.before, s.token.Holder = true, nil }), "invalid", credential.HolderProofMissing, "none", ""},

		// L2.
		{"L2 the answer", ask, "valid", "", "key+challenge", "question"},
		{"L2 the phone's clock is an hour off", both(ask, ago(hour)), "valid", "", "key+challenge", "question"},
		{"L2 two minutes after the question", both(ask, func(s *showing) { s.counter.Asked = now.Add(-2 * time.Minute) }), "valid", "", "key+challenge", "question"},
		{"L2 a second more", both(ask, func(s *showing) { s.counter.Asked = now.Add(-2*time.Minute - second) }), "invalid", credential.HolderProofOld, "none", "poster"},
		{"L2 in the second of the question", both(ask, clock(now.Add(600*time.Millisecond)), func(s *showing) { s.counter.Asked = now.Add(400 * time.Millisecond) }), "valid", "", "key+challenge", "question"},
		{"L2 a question of the future", both(ask, func(s *showing) { s.counter.Asked = now.Add(second) }), "invalid", credential.HolderProofOld, "none", "poster"},
		{"KB-02 L2 another question", both(ask, func(s *showing) { s.proof.Nonce = []byte("123456789013") }), "invalid", credential.WrongNonce, "none", ""},
		{"KB-02 L2 the beginning of the nonce", both(ask, func(s *showing) { s.proof.Nonce = []byte("12345678901") }), "invalid", credential.WrongNonce, "none", ""},
		{"KB-02 L2 no nonce", both(ask, func(s *showing) { s.proof.Nonce = nil }), "invalid", credential.WrongNonce, "none", ""},
		{"KB-02 L2 another counter's question", both(ask, func(s *showing) { s.proof.Audience = "bank.xa-13" }), "invalid", credential.WrongAudience, "none", ""},
		{"KB-02 L2 for whoever is there", both(ask, func(s *showing) { s.proof.Audience = verification.InPerson }), "invalid", credential.WrongAudience, "none", ""},
		{"KB-02 L2 an answer nobody asked for", both(ask, func(s *showing) { s.counter = verification.Counter{ID: desk} }), "invalid", credential.WrongNonce, "none", ""},
		{"KB-01 L2 the card alone", both(ask, func(s *showing) { s.before = true }), "invalid", credential.HolderProofMissing, "none", ""},

		// Twice.
		{"shown twice, and nobody remembers", func(s *showing) { s.twice = true }, "valid", "", "key", "rotating"},
		{"shown twice", both(remember, func(s *showing) { s.twice = true }), "invalid", credential.Replayed, "none", "rotating"},
		{"an answer shown twice", both(remember, ask, func(s *showing) { s.twice = true }), "invalid", credential.Replayed, "none", "question"},
		{"shown twice, and revoked: that says more", both(remember, func(s *showing) { s.twice, s.token.Status.Index = true, revoked }), "invalid", credential.Revoked, "key", "rotating"},
		{"a copy shown twice", both(remember, madeOut, func(s *showing) { s.twice = true }), "valid", "", "none", "copy"},

		// Copies made out to somebody.
		{"copy for us", madeOut, "valid", "", "none", "copy"},
		{"copy for us, written otherwise", both(madeOut, func(s *showing) { s.counter.Names = []string{" janata  bank JESSORE"} }), "valid", "", "none", "copy"},
		{"copy for somebody else", both(madeOut, func(s *showing) { s.counter.Names = []string{"Sonali Bank"} }), "invalid", credential.WrongAudience, "none", "copy"},
		{"copy, and nobody said who we are", both(madeOut, func(s *showing) { s.counter.Names = nil }), "check_needed", credential.RecipientNotConfirmed, "none", "copy"},
		{"copy on its last day", both(madeOut, func(s *showing) { s.proof.Expires = now.Add(second) }), "valid", "", "none", "copy"},
		{"copy that is over", both(madeOut, func(s *showing) { s.proof.Expires = now }), "invalid", credential.CopyExpired, "none", "copy"},
		{"copy that is over, and a clock set back", both(madeOut, func(s *showing) {
			s.conf.NewestSeen, s.proof.Expires = now.Add(hour), now.Add(time.Minute)
		}), "invalid", credential.CopyExpired, "none", "copy"},
		{"copy where a poster hangs", both(madeOut, func(s *showing) { s.counter.ID, s.counter.Poster = desk, true }), "invalid", credential.HolderProofMissing, "none", "copy"},
		{"copy where policy asks for the holder", both(madeOut, func(s *showing) { s.token.Type = pension }), "check_needed", credential.HolderNotProven, "none", "copy"},
		{"a live code with an end is a copy", func(s *showing) { s.proof.Expires = now.Add(hour) }, "check_needed", credential.RecipientNotConfirmed, "none", "copy"},

		// The proof itself.
		{"KB-04 by another key", func(s *showing) {
			other := newSigner(t, keys.Holder, start)
			public, mine, owner := other.Key().Public, s.holder, s.token.Holder
			s.holder, s.token.Holder = other, &public
			theirs := s.code(t)
			s.holder, s.token.Holder = mine, owner
			s.after = func(b []byte) []byte { return append(b[:len(b)-64:len(b)-64], theirs[len(theirs)-64:]...) }
		}, "invalid", credential.HolderProofBad, "none", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newShowing(t)
			tt.spoil(s)
			r := s.show(t)
			if r.Verdict != tt.verdict || tt.reason != "" && !slices.Contains(r.Reasons(), tt.reason) || tt.reason == "" && len(r.Reasons()) > 0 {
				t.Errorf("%s for %v, want %s for %q; %+v", r.Verdict, r.Reasons(), tt.verdict, tt.reason, r.Checks)
			}
			if r.Holder != tt.holder || r.Mode != tt.mode {
				t.Errorf("holder %q, mode %q, want %q and %q", r.Holder, r.Mode, tt.holder, tt.mode)
			}
			if live := r.Holder != verification.BindingNone; live == slices.Contains(r.Warnings, verification.WarnCopy) && r.Verdict != verification.Invalid {
				t.Errorf("holder %q and warnings %v", r.Holder, r.Warnings)
			}
		})
	}
}

// What a report says of how fresh a code is, in Go and in JSON.
func TestLiveReport(t *testing.T) {
	binding := func(r verification.Report) string {
		t.Helper()
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var out struct{ Binding json.RawMessage }
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		return string(out.Binding)
	}
	s := newShowing(t)
	if got, want := binding(s.show(t)), `{"holder":"key","age_s":10,"mode":"rotating"}`; got != want {
		t.Errorf("L0: %s, want %s", got, want)
	}
	s = newShowing(t)
	s.proof.IssuedAt = now.Add(20 * time.Second)
	if got, want := binding(s.show(t)), `{"holder":"key","age_s":0,"mode":"rotating"}`; got != want {
		t.Errorf("a phone that is ahead: %s, want %s", got, want)
	}
	s = newShowing(t)
	s.conf.Now = at(time.Unix(1000, 0))
	if got, want := binding(s.show(t)), `{"holder":"key","age_s":null,"mode":"rotating"}`; got != want {
		t.Errorf("a clock that is wrong: %s, want %s", got, want)
	}
	s = newShowing(t)
	ask(s)
	if got, want := binding(s.show(t)), `{"holder":"key+challenge","age_s":60,"mode":"question"}`; got != want {
		t.Errorf("L2: %s, want %s", got, want)
	}
	s = newShowing(t)
	madeOut(s)
	r := s.show(t)
	if got, want := binding(r), `{"holder":"none","age_s":null,"mode":"copy","for":"Janata Bank Jessore","until":"2026-12-08T06:00:00Z"}`; got != want {
		t.Errorf("copy: %s, want %s", got, want)
	}
	s = newShowing(t)
	s.token.Person[4] = cwt.Hidden{Value: "Rahima Begum"}
	if r = s.show(t); !slices.Contains(r.Warnings, verification.WarnPartShown) || strings.Contains(mustText(t, r), "Rahima") {
		t.Errorf("part of a card: warnings %v", r.Warnings)
	}
	s.choose = []cwt.Path{{int64(169), int64(4)}}
	if r = s.show(t); slices.Contains(r.Warnings, verification.WarnPartShown) || !strings.Contains(mustText(t, r), "Rahima") {
		t.Errorf("all of a card: warnings %v", r.Warnings)
	}
}

func mustText(t testing.TB, r verification.Report) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCounterRefuses(t *testing.T) {
	c := newChecker(t, verification.Config{})
	for name, k := range map[string]verification.Counter{
		"a poster of nobody":          {Poster: true},
		"a question of nobody":        {Nonce: []byte("n"), Asked: now},
		"a question of no time":       {ID: desk, Nonce: []byte("n")},
		"a time without a question":   {ID: desk, Asked: now},
		"named like whoever is there": {ID: verification.InPerson},
	} {
		if _, err := c.At(k); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if cwt.AudienceInPerson != verification.InPerson {
		t.Error("two names for whoever is there")
	}
}

// The memory of a counter: two minutes and no longer, one of many, over restarts, and
// whatever was done to the code.
func TestMemory(t *testing.T) {
	var m verification.Memory
	if !m.Admit([32]byte{1}, now) || m.Admit([32]byte{1}, now.Add(2*time.Minute)) || m.Admit([32]byte{1}, now.Add(121*time.Second)) {
		t.Error("a code was not remembered for two minutes")
	}
	if !m.Admit([32]byte{1}, now.Add(122*time.Second)) {
		t.Error("a code was remembered for more than two minutes")
	}
	if m.Admit([32]byte{1}, now) {
		t.Error("a code was forgotten because the clock was set back")
	}
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var again verification.Memory
	if err := again.UnmarshalBinary(b); err != nil || again.Admit([32]byte{1}, now.Add(122*time.Second)) || !again.Admit([32]byte{2}, now) {
		t.Errorf("after a restart: %v", err)
	}
	if err := again.UnmarshalBinary(b[:len(b)-1]); err == nil {
		t.Error("a damaged memory was taken")
	}
	for i := range 5000 {
		again.Admit([32]byte{byte(i), byte(i >> 8), 1}, now)
	}
	if b, _ := again.MarshalBinary(); len(b) > 4096*40 {
		t.Errorf("the memory holds %d bytes", len(b))
	}

	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if m.Admit([32]byte{7}, now) {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 20 counters accepted one code, want 1", won.Load())
	}

	s := newShowing(t)
	s.conf.Trust = s.open(t)
	code := s.code(t)
	other, err := sign1.WithUnprotected(code, map[int64]any{99: "x"})
	if err != nil {
		t.Fatal(err)
	}
	s.conf.Counter.Memory = new(verification.Memory)
	c := newChecker(t, s.conf)
	if r := c.Check(code); r.Verdict != verification.Valid {
		t.Fatalf("%s: %+v", r.Verdict, r.Checks)
	}
	turned := slices.Clone(code) // -s for s
	half := new(big.Int).SetBytes(turned[len(turned)-32:])
	half.Sub(elliptic.P256().Params().N, half).FillBytes(turned[len(turned)-32:])
	for name, b := range map[string][]byte{
		"with another header": other, "without its tag": code[1:], "as the text of a code": []byte(text(t, code)), "SIG-02 with the other signature": turned,
	} {
		if r := c.Check(b); r.Verdict != verification.Invalid || !slices.Contains(r.Reasons(), credential.Replayed) {
			t.Errorf("%s: %s for %v", name, r.Verdict, r.Reasons())
		}
	}

	// What was not accepted is not remembered: it may be by a newer bundle.
	s = newShowing(t)
	memory := new(verification.Memory)
	code = s.code(t)
	none := newChecker(t, verification.Config{Counter: verification.Counter{Memory: memory}})
	if r := none.Check(code); r.Verdict != verification.Undetermined {
		t.Fatalf("without trust: %s", r.Verdict)
	}
	s.conf.Trust, s.conf.Counter.Memory = s.open(t), memory
	if r := newChecker(t, s.conf).Check(code); r.Verdict != verification.Valid {
		t.Errorf("after trust came in: %s for %v", r.Verdict, r.Reasons())
	}
}

// TestLiveSweep moves the moment of a code over the clock: it is never valid more
// than a minute away from it, and always within.
func TestLiveSweep(t *testing.T) {
	s := newShowing(t)
	s.conf.Trust = s.open(t)
	c := newChecker(t, s.conf)
	for d := -5 * time.Minute; d <= 5*time.Minute; d += 7 * time.Second {
		s.proof.IssuedAt = now.Add(d)
		r := c.Check(s.code(t))
		if fresh := d.Abs() <= time.Minute; (r.Verdict == verification.Valid) != fresh {
			t.Errorf("%v from the clock: %s", d, r.Verdict)
		}
	}
}
