package verification_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/verification"
)

// A notebook is what a counter remembers of one day.
type notebook map[[sha256.Size]byte]time.Time

func (n notebook) admit(at time.Time) func([sha256.Size]byte) time.Time {
	return func(hash [sha256.Size]byte) time.Time {
		first := n[hash]
		if first.IsZero() {
			n[hash] = at
		}
		return first
	}
}

// TestOnce: what was accepted is known again on the same day, however it is shown, and
// nothing else is.
func TestOnce(t *testing.T) {
	type visit struct {
		*showing
		once *verification.Once
	}
	live := func(*visit) {}
	paper := func(v *visit) { v.token.Holder, v.before = nil, true }
	tests := []struct {
		name          string
		first, second func(*visit)
		verdict       verification.Verdict
		reason        credential.Reason
		kept          int
	}{
		{"another live code of the same card", live, func(v *visit) { v.proof.IssuedAt = now }, "check_needed", credential.AlreadySeen, 1},
		{"paper twice", paper, paper, "check_needed", credential.AlreadySeen, 1},
		{"paper, then a live code with the same slot", paper, live, "check_needed", credential.AlreadySeen, 1},
		{"somebody else", live, func(v *visit) { v.token.Status.Index = 6 }, "valid", "", 2},
		{"the next day", live, func(v *visit) { v.once.Day = "2026-11-13" }, "valid", "", 2},
		{"another programme", live, func(v *visit) { v.once.Key[0]++ }, "valid", "", 2},
		{"a type that does not count", live, func(v *visit) { v.once.Type = pension }, "valid", "", 1},
		{"the first was refused", func(v *visit) { v.proof.IssuedAt = now.Add(-hour) }, live, "valid", "", 1},
		{"revoked meanwhile: that says more", live, func(v *visit) { v.token.Status.Index = revoked }, "invalid", credential.Revoked, 1},
		{"the card without its proof, again", live, func(v *visit) { v.before = true }, "check_needed", credential.AlreadySeen, 1},
		{"the very same live code", live, live, "invalid", credential.Replayed, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kept, memory := notebook{}, new(verification.Memory)
			come := func(how func(*visit), at time.Time) verification.Report {
				s := newShowing(t)
				v := &visit{s, &verification.Once{Day: "2026-11-12", Admit: kept.admit(at)}}
				how(v)
				s.counter.Once, s.counter.Memory = v.once, memory
				return s.show(t)
			}
			if tt.reason == credential.Replayed {
				s := newShowing(t)
				s.counter.Once, s.counter.Memory, s.twice = &verification.Once{Day: "2026-11-12", Admit: kept.admit(now)}, memory, true
				if r := s.show(t); r.Verdict != tt.verdict || !slices.Contains(r.Reasons(), tt.reason) || len(kept) != tt.kept {
					t.Errorf("%s for %v, %d kept", r.Verdict, r.Reasons(), len(kept))
				}
				return
			}
			if r := come(tt.first, now); !r.AcceptedAt.IsZero() {
				t.Fatalf("the first: %v", r.AcceptedAt)
			}
			r := come(tt.second, now.Add(hour))
			if r.Verdict != tt.verdict || tt.reason != "" && !slices.Contains(r.Reasons(), tt.reason) || tt.reason == "" && len(r.Reasons()) > 0 {
				t.Errorf("%s for %v, want %s for %q", r.Verdict, r.Reasons(), tt.verdict, tt.reason)
			}
			if seen := !r.AcceptedAt.IsZero(); seen != (tt.reason == credential.AlreadySeen) || seen && !r.AcceptedAt.Equal(now) {
				t.Errorf("accepted at %v", r.AcceptedAt)
			}
			if len(kept) != tt.kept {
				t.Errorf("%d are remembered, want %d", len(kept), tt.kept)
			}
		})
	}
}

// TestOnceWithoutASlot: a credential that nothing tells from another cannot be counted.
func TestOnceWithoutASlot(t *testing.T) {
	s := newShowing(t)
	s.before, s.token.Holder, s.token.Status, s.content.Types[0].StatusRequired = true, nil, nil, false
	s.counter.Once = &verification.Once{Day: "2026-11-12", Admit: notebook{}.admit(now)}
	if r := s.show(t); r.Verdict != verification.CheckNeeded || !slices.Contains(r.Reasons(), credential.OnceUnknown) {
		t.Errorf("%s for %v", r.Verdict, r.Reasons())
	}
}

func TestOnceHash(t *testing.T) {
	ref := credential.StatusRef{URI: "https://status.xa/1", Index: 77}
	var key verification.OnceKey
	// Computed apart from this program (Python), so that counters and servers agree.
	sum := verification.OnceHash([16]byte{}, "2026-11-22", ref)
	if got := hex.EncodeToString(sum[:]); got != onceVector {
		t.Errorf("hash %s, want %s", got, onceVector)
	}
	if a, b := key.Salt("2026-11-22"), key.Salt("2026-11-23"); a == b || a == [16]byte(key) {
		t.Error("the salt does not change with the day")
	}
	if _, err := verification.New(verification.Config{COSE: codes{}, Now: at(now), Counter: verification.Counter{Once: &verification.Once{Day: "2026-11-22"}}}); err == nil {
		t.Error("a counter that remembers nothing was taken")
	}
}

func TestOnceKey(t *testing.T) {
	key := verification.OnceKey([]byte("0123456789abcdef"))
	text := key.Text()
	for _, written := range []string{text, strings.ToLower(text), " " + text[:20] + " " + text[20:] + "\n"} {
		if got, err := verification.ParseOnceKey(written); err != nil || got != key {
			t.Errorf("%q: %v", written, err)
		}
	}
	if strings.Contains(key.String(), "0") {
		t.Error("a key prints itself")
	}
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"no prefix", text[len("SANADONCE1:"):]},
		{"another version", strings.Replace(text, "ONCE1", "ONCE2", 1)},
		{"a letter more", text + "A"},
		{"a letter less", text[:len(text)-1]},
		{"two letters swapped", text[:20] + string(text[21]) + string(text[20]) + text[22:]},
		{"a letter that is none", text[:20] + "1" + text[21:]},
		{"far too long", text + strings.Repeat(" ", 300)},
	} {
		if _, err := verification.ParseOnceKey(tt.text); !errors.Is(err, verification.ErrOnceKey) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func FuzzParseOnceKey(f *testing.F) {
	f.Add(verification.OnceKey{}.Text())
	f.Add("SANADONCE1:AAAA")
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		k, err := verification.ParseOnceKey(text)
		if err == nil && k.Text() != strings.ToUpper(strings.Join(strings.Fields(text), "")) {
			t.Errorf("%q is read as %q", text, k.Text())
		}
	})
}

// onceVector is SHA-256 of the bytes that OnceHash says.
const onceVector = "fd3dc6f4353ed2c000419d40923763e59bc549848141133d17fc890811bd801b"
