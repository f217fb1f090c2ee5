package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/keys"
)

// wantFault fails the test unless err is a ChangedError with this fault.
func wantFault(t *testing.T, err error, want audit.Fault) *audit.ChangedError {
	t.Helper()
	changed, ok := errors.AsType[*audit.ChangedError](err)
	if !ok || changed.Fault != want {
		t.Fatalf("Verify: %v, want the fault %q", err, want)
	}
	return changed
}

// An exported log as its files hold it.
type files struct {
	entries, checkpoint, key []byte
	older                    [][]byte
}

func (f *files) verify() (audit.Report, error) {
	return audit.Verify(bytes.NewReader(f.entries), f.checkpoint, string(f.key), f.older...)
}

// verifyFiles is verify by way of a directory.
func (f *files) verifyFiles(t *testing.T, dir string) (audit.Report, error) {
	t.Helper()
	for name, b := range map[string][]byte{audit.EntriesFile: f.entries, audit.CheckpointFile: f.checkpoint, audit.KeyFile: f.key} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return audit.VerifyDir(dir, "", f.older...)
}

// export is a log of n entries with older checkpoints at these sizes.
func export(t testing.TB, n int, older ...int64) *files {
	t.Helper()
	m, s := history(t, n), newSigner(t, 1)
	f := &files{checkpoint: checkpoint(t, m, int64(n), s), key: []byte(vkey(t, s))}
	for _, e := range m.entries {
		f.entries = append(append(f.entries, e...), '\n')
	}
	for _, size := range older {
		f.older = append(f.older, checkpoint(t, m, size, s))
	}
	return f
}

func TestVerify(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 255, 256, 1000} {
		f := export(t, n, int64(n), 0, int64(n/2), int64(n/3))
		r, err := f.verify()
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		if r.Origin != origin || r.Size != int64(n) || len(r.Signers) != 1 || len(r.Older) != 4 {
			t.Errorf("%d entries: %+v", n, r)
		}
		if n > 0 && (!r.First.Equal(start) || !r.Last.Equal(event(n-1).Time)) {
			t.Errorf("%d entries from %v to %v", n, r.First, r.Last)
		}
		if r.Older[0].Size != int64(n) || r.Older[1].Size != 0 || r.Older[3].Size != int64(n/3) {
			t.Errorf("older checkpoints are not in the order given: %v", r.Older)
		}
		if want := int64((n + 1) / 4); r.Kinds[audit.CredentialSigned] != want {
			t.Errorf("%d entries: %d signed, want %d", n, r.Kinds[audit.CredentialSigned], want)
		}
	}
}

// TestVerifyOlderInAnyOrder: each older checkpoint is held to the entries, in whatever
// order they are given.
func TestVerifyOlderInAnyOrder(t *testing.T) {
	m, s := history(t, 100), newSigner(t, 1)
	fork := forked(t, m, 10, 20)
	entries := append(bytes.Join(m.entries, []byte("\n")), '\n')
	_, err := audit.Verify(bytes.NewReader(entries), checkpoint(t, m, 100, s), vkey(t, s), checkpoint(t, m, 60, s), checkpoint(t, fork, 20, s))
	if c, ok := errors.AsType[*audit.ChangedError](err); !ok || c.Fault != audit.Rewritten || c.Checkpoint != 2 {
		t.Errorf("Verify: %v, want that the second of them is of other entries", err)
	}
}

// TestVerifyFinds changes one thing at a time. Rows with resigned are the work
// of somebody who has the key: only older checkpoints tell.
func TestVerifyFinds(t *testing.T) {
	const n, mark = 100, 64
	line := func(f *files, i int) []byte { return bytes.SplitAfter(f.entries, []byte("\n"))[i] }
	tests := []struct {
		name  string
		spoil func(t *testing.T, f *files)
		want  audit.Fault
		line  int64
	}{
		{"AUD-01 a digit of a digest", func(_ *testing.T, f *files) {
			f.entries = bytes.Replace(f.entries, []byte("000000000000001f"), []byte("000000000000002f"), 1)
		}, audit.Rewritten, 0},
		{"AUD-01 a digit behind the mark", func(_ *testing.T, f *files) {
			f.entries = bytes.Replace(f.entries, fmt.Appendf(nil, "%064x", 88*31), fmt.Appendf(nil, "%064x", 88*31+1), 1)
		}, audit.WrongRoot, 0},
		{"AUD-01 a line without sense", func(_ *testing.T, f *files) {
			f.entries = bytes.Replace(f.entries, line(f, 40), []byte("{}\n"), 1)
		}, audit.BadEntry, 41},
		{"AUD-01 an endless line", func(_ *testing.T, f *files) {
			f.entries = bytes.Replace(f.entries, line(f, 40), bytes.Repeat([]byte("x"), 1<<20), 1)
		}, audit.BadEntry, 41},
		{"AUD-01 a line deleted", func(_ *testing.T, f *files) {
			f.entries = bytes.Replace(f.entries, line(f, 40), nil, 1)
		}, audit.OutOfOrder, 41},
		{"AUD-01 a line twice", func(_ *testing.T, f *files) {
			f.entries = bytes.Replace(f.entries, line(f, 40), bytes.Repeat(line(f, 40), 2), 1)
		}, audit.OutOfOrder, 42},
		{"AUD-01 two lines swapped", func(_ *testing.T, f *files) {
			a, b := line(f, 40), line(f, 41)
			f.entries = bytes.Replace(f.entries, append(append([]byte{}, a...), b...), append(append([]byte{}, b...), a...), 1)
		}, audit.OutOfOrder, 41},
		{"AUD-01 the last line cut", func(_ *testing.T, f *files) { f.entries = f.entries[:len(f.entries)-9] }, audit.Missing, 100},
		{"AUD-01 the last line break cut", func(_ *testing.T, f *files) { f.entries = f.entries[:len(f.entries)-1] }, audit.Missing, 100},
		{"AUD-01 a line behind the end", func(t *testing.T, f *files) {
			f.entries = append(f.entries, line(export(t, n+1), n)...)
		}, audit.Extra, 101},
		{"AUD-01 a blank line behind the end", func(_ *testing.T, f *files) { f.entries = append(f.entries, '\n') }, audit.Extra, 101},
		{"AUD-02 the tail cut", func(_ *testing.T, f *files) {
			f.entries = f.entries[:bytes.Index(f.entries, line(f, 80))]
		}, audit.Missing, 81},
		{"AUD-02 the tail cut with its checkpoint", func(t *testing.T, f *files) {
			shorter := export(t, 50)
			f.entries, f.checkpoint = shorter.entries, shorter.checkpoint
		}, audit.WentBack, 0},
		{"AUD-02 an older entries file", func(t *testing.T, f *files) { f.entries = export(t, 80).entries }, audit.Missing, 81},
		{"AUD-02 an older checkpoint file", func(t *testing.T, f *files) { f.checkpoint = export(t, 80).checkpoint }, audit.Extra, 81},
		{"resigned: an entry changed", func(t *testing.T, f *files) {
			rewrite(t, f, n, 1, func(m *memory) { m.entries[40] = bytes.Replace(m.entries[40], []byte("rahima"), []byte("karim"), 1) })
		}, audit.Rewritten, 0},
		{"resigned: an entry taken out, the rest renumbered", func(t *testing.T, f *files) {
			rewrite(t, f, n-1, 1, func(m *memory) { m.entries = append(m.entries[:40:40], m.entries[41:]...) })
		}, audit.Rewritten, 0},
		{"resigned: an entry put in", func(t *testing.T, f *files) {
			rewrite(t, f, n+1, 1, func(m *memory) { m.entries = append(m.entries[:40:40], m.entries[39:]...) })
		}, audit.Rewritten, 0},
		{"signed by another key, which is put in place", func(t *testing.T, f *files) {
			rewrite(t, f, n, 2, func(m *memory) { m.entries[90] = bytes.Replace(m.entries[90], []byte("rahima"), []byte("karim"), 1) })
			f.key = []byte(vkey(t, newSigner(t, 2)))
		}, audit.BadCheckpoint, 0},
		{"AUD-09 two heads of one size", func(t *testing.T, f *files) {
			other := export(t, n)
			rewrite(t, other, n, 1, func(m *memory) { m.entries[90] = bytes.Replace(m.entries[90], []byte("rahima"), []byte("karim"), 1) })
			f.older = append(f.older, other.checkpoint)
		}, audit.Rewritten, 0},
		{"an older checkpoint of another log", func(t *testing.T, f *files) {
			s := newSigner(t, 1)
			h, err := audit.HeadAt(history(t, 3), 3)
			if err != nil {
				t.Fatal(err)
			}
			b, err := audit.SignCheckpoint("sanad.example/other", h, start.AddDate(0, 0, 1), s)
			if err != nil {
				t.Fatal(err)
			}
			v, err := audit.VerifierKey("sanad.example/other", s.Key().Public)
			if err != nil {
				t.Fatal(err)
			}
			f.older, f.key = append(f.older, b), append(f.key, v+"\n"...)
		}, audit.OtherLog, 0},
		{"an older checkpoint with a bit changed", func(_ *testing.T, f *files) { f.older[0][3] ^= 1 }, audit.BadCheckpoint, 0},
		{"no key", func(_ *testing.T, f *files) { f.key = nil }, audit.BadKey, 0},
		{"no checkpoint", func(_ *testing.T, f *files) { f.checkpoint = nil }, audit.BadCheckpoint, 0},
		{"time goes back", func(t *testing.T, f *files) {
			rewrite(t, f, n, 1, func(m *memory) {
				m.entries[70] = bytes.Replace(m.entries[70], []byte(`"time":"2026`), []byte(`"time":"2025`), 1)
			})
		}, audit.OutOfOrder, 71},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := export(t, n, mark)
			if _, err := f.verify(); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, f)
			r, err := f.verify()
			if err == nil {
				t.Fatalf("Verify found nothing: %+v", r)
			}
			changed := wantFault(t, err, tt.want)
			if changed.Line != tt.line {
				t.Errorf("%v: line %d, want %d", err, changed.Line, tt.line)
			}
			if changed.Fault == audit.WrongRoot && (changed.From != mark || changed.To != n) {
				t.Errorf("%v: within %d to %d, want %d to %d", err, changed.From, changed.To, mark, n)
			}
		})
	}
}

// rewrite changes the entries of a log, numbers them anew and signs the result.
func rewrite(t *testing.T, f *files, n int, seed byte, change func(*memory)) {
	t.Helper()
	m := &memory{}
	for line := range bytes.Lines(f.entries) {
		m.entries = append(m.entries, bytes.TrimSuffix(line, []byte("\n")))
	}
	change(m)
	again := &memory{}
	f.entries = nil
	for i, e := range m.entries {
		_, rest, _ := bytes.Cut(e, []byte(","))
		e = append(fmt.Appendf(nil, `{"n":%d,`, i), rest...)
		f.entries = append(append(f.entries, e...), '\n')
		if err := again.addRaw(e); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.entries) != n {
		t.Fatalf("%d entries, want %d", len(m.entries), n)
	}
	f.checkpoint = checkpoint(t, again, int64(n), newSigner(t, seed))
}

// TestP09 makes random single changes to the files of a log, as they are and
// (in half the cases) signed again with the right key. Somebody with an older
// checkpoint sees every one that touches what was there then.
func TestP09(t *testing.T) {
	mutations := count(1000, 10_000)
	const n, mark = 200, 150
	rnd := rand.New(rand.NewPCG(9, 9))
	newest, older := export(t, n, mark, 77), export(t, 140)
	undetected, dir := 0, t.TempDir()
	for i := range mutations {
		f := &files{
			entries: bytes.Clone(newest.entries), checkpoint: bytes.Clone(newest.checkpoint), key: bytes.Clone(newest.key), older: newest.older,
		}
		what := mutate(rnd, f, older)
		if i%2 == 1 && strings.HasPrefix(what, "entries") {
			resign(t, rnd, f, newest, mark)
		}
		if _, err := f.verifyFiles(t, dir); err == nil {
			undetected++
			t.Errorf("mutation %d, %s: not detected", i, what)
		} else if _, ok := errors.AsType[*audit.ChangedError](err); !ok {
			t.Errorf("mutation %d, %s: no decision: %v", i, what, err)
		}
	}
	t.Logf("%d mutations, %d undetected", mutations, undetected)
}

// mutate makes one change to one file.
func mutate(rnd *rand.Rand, f, older *files) string {
	name, b := "entries", &f.entries
	switch rnd.IntN(6) {
	case 0:
		name, b = "checkpoint", &f.checkpoint
	case 1:
		name, b = "key", &f.key
	}
	at := rnd.IntN(len(*b))
	lines := bytes.SplitAfter(*b, []byte("\n"))
	lines = lines[:len(lines)-1]
	l, k := rnd.IntN(len(lines)), rnd.IntN(len(lines))
	switch rnd.IntN(8) {
	case 0, 1:
		(*b)[at] ^= 1 << rnd.IntN(8)
		return name + ": a bit"
	case 2:
		*b = append((*b)[:at], (*b)[at+1:]...)
		return name + ": a byte deleted"
	case 3:
		*b = append((*b)[:at], append([]byte{byte(' ' + rnd.IntN(90))}, (*b)[at:]...)...)
		return name + ": a byte inserted"
	case 4:
		*b = (*b)[:at]
		return name + ": truncated"
	case 5:
		if bytes.Equal(lines[l], lines[k]) { // swapping them would change nothing
			*b = append(*b, lines[l]...)
			return name + ": a line appended"
		}
		lines[l], lines[k] = lines[k], lines[l]
		*b = bytes.Join(lines, nil)
		return name + ": two lines swapped"
	case 6:
		*b = bytes.Join(append(lines[:l:l], lines[l+1:]...), nil)
		return name + ": a line deleted"
	default:
		if rnd.IntN(2) == 0 {
			f.entries, f.checkpoint = older.entries, older.checkpoint
			return "all: older copies"
		}
		if name == "entries" {
			f.entries = older.entries
			return "copy: older entries"
		}
		f.checkpoint = older.checkpoint
		return "copy: older checkpoint"
	}
}

// resign signs the changed entries as somebody with the key would, if they are
// still a log and the change lies before the mark; otherwise it leaves them.
func resign(t *testing.T, rnd *rand.Rand, f, newest *files, mark int) {
	t.Helper()
	was := bytes.SplitAfter(newest.entries, []byte("\n"))
	now := bytes.SplitAfter(f.entries, []byte("\n"))
	first := 0
	for first < len(was) && first < len(now) && bytes.Equal(was[first], now[first]) {
		first++
	}
	if first >= mark {
		return
	}
	m := &memory{}
	for _, line := range now {
		if len(line) > 0 {
			if err := m.addRaw(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.checkpoint = checkpoint(t, m, int64(len(m.entries)), newSigner(t, 1))
}

// addRaw appends a line that need not be an entry.
func (m *memory) addRaw(line []byte) error {
	n := int64(len(m.entries))
	hashes, err := storedHashes(n, line, m)
	if err != nil {
		return err
	}
	return m.Append(audit.Block{First: n, FirstHash: int64(len(m.hashes)), Entries: [][]byte{line}, Hashes: hashes})
}

func TestVerifyReaderFails(t *testing.T) {
	f := export(t, 100)
	broken := errors.New("network is down")
	for _, at := range []int{0, len(f.entries) / 2, len(f.entries)} {
		r := io.MultiReader(bytes.NewReader(f.entries[:at]), iotest.ErrReader(broken))
		_, err := audit.Verify(r, f.checkpoint, string(f.key))
		if _, decided := errors.AsType[*audit.ChangedError](err); decided || !errors.Is(err, broken) {
			t.Errorf("reader fails after %d bytes: %v, want no decision", at, err)
		}
	}
}

func TestExport(t *testing.T) {
	m, s := history(t, 500), newSigner(t, 1)
	dir := filepath.Join(t.TempDir(), "log")
	older := checkpoint(t, m, 100, s)
	x := audit.Exported{Entries: m.all(), Checkpoint: checkpoint(t, m, 300, s), Keys: strings.TrimSpace(vkey(t, s))}
	if err := audit.Export(t.Context(), dir, x); err != nil {
		t.Fatal(err)
	}
	r, err := audit.VerifyDir(dir, "", older)
	if err != nil || r.Size != 300 {
		t.Fatalf("VerifyDir: %+v, %v", r, err)
	}
	if _, err := audit.VerifyDir(dir, vkey(t, newSigner(t, 2))); err == nil {
		t.Error("VerifyDir took a checkpoint that the given key did not sign")
	}
	// Again over the old files, longer now.
	x.Checkpoint = checkpoint(t, m, 500, s)
	if err := audit.Export(t.Context(), dir, x); err != nil {
		t.Fatal(err)
	}
	if r, err := audit.VerifyDir(dir, "", older); err != nil || r.Size != 500 {
		t.Fatalf("VerifyDir: %+v, %v", r, err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 3 {
		t.Errorf("the export has the files %v, %v", names, err)
	}
}

func TestExportFails(t *testing.T) {
	m, s := history(t, 50), newSigner(t, 1)
	good := audit.Exported{Entries: m.all(), Checkpoint: checkpoint(t, m, 50, s), Keys: vkey(t, s)}
	broken := errors.New("database is gone")
	tests := []struct {
		name  string
		spoil func(x *audit.Exported)
	}{
		{"fewer entries than the checkpoint says", func(x *audit.Exported) { x.Entries = history(t, 49).all() }},
		{"no entries at all", func(x *audit.Exported) { x.Entries = (&memory{}).all() }},
		{"entries break off", func(x *audit.Exported) { x.Entries = breaking(m, 20, broken) }},
		{"a checkpoint of somebody else", func(x *audit.Exported) { x.Checkpoint = checkpoint(t, m, 50, newSigner(t, 2)) }},
		{"no keys", func(x *audit.Exported) { x.Keys = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, dir := good, t.TempDir()
			tt.spoil(&x)
			if err := audit.Export(t.Context(), dir, x); err == nil {
				t.Error("exported")
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
				t.Errorf("it left %v, %v", names, err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := audit.Export(ctx, t.TempDir(), good); !errors.Is(err, context.Canceled) {
			t.Errorf("Export: %v", err)
		}
	})
	t.Run("the folder is a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := audit.Export(t.Context(), path, good); err == nil {
			t.Error("exported")
		}
	})
}

func breaking(m *memory, n int, err error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, e := range m.entries[:n] {
			if !yield(e, nil) {
				return
			}
		}
		yield(nil, err)
	}
}

func TestVerifyDirFails(t *testing.T) {
	m, s := history(t, 50), newSigner(t, 1)
	x := audit.Exported{Entries: m.all(), Checkpoint: checkpoint(t, m, 50, s), Keys: vkey(t, s)}
	for _, name := range []string{audit.EntriesFile, audit.CheckpointFile, audit.KeyFile} {
		t.Run("no "+name, func(t *testing.T) {
			dir := t.TempDir()
			if err := audit.Export(t.Context(), dir, x); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if _, err := audit.VerifyDir(dir, ""); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("VerifyDir: %v, want not exist", err)
			}
		})
	}
	t.Run("key file without its line break", func(t *testing.T) {
		dir := t.TempDir()
		if err := audit.Export(t.Context(), dir, x); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, audit.KeyFile), []byte(strings.TrimSpace(x.Keys)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := audit.VerifyDir(dir, "")
		wantFault(t, err, audit.BadKey)
	})
	t.Run("key file of 1 MiB", func(t *testing.T) {
		dir := t.TempDir()
		if err := audit.Export(t.Context(), dir, x); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, audit.KeyFile), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.VerifyDir(dir, ""); err == nil {
			t.Error("VerifyDir read it")
		}
	})
}

// TestRotatedKey checks a log whose key was changed half way.
func TestRotatedKey(t *testing.T) {
	m := history(t, 90)
	first, second := newSigner(t, 1), newSigner(t, 2)
	var lines bytes.Buffer
	for _, e := range m.entries {
		lines.Write(append(e, '\n'))
	}
	r, err := audit.Verify(&lines, checkpoint(t, m, 90, second), vkey(t, first)+vkey(t, second), checkpoint(t, m, 30, first))
	if err != nil {
		t.Fatal(err)
	}
	v, _ := audit.VerifierKey(origin, second.Key().Public)
	if len(r.Signers) != 1 || !strings.HasPrefix(v, r.Signers[0]+"+") {
		t.Errorf("signed by %v, want the second key", r.Signers)
	}
}

func FuzzVerify(f *testing.F) {
	good := export(f, 9, 5)
	f.Add(good.entries, good.checkpoint)
	f.Add([]byte("{}\n"), good.checkpoint)
	boundtest.Fuzz(f, func(t *testing.T, entries, signed []byte) {
		_, err := audit.Verify(bytes.NewReader(entries), signed, string(good.key), good.older...)
		if err == nil && !bytes.Equal(entries, good.entries) && !bytes.HasPrefix(good.entries, entries) {
			t.Fatalf("verified %q", entries)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	f := export(b, 10_000, 5000)
	b.ReportAllocs()
	b.SetBytes(int64(len(f.entries)))
	for b.Loop() {
		if _, err := f.verify(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkAppend(b *testing.B) {
	var events []audit.Event
	for i := range 1000 {
		events = append(events, event(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.Append(&memory{}, events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "entries/s")
}

var _ keys.Signer = faulty{}
