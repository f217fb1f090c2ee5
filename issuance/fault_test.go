package issuance_test

import (
	"crypto"
	"encoding/csv"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// A module is a hardware module that goes wrong at a signature that it is told of, in a
// way of its own choosing (see [faulty]).
type module struct {
	faulty
	seen, bad int64 // signatures so far, and the one to spoil; 0 spoils none
	faults    atomic.Int64
}

// newModule puts a module between a bed and all of its keys.
func newModule(b *bed, seed uint64) *module {
	m := &module{}
	m.faulty = faulty{rnd: rand.New(rand.NewPCG(18, seed)), mu: new(sync.Mutex), older: new([][]byte), broke: &m.faults}
	m.when = func() bool { m.seen++; return m.seen == m.bad }
	b.ring.wrap = func(s crypto.Signer) crypto.Signer {
		f := m.faulty
		f.Signer = s
		return f
	}
	return m
}

// spoil has the module go wrong at one of the next n signatures.
func (m *module) spoil(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen, m.bad = 0, 1+m.rnd.Int64N(int64(n))
}

// spoilt reports whether the module has gone wrong since it was told to, and repairs it.
func (m *module) spoilt() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.bad > 0 && m.seen >= m.bad
	m.seen, m.bad = 0, 0
	return was
}

// checkReleased verifies every code that a batch has put into its folder so far, and that
// the manifest names them and nothing else.
func (b *bed) checkReleased(folder, batch string) (files int) {
	b.Helper()
	active := map[string]issuance.Credential{}
	for _, c := range b.all(issuance.Query{Batch: batch, State: issuance.Active}) {
		active[c.ID] = c
	}
	rows := manifestRows(b, folder)
	for _, row := range rows {
		c, ok := active[row[1]]
		if !ok {
			b.Fatalf("P18: the manifest names %s, which is not active", row[1])
		}
		text, err := os.ReadFile(filepath.Join(folder, row[4]))
		if err != nil {
			b.Fatalf("P18: %v", err)
		}
		i := slices.IndexFunc(c.Forms, func(f issuance.FormRecord) bool {
			return f.Slot.List == row[2] && row[3] == strconv.FormatUint(f.Slot.Index, 10)
		})
		if i < 0 {
			b.Fatalf("P18: %s has no slot %s of %s", c.ID, row[3], row[2])
		}
		b.checkForm(c, c.Forms[i], string(text))
	}
	found, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		b.Fatal(err)
	}
	if len(found) != len(rows) {
		b.Fatalf("P18: %d codes were released, the manifest has %d", len(found), len(rows))
	}
	return len(found)
}

// manifestRows are the rows that say what was issued, as far as a batch has come.
func manifestRows(t testing.TB, folder string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "manifest.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // only read
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(rows, func(r []string) bool { return r[1] == "credential_id" || r[5] != "" })
}

// TestP18Batch lets the module go wrong in the middle of chunks that several workers sign:
// nothing bad comes into the folder, and what was signed well beside it is there or revoked.
func TestP18Batch(t *testing.T) {
	const chunk, records = 5, 60
	faults := int64(count(12, 3, 3_000))
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		m := newModule(b, 1)
		batches := 0
		for ; m.faults.Load() < faults; batches++ {
			folder, batch := t.TempDir(), ""
			r := request(people{n: records}, folder)
			r.Programme, r.Chunk, r.Begun = "receipt", chunk, func(id string) { batch = id }
			for done := false; !done; {
				m.spoil(3 * chunk)
				_, err := b.service.RunBatch(t.Context(), r)
				if m.spoilt() == (err == nil) {
					t.Fatalf("P18: RunBatch after fault %d: %v", m.faults.Load(), err)
				}
				if _, err := b.service.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				released := b.checkReleased(folder, batch)
				if done = err == nil; done && released != records {
					t.Fatalf("P18: batch %s is complete with %d codes of %d", batch, released, records)
				}
			}
		}
		b.endedAsLeftovers(m.faults.Load())
		t.Logf("%d faults in %d batches", m.faults.Load(), batches)
	})
}

// endedAsLeftovers wants at least n credentials that were revoked before anybody had them,
// none that is intended still, and nobody else revoked.
func (b *bed) endedAsLeftovers(n int64) {
	b.Helper()
	leftovers := int64(0)
	for _, c := range b.all(issuance.Query{}) {
		switch {
		case c.State == issuance.Intended:
			b.Errorf("P18: %s is still intended", c.ID)
		case c.State == issuance.Revoked && c.Reason == issuance.Leftover:
			leftovers++
		case c.State != issuance.Active:
			b.Errorf("P18: %s is %s %s", c.ID, c.State, c.Reason)
		}
	}
	if leftovers < n {
		b.Errorf("P18: %d leftovers of %d faults", leftovers, n)
	}
}

// TestP18Deliver spoils one of the copies of each delivery: no copy of it is handed out, the
// paper stays as it was, and once the module is repaired the wallet gets all.
func TestP18Deliver(t *testing.T) {
	const people, copies = 5, 3
	faults := int64(count(12, 3, 3_000))
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newWalletBed(t, store)
		var papers []issuance.Credential
		for n := range people {
			papers = append(papers, b.paper(n+1))
		}
		m := newModule(b, 2)
		for m.faults.Load() < faults {
			m.spoil(copies)
			i, err := b.service.Deliver(t.Context(), delivery(t, 1+int(m.faults.Load())%people, 0, copies))
			if !m.spoilt() || err == nil || i != nil {
				t.Fatalf("P18: Deliver after fault %d: %v", m.faults.Load(), err)
			}
		}
		b.endedAsLeftovers(faults)
		for n, paper := range papers {
			if got := b.state(paper.ID); got != "active " {
				t.Errorf("P18: the paper is %s", got)
			}
			d := delivery(t, n+1, 0, copies)
			b.checkCopies(b.deliver(d), d.Holders)
		}
	})
}

// TestP18Publish spoils one of the signatures under status lists in both forms, trust
// bundles and parts: what was published stays, and whatever is published is good.
func TestP18Publish(t *testing.T) {
	faults := int64(count(12, 3, 4_000))
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newWalletBed(t, store, func(c *issuance.Config) { c.ListSize = 1 << 10 })
		if _, err := b.service.FirstKey(t.Context(), keys.Spec{Purpose: keys.StatusList}, "tester"); err != nil {
			t.Fatal(err)
		}
		b.paper(1)
		b.deliver(delivery(t, 1, 0, 1))
		b.publish()
		lists, request := issuance.StatusRequest{Lifetime: 7 * day, TTL: 12 * time.Hour, Actor: "tester"}, b.trustRequest()
		ways := []struct {
			name       string
			signatures int
			publish    func() ([]issuance.Publication, error)
		}{
			{"status lists", 3, func() ([]issuance.Publication, error) { return b.service.PublishStatus(t.Context(), lists) }},
			{"trust bundle", 1, func() ([]issuance.Publication, error) {
				p, err := b.service.PublishTrust(t.Context(), request)
				return []issuance.Publication{p}, err
			}},
			{"part of a bundle", 1, func() ([]issuance.Publication, error) {
				p, err := b.service.PublishPart(t.Context(), request)
				return []issuance.Publication{p}, err
			}},
		}
		stored := b.publications()
		m := newModule(b, 3)
		for n := 0; m.faults.Load() < faults; n++ {
			way := ways[n%len(ways)]
			b.clock.Add(time.Second) // an old signature must be one over something else
			m.spoil(way.signatures)
			released, err := way.publish()
			if !m.spoilt() || err == nil {
				t.Fatalf("P18: %s after fault %d were published", way.name, m.faults.Load())
			}
			// The lists before the fault are done; nothing else moves.
			done := map[string]issuance.Publication{}
			for _, p := range released {
				if p.Content != nil {
					b.checkPublication(p)
					done[p.Name] = p
				}
			}
			for name, p := range b.publications() {
				want := stored[name]
				if d, ok := done[name]; ok {
					want = d
				}
				if p.Number != want.Number || p.Digest != want.Digest {
					t.Fatalf("P18: fault %d left %s %d, want %d", m.faults.Load(), name, p.Number, want.Number)
				}
				stored[name] = p
			}
		}
		for _, way := range ways {
			b.clock.Add(time.Second)
			all, err := way.publish()
			if err != nil {
				t.Fatalf("the module is repaired: %s: %v", way.name, err)
			}
			for _, p := range all {
				b.checkPublication(p)
			}
		}
	})
}

// publications are those that the store has, by name.
func (b *bed) publications() map[string]issuance.Publication {
	b.Helper()
	names := []string{issuance.TrustName, issuance.PartName}
	lists, err := b.store.Lists(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, l := range lists {
		names = append(names, l.URI, issuance.JWTName(l.URI))
	}
	all := map[string]issuance.Publication{}
	for _, name := range names {
		p, err := b.store.Publication(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		all[name] = p
	}
	return all
}

// checkPublication reads a publication as those do who get it.
func (b *bed) checkPublication(p issuance.Publication) {
	b.Helper()
	var err error
	switch p.Name {
	case issuance.TrustName:
		_, err = trust.Open(p.Content)
	case issuance.PartName:
		_, err = trust.OpenContribution(p.Content, b.ring.of(keys.TrustBundle)[0])
	default:
		var info *status.TokenInfo
		if info, err = issuance.OpenList(p.Name, p.Content, b.ring.of(keys.StatusList)); err == nil && !info.IssuedAt.Equal(p.IssuedAt) {
			b.Errorf("P18: %s is of %s, its record of %s", p.Name, info.IssuedAt, p.IssuedAt)
		}
	}
	if err != nil {
		b.Fatalf("P18: %s %d is bad: %v", p.Name, p.Number, err)
	}
}

// of are the public keys with this purpose.
func (r *ring) of(p keys.Purpose) []keys.PublicKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []keys.PublicKey
	for _, k := range r.keys {
		if k.Purpose == p {
			all = append(all, k.Public)
		}
	}
	return all
}
