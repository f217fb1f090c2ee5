package audit_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sanad-id/sanad/audit"
)

// TestAppend compares the tree with the one that tlog makes of the same entries.
func TestAppend(t *testing.T) {
	m := history(t, 1000)
	var want memory
	for i, e := range m.entries {
		hashes, err := tlog.StoredHashes(int64(i), e, &want)
		if err != nil {
			t.Fatal(err)
		}
		want.hashes = append(want.hashes, hashes...)
		root, err := tlog.TreeHash(int64(i+1), &want)
		if err != nil {
			t.Fatal(err)
		}
		h, err := audit.HeadAt(m, int64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		if h.Size != int64(i+1) || h.Root != root {
			t.Fatalf("HeadAt(%d) = %v, want %v", i+1, h, root)
		}
	}
	if len(m.hashes) != len(want.hashes) {
		t.Fatalf("%d hashes stored, want %d", len(m.hashes), len(want.hashes))
	}
	for i := range m.hashes {
		if m.hashes[i] != want.hashes[i] {
			t.Fatalf("hash %d differs", i)
		}
	}
	h, err := audit.HeadAt(m, 0)
	if err != nil || h.Root.String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Errorf("empty log: %v, %v", h, err)
	}
	for _, size := range []int64{-1, 1001} {
		if _, err := audit.HeadAt(m, size); err == nil {
			t.Errorf("HeadAt(%d) of a log with 1000 entries gave a head", size)
		}
	}
}

func TestAppendNothing(t *testing.T) {
	m := history(t, 5)
	before, err := audit.HeadAt(m, 5)
	if err != nil {
		t.Fatal(err)
	}
	got, err := audit.Append(m, nil)
	if err != nil || got != before {
		t.Errorf("Append of nothing: %v, %v, want %v", got, err, before)
	}
	if _, err := audit.Append(m, make([]audit.Event, audit.MaxBlock+1)); err == nil {
		t.Error("Append took a block that is too large")
	}
}

// TestTimeNeverGoesBack turns the clock back, by a second and by ten years.
func TestTimeNeverGoesBack(t *testing.T) {
	m := &memory{}
	for i, at := range []time.Time{
		start, start.Add(-time.Second), start.AddDate(-10, 0, 0), start.Add(time.Second), start.Add(999 * time.Millisecond),
		start.AddDate(10, 0, 0), start, start.AddDate(10, 0, 0).Add(time.Nanosecond),
	} {
		e := event(i)
		e.Time = at
		if _, err := audit.Append(m, []audit.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"08:00:00.000", "08:00:00.000", "08:00:00.000", "08:00:01.000", "08:00:01.000", "08:00:00.000", "08:00:00.000", "08:00:00.000"}
	var last time.Time
	for i, line := range m.entries {
		_, e, err := audit.ParseEntry(line)
		if err != nil {
			t.Fatal(err)
		}
		if e.Time.Before(last) || e.Time.Format("15:04:05.000") != want[i] {
			t.Errorf("entry %d has the time %v", i, e.Time)
		}
		last = e.Time
	}
}

// A lame storage fails at one of its methods.
type lame struct {
	memory
	tail, hashes, few, append bool
}

var errLame = errors.New("disk is gone")

func (l *lame) Tail() (int64, time.Time, error) {
	if l.tail {
		return 0, time.Time{}, errLame
	}
	return l.memory.Tail()
}

func (l *lame) Hashes(places []int64) ([]audit.Hash, error) {
	if l.hashes {
		return nil, errLame
	}
	h, err := l.memory.Hashes(places)
	if l.few {
		h = h[1:]
	}
	return h, err
}

func (l *lame) Append(b audit.Block) error {
	if l.append {
		return errLame
	}
	return l.memory.Append(b)
}

func TestAppendFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*lame)
		is    error
	}{
		{"tail", func(l *lame) { l.tail = true }, errLame},
		{"hashes", func(l *lame) { l.hashes = true }, errLame},
		{"append", func(l *lame) { l.append = true }, errLame},
		{"too few hashes", func(l *lame) { l.few = true }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &lame{memory: *history(t, 7)}
			tt.spoil(l)
			_, err := audit.Append(l, []audit.Event{event(7)})
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("Append: %v, want %v", err, tt.is)
			}
			if len(l.entries) != 7 {
				t.Errorf("%d entries, want 7", len(l.entries))
			}
		})
	}
}

// TestAUD06 offers forged tiles and proofs of our log to the client code that
// witnesses use, and a forged hash to our own.
func TestAUD06(t *testing.T) {
	m := history(t, 300)
	head, err := audit.HeadAt(m, 300)
	if err != nil {
		t.Fatal(err)
	}
	tr := tlog.Tree{N: head.Size, Hash: head.Root}
	good := &tiles{m: m}
	if h, err := tlog.TileHashReader(tr, good).ReadHashes([]int64{tlog.StoredHashIndex(0, 17)}); err != nil || h[0] != tlog.RecordHash(m.entries[17]) {
		t.Fatalf("good tiles: %v, %v", h, err)
	}
	for _, at := range []int{0, 31, 32 * 17, 32*255 + 31} {
		t.Run("AUD-06 forged tile", func(t *testing.T) {
			forged := &tiles{m: m, spoil: func(data []byte) { data[at%len(data)] ^= 1 }}
			if h, err := tlog.TileHashReader(tr, forged).ReadHashes([]int64{tlog.StoredHashIndex(0, 17)}); err == nil {
				t.Errorf("forged tile gave %v", h)
			}
		})
		t.Run("AUD-06 tile of the wrong size", func(t *testing.T) {
			forged := &tiles{m: m, cut: 32}
			if h, err := tlog.TileHashReader(tr, forged).ReadHashes([]int64{tlog.StoredHashIndex(0, 17)}); err == nil {
				t.Errorf("short tile gave %v", h)
			}
		})
	}
	t.Run("AUD-06 forged stored hash", func(t *testing.T) {
		s := newSigner(t, 1)
		older := checkpoint(t, m, 256, s)
		forged := history(t, 300)
		forged.hashes[tlog.StoredHashIndex(8, 0)][0] ^= 1
		if _, err := audit.Append(forged, []audit.Event{event(300)}); err != nil {
			t.Fatal(err)
		}
		var lines bytes.Buffer
		for _, e := range forged.entries {
			lines.Write(append(e, '\n'))
		}
		_, err := audit.Verify(&lines, checkpoint(t, forged, 301, s), vkey(t, s), older)
		wantFault(t, err, audit.WrongRoot)
	})
}

// tiles serves the tiles of a log as a log server would.
type tiles struct {
	m     *memory
	spoil func([]byte)
	cut   int
}

func (*tiles) Height() int                     { return 8 }
func (*tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (s *tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range want {
		d, err := tlog.ReadTileData(tile, s.m)
		if err != nil {
			return nil, err
		}
		if s.spoil != nil {
			s.spoil(d)
		}
		data = append(data, d[:len(d)-s.cut])
	}
	return data, nil
}

func storedHashes(n int64, line []byte, m *memory) ([]audit.Hash, error) {
	return tlog.StoredHashes(n, line, m)
}
