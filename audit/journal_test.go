package audit_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/boundtest"
)

// count is how often a test does something: on every change, and in the night.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/50, 10)
	}
	return change
}

// newJournal makes a journal and opens it.
func newJournal(t testing.TB) (*audit.Journal, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	if err := audit.CreateJournal(dir); err != nil {
		t.Fatal(err)
	}
	return reopen(t, dir), dir
}

func reopen(t testing.TB, dir string) *audit.Journal {
	t.Helper()
	j, err := audit.OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// put stages and confirms the entries of a log up to number to, as a store does:
// from where the journal ends.
func put(t testing.TB, j *audit.Journal, m *memory, to int64) {
	t.Helper()
	if err := stage(j, m, to); err != nil {
		t.Fatal(err)
	}
	j.Commit(to)
	if j.Size() != to {
		t.Fatalf("Size() = %d after Commit(%d)", j.Size(), to)
	}
}

// stage catches the journal up as a store does it.
func stage(j *audit.Journal, m *memory, to int64) error {
	for {
		from := j.Size()
		err := j.Stage(from, m.entries[from:to])
		if !errors.Is(err, audit.ErrJournalMoved) {
			return err
		}
	}
}

// wantEntries checks what the journal holds.
func wantEntries(t testing.TB, j *audit.Journal, from int64, want [][]byte) {
	t.Helper()
	n := 0
	for e, err := range j.Entries(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		if n >= len(want) || !bytes.Equal(e, want[n]) {
			t.Fatalf("entry %d is %q", from+int64(n), e)
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("%d entries from %d on, want %d", n, from, len(want))
	}
}

var errAhead = errors.New("the journal is ahead of the database")

// agrees compares the journal with the log of a database, which may have more entries than
// the journal has confirmed.
func agrees(j *audit.Journal, m *memory) error {
	have := j.Head()
	if int64(len(m.entries)) < have.Size {
		return errAhead
	}
	h, err := audit.HeadAt(m, have.Size)
	if err == nil && h.Root != have.Root {
		err = audit.ErrJournalForked
	}
	return err
}

func TestJournal(t *testing.T) {
	m := history(t, 100)
	j, dir := newJournal(t)
	put(t, j, m, 7)
	put(t, j, m, 8)
	if err := j.Stage(8, m.entries[8:20]); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, j, 0, m.entries[:20])
	if err := j.Check(t.Context()); err != nil {
		t.Errorf("Check beside what is staged: %v", err)
	}
	if got := j.Size(); got != 8 {
		t.Errorf("Size() = %d, want the 8 that are confirmed", got)
	}
	if err := j.Discard(); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, j, 0, m.entries[:8])

	// The database has another number of entries than were staged.
	if err := j.Stage(8, m.entries[8:20]); err != nil {
		t.Fatal(err)
	}
	if j.Commit(19); j.Size() != 8 {
		t.Errorf("Size() = %d after Commit of what was not staged, want 8", j.Size())
	}

	// Two steps of one transaction.
	if err := errors.Join(j.Stage(8, m.entries[8:10]), j.Stage(10, m.entries[10:30])); err != nil {
		t.Fatal(err)
	}
	j.Commit(30)
	wantEntries(t, j, 29, m.entries[29:30])

	// A transaction of which nobody knows how it ended: the next one begins where
	// the journal is confirmed.
	if err := j.Stage(30, m.entries[30:40]); err != nil {
		t.Fatal(err)
	}
	j.Leave()
	wantEntries(t, j, 25, m.entries[25:40])
	if err := j.Stage(40, m.entries[40:41]); !errors.Is(err, audit.ErrJournalMoved) {
		t.Errorf("Stage behind what is not confirmed: %v, want ErrJournalMoved", err)
	}
	put(t, j, m, 41)
	if err := agrees(j, m); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Stage(41, m.entries[41:42]); !errors.Is(err, audit.ErrJournalBroken) {
		t.Errorf("Stage after Close: %v", err)
	}
	again := reopen(t, dir)
	if h, err := audit.HeadAt(m, 41); err != nil || again.Head() != h {
		t.Errorf("Head() = %v, want %v (%v)", again.Head(), h, err)
	}
	put(t, again, m, 100)
	wantEntries(t, again, 0, m.entries)
	for from := range int64(101) {
		wantEntries(t, again, from, m.entries[from:])
	}
	if err := again.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := audit.CreateJournal(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("CreateJournal over a journal: %v, want ErrExist", err)
	}
	must(t, os.Remove(filepath.Join(dir, audit.AcknowledgedFile)))
	if err := audit.CreateJournal(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("CreateJournal over entries: %v, want ErrExist", err)
	}
	if got := reopen(t, dir).Size(); got != 100 {
		t.Errorf("Size() = %d once what is confirmed was lost, want 100", got)
	}
}

// TestJournalIsAnExport verifies the files of a journal with the checkpoint and
// key of the log.
func TestJournalIsAnExport(t *testing.T) {
	m := history(t, 300)
	s := newSigner(t, 1)
	j, dir := newJournal(t)
	put(t, j, m, 300)
	for name, text := range map[string][]byte{audit.CheckpointFile: checkpoint(t, m, 300, s), audit.KeyFile: []byte(vkey(t, s))} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := audit.VerifyDir(dir, "")
	if err != nil || r.Size != 300 {
		t.Errorf("VerifyDir: %d entries, %v", r.Size, err)
	}
}

func TestJournalRefusesEntries(t *testing.T) {
	m := history(t, 9)
	for _, tt := range []struct {
		name  string
		first int64
		entry string
	}{
		{"a gap", 6, string(m.entries[6])},
		{"before the end", 3, string(m.entries[3])},
		{"another number", 5, string(m.entries[6])},
		{"two lines", 5, string(m.entries[5]) + "\n"},
		{"nothing", 5, ""},
		{"no number", 5, `{"n":,"time":1}`},
		{"leading zero", 5, `{"n":05,"time":1}`},
		{"too long", 5, string(m.entries[5][:7]) + strings.Repeat(" ", 8<<10) + string(m.entries[5][7:])},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, _ := newJournal(t)
			put(t, j, m, 5)
			if err := j.Stage(tt.first, [][]byte{[]byte(tt.entry)}); err == nil {
				t.Error("Stage took it")
			}
			wantEntries(t, j, 0, m.entries[:5])
			put(t, j, m, 9)
		})
	}
}

// TestOpenJournalRefuses opens journals that were changed, one thing at a time.
func TestOpenJournalRefuses(t *testing.T) {
	m := history(t, 33)
	other := history(t, 33)
	other.entries = slices.Clone(other.entries)
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  error // nil: it opens, and Agrees says so
		agree error
	}{
		{"good", func(*testing.T, string) {}, nil, nil},
		{"no folder", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, audit.ErrNoJournal, nil},
		{"empty folder", func(t *testing.T, dir string) {
			must(t, errors.Join(os.Remove(filepath.Join(dir, audit.EntriesFile)), os.Remove(filepath.Join(dir, audit.AcknowledgedFile))))
		}, audit.ErrNoJournal, nil},
		{"no entries", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, audit.EntriesFile))) }, audit.ErrNoJournal, nil},
		{"entries cut off", func(t *testing.T, dir string) { cut(t, dir, audit.EntriesFile, -1) }, audit.ErrJournalDamaged, nil},
		{"entries emptied", func(t *testing.T, dir string) { cut(t, dir, audit.EntriesFile, 0) }, audit.ErrJournalDamaged, nil},
		{"last entry changed", func(t *testing.T, dir string) {
			change(t, dir, audit.EntriesFile, func(b []byte) []byte { return bytes.Replace(b, []byte("rahima"), []byte("karima"), -1) })
		}, audit.ErrJournalDamaged, nil},
		{"an entry removed", func(t *testing.T, dir string) {
			change(t, dir, audit.EntriesFile, func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] })
		}, audit.ErrJournalDamaged, nil},
		{"what is confirmed was lost", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, audit.AcknowledgedFile))) }, nil, nil},
		{"what is confirmed was emptied", func(t *testing.T, dir string) { cut(t, dir, audit.AcknowledgedFile, 0) }, nil, nil},
		{"one bit of what is confirmed", func(t *testing.T, dir string) {
			change(t, dir, audit.AcknowledgedFile, func(b []byte) []byte { b[0] ^= 1; b[audit.SlotSize] ^= 1; return b })
		}, nil, nil},
		{"confirmed lost and an entry removed", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, audit.AcknowledgedFile)))
			change(t, dir, audit.EntriesFile, func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] })
		}, nil, nil}, // empty: no line of it has its number
		{"confirmed lost and an entry changed", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, audit.AcknowledgedFile)))
			change(t, dir, audit.EntriesFile, func(b []byte) []byte { return bytes.Replace(b, []byte("rahima"), []byte("karima"), 1) })
		}, nil, audit.ErrJournalForked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, dir := newJournal(t)
			put(t, j, m, 30)
			put(t, j, m, 33)
			must(t, j.Close())
			tt.spoil(t, dir)
			again, err := audit.OpenJournal(dir)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("OpenJournal: %v, want %v", err, tt.want)
			}
			if err != nil {
				return
			}
			defer again.Close()
			if err := agrees(again, m); !errors.Is(err, tt.agree) || tt.agree == nil && err != nil {
				t.Errorf("Agrees: %v, want %v", err, tt.agree)
			}
		})
	}
	t.Run("the database went back", func(t *testing.T) {
		j, _ := newJournal(t)
		put(t, j, m, 33)
		if err := agrees(j, history(t, 32)); !errors.Is(err, errAhead) {
			t.Errorf("Agrees: %v, want errAhead", err)
		}
	})
	t.Run("an entry in the middle changed", func(t *testing.T) {
		j, dir := newJournal(t)
		put(t, j, m, 33)
		change(t, dir, audit.EntriesFile, func(b []byte) []byte { return bytes.Replace(b, []byte("rahima"), []byte("karima"), 1) })
		if err := j.Check(t.Context()); !errors.Is(err, audit.ErrJournalDamaged) {
			t.Errorf("Check: %v, want ErrJournalDamaged", err)
		}
	})
	for name, spoil := range map[string]func(b []byte) []byte{
		"an entry in the middle is none": func(b []byte) []byte { return bytes.Replace(b, []byte(`{"n":20,`), []byte(`{"m":20,`), 1) },
		"an entry in the middle is gone": func(b []byte) []byte {
			return bytes.Replace(b, slices.Concat(m.entries[20], []byte("\n")), nil, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, dir := newJournal(t)
			put(t, j, m, 33)
			change(t, dir, audit.EntriesFile, spoil)
			var last error
			for _, last = range j.Entries(t.Context(), 0) {
			}
			if !errors.Is(last, audit.ErrJournalDamaged) {
				t.Errorf("Entries end with %v, want ErrJournalDamaged", last)
			}
		})
	}
}

// TestJournalHalves spoils what was written last of the two halves of the file of what is
// confirmed, as a write that breaks off might: the other one tells of the time before.
func TestJournalHalves(t *testing.T) {
	m := history(t, 30)
	// sealed is a record whose checksum is right.
	sealed := func(record []byte, old, changed string) []byte {
		text, _, _ := bytes.Cut(record, []byte("sha256 "))
		text = bytes.Replace(text, []byte(old), []byte(changed), 1)
		return fmt.Appendf(text, "sha256 %x\n", sha256.Sum256(text))
	}
	for name, spoil := range map[string]func(record []byte) []byte{
		"broken off":         func(r []byte) []byte { return r[:len(r)/2] },
		"another size":       func(r []byte) []byte { return bytes.Replace(r, []byte("20\n"), []byte("24\n"), 1) },
		"more behind":        func(r []byte) []byte { return append(r, "\n1"...) },
		"of another version": func(r []byte) []byte { return sealed(r, "journal 1", "journal 2") },
		"below zero":         func(r []byte) []byte { return sealed(r, "20\n", "-1\n") },
		"a hash too few":     func(r []byte) []byte { return sealed(r, "20\n", "21\n") },
	} {
		t.Run(name, func(t *testing.T) {
			j, dir := newJournal(t)
			put(t, j, m, 10)
			put(t, j, m, 20)
			must(t, j.Close())
			change(t, dir, audit.AcknowledgedFile, func(b []byte) []byte {
				half := b[:audit.SlotSize]
				if !bytes.HasPrefix(half, []byte("20\n")) {
					half = b[audit.SlotSize:]
				}
				spoiled := spoil(bytes.TrimRight(half, " "))
				copy(half, append(spoiled, bytes.Repeat([]byte{' '}, len(half)-len(spoiled))...))
				return b
			})
			again := reopen(t, dir)
			if got := again.Size(); got != 10 {
				t.Errorf("Size() = %d, want the 10 of before", got)
			}
			put(t, again, m, 30)
			wantEntries(t, again, 0, m.entries)
		})
	}
}

// TestJournalSyncs looks what is durable when: entries when Stage returns, what is
// confirmed with the entries after it, and everything at the end.
func TestJournalSyncs(t *testing.T) {
	m := history(t, 30)
	j, dir := newJournal(t)
	must(t, j.Close())
	var mu sync.Mutex
	loose := map[string]bool{} // written and not synced
	f := faults{calm: true, did: func(op, name string) {
		mu.Lock()
		defer mu.Unlock()
		if loose[name] = true; op == "sync" {
			delete(loose, name)
		}
	}}
	j = openFaulty(t, dir, &f)
	for to := int64(10); to <= 30; to += 10 {
		must(t, stage(j, m, to))
		if len(loose) != 0 {
			t.Errorf("not durable when Stage returns: %v", loose)
		}
		if j.Commit(to); !loose[audit.AcknowledgedFile] {
			t.Error("Commit has written nothing down")
		}
	}
	must(t, j.Close())
	if len(loose) != 0 {
		t.Errorf("not durable at the end: %v", loose)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func change(t testing.TB, dir, name string, f func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, f(b), 0o600))
}

func cut(t testing.TB, dir, name string, to int) {
	change(t, dir, name, func(b []byte) []byte {
		if to < 0 {
			return b[:len(b)+to]
		}
		return b[:to]
	})
}

// faults decide what the files of a journal do.
type faults struct {
	mu    sync.Mutex
	next  func(op string) error // asked before each operation
	short bool                  // a write that fails writes a part
	hang  chan struct{}         // operations wait until it is closed
	calm  bool                  // nothing is really synced: the process does not end
	did   func(op, name string) // told of each that went well; optional
	reads atomic.Int64
	asked atomic.Int64
}

type badFile struct {
	*os.File
	f *faults
}

func (f *faults) open(path string) (audit.JournalFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &badFile{file, f}, nil
}

func (f *faults) ask(op string) error {
	f.mu.Lock()
	hang, next := f.hang, f.next
	f.mu.Unlock()
	f.asked.Add(1)
	if hang != nil {
		<-hang
	}
	if next == nil {
		return nil
	}
	return next(op)
}

func (f *faults) set(next func(string) error, hang chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next, f.hang = next, hang
}

func (f *badFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	f.f.reads.Add(int64(n))
	return n, err
}

func (f *badFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.f.ask("write"); err != nil {
		n := 0
		if f.f.short {
			n, _ = f.File.WriteAt(b[:len(b)/2], at)
		}
		return n, err
	}
	f.tell("write")
	return f.File.WriteAt(b, at)
}

func (f *badFile) Sync() error {
	if err := f.f.ask("sync"); err != nil {
		return err
	}
	f.tell("sync")
	if f.f.calm {
		return nil
	}
	return f.File.Sync()
}

func (f *badFile) Truncate(n int64) error {
	if err := f.f.ask("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(n)
}

func (f *badFile) tell(op string) {
	if f.f.did != nil {
		f.f.did(op, filepath.Base(f.Name()))
	}
}

// openFaulty opens a journal whose files fail as f says.
func openFaulty(t testing.TB, dir string, f *faults) *audit.Journal {
	t.Helper()
	j, err := audit.OpenJournalWith(dir, time.Second, f.open)
	must(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// TestOpenJournalIsQuick counts what opening reads: no more for many entries than
// for few.
func TestOpenJournalIsQuick(t *testing.T) {
	m := history(t, 20000)
	j, dir := newJournal(t)
	put(t, j, m, 20000)
	must(t, j.Close())
	var f faults
	openFaulty(t, dir, &f)
	if n := f.reads.Load(); n > 32<<10 {
		t.Errorf("opening read %d bytes", n)
	}
}

// TestP08JournalFaults (AUD-03) fills the disk in the middle of a write, lets it be read-only
// and taken away. Nothing is staged meanwhile, and afterwards the journal goes on.
func TestP08JournalFaults(t *testing.T) {
	m := history(t, 40)
	for _, tt := range []struct {
		name   string
		faulty bool
		fail   func(t *testing.T, dir string, f *faults) (mend func())
		want   error
	}{
		{"AUD-03 full", true, func(_ *testing.T, _ string, f *faults) func() {
			f.set(func(op string) error { return map[string]error{"write": syscall.ENOSPC}[op] }, nil)
			return func() { f.set(nil, nil) }
		}, syscall.ENOSPC},
		{"AUD-03 full in the middle of a write", true, func(_ *testing.T, _ string, f *faults) func() {
			f.short = true
			f.set(func(op string) error { return map[string]error{"write": syscall.ENOSPC}[op] }, nil)
			return func() { f.set(nil, nil) }
		}, syscall.ENOSPC},
		{"AUD-03 hangs", true, func(_ *testing.T, _ string, f *faults) func() {
			hang := make(chan struct{})
			f.set(nil, hang)
			return func() { f.set(nil, nil); close(hang) }
		}, audit.ErrJournalHangs},
		{"AUD-03 read-only", false, func(t *testing.T, dir string, _ *faults) func() {
			must(t, os.Chmod(filepath.Join(dir, audit.EntriesFile), 0o400))
			return func() { must(t, os.Chmod(filepath.Join(dir, audit.EntriesFile), 0o600)) }
		}, audit.ErrJournalGone},
		{"AUD-03 removed", false, func(t *testing.T, dir string, _ *faults) func() {
			must(t, os.Rename(dir, dir+".away"))
			return func() { must(t, os.Rename(dir+".away", dir)) }
		}, audit.ErrJournalGone},
		{"AUD-03 another disk in its place", false, func(t *testing.T, dir string, _ *faults) func() {
			must(t, os.Rename(dir, dir+".away"))
			must(t, os.Mkdir(dir, 0o700))
			return func() { must(t, errors.Join(os.Remove(dir), os.Rename(dir+".away", dir))) }
		}, audit.ErrJournalGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, dir := newJournal(t)
			put(t, j, m, 10)
			must(t, j.Close())
			f := faults{calm: true} // a busy disk must not look like one that hangs
			j = openFaulty(t, dir, &f)
			put(t, j, m, 20)
			mend := tt.fail(t, dir, &f)
			for range 3 {
				if err := stage(j, m, 30); !errors.Is(err, tt.want) {
					t.Fatalf("Stage: %v, want %v", err, tt.want)
				}
			}
			if j.Size() != 20 {
				t.Errorf("Size() = %d, want 20", j.Size())
			}
			if tt.faulty {
				wantEntriesFile(t, dir, m.entries[:20])
			}
			mend()
			// Nobody does anything: the next transactions find that it is back.
			for deadline := time.Now().Add(30 * time.Second); ; {
				err := stage(j, m, 30)
				if err == nil {
					break
				}
				if !errors.Is(err, tt.want) || time.Now().After(deadline) {
					t.Fatalf("Stage when the disk is back: %v", err)
				}
			}
			j.Commit(30)
			must(t, j.Close())
			again := reopen(t, dir)
			put(t, again, m, 40)
			wantEntries(t, again, 0, m.entries)
			must(t, again.Check(t.Context()))
		})
	}
	t.Run("AUD-03 full when it is confirmed", func(t *testing.T) {
		for _, goesOn := range []bool{true, false} {
			j, dir := newJournal(t)
			must(t, j.Close())
			f := faults{calm: true}
			j = openFaulty(t, dir, &f)
			put(t, j, m, 10)
			must(t, stage(j, m, 20))
			f.set(func(op string) error { return map[string]error{"write": syscall.ENOSPC}[op] }, nil)
			if j.Commit(20); j.Size() != 20 {
				t.Errorf("Size() = %d, want 20", j.Size())
			}
			f.set(nil, nil)
			if goesOn {
				must(t, stage(j, m, 30))
				must(t, j.Discard())
			}
			must(t, j.Close())
			if got := reopen(t, dir).Size(); got != 20 {
				t.Errorf("Size() = %d when it is opened again, want 20", got)
			}
		}
	})
	t.Run("a journal of another log in its place", func(t *testing.T) {
		j, dir := newJournal(t)
		put(t, j, m, 20)
		other, otherDir := newJournal(t)
		var entries [][]byte
		for _, e := range m.entries[:20] {
			entries = append(entries, bytes.Replace(e, []byte("rahima"), []byte("karima"), 1))
		}
		must(t, other.Stage(0, entries))
		other.Commit(20)
		must(t, errors.Join(other.Close(), os.RemoveAll(dir), os.Rename(otherDir, dir)))
		if err := stage(j, m, 30); !errors.Is(err, audit.ErrJournalForked) {
			t.Errorf("Stage: %v, want ErrJournalForked", err)
		}
	})
	t.Run("an older copy in its place", func(t *testing.T) {
		j, dir := newJournal(t)
		put(t, j, m, 10)
		must(t, os.CopyFS(dir+".old", os.DirFS(dir)))
		put(t, j, m, 20)
		must(t, errors.Join(os.RemoveAll(dir), os.Rename(dir+".old", dir)))
		if err := stage(j, m, 30); !errors.Is(err, audit.ErrJournalForked) {
			t.Errorf("Stage: %v, want ErrJournalForked", err)
		}
		// A new process compares it with the database, and catches it up.
		again := reopen(t, dir)
		must(t, agrees(again, m))
		put(t, again, m, 40)
	})
	t.Run("a sync fails once", func(t *testing.T) {
		j, dir := newJournal(t)
		put(t, j, m, 10)
		must(t, j.Close())
		var f faults
		j = openFaulty(t, dir, &f)
		put(t, j, m, 20)
		f.set(func(op string) error { return map[string]error{"sync": syscall.EIO}[op] }, nil)
		if err := stage(j, m, 30); !errors.Is(err, audit.ErrJournalBroken) || !errors.Is(err, syscall.EIO) {
			t.Errorf("Stage: %v, want ErrJournalBroken", err)
		}
		f.set(nil, nil)
		if err := stage(j, m, 30); !errors.Is(err, audit.ErrJournalBroken) {
			t.Errorf("Stage afterwards: %v, want ErrJournalBroken for the life of the process", err)
		}
		again := reopen(t, dir)
		must(t, agrees(again, m))
		put(t, again, m, 40)
		wantEntries(t, again, 0, m.entries)
	})
}

// wantEntriesFile checks that the file holds these entries and nothing behind them.
func wantEntriesFile(t *testing.T, dir string, want [][]byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, audit.EntriesFile))
	must(t, err)
	if !bytes.Equal(b, append(bytes.Join(want, []byte("\n")), '\n')) {
		t.Errorf("the file has %d bytes, want those of %d entries", len(b), len(want))
	}
}

// TestJournalLate lets a write hang until its caller has given up, and then end
// well: what it wrote must be taken back.
func TestJournalLate(t *testing.T) {
	m := history(t, 30)
	j, dir := newJournal(t)
	must(t, j.Close())
	f := faults{calm: true}
	j = openFaulty(t, dir, &f)
	put(t, j, m, 10)
	hang := make(chan struct{})
	f.set(nil, hang)
	if err := stage(j, m, 20); !errors.Is(err, audit.ErrJournalHangs) {
		t.Fatalf("Stage: %v, want ErrJournalHangs", err)
	}
	// Whoever comes meanwhile touches nothing.
	asked := f.asked.Load()
	if err := stage(j, m, 20); !errors.Is(err, audit.ErrJournalHangs) || f.asked.Load() != asked {
		t.Errorf("Stage beside it: %v, after %d operations", err, f.asked.Load()-asked)
	}
	f.set(nil, nil)
	close(hang)
	// The folder is free for others, although nobody has called again.
	other := reopen(t, dir)
	must(t, stage(other, m, 15))
	must(t, other.Discard())
	for deadline := time.Now().Add(10 * time.Second); ; {
		if err := j.Discard(); err == nil {
			break
		} else if !errors.Is(err, audit.ErrJournalHangs) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	wantEntries(t, j, 0, m.entries[:10])
	put(t, j, m, 30)
}

// TestJournalShared lets several processes, here several opened journals, take
// turns as one database lets them.
func TestJournalShared(t *testing.T) {
	const writers, turns = 4, 60
	m := history(t, writers*turns*3)
	_, dir := newJournal(t)
	var mu sync.Mutex // the lock of the database
	var size int64
	var wg sync.WaitGroup
	for w := range writers {
		j := reopen(t, dir)
		wg.Go(func() {
			for i := range turns {
				mu.Lock()
				err := stage(j, m, size+3)
				if err != nil {
					t.Error(err)
				}
				switch {
				case i%7 == w: // rolled back
					if err := j.Discard(); err != nil {
						t.Error(err)
					}
					mu.Unlock()
				case i%7 == 5: // stored, but its end was not known
					size += 3
					j.Leave()
					mu.Unlock()
				default:
					size += 3
					to := size
					mu.Unlock() // the next writer begins before this one knows
					j.Commit(to)
				}
			}
		})
	}
	wg.Wait()
	j := reopen(t, dir)
	put(t, j, m, size)
	wantEntries(t, j, 0, m.entries[:size])
	must(t, j.Check(t.Context()))
}

// TestJournalSequences plays transactions with faults and crashes against a
// database that forgets nothing, and one that a crash leaves without its last
// transaction.
func TestJournalSequences(t *testing.T) {
	all := history(t, 600)
	for seed := range count(300, 20000) {
		rnd := rand.New(rand.NewPCG(uint64(seed), 8))
		dir := filepath.Join(t.TempDir(), fmt.Sprint(seed))
		must(t, audit.CreateJournal(dir))
		f := &faults{short: rnd.IntN(2) == 0, calm: true}
		j, err := audit.OpenJournalWith(dir, 5*time.Second, f.open)
		must(t, err)
		stored := int64(0) // in the database
		for step := range 25 {
			to := min(stored+1+rnd.Int64N(20), 600)
			rate := 0.0
			if rnd.IntN(3) == 0 {
				rate = 0.3
			}
			f.set(func(op string) error {
				if op != "sync" && rnd.Float64() < rate {
					return syscall.ENOSPC
				}
				return nil
			}, nil)
			err := stage(j, all, to)
			f.set(nil, nil)
			if err != nil {
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("seed %d step %d: %v", seed, step, err)
				}
				continue // the transaction is rolled back
			}
			switch rnd.IntN(6) {
			case 0:
				_ = j.Discard()
			case 1: // crash before or after the database commits
				if rnd.IntN(2) == 0 {
					stored = to
				}
				_ = j.Close() // which writes nothing that is not confirmed
				if rnd.IntN(2) == 0 {
					spoilTail(t, dir, j.Size(), rnd)
				}
				j, err = audit.OpenJournalWith(dir, 5*time.Second, f.open)
				if err != nil {
					t.Fatalf("seed %d step %d: %v", seed, step, err)
				}
			case 2:
				if rnd.IntN(2) == 0 {
					stored = to
				}
				j.Leave()
			default:
				stored = to
				j.Commit(to)
			}
			if j.Size() > stored {
				t.Fatalf("seed %d step %d: %d entries are confirmed, the database has %d", seed, step, j.Size(), stored)
			}
			if err := agrees(j, &memory{entries: all.entries[:stored], hashes: all.hashes}); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
		}
		if err := stage(j, all, stored); err != nil {
			t.Fatal(err)
		}
		j.Commit(stored)
		wantEntries(t, j, 0, all.entries[:stored])
		must(t, j.Check(t.Context()))
		must(t, j.Close())
	}
}

// spoilTail leaves of what was not confirmed what a loss of power might.
func spoilTail(t *testing.T, dir string, confirmed int64, rnd *rand.Rand) {
	change(t, dir, audit.EntriesFile, func(b []byte) []byte {
		keep := 0
		for range confirmed {
			keep += bytes.IndexByte(b[keep:], '\n') + 1
		}
		tail := b[keep:]
		if len(tail) == 0 {
			return b
		}
		at := rnd.IntN(len(tail))
		if rnd.IntN(2) == 0 {
			return b[:keep+at]
		}
		clear(tail[at:])
		return b
	})
}

// TestJournalKilled kills a process that writes a journal and a file that stands
// for the database, at any moment. What it had confirmed must be there, and the
// journal must go on from whatever the database then has.
func TestJournalKilled(t *testing.T) {
	if dir := os.Getenv("SANAD_TEST_JOURNAL"); dir != "" {
		journalChild(t, dir)
	}
	m := history(t, killedLog)
	dir, stored := "", int64(killedLog)
	for round := range count(20, 1000) {
		if stored > killedLog/2 {
			dir = filepath.Join(t.TempDir(), "journal", fmt.Sprint(round))
			must(t, audit.CreateJournal(dir))
			must(t, os.WriteFile(filepath.Join(dir, "database"), []byte("0"), 0o600))
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestJournalKilled$")
		cmd.Env = append(os.Environ(), "SANAD_TEST_JOURNAL="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		told := readUntil(out, 1+rand.IntN(30))
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		_ = cmd.Process.Kill()
		rest, _ := io.ReadAll(out)
		_ = cmd.Wait()
		if strings.Contains(string(rest), "error") {
			t.Fatalf("round %d: %s", round, rest)
		}
		b, err := os.ReadFile(filepath.Join(dir, "database"))
		must(t, err)
		stored, err = strconv.ParseInt(string(b), 10, 64)
		must(t, err)
		j, err := audit.OpenJournal(dir)
		must(t, err)
		if j.Size() > stored || j.Size() < told {
			t.Fatalf("round %d: %d entries are confirmed; the database has %d, the process had told of %d", round, j.Size(), stored, told)
		}
		must(t, agrees(j, &memory{entries: m.entries[:stored], hashes: m.hashes}))
		n := int64(0)
		for e, err := range j.Entries(t.Context(), 0) {
			must(t, err)
			if !bytes.Equal(e, m.entries[n]) {
				t.Fatalf("round %d: entry %d is %q", round, n, e)
			}
			n++
		}
		if n < stored {
			t.Fatalf("round %d: the database has %d entries, the journal %d", round, stored, n)
		}
		must(t, j.Close())
	}
}

// killedLog is how many entries the killed processes have to write.
const killedLog = 3000

func readUntil(r io.Reader, lines int) (last int64) {
	b := make([]byte, 1)
	var line []byte
	for lines > 0 {
		if _, err := r.Read(b); err != nil {
			return last
		}
		if b[0] != '\n' {
			line = append(line, b[0])
			continue
		}
		if n, err := strconv.ParseInt(string(line), 10, 64); err == nil {
			last = n
			lines--
		}
		line = line[:0]
	}
	return last
}

// journalChild writes for ever.
func journalChild(t *testing.T, dir string) {
	m := history(t, killedLog)
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	j, err := audit.OpenJournal(dir)
	fail(err)
	database := filepath.Join(dir, "database")
	b, err := os.ReadFile(database)
	fail(err)
	stored, err := strconv.ParseInt(string(b), 10, 64)
	fail(err)
	for stored < killedLog-10 {
		to := stored + 1 + rand.Int64N(9)
		fail(stage(j, m, to))
		if rand.IntN(10) == 0 {
			fail(j.Discard())
			continue
		}
		stored = to
		fail(os.WriteFile(database+".new", strconv.AppendInt(nil, stored, 10), 0o600))
		fail(os.Rename(database+".new", database))
		j.Commit(stored)
		fmt.Println(stored)
	}
	select {}
}

func FuzzJournal(f *testing.F) {
	m := history(f, 12)
	j, dir := newJournal(f)
	put(f, j, m, 12)
	entries, err := os.ReadFile(filepath.Join(dir, audit.EntriesFile))
	must(f, err)
	confirmed, err := os.ReadFile(filepath.Join(dir, audit.AcknowledgedFile))
	must(f, err)
	f.Add(entries, bytes.TrimRight(confirmed[audit.SlotSize:], " \x00"))
	f.Add(entries[:len(entries)-1], bytes.TrimRight(confirmed[:audit.SlotSize], " \x00"))
	f.Add([]byte{}, []byte{})
	// The files are written and synced first.
	boundtest.FuzzParses(f, 4, func(t *testing.T, entries, confirmed []byte) {
		if again, err := audit.ParsePosition(confirmed); err == nil && !bytes.HasPrefix(confirmed, again) {
			t.Fatalf("%q was read as %q", confirmed, again)
		}
		dir := t.TempDir()
		slots := bytes.Repeat([]byte{' '}, 2*audit.SlotSize)
		copy(slots, confirmed)
		must(t, os.WriteFile(filepath.Join(dir, audit.EntriesFile), entries, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, audit.AcknowledgedFile), slots, 0o600))
		j, err := audit.OpenJournal(dir)
		if err != nil {
			return
		}
		defer j.Close()
		// It goes on from what it found, or says that it cannot.
		n := j.Size()
		e := event(int(n % 1000))
		line, err := e.Marshal(n)
		must(t, err)
		if err := j.Stage(n, [][]byte{line}); err == nil {
			j.Commit(n + 1)
			if j.Size() != n+1 {
				t.Fatalf("%d entries, want %d", j.Size(), n+1)
			}
		}
	})
}
