package issuance_test

import (
	"context"
	"crypto"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// request asks for codes as text in the folder.
func request(src registry.Source, folder string) issuance.BatchRequest {
	return issuance.BatchRequest{
		Programme: "farmer-card", Source: src, Folder: folder, Kinds: []issuance.FileKind{issuance.FileText}, Actor: "tester",
		Chunk: 50, Sync: func(string) error { return nil },
	}
}

// outcome is what the manifest says about one record.
type outcome struct {
	files []string
	id    string // of the credential
	whys  []string
}

// readManifest checks the form of a manifest and returns its outcomes by record.
func readManifest(t testing.TB, folder string) map[string]*outcome {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil {
		t.Fatalf("manifest: %v", err)
	}
	if got := strings.Join(rows[0], ",") + "\n"; got != issuance.ManifestHeader {
		t.Errorf("manifest begins with %q", got)
	}
	all := map[string]*outcome{}
	seen := map[string]bool{}
	for i, r := range rows[1:] {
		o := all[r[0]]
		if o == nil {
			o = &outcome{}
			all[r[0]] = o
		}
		switch {
		case r[5] != "":
			if r[1]+r[2]+r[3]+r[4] != "" {
				t.Errorf("manifest row %d has an error and a file: %q", i+1, r)
			}
			o.whys = append(o.whys, r[5])
		case o.id != "" && o.id != r[1]:
			t.Errorf("manifest row %d: record %s was issued %s and %s", i+1, r[0], o.id, r[1])
		case seen[r[4]]:
			t.Errorf("manifest row %d: file %s is there twice", i+1, r[4])
		default:
			seen[r[4]] = true
			o.id = r[1]
			o.files = append(o.files, r[4])
		}
	}
	return all
}

// checkBatch compares manifest, files and store. Every record from 1 to n that
// is not among the odd must have been issued for once.
func (b *bed) checkBatch(folder string, n int, odd map[int]bool) {
	b.Helper()
	said := readManifest(b, folder)
	active := map[string]issuance.Credential{}
	used := map[issuance.Slot]string{}
	for _, c := range b.all(issuance.Query{}) {
		switch c.State {
		case issuance.Intended:
			b.Errorf("%s is still intended", c.ID)
		case issuance.Active:
			active[c.ID] = c
		}
		for _, f := range c.Forms {
			if other, ok := used[f.Slot]; ok {
				b.Errorf("P04: %s and %s share slot %v", other, c.ID, f.Slot)
			}
			used[f.Slot] = c.ID
		}
	}
	files := map[string]bool{"manifest.csv": true, "batch.json": true}
	for i := 1; i <= n; i++ {
		id := person(i).ID
		o := said[id]
		if odd[i] {
			continue
		}
		if o == nil || o.id == "" {
			b.Errorf("record %d was not issued for: %v", i, o)
			continue
		}
		c, ok := active[o.id]
		if !ok || c.Record != b.service.Pseudonym("farmer-card", id) || c.Row != int64(i) {
			b.Errorf("record %d has credential %s, which the store does not have for it", i, o.id)
			continue
		}
		delete(active, o.id)
		if len(o.files) != len(c.Forms) {
			b.Errorf("record %d has the files %v for %d forms", i, o.files, len(c.Forms))
			continue
		}
		for j, name := range o.files {
			files[name] = true
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				b.Errorf("record %d: %v", i, err)
				continue
			}
			b.checkForm(c, c.Forms[j], string(text))
		}
	}
	for id := range active {
		b.Errorf("%s is active and in no manifest row", id)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		if !files[e.Name()] {
			b.Errorf("P01: %s is in the folder and not in the manifest", e.Name())
		}
	}
}

func TestBatch(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		folder := filepath.Join(t.TempDir(), "out")
		src := people{n: 230, odd: map[int]func(registry.Record) (registry.Record, error){
			7: func(registry.Record) (registry.Record, error) {
				return registry.Record{}, &registry.RowError{Line: 8, Code: "columns", Detail: "has 4 values for 5 columns"}
			},
			60:  func(r registry.Record) (registry.Record, error) { return changed(r, "born", "31 February"), nil },
			61:  func(registry.Record) (registry.Record, error) { return person(60), nil },                 // the first had no luck
			100: func(registry.Record) (registry.Record, error) { return person(99), nil },                 // in the same chunk
			201: func(registry.Record) (registry.Record, error) { return person(2), nil },                  // in a chunk before
			229: func(r registry.Record) (registry.Record, error) { return changed(r, "id", "=1+1"), nil }, // no such id to check
		}}
		var done []issuance.Progress
		r := request(src, folder)
		r.Total = 230
		r.Progress = func(p issuance.Progress) { done = append(done, p) }
		result, err := b.service.RunBatch(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if result.Outcome != issuance.Partial || result.Batch.Issued != 226 || result.Batch.Failed != 2 || result.Batch.Skipped != 2 || result.Batch.Rows != 230 {
			t.Errorf("result: %+v", result)
		}
		said := readManifest(t, folder)
		if why := said[""].whys; len(why) != 1 || why[0] != "line 8: columns: has 4 values for 5 columns" {
			t.Errorf("the broken line: %q", why)
		}
		if o := said[person(60).ID]; o.id == "" || len(o.whys) != 1 || !strings.HasPrefix(o.whys[0], `line 61: column "born": claim "birth_date": not_a_date`) {
			t.Errorf("the record that comes twice, first wrong, then right: %+v", o)
		}
		for _, n := range []int{99, 2} {
			if o := said[person(n).ID]; o.id == "" || len(o.whys) != 1 || !strings.Contains(o.whys[0], "duplicate_id") || !strings.Contains(o.whys[0], o.id) {
				t.Errorf("the record %d that comes twice: %+v", n, o)
			}
		}
		if o := said["'=1+1"]; o == nil || o.id == "" {
			t.Errorf("OUT-01: the record called =1+1: %+v", o)
		}
		// What is left are 224 plain records: leave those with an oddity out, and
		// the credentials that they got.
		if got := len(b.all(issuance.Query{State: issuance.Active, Batch: result.Batch.ID})); got != 226 {
			t.Errorf("%d active credentials, want 226", got)
		}
		if last := done[len(done)-1]; len(done) != 6 || last.Done != 230 || last.Total != 230 || last.Issued != 226 {
			t.Errorf("progress: %+v", done)
		}

		again, err := b.service.RunBatch(t.Context(), r)
		if err != nil || !again.Already || again.Outcome != issuance.Partial || again.Batch.Issued != 226 {
			t.Errorf("a second run of a finished batch: %+v, %v", again, err)
		}
		if got := len(b.all(issuance.Query{})); got != 226 {
			t.Errorf("the second run made %d credentials", got-226)
		}
		stored, err := store.Batch(t.Context(), result.Batch.ID)
		if err != nil || stored.State != issuance.BatchFinished {
			t.Errorf("the stored batch: %+v, %v", stored, err)
		}
	})
}

func TestBatchComplete(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		folder := t.TempDir()
		result, err := b.service.RunBatch(t.Context(), request(people{n: 120}, folder))
		if err != nil || result.Outcome != issuance.Complete {
			t.Fatalf("%+v, %v", result, err)
		}
		b.checkBatch(folder, 120, nil)
		// Another batch over the same records has nothing to issue, or replaces.
		next := t.TempDir()
		result, err = b.service.RunBatch(t.Context(), request(people{n: 120}, next))
		if err != nil || result.Outcome != issuance.Complete || result.Batch.Skipped != 120 || result.Batch.Issued != 0 {
			t.Errorf("the same records again: %+v, %v", result, err)
		}
		if o := readManifest(t, next)[person(5).ID]; len(o.whys) != 1 || !strings.Contains(o.whys[0], "already_issued") {
			t.Errorf("the manifest says %+v", o)
		}
		super := t.TempDir()
		r := request(people{n: 120}, super)
		r.Supersede = true
		result, err = b.service.RunBatch(t.Context(), r)
		if err != nil || result.Batch.Issued != 120 {
			t.Errorf("superseding: %+v, %v", result, err)
		}
		b.checkBatch(super, 120, nil)
		for _, c := range b.all(issuance.Query{State: issuance.Active}) {
			if old, err := store.Credential(t.Context(), c.Supersedes); err != nil || old.Reason != issuance.Superseded {
				t.Errorf("%s supersedes %s: %v", c.ID, old.ID, err)
			}
		}
	})
}

func TestBatchKinds(t *testing.T) {
	b := newBed(t, newMemory())
	folder := t.TempDir()
	r := request(people{n: 10}, folder)
	r.Kinds = []issuance.FileKind{issuance.FilePNG, issuance.FileSVG, issuance.FileText}
	var notDrawn atomic.Int64
	r.Draw = func(k issuance.FileKind, f programme.Form, text string) ([]byte, error) {
		if f.Name == "strip" && k == issuance.FileSVG && notDrawn.Add(1) == 3 {
			return nil, errors.New("too dense")
		}
		return []byte(string(k) + " of " + f.Name), nil
	}
	result, err := b.service.RunBatch(t.Context(), r)
	if err != nil || result.Outcome != issuance.Partial || result.Batch.Issued != 9 || result.Batch.Failed != 1 {
		t.Fatalf("%+v, %v", result, err)
	}
	files := 0
	for id, o := range readManifest(t, folder) {
		files += len(o.files)
		if o.id == "" {
			if len(o.whys) != 1 || !strings.Contains(o.whys[0], "draw: too dense") {
				t.Errorf("%s: %+v", id, o)
			}
			continue
		}
		for i, ext := range []string{".png", ".svg", ".txt", "-strip.png", "-strip.svg", "-strip.txt"} {
			if o.files[i] != o.id+ext {
				t.Errorf("file %d is %s, want %s", i, o.files[i], o.id+ext)
			}
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || files != 54 || len(entries) != 54+2 {
		t.Errorf("%d files in the manifest, %d in the folder, %v", files, len(entries), err)
	}
	for _, c := range b.all(issuance.Query{State: issuance.Revoked}) {
		if c.Reason != issuance.Leftover {
			t.Errorf("the one that could not be drawn is revoked as %s", c.Reason)
		}
	}
	info, err := os.Stat(filepath.Join(folder, "manifest.csv"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the manifest has mode %v, %v", info.Mode(), err)
	}
}

// TestBatchStops at will and goes on, several times.
func TestBatchStops(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		folder := t.TempDir()
		const n = 500
		runs := 0
		for stop := 120; ; stop += 130 {
			ctx, cancel := context.WithCancel(t.Context())
			src := people{n: n, at: func(i int) {
				if i == stop {
					cancel()
				}
			}}
			result, err := b.service.RunBatch(ctx, request(src, folder))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if runs++; result.Resumed != (runs > 1) || result.Leftovers != 0 {
				t.Errorf("run %d: %+v", runs, result)
			}
			if result.Outcome != issuance.Stopped {
				break
			}
			if left := b.all(issuance.Query{State: issuance.Intended}); len(left) > 0 {
				t.Errorf("run %d left %d intended", runs, len(left))
			}
		}
		if runs != 4 {
			t.Errorf("it took %d runs, want 4", runs)
		}
		b.checkBatch(folder, n, nil)
	})
}

func TestBatchRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b *bed, r *issuance.BatchRequest)
		want  error
	}{
		{"the source has changed", func(_ *bed, r *issuance.BatchRequest) { r.Source = people{n: 200, print: "another"} }, issuance.ErrSourceChanged},
		{"another programme", func(_ *bed, r *issuance.BatchRequest) { r.Programme = "receipt" }, issuance.ErrOtherBatch},
		{"other files", func(_ *bed, r *issuance.BatchRequest) {
			r.Kinds = []issuance.FileKind{issuance.FilePNG}
			r.Draw = func(issuance.FileKind, programme.Form, string) ([]byte, error) { return nil, nil }
		}, issuance.ErrOtherBatch},
		{"superseding from now on", func(_ *bed, r *issuance.BatchRequest) { r.Supersede = true }, issuance.ErrOtherBatch},
		{"the folder of another issuer", func(b *bed, _ *issuance.BatchRequest) {
			other := newBed(b, newMemory())
			b.service = other.service
		}, issuance.ErrOtherBatch},
		{"a manifest without a batch", func(_ *bed, r *issuance.BatchRequest) {
			if err := os.Remove(filepath.Join(r.Folder, "batch.json")); err != nil {
				panic(err)
			}
		}, issuance.ErrFolder},
		{"a batch file that is something else", func(_ *bed, r *issuance.BatchRequest) { write(r.Folder, "batch.json", `{"name":"x"}`) }, issuance.ErrFolder},
		{"a manifest that was cut", func(_ *bed, r *issuance.BatchRequest) { write(r.Folder, "manifest.csv", issuance.ManifestHeader) }, issuance.ErrFolder},
		{"a manifest that has grown: DB-14 the store is older", func(_ *bed, r *issuance.BatchRequest) {
			b, err := os.ReadFile(filepath.Join(r.Folder, "manifest.csv"))
			if err != nil {
				panic(err)
			}
			write(r.Folder, "manifest.csv", string(b)+"F1,,,,,x\n")
		}, issuance.ErrFolder},
		{"a manifest that is gone", func(_ *bed, r *issuance.BatchRequest) {
			if err := os.Remove(filepath.Join(r.Folder, "manifest.csv")); err != nil {
				panic(err)
			}
		}, issuance.ErrFolder},
		{"a damaged spool", func(_ *bed, r *issuance.BatchRequest) {
			write(r.Folder, ".spool/000000000000", "sanad spool 1\n")
		}, issuance.ErrFolder},
		{"something else in the spool", func(_ *bed, r *issuance.BatchRequest) { write(r.Folder, ".spool/x", "") }, issuance.ErrFolder},
		{"a folder that is a file", func(_ *bed, r *issuance.BatchRequest) { r.Folder = filepath.Join(r.Folder, "batch.json") }, issuance.ErrFolder},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, newMemory())
			ctx, cancel := context.WithCancel(t.Context())
			src := people{n: 200, at: func(n int) {
				if n == 110 {
					cancel()
				}
			}}
			r := request(src, t.TempDir())
			if result, err := b.service.RunBatch(ctx, r); err != nil || result.Outcome != issuance.Stopped {
				t.Fatalf("the run before: %+v, %v", result, err)
			}
			r.Source = people{n: 200}
			tt.spoil(b, &r)
			if _, err := b.service.RunBatch(t.Context(), r); !errors.Is(err, tt.want) {
				t.Errorf("RunBatch: %v, want %v", err, tt.want)
			}
			if got := len(b.all(issuance.Query{State: issuance.Active})); got > 100 {
				t.Errorf("%d credentials were issued all the same", got-100)
			}
		})
	}
}

func write(folder, name, text string) {
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
}

func TestBatchRequestRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*issuance.BatchRequest)
		want  string
	}{
		{"no programme", func(r *issuance.BatchRequest) { r.Programme = "" }, "Programme"},
		{"no source", func(r *issuance.BatchRequest) { r.Source = nil }, "Source"},
		{"no folder", func(r *issuance.BatchRequest) { r.Folder = "" }, "Folder"},
		{"no kinds", func(r *issuance.BatchRequest) { r.Kinds = nil }, "Kinds"},
		{"an unknown kind", func(r *issuance.BatchRequest) { r.Kinds = []issuance.FileKind{"gif"} }, "Kinds"},
		{"a kind twice", func(r *issuance.BatchRequest) { r.Kinds = append(r.Kinds, issuance.FileText) }, "Kinds"},
		{"nothing to draw with", func(r *issuance.BatchRequest) { r.Kinds = []issuance.FileKind{issuance.FilePNG} }, "Draw"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, newMemory())
			r := request(people{n: 1}, t.TempDir())
			tt.spoil(&r)
			if _, err := b.service.RunBatch(t.Context(), r); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("RunBatch: %v, want something about %s", err, tt.want)
			}
		})
	}
}

// TestFolderIsForOneRun: a second run in the same folder is refused while the
// first is at work.
func TestFolderIsForOneRun(t *testing.T) {
	b := newBed(t, newMemory())
	folder := t.TempDir()
	src := people{n: 100, at: func(n int) {
		if n == 60 {
			if _, err := b.service.RunBatch(t.Context(), request(people{n: 100}, folder)); !errors.Is(err, issuance.ErrFolder) {
				t.Errorf("the second run: %v, want ErrFolder", err)
			}
		}
	}}
	if _, err := b.service.RunBatch(t.Context(), request(src, folder)); err != nil {
		t.Fatal(err)
	}
	b.checkBatch(folder, 100, nil)
}

// TestBatchSurvivesFaults lets the store fail at every one of its writes, stored
// or not, the signer at a random signature, and the folder at a random flush.
// After each the batch goes on, and in the end every record is issued for once.
func TestBatchSurvivesFaults(t *testing.T) {
	const n = 130
	tries := count(16, 4, 400)
	rnd := rand.New(rand.NewPCG(7, 7))
	for try := range tries {
		m := newMemory()
		b := newBed(t, m)
		folder := t.TempDir()
		r := request(people{n: n}, folder)
		failing, stored := m.writes+1+try%8, try/8%2 == 0
		m.fault = func(w int) (error, bool) {
			if w == failing {
				return errDisk, stored
			}
			return nil, false
		}
		var signatures atomic.Int64
		bad := int64(rnd.IntN(3 * n))
		b.ring.wrap = func(s crypto.Signer) crypto.Signer {
			return failingSigner{s, func() bool { return signatures.Add(1) == bad }}
		}
		flushes, badFlush := 0, 1+rnd.IntN(4)
		r.Sync = func(string) error {
			if flushes++; flushes == badFlush {
				return errDisk
			}
			return nil
		}
		runs := 0
		for ; ; runs++ {
			result, err := b.service.RunBatch(t.Context(), r)
			if err == nil {
				if result.Outcome != issuance.Complete {
					t.Fatalf("try %d: %+v", try, result)
				}
				break
			}
			if !errors.Is(err, errDisk) && !errors.Is(err, issuance.ErrSelfCheck) || runs > 5 {
				t.Fatalf("try %d, run %d: %v", try, runs, err)
			}
			if _, err := b.service.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b.checkBatch(folder, n, nil)
		if t.Failed() {
			t.Fatalf("try %d: failing write %d (stored %t), signature %d, flush %d", try, failing, stored, bad, badFlush)
		}
	}
}

// failingSigner flips a bit when it is told to.
type failingSigner struct {
	crypto.Signer
	bad func() bool
}

func (f failingSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := f.Signer.Sign(r, digest, opts)
	if err == nil && f.bad() {
		sig[len(sig)-1] ^= 1
	}
	return sig, err
}

// TestBatchesTogether: two batches over overlapping records at once, on one
// service, issue for each record once.
func TestBatchesTogether(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		folders := []string{t.TempDir(), t.TempDir()}
		var issued atomic.Int64
		var wg sync.WaitGroup
		for _, f := range folders {
			wg.Go(func() {
				result, err := b.service.RunBatch(t.Context(), request(people{n: 400}, f))
				if err != nil {
					t.Errorf("RunBatch: %v", err)
				}
				issued.Add(result.Batch.Issued)
			})
		}
		wg.Wait()
		if issued.Load() != 400 || len(b.all(issuance.Query{State: issuance.Active})) != 400 {
			t.Errorf("%d issued, %d active, want 400", issued.Load(), len(b.all(issuance.Query{State: issuance.Active})))
		}
		a, c := readManifest(t, folders[0]), readManifest(t, folders[1])
		for n := 1; n <= 400; n++ {
			id := person(n).ID
			if (a[id].id == "") == (c[id].id == "") {
				t.Errorf("record %d: %+v and %+v", n, a[id], c[id])
			}
		}
	})
}

// TestBatchAudit: the log has the batch and each of its credentials, twice.
func TestBatchAudit(t *testing.T) {
	m := newMemory()
	b := newBed(t, m)
	from := len(m.events)
	result, err := b.service.RunBatch(t.Context(), request(people{n: 60}, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[audit.Kind]int{}
	intended := map[string]bool{}
	for _, e := range m.events[from:] {
		counts[e.Kind]++
		if e.Batch != result.Batch.ID || e.Actor != "tester" {
			t.Errorf("an entry of batch %q by %q", e.Batch, e.Actor)
		}
		switch e.Kind {
		case audit.CredentialIntended:
			intended[e.Credential] = true
		case audit.CredentialSigned:
			if !intended[e.Credential] {
				t.Errorf("P08: %s was signed before it was intended", e.Credential)
			}
		}
	}
	want := map[audit.Kind]int{audit.BatchStarted: 1, audit.CredentialIntended: 60, audit.CredentialSigned: 60, audit.BatchFinished: 1}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("the log has %v, want %v", counts, want)
	}
}

// TestSourceFails: an error that is no RowError ends the run and not the batch.
func TestSourceFails(t *testing.T) {
	b := newBed(t, newMemory())
	folder := t.TempDir()
	odd := map[int]func(registry.Record) (registry.Record, error){
		170: func(registry.Record) (registry.Record, error) { return registry.Record{}, errDisk },
	}
	if result, err := b.service.RunBatch(t.Context(), request(people{n: 200, odd: odd}, folder)); !errors.Is(err, errDisk) || result.Batch.Issued != 150 {
		t.Errorf("RunBatch: %+v, %v; want 150 issued and %v", result, err, errDisk)
	}
	if result, err := b.service.RunBatch(t.Context(), request(people{n: 200}, folder)); err != nil || result.Outcome != issuance.Complete {
		t.Errorf("RunBatch: %+v, %v", result, err)
	}
	b.checkBatch(folder, 200, nil)
}

// TestNotes: what a programme lets be left out is told, and no reason to refuse.
func TestNotes(t *testing.T) {
	b := newBed(t, newMemory())
	lossy := strings.NewReplacer("id: farmer-card", "id: lossy-card", "from: born}", "from: born, on_loss: omit}").Replace(card)
	if _, err := b.service.AddProgramme(t.Context(), []byte(lossy), "tester"); err != nil {
		t.Fatal(err)
	}
	src := people{n: 3, odd: map[int]func(registry.Record) (registry.Record, error){
		2: func(r registry.Record) (registry.Record, error) { return changed(r, "born", "1984-04-00"), nil },
	}}
	r := request(src, t.TempDir())
	r.Programme = "lossy-card"
	var notes []string
	r.Notes = func(ps []programme.Problem) {
		for _, p := range ps {
			notes = append(notes, strconv.Itoa(p.Line)+" "+p.Code)
		}
	}
	result, err := b.service.RunBatch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if result.Outcome == issuance.Complete && !slices.Equal(notes, []string{"3 " + programme.CodeLoss}) {
		t.Errorf("notes: %q", notes)
	}
}

// TestBatchCodesInFiles writes the codes of a chunk into one file, across a stop.
func TestBatchCodesInFiles(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newBed(t, store)
		folder := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		r := request(people{n: 230, at: func(i int) {
			if i == 120 {
				cancel()
			}
		}}, folder)
		r.Kinds = []issuance.FileKind{issuance.FileCSV}
		if result, err := b.service.RunBatch(ctx, r); err != nil || result.Outcome != issuance.Stopped {
			t.Fatalf("%+v, %v", result, err)
		}
		r.Source = people{n: 230}
		if result, err := b.service.RunBatch(t.Context(), r); err != nil || result.Outcome != issuance.Complete || result.Batch.Issued != 230 {
			t.Fatalf("%+v, %v", result, err)
		}
		b.checkCodes(folder, b.all(issuance.Query{}))
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != 5+2 {
			t.Errorf("%d files in the folder, %v", len(entries), err)
		}
	})
}

// checkCodes compares the manifest and the files of codes of a folder with the
// credentials that it should have.
func (b *bed) checkCodes(folder string, creds []issuance.Credential) {
	b.Helper()
	rows := map[string][][]string{} // of a file
	said := 0
	for record, o := range readCodesManifest(b, folder) {
		for _, name := range o.files {
			if rows[name] != nil {
				continue
			}
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				b.Fatalf("record %s: %v", record, err)
			}
			r := csv.NewReader(strings.NewReader(string(text)))
			if rows[name], err = r.ReadAll(); err != nil || strings.Join(rows[name][0], ",") != "credential_id,form,text" {
				b.Fatalf("%s: %v, %v", name, rows[name][0], err)
			}
		}
		said += len(o.files)
	}
	texts, in := map[string]string{}, map[string]string{}
	for name, all := range rows {
		for _, r := range all[1:] {
			if texts[r[0]+" "+r[1]] != "" {
				b.Errorf("%s, form %s, is there twice: in %s and %s", r[0], r[1], name, in[r[0]])
			}
			texts[r[0]+" "+r[1]], in[r[0]] = r[2], name
		}
	}
	forms := 0
	for _, c := range creds {
		if c.State != issuance.Active {
			continue
		}
		for _, f := range c.Forms {
			forms++
			b.checkForm(c, f, texts[c.ID+" "+f.Form])
		}
	}
	if len(texts) != forms || said != forms {
		b.Errorf("%d codes in the files and %d in the manifest for %d forms", len(texts), said, forms)
	}
}

// readCodesManifest is readManifest for a batch whose files hold many codes.
func readCodesManifest(t testing.TB, folder string) map[string]*outcome {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("manifest: %v", err)
	}
	all := map[string]*outcome{}
	for i, r := range rows[1:] {
		if all[r[0]] == nil {
			all[r[0]] = &outcome{}
		}
		o := all[r[0]]
		if r[5] != "" {
			o.whys = append(o.whys, r[5])
			continue
		}
		if o.id != "" && o.id != r[1] {
			t.Errorf("manifest row %d: record %s was issued %s and %s", i+1, r[0], o.id, r[1])
		}
		o.id, o.files = r[1], append(o.files, r[4])
	}
	return all
}
