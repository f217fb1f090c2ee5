package issuance_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/registry"
)

var _ registry.Ranger = people{}

func (p people) Ranges(_ context.Context, n int) iter.Seq2[registry.Range, error] {
	return func(yield func(registry.Range, error) bool) {
		for first := 1; first <= p.n; first += n {
			r := registry.Range{First: int64(first), N: min(n, p.n-first+1), Start: registry.Mark(person(first).ID)}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (p people) Range(_ context.Context, r registry.Range) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		if string(r.Start) != person(int(r.First)).ID {
			yield(registry.Record{}, registry.ErrMark)
			return
		}
		for n := int(r.First); n < int(r.First)+r.N && n <= p.n; n++ {
			if p.at != nil {
				p.at(n)
			}
			rec, err := person(n), error(nil)
			if f := p.odd[n]; f != nil {
				rec, err = f(rec)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// shared asks for a part of a shared batch.
func shared(src registry.Source, folder, join string) issuance.BatchRequest {
	r := request(src, folder)
	r.Kinds, r.Chunk, r.Shared, r.Join = []issuance.FileKind{issuance.FileCSV}, 10, join == "", join
	return r
}

func withQueue(store issuance.Store) func(*issuance.Config) {
	return func(c *issuance.Config) { c.Queue = store.(issuance.Queue) }
}

// checkShared compares the manifests of all folders of a batch with the store:
// every record was issued for once, and each in one folder.
func (b *bed) checkShared(n int, folders ...string) {
	b.Helper()
	where := map[string]string{} // a record's folder
	active := map[string]issuance.Credential{}
	used := map[issuance.Slot]bool{}
	for _, c := range b.all(issuance.Query{}) {
		if c.State == issuance.Active {
			active[c.ID] = c
		} else if c.State == issuance.Intended {
			b.Errorf("%s is still intended", c.ID)
		}
		for _, f := range c.Forms {
			if used[f.Slot] {
				b.Errorf("P04: slot %v is used twice", f.Slot)
			}
			used[f.Slot] = true
		}
	}
	for _, folder := range folders {
		var own []issuance.Credential
		for id, o := range readCodesManifest(b, folder) {
			if where[id] != "" {
				b.Errorf("record %s is in %s and in %s", id, where[id], folder)
			}
			where[id] = folder
			c, ok := active[o.id]
			if !ok || c.Record != b.service.Pseudonym("farmer-card", id) || person(int(c.Row)).ID != id {
				b.Errorf("record %s has credential %q, which the store does not have for it", id, o.id)
				continue
			}
			own = append(own, c)
			delete(active, o.id)
		}
		b.checkCodes(folder, own)
	}
	for i := 1; i <= n; i++ {
		if where[person(i).ID] == "" {
			b.Errorf("record %d is in no manifest", i)
		}
	}
	if len(where) != n || len(active) != 0 {
		b.Errorf("%d records in the manifests, want %d; %d credentials in none", len(where), n, len(active))
	}
}

// TestShared lets three services share a batch, of which one comes late.
func TestShared(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		const n = 600
		b := newBed(t, store, withQueue(store))
		folders := []string{t.TempDir(), t.TempDir(), t.TempDir()}
		var wg sync.WaitGroup
		var here [3]int64
		join := func(i int, id string) {
			wg.Go(func() {
				result, err := b.open(withQueue(store)).RunBatch(t.Context(), shared(people{n: n}, folders[i], id))
				here[i] = result.Here
				if err != nil || result.Outcome != issuance.Complete || result.Batch.Issued != n {
					t.Errorf("%s takes part: %+v, %v", folders[i], result, err)
				}
			})
		}
		var once sync.Once
		r := shared(people{n: n, at: func(int) {
			once.Do(func() {
				join(1, runningBatch(t, folders[0]))
				join(2, runningBatch(t, folders[0]))
			})
		}}, folders[0], "")
		result, err := b.service.RunBatch(t.Context(), r)
		if err != nil || result.Outcome != issuance.Complete || result.Batch.Issued != n || result.Batch.Chunks != n/10 {
			t.Fatalf("%+v, %v", result, err)
		}
		here[0] = result.Here
		wg.Wait()
		b.checkShared(n, folders...)
		if here[0]+here[1]+here[2] != n {
			t.Errorf("%v records here and there, want %d together", here, n)
		}
		again, err := b.service.RunBatch(t.Context(), r)
		if err != nil || !again.Already || again.Outcome != issuance.Complete {
			t.Errorf("once more: %+v, %v", again, err)
		}
		for _, f := range folders {
			if _, err := os.Stat(filepath.Join(f, ".spool")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the spool of %s: %v", f, err)
			}
		}
	})
}

// runningBatch is the id of the batch in a folder.
func runningBatch(t testing.TB, folder string) string {
	t.Helper()
	id, err := issuance.BatchOfFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestSharedStops ends a process's part and goes on with it.
func TestSharedStops(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		const n = 500
		b := newBed(t, store, withQueue(store))
		folders := []string{t.TempDir(), t.TempDir()}
		runs := 0
		for id := ""; ; runs++ {
			ctx, cancel := context.WithCancel(t.Context())
			seen := 0
			src := people{n: n, at: func(int) {
				if seen++; seen == 90 {
					cancel()
				}
			}}
			folder := folders[runs%2]
			result, err := b.service.RunBatch(ctx, shared(src, folder, id))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if result.Resumed != (runs > 1) {
				t.Errorf("run %d: %+v", runs, result)
			}
			if id = result.Batch.ID; result.Outcome == issuance.Complete {
				break
			}
			if left := b.all(issuance.Query{State: issuance.Intended}); len(left) > 0 {
				t.Errorf("run %d left %d intended", runs, len(left))
			}
		}
		if runs < 3 {
			t.Errorf("it took %d runs; the test tests little", runs)
		}
		b.checkShared(n, folders...)
	})
}

// TestSharedIsTakenOver stops a process for good between intent and mark. Another
// does its chunk, and when the first wakes up nothing of it is released.
func TestSharedIsTakenOver(t *testing.T) {
	eachStoreNew(t, func(t *testing.T, newStore func(*testing.T) issuance.Store) {
		for _, point := range []issuance.Point{
			issuance.PointAuthorised, issuance.PointIntended, issuance.PointSigned, issuance.PointSpooled,
		} {
			t.Run(string(point), func(t *testing.T) {
				const n = 60
				asleep, wake := make(chan struct{}), make(chan struct{})
				var once sync.Once
				b := newBed(t, newStore(t))
				folders := []string{t.TempDir(), t.TempDir()}
				queue := func(c *issuance.Config) { c.Queue = rescuer{b.store} }
				b.service = b.open(queue, func(c *issuance.Config) { c.Crash = sleepAt(point, &once, asleep, wake) })
				done := make(chan error)
				go func() {
					_, err := b.service.RunBatch(t.Context(), shared(people{n: n}, folders[0], ""))
					done <- err
				}()
				<-asleep
				result, err := b.open(queue).RunBatch(t.Context(), shared(people{n: n}, folders[1], runningBatch(t, folders[0])))
				if err != nil || result.Outcome != issuance.Complete {
					t.Fatalf("who takes over: %+v, %v", result, err)
				}
				close(wake)
				if err := <-done; err != nil {
					t.Errorf("who wakes up: %v", err)
				}
				b.checkShared(n, folders...)
			})
		}
	})
}

// A rescuer hands out every chunk that is not done, whoever may have it.
type rescuer struct{ store issuance.Store }

func (q rescuer) Work(ctx context.Context, batch string, _ int, do func(context.Context, int64) error) error {
	for ctx.Err() == nil {
		for c, err := range q.store.Chunks(ctx, batch) {
			if err != nil && ctx.Err() == nil {
				return err
			}
			if ctx.Err() == nil && c.Done.IsZero() {
				_ = do(context.WithoutCancel(ctx), c.Number)
			}
		}
	}
	return nil
}

// sleepAt sleeps at a point once.
func sleepAt(point issuance.Point, once *sync.Once, asleep, wake chan struct{}) func(issuance.Point) {
	return func(p issuance.Point) {
		if p == point {
			once.Do(func() {
				close(asleep)
				<-wake
			})
		}
	}
}

func TestSharedRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b *bed, r *issuance.BatchRequest)
		want  error
	}{
		{"another source", func(_ *bed, r *issuance.BatchRequest) { r.Source = people{n: 300, print: "x"} }, issuance.ErrSourceChanged},
		{"a source that cannot be cut", func(_ *bed, r *issuance.BatchRequest) { r.Source = struct{ registry.Source }{people{n: 300}} }, issuance.ErrNotShared},
		{"another programme", func(_ *bed, r *issuance.BatchRequest) { r.Programme = "receipt" }, issuance.ErrOtherBatch},
		{"other files", func(_ *bed, r *issuance.BatchRequest) { r.Kinds = []issuance.FileKind{issuance.FileText} }, issuance.ErrOtherBatch},
		{"superseding", func(_ *bed, r *issuance.BatchRequest) { r.Supersede = true }, issuance.ErrOtherBatch},
		{"other chunks", func(_ *bed, r *issuance.BatchRequest) { r.Chunk = 20 }, issuance.ErrOtherBatch},
		{"no such batch", func(_ *bed, r *issuance.BatchRequest) { r.Join = "01J00000000000000000000000" }, issuance.ErrOtherBatch},
		{"the folder of the first, alone", func(_ *bed, r *issuance.BatchRequest) { r.Join = "" }, issuance.ErrOtherBatch},
		{"no queue", func(b *bed, _ *issuance.BatchRequest) { b.service = b.open() }, issuance.ErrNotShared},
		{"a batch of one process", func(b *bed, r *issuance.BatchRequest) {
			alone := request(people{n: 20}, b.TempDir())
			result, err := b.service.RunBatch(b.Context(), alone)
			if err != nil {
				b.Fatal(err)
			}
			r.Join = result.Batch.ID
		}, issuance.ErrNotShared},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := newMemory()
			b := newBed(t, store, withQueue(store))
			ctx, cancel := context.WithCancel(t.Context())
			first := t.TempDir()
			begun, err := b.service.RunBatch(ctx, shared(people{n: 300, at: func(n int) {
				if n == 15 {
					cancel()
				}
			}}, first, ""))
			if err != nil || begun.Outcome != issuance.Stopped {
				t.Fatalf("%+v, %v", begun, err)
			}
			issued := len(b.all(issuance.Query{State: issuance.Active, Programme: "farmer-card", Batch: begun.Batch.ID}))
			r := shared(people{n: 300}, t.TempDir(), begun.Batch.ID)
			tt.spoil(b, &r)
			if r.Join == "" {
				r.Folder, r.Shared = first, false
			}
			if _, err := b.service.RunBatch(t.Context(), r); !errors.Is(err, tt.want) {
				t.Errorf("RunBatch: %v, want %v", err, tt.want)
			}
			if got := len(b.all(issuance.Query{State: issuance.Active, Batch: begun.Batch.ID})); got != issued {
				t.Errorf("%d credentials were issued all the same", got-issued)
			}
		})
	}
}

// TestSharedTellsNoRecord looks for record ids in what is stored of the plan.
func TestSharedTellsNoRecord(t *testing.T) {
	store := newMemory()
	b := newBed(t, store, withQueue(store))
	result, err := b.service.RunBatch(t.Context(), shared(people{n: 100}, t.TempDir(), ""))
	if err != nil || result.Outcome != issuance.Complete {
		t.Fatalf("%+v, %v", result, err)
	}
	seen := map[string]bool{}
	for i, c := range store.chunks[result.Batch.ID] {
		if id := person(i*10 + 1).ID; len(c.Start) < len(id)+16 || bytes.Contains(c.Start, []byte(id)) {
			t.Errorf("chunk %d begins at %q", i, c.Start)
		}
		if seen[string(c.Start[:12])] {
			t.Errorf("chunk %d has the nonce of another one", i)
		}
		seen[string(c.Start[:12])] = true
	}
	// What is sealed for one chunk is not good for another.
	ctx, cancel := context.WithCancel(t.Context())
	r := shared(people{n: 50, at: func(int) { cancel() }}, t.TempDir(), "")
	r.Programme = "receipt"
	if result, err = b.service.RunBatch(ctx, r); err != nil || result.Outcome != issuance.Stopped {
		t.Fatalf("%+v, %v", result, err)
	}
	all := store.chunks[result.Batch.ID]
	all[3].Start, all[4].Start = all[4].Start, all[3].Start
	r.Source = people{n: 50}
	if _, err := b.service.RunBatch(t.Context(), r); err == nil {
		t.Error("two ranges were exchanged, and nobody noticed")
	}
	finished := 0
	for _, e := range store.events {
		if e.Kind == audit.BatchFinished {
			finished++
		}
	}
	if finished != 1 {
		t.Errorf("%d batches are finished by the audit log, want 1", finished)
	}
}

// TestSharedEmpty shares a source without records.
func TestSharedEmpty(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store, withQueue(store))
		result, err := b.service.RunBatch(t.Context(), shared(people{}, t.TempDir(), ""))
		if err != nil || result.Outcome != issuance.Complete || result.Batch.Rows != 0 {
			t.Errorf("%+v, %v", result, err)
		}
	})
}
