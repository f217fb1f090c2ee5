package issuance_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store"
)

// soak says whether the nightly numbers of the promises are wanted.
var soak = os.Getenv("SANAD_SOAK") == "1"

// count is how often to try something: per change, in the short run under the
// race detector, and in the nightly run.
func count(change, short, nightly int) int {
	switch {
	case soak:
		return nightly
	case testing.Short():
		return short
	}
	return change
}

// issuerKeys trusts every key of a ring for every issuer.
type issuerKeys struct{ *ring }

func (k issuerKeys) KeysFor(string, []byte) []keys.PublicKey {
	var list []keys.PublicKey
	for _, key := range k.keys {
		list = append(list, key.Public)
	}
	return list
}

// checkForm verifies a released form as a verifier would and compares it with
// what the store says about it.
func (b *bed) checkForm(c issuance.Credential, f issuance.FormRecord, text string) {
	b.Helper()
	token, err := qr.Decode(text)
	if err != nil {
		b.Errorf("form %s of %s: %v", f.Form, c.ID, err)
		return
	}
	v, err := cwt.Verify(token, cwt.Expect{Keys: issuerKeys{b.ring}})
	switch {
	case err != nil:
		b.Errorf("form %s of %s: %v", f.Form, c.ID, err)
	case c.State == issuance.Intended:
		b.Errorf("%s was released and is only intended", c.ID)
	case sha256.Sum256(token) != f.Signed:
		b.Errorf("form %s of %s is not what was recorded", f.Form, c.ID)
	case v.Status == nil || v.Status.URI != f.Slot.List || v.Status.Index != f.Slot.Index:
		b.Errorf("form %s of %s names slot %v, the record %v", f.Form, c.ID, v.Status, f.Slot)
	case !v.IssuedAt.Equal(c.IssuedAt.Truncate(time.Second)) || !v.Expires.Equal(c.Expires):
		b.Errorf("form %s of %s is valid %s to %s, the record says %s to %s", f.Form, c.ID, v.IssuedAt, v.Expires, c.IssuedAt, c.Expires)
	}
}

func TestIssue(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		i := b.issue(1)
		stored, err := store.Credential(t.Context(), i.Credential.ID)
		if err != nil {
			t.Fatal(err)
		}
		if stored.State != issuance.Active || len(stored.Forms) != 2 || len(i.Forms) != 2 {
			t.Fatalf("stored %s with %d forms, released %d", stored.State, len(stored.Forms), len(i.Forms))
		}
		if want := start.AddDate(5, 0, 0); stored.Expires.Before(want.AddDate(0, 0, -1)) || stored.Expires.After(want.AddDate(0, 0, 1)) {
			t.Errorf("expires %s, want about %s", stored.Expires, want)
		}
		for j, f := range i.Forms {
			b.checkForm(stored, stored.Forms[j], f.Text)
			if f.Form != stored.Forms[j].Form {
				t.Errorf("form %d is called %q, stored as %q", j, f.Form, stored.Forms[j].Form)
			}
		}
		if stored.Forms[0].Slot == stored.Forms[1].Slot {
			t.Error("two forms share a slot")
		}
		if v := fmt.Sprintf("%v %+v %#v", i.Forms[0], i.Forms, i.Forms[1]); strings.Contains(v, canary) {
			t.Errorf("a signed form prints as %s", v)
		}
	})
}

// TestLadderOrder looks at the store at each rung.
func TestLadderOrder(t *testing.T) {
	m := newMemory()
	var at []issuance.Point
	var look func(issuance.Point)
	b := newBed(t, m, func(c *issuance.Config) { c.Crash = func(p issuance.Point) { look(p) } })
	before := len(m.events)
	look = func(p issuance.Point) {
		at = append(at, p)
		kinds := []audit.Kind{}
		for _, e := range m.events[before:] {
			kinds = append(kinds, e.Kind)
		}
		found := b.all(issuance.Query{})
		want := map[issuance.Point]string{
			issuance.PointAuthorised: "[] ",
			issuance.PointIntended:   "[credential.intended] intended",
			issuance.PointSigned:     "[credential.intended] intended",
			issuance.PointMarked:     "[credential.intended credential.signed] active",
		}[p]
		state := ""
		if len(found) > 0 {
			state = string(found[0].State)
		}
		if got := fmt.Sprint(kinds, " ", state); got != want {
			t.Errorf("at %s the log and the credential say %q, want %q", p, got, want)
		}
	}
	b.issue(1)
	if want := []issuance.Point{issuance.PointAuthorised, issuance.PointIntended, issuance.PointSigned, issuance.PointMarked}; !slices.Equal(at, want) {
		t.Errorf("points %v, want %v", at, want)
	}
}

func TestIssueRefuses(t *testing.T) {
	type fixture struct {
		*bed
		r issuance.Request
	}
	tests := []struct {
		name  string
		spoil func(*fixture)
		want  error
		code  string
	}{
		{"KEY-05 past the signing window", func(f *fixture) { f.clock.Add(2 * 365 * 24 * time.Hour) }, keys.ErrSignWindow, ""},
		{"a key that was retired", func(f *fixture) { f.mustRetire(f.ring.keys[0].ID()) }, keys.ErrNoKey, ""},
		{"KEY-08 only a status list key", func(f *fixture) { f.ring.keys[0].Purpose = keys.StatusList }, keys.ErrNoKey, ""},
		{"a signer that answers for another key", func(f *fixture) {
			f.ring.wrap = func(crypto.Signer) crypto.Signer { return keyNumber(99) }
		}, keys.ErrMismatch, ""},
		{"a programme that is not in use", func(f *fixture) { f.r.Programme = "fisher-card" }, issuance.ErrNoProgramme, ""},
		{"a required claim is missing", func(f *fixture) { f.r.Record = changed(f.r.Record, "name", "") }, issuance.ErrRecord, programme.CodeMissing},
		{"not a date", func(f *fixture) { f.r.Record = changed(f.r.Record, "born", "yesterday") }, issuance.ErrRecord, programme.CodeDate},
		{"a code too dense for its form", func(f *fixture) {
			f.r.Record = changed(f.r.Record, "village", strings.Repeat("Dhaka Sadar ", 16))
			f.service = f.open(func(c *issuance.Config) { c.Fits = shorterThan(300) })
		}, issuance.ErrRecord, programme.CodeTooBig},
		{"what would be signed is not well formed", func(f *fixture) {
			f.service = f.open(func(c *issuance.Config) { c.Issuer = strings.Repeat("x", 3000) })
		}, issuance.ErrRecord, issuance.CodeLint},
		{"the record holds a credential", func(f *fixture) { f.issue(1) }, issuance.ErrActiveExists, issuance.CodeAlreadyIssued},
		{"the clock has gone back by an hour", func(f *fixture) {
			f.clock.Add(2 * time.Hour)
			f.issue(2)
			f.clock.Add(-time.Hour)
		}, issuance.ErrClock, ""},
		{"the caller has gone", func(f *fixture) {
			ctx, cancel := context.WithCancel(f.Context())
			cancel()
			f.TB = withContext{f.TB, ctx}
		}, context.Canceled, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			f := &fixture{newBed(t, m), issuance.Request{Programme: "farmer-card", Record: person(1), Actor: "tester"}}
			tt.spoil(f)
			had, events := len(f.all(issuance.Query{})), len(m.events)
			i, err := f.service.Issue(f.Context(), f.r)
			if !errors.Is(err, tt.want) || len(i.Forms) > 0 {
				t.Fatalf("Issue: %v and %d forms, want %v", err, len(i.Forms), tt.want)
			}
			if e, ok := errors.AsType[*issuance.RecordError](err); tt.code != "" && (!ok || e.Code() != tt.code) {
				t.Errorf("Issue: %v, want code %s", err, tt.code)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error names the person: %v", err)
			}
			if n := len(f.all(issuance.Query{})); n != had || len(m.events) != events {
				t.Errorf("a refusal left %d credentials and %d events", n-had, len(m.events)-events)
			}
		})
	}
}

// withContext is a test with another context.
type withContext struct {
	testing.TB
	ctx context.Context
}

func (w withContext) Context() context.Context { return w.ctx }

func (b *bed) mustRetire(id keys.ID) {
	b.Helper()
	if _, err := b.service.RetireKey(b.Context(), id, "tester"); err != nil {
		b.Fatal(err)
	}
}

// shorterThan lets codes of up to so many characters pass.
func shorterThan(most int) func(programme.Form, int) error {
	return func(_ programme.Form, n int) error {
		if n > most {
			return fmt.Errorf("%d characters are more than fit", n)
		}
		return nil
	}
}

// TestFitsIsAskedAgain: what the estimate lets through is looked at when it is
// signed, and then revoked.
func TestFitsIsAskedAgain(t *testing.T) {
	b := newBed(t, newMemory())
	calls := 0
	s := b.open(func(c *issuance.Config) {
		c.Fits = func(programme.Form, int) error {
			if calls++; calls > 2 { // two estimates, then the first code
				return errors.New("does not fit after all")
			}
			return nil
		}
	})
	_, err := s.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(1), Actor: "tester"})
	e, ok := errors.AsType[*issuance.RecordError](err)
	if !ok || e.Code() != programme.CodeTooBig {
		t.Fatalf("Issue: %v, want %s", err, programme.CodeTooBig)
	}
	found := b.all(issuance.Query{})
	if len(found) != 1 || found[0].Reason != issuance.Leftover {
		t.Errorf("it left %v", found)
	}
	b.issue(1) // and the record is free again
}

func TestIdempotency(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		r := issuance.Request{Programme: "receipt", Record: person(1), Idempotency: "desk 4, 9:31", Actor: "tester"}
		first, err := b.service.Issue(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.service.Issue(t.Context(), r)
		if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != issuance.CodeRepeated || e.Credential != first.Credential.ID {
			t.Errorf("again: %v, want %s with %s", err, issuance.CodeRepeated, first.Credential.ID)
		}
		r.Record = person(2)
		_, err = b.service.Issue(t.Context(), r)
		if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != issuance.CodeConflict || !errors.Is(err, issuance.ErrIdempotencyUsed) {
			t.Errorf("for another record: %v, want %s", err, issuance.CodeConflict)
		}
		r.Idempotency = "desk 4, 9:32"
		if _, err := b.service.Issue(t.Context(), r); err != nil {
			t.Errorf("with another key: %v", err)
		}
	})
}

// TestParallelCalls is DB-07: of 64 calls with one idempotency key, and of 64
// for one record, one issues and the others name its credential.
func TestParallelCalls(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		for _, r := range []issuance.Request{
			{Programme: "receipt", Record: person(1), Idempotency: "once", Actor: "tester"},
			{Programme: "farmer-card", Record: person(1), Actor: "tester"},
		} {
			var won atomic.Int32
			var mu sync.Mutex
			named := map[string]int{}
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					i, err := b.service.Issue(t.Context(), r)
					id := i.Credential.ID
					if err == nil {
						won.Add(1)
					} else if e, ok := errors.AsType[*issuance.RecordError](err); ok {
						id = e.Credential
					} else {
						t.Errorf("DB-07: %v", err)
					}
					mu.Lock()
					named[id]++
					mu.Unlock()
				})
			}
			wg.Wait()
			if won.Load() != 1 || len(named) != 1 {
				t.Errorf("DB-07 %s: %d calls issued, %d different answers", r.Programme, won.Load(), len(named))
			}
		}
	})
}

func TestSupersede(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		old := b.issue(1).Credential
		r := issuance.Request{Programme: "farmer-card", Record: person(1), Supersede: true, Actor: "tester"}
		i, err := b.service.Issue(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.state(old.ID); got != "revoked superseded" || i.Credential.Supersedes != old.ID {
			t.Errorf("the old one is %q, the new one supersedes %q", got, i.Credential.Supersedes)
		}
		next, err := b.service.Supersede(t.Context(), i.Credential.ID, issuance.Request{Programme: "farmer-card", Record: person(1), Actor: "tester"})
		if err != nil || b.state(i.Credential.ID) != "revoked superseded" {
			t.Errorf("Supersede: %v", err)
		}
		refused := []struct {
			name, id string
			r        issuance.Request
			want     error
		}{
			{"another record", next.Credential.ID, issuance.Request{Programme: "farmer-card", Record: person(2)}, issuance.ErrRecord},
			{"another programme", next.Credential.ID, issuance.Request{Programme: "receipt", Record: person(1)}, issuance.ErrRecord},
			{"one that is revoked", old.ID, issuance.Request{Programme: "farmer-card", Record: person(1)}, issuance.ErrActiveExists},
			{"none", strings.Repeat("0", 26), issuance.Request{Programme: "farmer-card", Record: person(1)}, issuance.ErrNoCredential},
		}
		for _, tt := range refused {
			tt.r.Actor = "tester"
			if _, err := b.service.Supersede(t.Context(), tt.id, tt.r); !errors.Is(err, tt.want) {
				t.Errorf("Supersede %s: %v, want %v", tt.name, err, tt.want)
			}
		}
		// What cannot be issued leaves the old one as it is.
		r.Record = changed(r.Record, "name", "")
		if _, err := b.service.Issue(t.Context(), r); err == nil || b.state(next.Credential.ID) != "active " {
			t.Errorf("a refused record superseded: %v, %s", err, b.state(next.Credential.ID))
		}
	})
}

func TestChanges(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		id := b.issue(1).Credential.ID
		receipt, err := b.service.Issue(t.Context(), issuance.Request{Programme: "receipt", Record: person(1), Actor: "tester"})
		if err != nil {
			t.Fatal(err)
		}
		s, ctx := b.service, t.Context()
		steps := []struct {
			name  string
			do    func() (issuance.Credential, error)
			want  error
			state string
		}{
			{"resume what is active", func() (issuance.Credential, error) { return s.Resume(ctx, id, "tester") }, issuance.ErrState, "active "},
			{"suspend for no reason", func() (issuance.Credential, error) { return s.Suspend(ctx, id, "", "tester") }, issuance.ErrReason, "active "},
			{"suspend", func() (issuance.Credential, error) { return s.Suspend(ctx, id, issuance.Lost, "tester") }, nil, "suspended lost"},
			{"suspend again", func() (issuance.Credential, error) { return s.Suspend(ctx, id, issuance.Lost, "tester") }, issuance.ErrState, "suspended lost"},
			{"resume", func() (issuance.Credential, error) { return s.Resume(ctx, id, "tester") }, nil, "active "},
			{"revoke with a reason of our own", func() (issuance.Credential, error) { return s.Revoke(ctx, id, issuance.Leftover, "tester") }, issuance.ErrReason, "active "},
			{"revoke with a made-up reason", func() (issuance.Credential, error) { return s.Revoke(ctx, id, "he is rude", "tester") }, issuance.ErrReason, "active "},
			{"revoke nothing", func() (issuance.Credential, error) { return s.Revoke(ctx, "nonsense", issuance.Lost, "tester") }, issuance.ErrNoCredential, "active "},
			{"revoke", func() (issuance.Credential, error) { return s.Revoke(ctx, id, issuance.Death, "tester") }, nil, "revoked death"},
			{"P06 revoke again", func() (issuance.Credential, error) { return s.Revoke(ctx, id, issuance.Lost, "tester") }, issuance.ErrFinal, "revoked death"},
			{"P06 resume what is revoked", func() (issuance.Credential, error) { return s.Resume(ctx, id, "tester") }, issuance.ErrFinal, "revoked death"},
			{"P06 suspend what is revoked", func() (issuance.Credential, error) { return s.Suspend(ctx, id, issuance.Lost, "tester") }, issuance.ErrFinal, "revoked death"},
			{"suspend where the programme has no such thing", func() (issuance.Credential, error) {
				return s.Suspend(ctx, receipt.Credential.ID, issuance.Lost, "tester")
			}, issuance.ErrNotAllowed, "revoked death"},
		}
		for _, step := range steps {
			if _, err := step.do(); !errors.Is(err, step.want) || b.state(id) != step.state {
				t.Errorf("%s: %v, it is %q; want %v, %q", step.name, err, b.state(id), step.want, step.state)
			}
		}
		if i := b.issue(1); i.Credential.ID == id {
			t.Error("the id was used again")
		}
	})
}

// faulty is a hardware module that has gone wrong in one of several ways.
type faulty struct {
	crypto.Signer
	rnd   *rand.Rand
	mu    *sync.Mutex
	older *[][]byte // signatures of before
	broke *atomic.Int64
	when  func() bool // whether it goes wrong now, asked under mu; always if nil
}

func (f faulty) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	good, err := f.Signer.Sign(r, digest, opts)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	*f.older = append(*f.older, slices.Clone(good))
	if f.when != nil && !f.when() {
		return good, nil
	}
	f.broke.Add(1)
	switch f.rnd.IntN(7) {
	case 0: // a flipped bit
		good[f.rnd.IntN(len(good))] ^= 1 << f.rnd.IntN(8)
	case 1: // the key of somebody else
		return keyNumber(77).Sign(r, digest, opts)
	case 2: // an old answer
		if n := len(*f.older) - 1; n > 0 {
			return (*f.older)[f.rnd.IntN(n)], nil
		}
		return nil, nil
	case 3: // success, and nothing
		return nil, nil
	case 4: // cut short
		return good[:f.rnd.IntN(len(good))], nil
	case 5: // another message
		return f.Signer.Sign(r, append(slices.Clone(digest[1:]), digest[0]), opts)
	case 6: // zeros
		return make([]byte, len(good)), nil
	}
	return good, nil
}

// TestP18 lets a signer go wrong in every way that a signature can: nothing
// that it made may be released.
func TestP18(t *testing.T) {
	faults := count(10_000, 500, 10_000)
	m := newMemory()
	b := newBed(t, m)
	var older [][]byte
	var broke atomic.Int64
	rnd := rand.New(rand.NewPCG(18, 0))
	b.ring.wrap = func(s crypto.Signer) crypto.Signer {
		return faulty{Signer: s, rnd: rnd, mu: new(sync.Mutex), older: &older, broke: &broke}
	}
	for n := 1; broke.Load() < int64(faults); n++ {
		i, err := b.service.Issue(t.Context(), issuance.Request{Programme: "receipt", Record: person(n % 100), Actor: "tester"})
		if err == nil || len(i.Forms) > 0 {
			t.Fatalf("P18: fault %d was released", broke.Load())
		}
	}
	for _, c := range b.all(issuance.Query{}) {
		if c.State != issuance.Revoked || c.Reason != issuance.Leftover {
			t.Fatalf("P18: a faulty credential is %s %s", c.State, c.Reason)
		}
	}
	// The module is repaired.
	b.ring.wrap = nil
	b.issue(1)
}

// TestP20 moves the clock at will: dates of issue never go back and nothing is
// valid for longer than the programme says.
func TestP20(t *testing.T) {
	cases := count(4_000, 400, 100_000)
	rnd := rand.New(rand.NewPCG(20, 0))
	m := newMemory()
	b := newBed(t, m)
	now := start
	var last time.Time
	issued := 0
	for n := range cases {
		switch rnd.IntN(5) {
		case 0: // frozen
		case 1:
			now = now.Add(time.Duration(rnd.IntN(5000)-2000) * time.Millisecond)
		case 2:
			now = now.Add(time.Duration(rnd.IntN(240)-119) * time.Second)
		case 3:
			now = now.Add(time.Duration(rnd.IntN(48)) * time.Minute)
		case 4: // a fault, for this one call
			b.clock.Set(now.AddDate(rnd.IntN(21)-10, 0, rnd.IntN(3)-1))
		}
		if n%5 != 0 {
			b.clock.Set(now)
		}
		asked := b.clock.Now()
		i, err := b.service.Issue(t.Context(), issuance.Request{Programme: "receipt", Record: person(1), Actor: "tester"})
		if err != nil {
			switch {
			case errors.Is(err, issuance.ErrClock), errors.Is(err, keys.ErrSignWindow), errors.Is(err, keys.ErrNotPublished):
			default:
				t.Fatalf("P20: %v", err)
			}
			continue
		}
		issued++
		p, err := cwt.Parse(i.Forms[0].Token)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case p.IssuedAt.Before(last):
			t.Fatalf("P20: case %d: iat %s after %s", n, p.IssuedAt, last)
		case p.IssuedAt.Sub(asked) > issuance.DefaultClockTolerance:
			t.Fatalf("P20: case %d: iat %s, the clock said %s", n, p.IssuedAt, asked)
		case p.Expires.Sub(p.IssuedAt) > 91*24*time.Hour:
			t.Fatalf("P20: case %d: valid for %s", n, p.Expires.Sub(p.IssuedAt))
		}
		last = p.IssuedAt
	}
	if issued < cases/20 {
		t.Errorf("P20: only %d of %d cases issued; the test tests little", issued, cases)
	}
}

var errDisk = errors.New("disk fault")

// TestEveryWriteFails makes each transaction of an issuance fail, once before
// and once after it was stored (DB-18): nothing is released that is not marked,
// nothing is left behind, and the record can be issued for.
func TestEveryWriteFails(t *testing.T) {
	for _, stored := range []bool{false, true} {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprintf("DB-18 write %d, stored %t", n, stored), func(t *testing.T) {
				m := newMemory()
				b := newBed(t, m)
				from := m.writes
				m.fault = func(w int) (error, bool) {
					if w == from+n {
						return errDisk, stored
					}
					return nil, false
				}
				i, err := b.service.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(1), Actor: "tester"})
				switch {
				case err == nil: // the second was stored, and that was found out
					if n != 2 || !stored || b.state(i.Credential.ID) != "active " {
						t.Fatalf("it was released, in state %s", b.state(i.Credential.ID))
					}
				case !errors.Is(err, errDisk):
					t.Fatalf("Issue: %v, want %v", err, errDisk)
				}
				for _, c := range b.all(issuance.Query{State: issuance.Intended}) {
					t.Errorf("%s is left behind", c.ID)
				}
				if err != nil {
					b.issue(1)
				}
			})
		}
	}
}

// A goneSigner is a key on a device that can be taken away.
type goneSigner struct {
	crypto.Signer
	gone *atomic.Bool
}

var errGone = errors.New("the device is gone")

func (s goneSigner) Sign(rnd io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if s.gone.Load() {
		return nil, errGone
	}
	return s.Signer.Sign(rnd, digest, o)
}

// TestKEY01 takes the device with the key away once the intent is stored: nothing is
// released, the intent ends as a leftover with its entry, its slots are never given out
// again, and with the device comes the right to issue for the record.
func TestKEY01(t *testing.T) {
	m := newMemory()
	b := newBed(t, m)
	var gone atomic.Bool
	b.ring.wrap = func(s crypto.Signer) crypto.Signer { return goneSigner{s, &gone} }
	s := b.open(func(c *issuance.Config) {
		c.Crash = func(p issuance.Point) {
			if p == issuance.PointIntended {
				gone.Store(true)
			}
		}
	})
	i, err := s.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(1), Actor: "tester"})
	if err == nil || !strings.Contains(err.Error(), errGone.Error()) || len(i.Forms) > 0 {
		t.Fatalf("KEY-01 Issue: %v and %d forms", err, len(i.Forms))
	}
	if refused, ok := errors.AsType[*issuance.RecordError](err); ok {
		t.Errorf("KEY-01 it is taken for a refusal: %v", refused)
	}
	m.crash()
	if _, err := b.service.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := b.all(issuance.Query{})
	if len(found) != 1 || b.state(found[0].ID) != "revoked leftover" {
		t.Fatalf("KEY-01 it left %v", found)
	}
	leftovers := 0
	for _, e := range m.events {
		if e.Kind == audit.CredentialLeftover && e.Credential == found[0].ID {
			leftovers++
		}
	}
	if leftovers != 1 {
		t.Errorf("KEY-01 %d entries about the leftover, want 1", leftovers)
	}
	if _, err := b.service.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(2), Actor: "tester"}); err == nil || !strings.Contains(err.Error(), errGone.Error()) {
		t.Errorf("KEY-01 while the device is gone: %v", err)
	}
	gone.Store(false)
	b.issue(1)
	b.issue(2)
	used := map[issuance.Slot]bool{}
	for _, c := range b.all(issuance.Query{}) {
		for _, f := range c.Forms {
			if used[f.Slot] {
				t.Errorf("KEY-01 slot %v is used twice", f.Slot)
			}
			used[f.Slot] = true
		}
	}
}

// TestSweep: what a crash left behind is revoked with an audit entry, and
// nothing else is touched.
func TestSweep(t *testing.T) {
	m := newMemory()
	b := newBed(t, m)
	good := b.issue(1).Credential.ID
	type crash struct{}
	s := b.open(func(c *issuance.Config) {
		c.Crash = func(p issuance.Point) {
			if p == issuance.PointIntended || p == issuance.PointSigned {
				panic(crash{})
			}
		}
	})
	for n := 2; n < 5; n++ {
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(n), Actor: "tester"})
		}()
	}
	_, err := b.service.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(2), Actor: "tester"})
	if e, ok := errors.AsType[*issuance.RecordError](err); !ok || e.Code() != issuance.CodeInProgress || !errors.Is(err, issuance.ErrActiveExists) {
		t.Errorf("while the leftover stands: %v", err)
	}
	if alive, err := b.service.Sweep(t.Context()); err != nil || len(alive) != 0 {
		t.Fatalf("Sweep took %d credentials from a program that is alive, %v", len(alive), err)
	}
	m.crash()
	swept, err := b.service.Sweep(t.Context())
	if err != nil || len(swept) != 3 {
		t.Fatalf("Sweep: %d leftovers, %v", len(swept), err)
	}
	for _, c := range swept {
		if got := b.state(c.ID); got != "revoked leftover" {
			t.Errorf("a leftover is %q", got)
		}
	}
	if b.state(good) != "active " {
		t.Errorf("the good one is %s", b.state(good))
	}
	leftovers := 0
	for _, e := range m.events {
		if e.Kind == audit.CredentialLeftover {
			leftovers++
		}
	}
	if leftovers != 3 {
		t.Errorf("%d audit entries about leftovers, want 3", leftovers)
	}
	used := map[issuance.Slot]bool{}
	for n := 2; n < 5; n++ {
		b.issue(n)
	}
	for _, c := range b.all(issuance.Query{}) {
		for _, f := range c.Forms {
			if used[f.Slot] {
				t.Errorf("slot %v is used twice", f.Slot)
			}
			used[f.Slot] = true
		}
	}
	if again, err := b.service.Sweep(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("a second Sweep: %d leftovers, %v", len(again), err)
	}
}

// TestP04 issues from many goroutines over many small lists, with transactions
// that fail and are asked for again: no slot is given out twice.
func TestP04(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		rounds := count(8, 4, 2_000)
		if m, ok := store.(*memory); ok {
			rnd := rand.New(rand.NewPCG(4, 4))
			m.fault = func(w int) (error, bool) {
				if w > 10 && rnd.IntN(10) == 0 {
					return errDisk, rnd.IntN(2) == 0
				}
				return nil, false
			}
		}
		b := newBed(t, store, func(c *issuance.Config) { c.ListSize = 64 })
		var n atomic.Int64
		for range rounds {
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					r := issuance.Request{Programme: "farmer-card", Record: person(int(n.Add(1))), Supersede: true, Actor: "tester"}
					for {
						if _, err := b.service.Issue(t.Context(), r); err == nil {
							return
						} else if !errors.Is(err, errDisk) {
							t.Errorf("P04: %v", err)
							return
						}
					}
				})
			}
			wg.Wait()
		}
		if m, ok := store.(*memory); ok {
			m.fault = nil
		}
		used := map[issuance.Slot]bool{}
		for _, c := range b.all(issuance.Query{}) {
			for _, f := range c.Forms {
				if used[f.Slot] || f.Slot.Index >= 64 {
					t.Errorf("P04: slot %v is used twice or beyond its list", f.Slot)
				}
				used[f.Slot] = true
			}
		}
		if active := len(b.all(issuance.Query{State: issuance.Active})); active != 16*rounds {
			t.Errorf("P04: %d are active, want %d", active, 16*rounds)
		}
		lists, err := store.Lists(t.Context())
		if want := 2 * ((16*rounds + 63) / 64); err != nil || len(lists) < want {
			t.Errorf("P04: %d lists, %v; want %d or more", len(lists), err, want)
		}
	})
}

// TestP12 loses the reply at every point after the intent was stored. The client
// asks again with the same key, then on the explicit path: at most one
// credential is usable.
func TestP12(t *testing.T) {
	type lost struct{}
	tries := count(40, 10, 5_000)
	for _, point := range []issuance.Point{issuance.PointIntended, issuance.PointSigned, issuance.PointMarked} {
		b := newBed(t, newMemory())
		losing := b.open(func(c *issuance.Config) {
			c.Crash = func(p issuance.Point) {
				if p == point {
					panic(lost{})
				}
			}
		})
		for n := 1; n <= tries; n++ {
			r := issuance.Request{Programme: "farmer-card", Record: person(n), Idempotency: fmt.Sprint("request ", n), Actor: "tester"}
			func() {
				defer func() { _ = recover() }()
				_, _ = losing.Issue(t.Context(), r)
			}()
			if n%2 == 0 { // the program was started again meanwhile
				if _, err := b.service.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			_, err := b.service.Issue(t.Context(), r)
			e, ok := errors.AsType[*issuance.RecordError](err)
			if !ok || e.Code() != issuance.CodeRepeated || e.Credential == "" {
				t.Fatalf("P12 at %s: asked again: %v, want %s", point, err, issuance.CodeRepeated)
			}
			r.Idempotency, r.Supersede = r.Idempotency+" anew", true
			if _, err := b.service.Issue(t.Context(), r); err != nil {
				t.Fatalf("P12 at %s: asked anew: %v", point, err)
			}
		}
		usable := map[issuance.Pseudonym]int{}
		for _, c := range b.all(issuance.Query{State: issuance.Active}) {
			usable[c.Record]++
		}
		for _, k := range usable {
			if k != 1 {
				t.Errorf("P12 at %s: %d usable credentials of one record", point, k)
			}
		}
		if len(usable) != tries {
			t.Errorf("P12 at %s: %d records have one, want %d", point, len(usable), tries)
		}
	}
}

// TestP22: no person shows in the audit log, in errors, or in what the store
// keeps.
func TestP22(t *testing.T) {
	m := newMemory()
	b := newBed(t, m)
	var said bytes.Buffer
	b.issue(1)
	for _, r := range []issuance.Request{
		{Programme: "farmer-card", Record: person(1), Actor: "tester"},
		{Programme: "farmer-card", Record: changed(person(2), "born", canary), Actor: "tester"},
		{Programme: "farmer-card", Record: changed(person(2), "plot", canary), Actor: "tester"},
		{Programme: "farmer-card", Record: changed(person(2), "village", strings.Repeat(canary, 300)), Actor: "tester"},
		{Programme: "farmer-card", Record: changed(person(2), "name", canary+"\u202e"), Actor: "tester"},
		{Programme: "farmer-card", Record: changed(person(2), "id", strings.Repeat(canary, 30)), Actor: "tester"},
		{Programme: "receipt", Record: person(1), Idempotency: canary, Actor: "tester"},
		{Programme: "receipt", Record: person(1), Idempotency: canary, Actor: "tester"},
	} {
		if _, err := b.service.Issue(t.Context(), r); err != nil {
			fmt.Fprintf(&said, "%v\n%+v\n", err, err)
		}
	}
	for _, e := range m.events {
		line, err := e.Marshal(0)
		if err != nil {
			t.Fatal(err)
		}
		said.Write(line)
	}
	kept, err := json.Marshal(b.all(issuance.Query{}))
	if err != nil {
		t.Fatal(err)
	}
	said.Write(kept)
	for _, secret := range []string{"Canary", "Nurjahan", "F0000001", "1984-"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("P22: %q shows", secret)
		}
	}
}

// TestP22Store looks for the persons of a batch in every byte of the database
// and in what the batch reports.
func TestP22Store(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Create(t.Context(), filepath.Join(dir, "store.db"), store.Options{Instance: "xa-office"})
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, db)
	src := people{n: 40, odd: map[int]func(registry.Record) (registry.Record, error){
		5: func(r registry.Record) (registry.Record, error) { return changed(r, "born", canary), nil },
		6: func(r registry.Record) (registry.Record, error) { return changed(r, "plot", canary), nil },
	}}
	folder := t.TempDir()
	result, err := b.service.RunBatch(t.Context(), request(src, folder))
	if err != nil || result.Batch.Failed != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
	if _, err := b.service.Revoke(t.Context(), b.all(issuance.Query{State: issuance.Active})[0].ID, issuance.Lost, "tester"); err != nil {
		t.Fatal(err)
	}
	b.publish()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	paths = append(paths, filepath.Join(folder, "batch.json"))
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) { // the write-ahead log, moved into the file
				continue
			}
			t.Fatal(err)
		}
		for _, secret := range []string{"Canary", "Nurjahan", "F0000001", "1984-04", "Jessore"} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("P22: %q is in %s", secret, filepath.Base(path))
			}
		}
	}
	for _, o := range readManifest(t, folder) { // which names records by their id, and nothing else
		if strings.Contains(strings.Join(o.whys, ""), "Canary") {
			t.Errorf("P22: the manifest says %q", o.whys)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*issuance.Config)
		want  string
	}{
		{"no issuer", func(c *issuance.Config) { c.Issuer = "" }, "Issuer"},
		{"no status base", func(c *issuance.Config) { c.StatusBase = "" }, "StatusBase"},
		{"a status base without its slash", func(c *issuance.Config) { c.StatusBase = "https://example.org/status" }, "slash"},
		{"no store", func(c *issuance.Config) { c.Store = nil }, "Store"},
		{"no keys", func(c *issuance.Config) { c.Keys = nil }, "Keys"},
		{"no secrets", func(c *issuance.Config) { c.Secret = nil }, "Secret"},
		{"secrets that cannot be had", func(c *issuance.Config) {
			c.Secret = func(string) ([]byte, error) { return nil, errDisk }
		}, "disk fault"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := issuance.Config{
				Issuer: "x", StatusBase: "https://example.org/status/", Store: newMemory(), Keys: newRing(), Secret: secret,
			}
			tt.spoil(&c)
			if _, err := issuance.New(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want something about %s", err, tt.want)
			}
		})
	}
}

func TestAddProgramme(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		add := func(text string) error {
			_, err := b.service.AddProgramme(t.Context(), []byte(text), "tester")
			return err
		}
		if err := add(card); err != nil {
			t.Errorf("the same file again: %v", err)
		}
		if err := add(card + "\n# changed\n"); !errors.Is(err, issuance.ErrMoved) {
			t.Errorf("a changed file with the old version: %v, want ErrMoved", err)
		}
		if err := add("id: x"); err == nil {
			t.Error("a broken file was added")
		}
		if err := add(strings.Replace(card, "version: 1", "version: 2", 1)); err != nil {
			t.Errorf("the next version: %v", err)
		}
		if p, err := b.service.Programme(t.Context(), "farmer-card", 0); err != nil || p.Version != 2 {
			t.Errorf("the newest version is %v, %v", p, err)
		}
		if p, err := b.service.Programme(t.Context(), "farmer-card", 1); err != nil || p.Version != 1 {
			t.Errorf("version 1 is %v, %v", p, err)
		}
		all, err := b.service.Programmes(t.Context())
		if err != nil || len(all) != 2 || all[0].Version != 2 {
			t.Errorf("Programmes: %d, %v", len(all), err)
		}
	})
}

// TestMayIssue stops issuing when Config.MayIssue says so, in a batch between two
// chunks, and nothing but issuing.
func TestMayIssue(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		stopped := true
		left := 0
		b := newBed(t, store, func(c *issuance.Config) {
			c.MayIssue = func(context.Context, time.Time) error {
				if left--; stopped && left < 0 {
					return fmt.Errorf("%w: since yesterday", issuance.ErrAuditDebt)
				}
				return nil
			}
		})
		left = 1
		c := b.issue(1)
		if _, err := b.service.Issue(t.Context(), issuance.Request{Programme: "farmer-card", Record: person(2), Actor: "tester"}); !errors.Is(err, issuance.ErrAuditDebt) {
			t.Errorf("Issue: %v, want ErrAuditDebt", err)
		}
		left = 2
		folder := t.TempDir()
		result, err := b.service.RunBatch(t.Context(), request(people{n: 200}, folder))
		if !errors.Is(err, issuance.ErrAuditDebt) || result.Batch.Rows != 100 {
			t.Errorf("RunBatch: %d rows, %v; want two chunks of 50 and ErrAuditDebt", result.Batch.Rows, err)
		}
		if n := len(b.all(issuance.Query{State: issuance.Intended})); n > 0 {
			t.Errorf("%d credentials are left behind", n)
		}
		if _, err := b.service.Revoke(t.Context(), c.Credential.ID, issuance.Lost, "tester"); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		stopped = false
		if result, err := b.service.RunBatch(t.Context(), request(people{n: 200}, folder)); err != nil || result.Outcome != issuance.Complete {
			t.Errorf("RunBatch: %+v, %v", result, err)
		}
	})
}
