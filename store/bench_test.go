package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// batchChunk is a chunk of a batch as package issuance stores it.
type batchChunk struct {
	creds    []issuance.Credential
	records  []issuance.Pseudonym
	marks    []issuance.Mark
	intended []audit.Event
	signed   []audit.Event
}

func newChunk(first, size, forms int) batchChunk {
	var c batchChunk
	for i := range size {
		cred := credential(first + i)
		m := issuance.Mark{ID: cred.ID, Signed: [][32]byte{sha256.Sum256([]byte(cred.ID))}}
		for f := 1; f < forms; f++ {
			form := cred.Forms[0]
			form.Form, form.Slot.List = fmt.Sprint("form", f), fmt.Sprint("https://office-1.example/status/f", f)
			cred.Forms, m.Signed = append(cred.Forms, form), append(m.Signed, m.Signed[0])
		}
		e := audit.Event{
			Time: now, Kind: audit.CredentialIntended, Actor: "batch", Programme: cred.Programme, Credential: cred.ID,
			Record: fmt.Sprintf("%x", cred.Record[:]), Batch: cred.Batch, Digest: fmt.Sprintf("%x", cred.Forms[0].ToBeSigned[:]),
		}
		for _, f := range cred.Forms {
			e.Slots = append(e.Slots, audit.SlotRef{URI: f.Slot.List, Index: f.Slot.Index})
		}
		c.creds, c.records, c.marks = append(c.creds, cred), append(c.records, cred.Record), append(c.marks, m)
		c.intended = append(c.intended, e)
		e.Kind, e.Slots = audit.CredentialSigned, nil
		c.signed = append(c.signed, e)
	}
	return c
}

func (c batchChunk) intend(tx issuance.Tx) error {
	_, err1 := tx.Tick(now)
	_, err2 := tx.Held("farmer-card", c.records)
	_, err3 := tx.TakeSlots(kind, uint64(len(c.creds)))
	return errors.Join(err1, err2, err3, tx.Intend(c.creds), tx.Append(c.intended))
}

func (c batchChunk) complete(tx issuance.Tx) error {
	return errors.Join(tx.Complete(c.marks, now), tx.Append(c.signed))
}

// onEach runs a benchmark on both engines. The shared server of the tests does not
// wait for its disk, so that PostgreSQL has no part in the price of a sync.
func onEach(b *testing.B, bench func(b *testing.B, create func(testing.TB) *store.DB)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, create) })
	b.Run("postgres", func(b *testing.B) { bench(b, createPostgres) })
}

// BenchmarkBatch stores a batch in chunks of 1000: what one credential costs
// the store, from the look at the record to its mark. Both transactions of a
// chunk are durable and have their audit entries.
func BenchmarkBatch(b *testing.B) { onEach(b, benchmarkBatch) }

func benchmarkBatch(b *testing.B, create func(testing.TB) *store.DB) {
	const size = 1000
	for _, forms := range []int{1, 2} {
		b.Run(fmt.Sprint("forms=", forms), func(b *testing.B) {
			db := create(b)
			fill(b, db, 0)
			must(b, db.Write(b.Context(), func(tx issuance.Tx) error {
				k := kind
				k.Form = "sheet"
				return tx.OpenList(issuance.List{URI: "https://office-1.example/status/f1", Kind: k, Size: 1 << 20, Opened: now})
			}))
			first := 1
			for b.Loop() {
				b.StopTimer()
				c := newChunk(first, size, forms)
				first += size
				b.StartTimer()
				must(b, db.Write(b.Context(), c.intend))
				must(b, db.Write(b.Context(), c.complete))
			}
			n := float64(b.N) * size
			b.ReportMetric(n/b.Elapsed().Seconds(), "credentials/s")
			b.ReportMetric(n*float64(1+forms)*2/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkIntend and BenchmarkComplete are the two halves by themselves.
func BenchmarkIntend(b *testing.B) { onEach(b, benchmarkIntend) }

func benchmarkIntend(b *testing.B, create func(testing.TB) *store.DB) {
	const size = 1000
	db := create(b)
	fill(b, db, 0)
	first := 1
	for b.Loop() {
		b.StopTimer()
		c := newChunk(first, size, 1)
		first += size
		b.StartTimer()
		must(b, db.Write(b.Context(), func(tx issuance.Tx) error { return tx.Intend(c.creds) }))
	}
	b.ReportMetric(float64(b.N)*2*size/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkComplete(b *testing.B) { onEach(b, benchmarkComplete) }

func benchmarkComplete(b *testing.B, create func(testing.TB) *store.DB) {
	const size = 1000
	db := create(b)
	fill(b, db, 0)
	first := 1
	for b.Loop() {
		b.StopTimer()
		c := newChunk(first, size, 1)
		first += size
		must(b, db.Write(b.Context(), func(tx issuance.Tx) error { return tx.Intend(c.creds) }))
		b.StartTimer()
		must(b, db.Write(b.Context(), func(tx issuance.Tx) error { return tx.Complete(c.marks, now) }))
	}
	b.ReportMetric(float64(b.N)*2*size/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkRevoke revokes one credential in a transaction of its own.
func BenchmarkRevoke(b *testing.B) { onEach(b, benchmarkRevoke) }

func benchmarkRevoke(b *testing.B, create func(testing.TB) *store.DB) {
	db := create(b)
	fill(b, db, 0)
	n := 0
	for b.Loop() {
		if n%1000 == 0 {
			b.StopTimer()
			c := newChunk(n+1, 1000, 1)
			must(b, db.Write(b.Context(), c.intend))
			must(b, db.Write(b.Context(), c.complete))
			b.StartTimer()
		}
		n++
		must(b, db.Write(b.Context(), func(tx issuance.Tx) error {
			_, err := tx.Change(credID(n), issuance.Revoked, issuance.Lost, now)
			return errors.Join(err, tx.Append(events(1)))
		}))
	}
}

// BenchmarkRead reads lists and credentials of a database with 100 000, a tenth
// of them revoked.
func BenchmarkRead(b *testing.B) { onEach(b, benchmarkRead) }

func benchmarkRead(b *testing.B, create func(testing.TB) *store.DB) {
	const n = 100_000
	db := create(b)
	fill(b, db, 0)
	for first := 1; first <= n; first += 1000 {
		c := newChunk(first, 1000, 1)
		must(b, db.Write(b.Context(), c.intend))
		must(b, db.Write(b.Context(), c.complete))
		must(b, db.Write(b.Context(), func(tx issuance.Tx) error {
			for i := range 100 {
				if _, err := tx.Change(credID(first+i), issuance.Revoked, issuance.Lost, now); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	b.Run("SlotStates", func(b *testing.B) {
		k := 0
		for b.Loop() {
			must(b, db.Write(b.Context(), func(tx issuance.Tx) error {
				for _, err := range tx.SlotStates("https://office-1.example/status/1") {
					must(b, err)
					k++
				}
				return nil
			}))
		}
		b.ReportMetric(float64(k)/b.Elapsed().Seconds(), "slots/s")
	})
	b.Run("IssuedSlots", func(b *testing.B) {
		k := 0
		for b.Loop() {
			must(b, db.Write(b.Context(), func(tx issuance.Tx) error {
				for _, err := range tx.IssuedSlots("https://office-1.example/status/1") {
					must(b, err)
					k++
				}
				return nil
			}))
		}
		b.ReportMetric(float64(k)/b.Elapsed().Seconds(), "slots/s")
	})
	b.Run("Find", func(b *testing.B) {
		k := 0
		for b.Loop() {
			k += count(b, db, issuance.Query{Programme: "farmer-card"})
		}
		b.ReportMetric(float64(k)/b.Elapsed().Seconds(), "credentials/s")
	})
	b.Run("Credential", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = i%n + 1
			_, err := db.Credential(b.Context(), credID(i))
			must(b, err)
		}
	})
}
