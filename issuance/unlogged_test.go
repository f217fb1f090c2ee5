package issuance_test

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// logged are the methods of a transaction that need an entry in the audit log, reads those that
// write nothing, and unlogged those that write what says nothing about a credential, a
// programme or a publication: slots that were taken and not used stay empty for ever, and
// the chunks of a batch are its credentials, each of which has its entries.
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
	if b.Chunks == 0 || b.State == issuance.BatchFinished { // between the two is progress
		w.changes = append(w.changes, "SaveBatch")
	}
	return w.Tx.SaveBatch(b)
}

func (w *watchedTx) FinishChunk(c issuance.Chunk) (issuance.Batch, error) {
	w.changes = append(w.changes, "FinishChunk")
	return w.Tx.FinishChunk(c)
}
