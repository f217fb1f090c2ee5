package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/issuance"
)

// copyDead copies a folder as a process leaves it that dies behind its first mark: the
// chunk is in the spool and nowhere else.
func copyDead(t *testing.T, folder, to string) {
	t.Helper()
	spools, err := os.ReadDir(filepath.Join(folder, ".spool"))
	if err == nil && len(spools) == 0 {
		err = errors.New("there is no spool")
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(to, ".spool"), 0o700)
	}
	if err != nil {
		t.Error(err)
		return
	}
	first := slices.MinFunc(spools, func(a, b os.DirEntry) int { return len(a.Name()) - len(b.Name()) })
	for _, name := range []string{"batch.json", "manifest.csv", filepath.Join(".spool", first.Name())} {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// giveUp closes a batch as `issuer restore confirm` does.
func (b *bed) giveUp(id string) (issued int64) {
	b.Helper()
	batch, err := b.store.Batch(b.Context(), id)
	if err != nil || batch.State != issuance.BatchRunning {
		b.Fatalf("the batch is %s, %v", batch.State, err)
	}
	issued = int64(len(b.all(issuance.Query{Batch: id, State: issuance.Active})))
	batch.GiveUp(issued, b.clock.Now())
	if err := b.store.Write(b.Context(), func(tx issuance.Tx) error { return tx.SaveBatch(batch) }); err != nil {
		b.Fatal(err)
	}
	return issued
}

// TestGivenUp: the folder of a batch that was given up gets what was marked and not handed
// out before its process died, and nobody is told that the batch has finished: not in this
// folder, not by joining it, not if the source is another one by now. A new batch issues for
// the rest.
func TestGivenUp(t *testing.T) {
	for name, order := range map[string]func(src people, folder string) issuance.BatchRequest{
		"alone": func(src people, folder string) issuance.BatchRequest {
			r := request(src, folder)
			r.Chunk = 10
			return r
		},
		"shared": func(src people, folder string) issuance.BatchRequest { return shared(src, folder, "") },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 200
			eachStore(t, func(t *testing.T, store issuance.Store) {
				folder, dead := t.TempDir(), t.TempDir()
				ctx, stop := context.WithCancel(t.Context())
				var once sync.Once
				b := newBed(t, store, withQueue(store), func(c *issuance.Config) {
					c.Crash = func(p issuance.Point) {
						if p == issuance.PointMarked {
							once.Do(func() { copyDead(t, folder, dead); stop() })
						}
					}
				})
				if result, err := b.service.RunBatch(ctx, order(people{n: n}, folder)); err != nil || result.Outcome != issuance.Stopped {
					t.Fatalf("the run before: %+v, %v", result, err)
				}
				id := runningBatch(t, folder)
				issued := b.giveUp(id)
				asks := map[string]issuance.BatchRequest{
					"the same command": order(people{n: n}, dead), "once more": order(people{n: n}, dead), "another source": order(people{n: n, print: "another"}, folder),
				}
				if name == "shared" {
					asks["joining"] = shared(people{n: n}, t.TempDir(), id)
				}
				for what, r := range asks {
					if result, err := b.service.RunBatch(t.Context(), r); !errors.Is(err, issuance.ErrGivenUp) || result.Already || result.Batch.Issued != issued {
						t.Errorf("%s: %+v, %v; want ErrGivenUp and %d issued", what, result, err, issued)
					}
				}
				saved := readCodesManifest(t, dead)
				for record, o := range saved {
					c, err := store.Credential(t.Context(), o.id)
					if err != nil || c.State != issuance.Active || c.Batch != id {
						t.Errorf("record %s has %q in the manifest: %+v, %v", record, o.id, c.State, err)
					}
					for _, file := range o.files {
						if _, err := os.Stat(filepath.Join(dead, file)); err != nil {
							t.Error(err)
						}
					}
				}
				if want := order(people{}, "").Chunk; len(saved) != want {
					t.Errorf("%d records are in the manifest, want those of the chunk that was marked, %d", len(saved), want)
				}
				result, err := b.service.RunBatch(t.Context(), request(people{n: n}, t.TempDir()))
				if err != nil || result.Outcome != issuance.Complete || result.Batch.Issued != n-issued || result.Batch.Skipped != issued {
					t.Errorf("a new batch: %+v, %v; want %d issued", result, err, n-issued)
				}
			})
		})
	}
}

// TestSourceIsAnother: the folder of a batch that cannot go on, since its source has changed after
// its process died, gets what was marked and not handed out, because a new batch skips these
// records. With the source as it was the batch still goes on to its end.
func TestSourceIsAnother(t *testing.T) {
	for name, order := range map[string]func(src people, folder string) issuance.BatchRequest{
		"alone": func(src people, folder string) issuance.BatchRequest {
			r := request(src, folder)
			r.Chunk = 10
			return r
		},
		"shared": func(src people, folder string) issuance.BatchRequest { return shared(src, folder, "") },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 200
			eachStore(t, func(t *testing.T, store issuance.Store) {
				folder, dead := t.TempDir(), t.TempDir()
				ctx, stop := context.WithCancel(t.Context())
				var once sync.Once
				b := newBed(t, store, withQueue(store), func(c *issuance.Config) {
					c.Crash = func(p issuance.Point) {
						if p == issuance.PointMarked {
							once.Do(func() { copyDead(t, folder, dead); stop() })
						}
					}
				})
				if result, err := b.service.RunBatch(ctx, order(people{n: n}, folder)); err != nil || result.Outcome != issuance.Stopped {
					t.Fatalf("the run before: %+v, %v", result, err)
				}
				for range 2 { // once handed out, there is nothing more to do
					if _, err := b.service.RunBatch(t.Context(), order(people{n: n, print: "another"}, dead)); !errors.Is(err, issuance.ErrSourceChanged) {
						t.Fatalf("%v, want ErrSourceChanged", err)
					}
				}
				saved := readCodesManifest(t, dead)
				if want := order(people{}, "").Chunk; len(saved) != want {
					t.Errorf("%d records are in the manifest, want those of the chunk that was marked, %d", len(saved), want)
				}
				for record, o := range saved {
					if c, err := store.Credential(t.Context(), o.id); err != nil || c.State != issuance.Active {
						t.Errorf("record %s has %q in the manifest: %+v, %v", record, o.id, c.State, err)
					}
					for _, file := range o.files {
						if _, err := os.Stat(filepath.Join(dead, file)); err != nil {
							t.Error(err)
						}
					}
				}
				if _, err := b.service.RunBatch(t.Context(), order(people{n: n, print: "another"}, folder)); !errors.Is(err, issuance.ErrSourceChanged) {
					t.Fatalf("%v, want ErrSourceChanged", err)
				}
				result, err := b.service.RunBatch(t.Context(), order(people{n: n}, folder))
				if err != nil || result.Outcome != issuance.Complete || result.Batch.Issued != n {
					t.Errorf("with the source as it was: %+v, %v", result, err)
				}
				if all := readCodesManifest(t, folder); len(all) != n {
					t.Errorf("%d records are in the manifest, want %d", len(all), n)
				}
			})
		})
	}
}

// TestSalvage: a chunk in the spool for which nothing was signed takes its rows of the
// manifest if one behind it was marked, so that there is no gap; what was not marked stays.
func TestSalvage(t *testing.T) {
	const marked, unmarked = "01J00000000000000000000001", "01J00000000000000000000002"
	rows := []string{
		"P1,,,,,already issued\n", "P2," + marked + ",https://example.org/1,7," + marked + ".txt,\n",
		"P3,,,,,already issued\n", "P4," + unmarked + ",https://example.org/1,8," + unmarked + ".txt,\n",
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, ".spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(folder, "manifest.csv", issuance.ManifestHeader)
	offset := int64(len(issuance.ManifestHeader))
	for n, row := range rows {
		name := strings.Split(row, ",")[4]
		if name == "" {
			name = fmt.Sprintf("codes-%012d.csv", n)
		}
		write(filepath.Join(folder, ".spool"), fmt.Sprintf("%012d", n), string(issuance.SpoolOf(int64(n), offset, row, name, "code")))
		offset += int64(len(row))
	}
	err := issuance.Salvage(folder, func(id string) (bool, error) { return id == marked, nil })
	got, e := os.ReadFile(filepath.Join(folder, "manifest.csv"))
	if want := issuance.ManifestHeader + rows[0] + rows[1]; err != nil || e != nil || string(got) != want {
		t.Errorf("%v, %v, the manifest is %q, want %q", err, e, got, want)
	}
	for name, there := range map[string]bool{marked + ".txt": true, unmarked + ".txt": false} {
		if _, err := os.Stat(filepath.Join(folder, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}
