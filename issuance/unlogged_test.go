package issuance_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/registry"
)

// logged are the methods of a transaction that need an entry in the audit log, reads those that
// write nothing, and unlogged those that write what says nothing about a credential, a
// programme, a publication or how far a batch has come: slots that were taken and not used
// stay empty for ever, and a chunk that was cut or claimed is as yet nothing.
var (
	logged   = []string{"Intend", "Complete", "Change", "SealLists", "SavePublication", "SaveProgramme", "SaveBatch", "FinishChunk"}
	reads    = []string{"Held", "Redeemed", "Parts", "Lists", "SlotStates", "IssuedSlots", "Publication", "HoldChunk"}
	unlogged = []string{"Tick", "TakeSlots", "OpenList", "AddChunks", "ClaimChunk"}
)

// TestAUD08: every way to write is on one of the lists above, and each of the first kind is
// watched in all tests of this package.
func TestAUD08(t *testing.T) {
	tx, all := reflect.TypeFor[issuance.Tx](), slices.Concat(logged, reads, unlogged, []string{"Append"})
	for m := range tx.Methods() {
		if i := slices.Index(all, m.Name); i < 0 {
			t.Errorf("AUD-08 does %s need an entry?", m.Name)
		} else {
			all = slices.Delete(all, i, i+1)
		}
	}
	if len(all) > 0 {
		t.Errorf("AUD-08 a transaction has no %v", all)
	}
	for _, name := range logged {
		silent := watched{newMemory(), &noted{TB: t}}
		err := silent.Write(t.Context(), func(tx issuance.Tx) error {
			_, _ = recovered(tx, name)
			return nil
		})
		if err != nil || silent.t.(*noted).n != 1 {
			t.Errorf("AUD-08 %s without an entry is not noticed: %v", name, err)
		}
	}
}

// TestChunksOfNothing: a chunk for which nothing is signed, since its records have their
// credentials or are refused, has an entry of its own, and no other has.
func TestChunksOfNothing(t *testing.T) {
	for name, order := range map[string]func(people) issuance.BatchRequest{
		"AUD-08 alone":  func(src people) issuance.BatchRequest { r := request(src, t.TempDir()); r.Chunk = 10; return r },
		"AUD-08 shared": func(src people) issuance.BatchRequest { return shared(src, t.TempDir(), "") },
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			b := newBed(t, store, withQueue(store))
			if result, err := b.service.RunBatch(t.Context(), order(people{n: 35})); err != nil || result.Batch.Issued != 35 {
				t.Fatalf("%+v, %v", result, err)
			}
			from := len(store.events)
			nobody := func(registry.Record) (registry.Record, error) { return registry.Record{}, &registry.RowError{Line: 1} }
			odd := map[int]func(registry.Record) (registry.Record, error){}
			for n := 41; n <= 50; n++ {
				odd[n] = nobody
			}
			result, err := b.service.RunBatch(t.Context(), order(people{n: 50, odd: odd})) // 35 have theirs, 5 are new, 10 are refused
			if err != nil || result.Batch.Issued != 5 || result.Batch.Skipped != 35 || result.Batch.Failed != 10 {
				t.Fatalf("%+v, %v", result, err)
			}
			got := map[string]int{}
			for _, e := range store.events[from:] {
				if e.Kind == audit.BatchAdvanced && e.Batch == result.Batch.ID && e.Programme == "farmer-card" {
					got[e.Detail] += e.Count
				}
			}
			want := map[string]int{
				"chunk 0 from record 1 on, 0 failed, 10 skipped": 10, "chunk 1 from record 11 on, 0 failed, 10 skipped": 10,
				"chunk 2 from record 21 on, 0 failed, 10 skipped": 10, "chunk 4 from record 41 on, 10 failed, 0 skipped": 10,
			}
			if !maps.Equal(got, want) {
				t.Errorf("the log has %v, want %v", got, want)
			}
		})
	}
}

// noted counts errors in place of failing.
type noted struct {
	testing.TB
	n int
}

func (n *noted) Errorf(string, ...any) { n.n++ }

// recovered calls a method with zero values, whatever it thinks of them.
func recovered(tx issuance.Tx, name string) (out []reflect.Value, what any) {
	defer func() { what = recover() }()
	m := reflect.ValueOf(tx).MethodByName(name)
	var in []reflect.Value
	for p := range m.Type().Ins() {
		in = append(in, reflect.Zero(p))
	}
	return m.Call(in), nil
}

// A watched store holds every transaction of every test of this package to AUD-08: what
// changes something has an entry in the audit log, or nothing is stored.
type watched struct {
	issuance.Store
	t testing.TB
}

func (w watched) Write(ctx context.Context, f func(issuance.Tx) error) error {
	return w.Store.Write(ctx, func(tx issuance.Tx) error {
		l := &watchedTx{Tx: tx}
		if err := f(l); err != nil {
			return err
		}
		if !l.logged && len(l.changes) > 0 {
			w.t.Errorf("AUD-08 %v without an entry in the audit log", l.changes)
		}
		return nil
	})
}

// A watchedTx notes what a transaction changes.
type watchedTx struct {
	issuance.Tx
	changes []string
	logged  bool
}

func (w *watchedTx) Append(events []audit.Event) error {
	w.logged = w.logged || len(events) > 0
	return w.Tx.Append(events)
}

func (w *watchedTx) Intend(c []issuance.Credential) error {
	w.changes = append(w.changes, "Intend")
	return w.Tx.Intend(c)
}

func (w *watchedTx) Complete(m []issuance.Mark, at time.Time) error {
	w.changes = append(w.changes, "Complete")
	return w.Tx.Complete(m, at)
}

func (w *watchedTx) Change(id string, to issuance.State, r issuance.Reason, at time.Time) (issuance.Credential, error) {
	w.changes = append(w.changes, "Change")
	return w.Tx.Change(id, to, r, at)
}

func (w *watchedTx) SealLists(at time.Time) error {
	w.changes = append(w.changes, "SealLists")
	return w.Tx.SealLists(at)
}

func (w *watchedTx) SavePublication(p issuance.Publication) error {
	w.changes = append(w.changes, "SavePublication")
	return w.Tx.SavePublication(p)
}

func (w *watchedTx) SaveProgramme(p issuance.ProgrammeRow) error {
	w.changes = append(w.changes, "SaveProgramme")
	return w.Tx.SaveProgramme(p)
}

func (w *watchedTx) SaveBatch(b issuance.Batch) error {
	w.changes = append(w.changes, "SaveBatch")
	return w.Tx.SaveBatch(b)
}

func (w *watchedTx) FinishChunk(c issuance.Chunk) (issuance.Batch, error) {
	w.changes = append(w.changes, "FinishChunk")
	return w.Tx.FinishChunk(c)
}
