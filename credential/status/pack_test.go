package status_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
)

// uri and now are those of every list in these tests.
const uri = "https://status.example/lists/7"

var now = time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)

// randomList is a list of n entries in which count entries have this value.
func randomList(t testing.TB, bits int, n uint64, count int, value byte, seed uint64) *status.List {
	t.Helper()
	l, err := status.NewList(bits, n)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for left := count; left > 0; {
		i := r.Uint64N(n)
		if v, _ := l.Get(i); v == status.Valid {
			if err := l.Set(i, value); err != nil {
				t.Fatal(err)
			}
			left--
		}
	}
	return l
}

func snapshot(t testing.TB, l *status.List, at time.Time) status.Snapshot {
	t.Helper()
	s, err := status.NewSnapshot(uri, l, at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entropy is the least number of bytes in which a random set of count among n
// can be written.
func entropy(n, count float64) float64 {
	p := count / n
	return n * -(p*math.Log2(p) + (1-p)*math.Log2(1-p)) / 8
}

// TestSizes holds packs and lists to the table of measured sizes in the design.
func TestSizes(t *testing.T) {
	for _, n := range []uint64{131_072, 1_048_576, 10_000_000} {
		for _, share := range []float64{0.001, 0.01, 0.05} {
			count := int(float64(n) * share)
			l := randomList(t, 1, n, count, status.Invalid, 1)
			packed := len(snapshot(t, l, now).Revoked)
			standard, err := l.CBOR()
			if err != nil {
				t.Fatal(err)
			}
			bound := entropy(float64(n), float64(count))
			t.Logf("%9d entries %4.1f %%: raw %7d, standard %6d (%.3f of entropy), pack %6d (%.3f), entropy %6.0f",
				n, share*100, n/8, len(standard), float64(len(standard))/bound, packed, float64(packed)/bound, bound)
			if float64(packed) > 1.04*bound+16 {
				t.Errorf("%d entries, %v: pack of %d bytes, want at most 4 %% above %0.f", n, share, packed, bound)
			}
			if n > 200_000 && float64(len(standard)) > 1.6*bound {
				t.Errorf("%d entries, %v: list of %d bytes, want at most 1.6 of %0.f", n, share, len(standard), bound)
			}
		}
	}
}

// TestDeltaSize is the day of the design: 5 000 new revocations among 50 million
// credentials.
func TestDeltaSize(t *testing.T) {
	if testing.Short() {
		t.Skip("ten lists")
	}
	total := 0
	for seed := range uint64(10) { // a fifth of the country
		older := randomList(t, 1, 1<<20, 10_000, status.Invalid, seed)
		newer := older.Clone()
		r := rand.New(rand.NewPCG(seed, 3))
		for range 100 {
			if err := newer.Set(r.Uint64N(1<<20), status.Invalid); err != nil {
				t.Fatal(err)
			}
		}
		d, err := status.Diff(snapshot(t, older, now), snapshot(t, newer, now.AddDate(0, 0, 1)))
		if err != nil {
			t.Fatal(err)
		}
		total += len(d.Revoked)
	}
	if total > 2100 {
		t.Errorf("1 000 revocations in %d bytes, want at most 2 100", total)
	}
}

func TestSetRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(0, 3000).Draw(t, "size")
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var set []uint64
		for i := range size {
			if r.Float64() < share {
				set = append(set, i)
			}
		}
		b, err := status.EncodeSet(set, size)
		if err != nil {
			t.Fatal(err)
		}
		got, err := status.DecodeSet(b, size, size)
		if err != nil || !slices.Equal(got, set) {
			t.Fatalf("DecodeSet(EncodeSet(%v)) = %v, %v", set, got, err)
		}
		if most := size/8 + 12; uint64(len(b)) > most {
			t.Fatalf("%d of %d take %d bytes, want at most %d", len(set), size, len(b), most)
		}
	})
}

func TestSetEdges(t *testing.T) {
	all := make([]uint64, 1<<16)
	for i := range all {
		all[i] = uint64(i)
	}
	for _, set := range [][]uint64{nil, {0}, {1 << 16}, {0, 1 << 16}, all, all[1:], all[:1<<15], all[:1<<15+1]} {
		for _, size := range []uint64{1 << 16, 1<<16 + 1, 1 << 40, 1 << 63} {
			b, err := status.EncodeSet(set, size)
			if n := len(set); n > 0 && set[n-1] >= size {
				if !errors.Is(err, status.ErrIndex) {
					t.Errorf("EncodeSet of an index beyond the size: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := status.DecodeSet(b, size, size)
			if err != nil || !slices.Equal(got, set) {
				t.Errorf("%d indexes below %d do not come back: %v", len(set), size, err)
			}
		}
	}
	if b, _ := status.EncodeSet(all, 1<<16); len(b) > 3 {
		t.Errorf("a full set takes %d bytes", len(b))
	}
}

// TestDecodeSetRefuses spoils one thing at a time in a good set.
func TestDecodeSetRefuses(t *testing.T) {
	good, err := status.EncodeSet([]uint64{3, 9, 40, 41, 77}, 100)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   []byte
		size uint64
		most uint64
		want error
	}{
		{"nothing at all", nil, 100, 100, status.ErrMalformed},
		{"no count", good[:1], 100, 100, status.ErrMalformed},
		{"cut", good[:len(good)-1], 100, 100, status.ErrMalformed},
		{"a byte more", append(slices.Clone(good), 0), 100, 100, status.ErrMalformed},
		{"a set bit in the padding", spoilBit(good, len(good)-1, 7), 100, 100, status.ErrMalformed},
		{"another parameter than the best", spoilBit(good, 0, 0), 100, 100, status.ErrMalformed},
		{"parameter 63", append([]byte{63}, good[1:]...), 100, 100, status.ErrMalformed},
		{"count in a long form", append([]byte{good[0], good[1] | 0x80, 0}, good[2:]...), 100, 100, status.ErrMalformed},
		{"count without an end", bytes.Repeat([]byte{0xff}, 12), 100, 100, status.ErrMalformed},
		{"ST-02 index beyond the size", good, 77, 100, status.ErrMalformed},
		{"the larger half written", good, 9, 100, status.ErrMalformed},
		{"complement of the smaller half", spoilBit(good, 0, 7), 10, 100, status.ErrMalformed},
		{"a set of nothing below nothing, from its complement", []byte{0x80, 0}, 0, 0, status.ErrMalformed},
		{"ST-01 more than allowed", good, 100, 4, status.ErrTooLarge},
		{"ST-01 the complement of almost nothing", []byte{0x80, 0}, 1 << 60, 1 << 20, status.ErrTooLarge},
		{"ST-01 count without bits", append([]byte{0}, binary.AppendUvarint(nil, 1<<40)...), 1 << 60, 1 << 61, status.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := status.DecodeSet(tt.in, tt.size, tt.most); !errors.Is(err, tt.want) {
				t.Errorf("DecodeSet: %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if _, err := status.EncodeSet([]uint64{2, 1}, 10); !errors.Is(err, status.ErrIndex) {
		t.Errorf("EncodeSet out of order: %v", err)
	}
	if _, err := status.EncodeSet([]uint64{2, 2}, 10); !errors.Is(err, status.ErrIndex) {
		t.Errorf("EncodeSet with an index twice: %v", err)
	}
}

func spoilBit(b []byte, at, bit int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1 << bit
	return b
}

// TestCompressionReadsBack compresses data of many kinds, not only lists, and
// reads them with the standard library's zlib.
func TestCompressionReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	check := func(name string, data []byte) {
		t.Helper()
		packed := status.Deflate(data)
		z, err := zlib.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes do not come back: %v", name, len(data), err)
		}
		if again := status.Deflate(data); !bytes.Equal(again, packed) {
			t.Errorf("%s: not the same bytes again", name)
		}
	}
	for _, n := range []int{0, 1, 1023, 1024, 1025, 4096, 70_000} {
		check("zeros", make([]byte, n))
		check("ones", bytes.Repeat([]byte{0xff}, n))
		random := make([]byte, n)
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		check("random", random)
		for _, share := range []float64{0.001, 0.03, 0.3} {
			sparse := make([]byte, n)
			for i := range sparse {
				if r.Float64() < share {
					sparse[i] = byte(r.Uint32())
				}
			}
			check(fmt.Sprint("sparse ", share), sparse)
		}
	}
	// Runs of every length around the longest match, and counts that grow like
	// Fibonacci numbers, for which Huffman's algorithm alone needs too many bits.
	var runs []byte
	for n := 1; n < 600; n++ {
		runs = append(append(runs, byte(1+n%250)), make([]byte, n)...)
	}
	check("runs", runs)
	var steep []byte
	for a, b, c := 1, 1, byte(0); c < 28; a, b, c = b, a+b, c+1 {
		for range a {
			steep = append(steep, c, 255-c)
		}
	}
	r.Shuffle(len(steep), func(i, j int) { steep[i], steep[j] = steep[j], steep[i] })
	check("steep", steep)
}

func FuzzDeflate(f *testing.F) {
	f.Add([]byte("a list"), 1)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1}, 400)
	f.Fuzz(func(t *testing.T, data []byte, times int) {
		data = bytes.Repeat(data, min(max(times, 1), 1+(1<<16)/max(len(data), 1)))
		z, err := zlib.NewReader(bytes.NewReader(status.Deflate(data)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("does not come back: %v", err)
		}
	})
}

func TestSnapshotRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(1, 2).Draw(t, "bits")
		size := 8 * rapid.Uint64Range(1, 300).Draw(t, "bytes")
		l, err := status.NewList(bits, size)
		if err != nil {
			t.Fatal(err)
		}
		values := []byte{status.Valid, status.Invalid, status.Suspended}[:bits+1]
		for range rapid.IntRange(0, 200).Draw(t, "changes") {
			_ = l.Set(rapid.Uint64Range(0, size-1).Draw(t, "index"), rapid.SampledFrom(values).Draw(t, "value"))
		}
		s, err := status.NewSnapshot(uri, l, now)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		back, err := status.ParseSnapshot(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := back.Open(0)
		if err != nil || !bytes.Equal(got.Bytes(), l.Bytes()) || got.Bits() != bits || got.Size() != size {
			t.Fatalf("a list of %d entries does not come back: %v", size, err)
		}
	})
}

// TestDeltaLeadsToTheNewList changes lists at random, as an issuer may, and
// follows by deltas alone.
func TestDeltaLeadsToTheNewList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(1, 2).Draw(t, "bits")
		size := 8 * rapid.Uint64Range(1, 300).Draw(t, "bytes")
		l, err := status.NewList(bits, size)
		if err != nil {
			t.Fatal(err)
		}
		follower, err := status.NewSnapshot(uri, l, now)
		if err != nil {
			t.Fatal(err)
		}
		for day := range rapid.IntRange(1, 5).Draw(t, "days") {
			for range rapid.IntRange(0, 60).Draw(t, "changes") {
				i := rapid.Uint64Range(0, size-1).Draw(t, "index")
				if was, _ := l.Get(i); was != status.Invalid {
					_ = l.Set(i, rapid.SampledFrom([]byte{status.Valid, status.Invalid, status.Suspended}[:bits+1]).Draw(t, "value"))
				}
			}
			newer, err := status.NewSnapshot(uri, l, now.AddDate(0, 0, day+1))
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "close") {
				if newer, err = newer.WithIssued([]uint64{0, size - 1}); err != nil {
					t.Fatal(err)
				}
			} else if follower.Issued != nil {
				newer.Issued = follower.Issued
			}
			d, err := status.Diff(follower, newer)
			if err != nil {
				t.Fatal(err)
			}
			b, err := d.MarshalCBOR()
			if err != nil {
				t.Fatal(err)
			}
			if d, err = status.ParseDelta(b); err != nil {
				t.Fatal(err)
			}
			if follower, err = follower.Apply(d); err != nil {
				t.Fatal(err)
			}
			// Not only the same list: the same bytes, for the bundle's signature.
			want, _ := newer.MarshalCBOR()
			got, _ := follower.MarshalCBOR()
			if !bytes.Equal(got, want) {
				t.Fatalf("the snapshot after the delta is not the one that it was made for")
			}
		}
	})
}

// TestSnapshotRefuses spoils one thing at a time in a good snapshot.
func TestSnapshotRefuses(t *testing.T) {
	empty, _ := status.EncodeSet(nil, 4096)
	tests := []struct {
		name  string
		bits  int
		spoil func(*status.Snapshot)
		want  error
	}{
		{"another hash", 1, func(s *status.Snapshot) { s.SHA256[0] ^= 1 }, status.ErrSnapshotHash},
		{"one revocation left out", 1, func(s *status.Snapshot) { s.Revoked = empty }, status.ErrSnapshotHash},
		{"suspended and revoked", 2, func(s *status.Snapshot) { s.Suspended = s.Revoked }, status.ErrMalformed},
		{"no revoked set", 1, func(s *status.Snapshot) { s.Revoked = nil }, status.ErrMalformed},
		{"no suspended set", 2, func(s *status.Snapshot) { s.Suspended = nil }, status.ErrMalformed},
		{"ST-03 four bits", 1, func(s *status.Snapshot) { s.Bits = 4 }, status.ErrBits},
		{"ST-03 no bits", 1, func(s *status.Snapshot) { s.Bits = 0 }, status.ErrBits},
		{"half a byte", 1, func(s *status.Snapshot) { s.Size = 4095 }, status.ErrMalformed},
		{"no entries", 1, func(s *status.Snapshot) { s.Size = 0 }, status.ErrMalformed},
		{"another size", 1, func(s *status.Snapshot) { s.Size = 8192 }, status.ErrSnapshotHash},
		{"ST-01 a huge size", 1, func(s *status.Snapshot) { s.Size = 1 << 40 }, status.ErrTooLarge},
		{"OFF-09 larger than the caller allows", 1, func(s *status.Snapshot) { s.Size = 8 << 13 }, status.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshot(t, randomList(t, tt.bits, 4096, 40, status.Invalid, 5), now)
			tt.spoil(&s)
			if _, err := s.Open(4096); !errors.Is(err, tt.want) {
				t.Errorf("Open: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestNewSnapshotRefuses(t *testing.T) {
	one := randomList(t, 1, 64, 3, status.Invalid, 1)
	two, err := status.ParseCBOR(mustCBOR(t, 2, []byte{0x03}), 0)
	if err != nil {
		t.Fatal(err)
	}
	four, err := status.ParseCBOR(mustCBOR(t, 4, []byte{0x01}), 0)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		uri  string
		l    *status.List
		at   time.Time
		want error // nil if it is one without a name
	}{
		{"no URI", "", one, now, nil},
		{"relative URI", "lists/7", one, now, nil},
		{"URI with a user", "https://a:b@status.example/7", one, now, nil},
		{"no time", uri, one, time.Time{}, nil},
		{"a time that would be cut", uri, one, now.Add(time.Millisecond), nil},
		{"ST-09 a value without meaning", uri, two, now, status.ErrValue},
		{"ST-03 four bits", uri, four, now, status.ErrBits},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := status.NewSnapshot(tt.uri, tt.l, tt.at); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("NewSnapshot: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestDeltaRefuses spoils one thing at a time on the way from one snapshot to
// the next.
func TestDeltaRefuses(t *testing.T) {
	revoked, _ := status.EncodeSet([]uint64{5}, 4096)
	tests := []struct {
		name  string
		spoil func(s *status.Snapshot, d *status.Delta)
		want  error
	}{
		{"another list", func(_ *status.Snapshot, d *status.Delta) { d.URI += "8" }, status.ErrOtherBase},
		{"OFF-06 another base", func(_ *status.Snapshot, d *status.Delta) { d.From[3] ^= 1 }, status.ErrOtherBase},
		{"P07 back in time", func(s *status.Snapshot, _ *status.Delta) { s.IssuedAt = now.AddDate(1, 0, 0) }, status.ErrBackwards},
		{"another result", func(_ *status.Snapshot, d *status.Delta) { d.To[3] ^= 1 }, status.ErrSnapshotHash},
		{"a change left out", func(_ *status.Snapshot, d *status.Delta) { d.Suspended = nil }, status.ErrSnapshotHash},
		{"ST-10 a revoked entry comes back", func(_ *status.Snapshot, d *status.Delta) { d.Valid = revoked }, status.ErrUnrevoke},
		{"ST-10 a revoked entry is suspended", func(_ *status.Snapshot, d *status.Delta) { d.Suspended = revoked }, status.ErrUnrevoke},
		{"a change that is none", func(_ *status.Snapshot, d *status.Delta) { d.Valid, _ = status.EncodeSet([]uint64{6}, 4096) }, status.ErrMalformed},
		{"OFF-05 the base was edited", func(s *status.Snapshot, _ *status.Delta) { s.Revoked, _ = status.EncodeSet(nil, 4096) }, status.ErrSnapshotHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, d := goodDelta(t)
			tt.spoil(&s, &d)
			if _, err := s.Apply(d); !errors.Is(err, tt.want) {
				t.Errorf("Apply: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestParsePackRefuses spoils one member at a time of a snapshot and of a delta.
func TestParsePackRefuses(t *testing.T) {
	two, delta := goodDelta(t)
	one := snapshot(t, randomList(t, 1, 4096, 40, status.Invalid, 1), now)
	members := func(b []byte, err error) map[int64]any {
		t.Helper()
		m := map[int64]any{}
		if err == nil {
			err = cbor.Bundle.Unmarshal(b, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	parseSnapshot := func(b []byte) error { _, err := status.ParseSnapshot(b); return err }
	parseDelta := func(b []byte) error { _, err := status.ParseDelta(b); return err }
	for _, tt := range []struct {
		name   string
		of     interface{ MarshalCBOR() ([]byte, error) }
		parse  func([]byte) error
		member int64
		value  any
		want   error
	}{
		{"snapshot, nothing spoiled", two, parseSnapshot, 1, uri, nil},
		{"ST-03 a snapshot of four bits", two, parseSnapshot, 2, 4, status.ErrBits},
		{"ST-03 a snapshot of no bits", two, parseSnapshot, 2, 0, status.ErrBits},
		{"a snapshot of no list", two, parseSnapshot, 1, "", status.ErrMalformed},
		{"a snapshot with half a hash", two, parseSnapshot, 5, make([]byte, 31), status.ErrMalformed},
		{"a snapshot with a longer hash", two, parseSnapshot, 5, make([]byte, 33), status.ErrMalformed},
		{"a snapshot of 1969", two, parseSnapshot, 4, -1, status.ErrMalformed},
		{"a snapshot of the year 10000", two, parseSnapshot, 4, 253402300800, status.ErrMalformed},
		{"ST-03 one bit, and suspended", one, parseSnapshot, 7, []byte{}, status.ErrMalformed},
		{"ST-03 two bits, and none suspended", two, parseSnapshot, 7, nil, status.ErrMalformed},
		{"delta, nothing spoiled", delta, parseDelta, 1, uri, nil},
		{"a delta of no list", delta, parseDelta, 1, "", status.ErrMalformed},
		{"a delta with half a hash before", delta, parseDelta, 2, make([]byte, 31), status.ErrMalformed},
		{"a delta with half a hash after", delta, parseDelta, 3, make([]byte, 31), status.ErrMalformed},
		{"a delta of 1969", delta, parseDelta, 4, -1, status.ErrMalformed},
	} {
		m := members(tt.of.MarshalCBOR())
		if m[tt.member] = tt.value; tt.value == nil {
			delete(m, tt.member)
		}
		b, err := cbor.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.parse(b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	// ST-09: a list of one bit knows no suspension.
	set, _ := status.EncodeSet([]uint64{1}, 4096)
	if _, err := one.Apply(status.Delta{URI: one.URI, From: one.SHA256, To: one.SHA256, IssuedAt: now, Suspended: set}); !errors.Is(err, status.ErrValue) {
		t.Errorf("ST-09 suspended in a list of one bit: %v, want ErrValue", err)
	}
}

// goodDelta is a list with entry 5 revoked, and the delta by which 9 is
// suspended and 1 is revoked as well.
func goodDelta(t testing.TB) (status.Snapshot, status.Delta) {
	t.Helper()
	l := randomList(t, 2, 4096, 0, 0, 0)
	_ = l.Set(5, status.Invalid)
	older := snapshot(t, l, now)
	_ = l.Set(9, status.Suspended)
	_ = l.Set(1, status.Invalid)
	d, err := status.Diff(older, snapshot(t, l, now.AddDate(0, 0, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return older, d
}

func TestDiffRefuses(t *testing.T) {
	older := snapshot(t, randomList(t, 1, 4096, 40, status.Invalid, 1), now)
	tests := []struct {
		name  string
		spoil func(older, newer *status.Snapshot)
		want  error
	}{
		{"another list", func(_, n *status.Snapshot) { n.URI += "8" }, status.ErrOtherBase},
		{"another size", func(_, n *status.Snapshot) { n.Size *= 2 }, status.ErrOtherBase},
		{"P07 back in time", func(_, n *status.Snapshot) { n.IssuedAt = n.IssuedAt.Add(-time.Second) }, status.ErrBackwards},
		{"ST-10 revoked entries come back", func(_, n *status.Snapshot) { *n = snapshot(t, randomList(t, 1, 4096, 0, 0, 0), now) }, status.ErrUnrevoke},
		{"issued slots taken back", func(o, _ *status.Snapshot) { *o, _ = o.WithIssued([]uint64{1}) }, status.ErrOtherBase},
		{"a spoiled base", func(o, _ *status.Snapshot) { o.SHA256[0] ^= 1 }, status.ErrSnapshotHash},
		{"a spoiled result", func(_, n *status.Snapshot) { n.SHA256[0] ^= 1 }, status.ErrSnapshotHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, n := older, older
			tt.spoil(&o, &n)
			if _, err := status.Diff(o, n); !errors.Is(err, tt.want) {
				t.Errorf("Diff: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestIssuedSlots(t *testing.T) {
	s := snapshot(t, randomList(t, 2, 4, 1, status.Invalid, 1), now)
	if l, err := s.OpenIssued(0); l != nil || err != nil {
		t.Errorf("a snapshot that states nothing: %v, %v", l, err)
	}
	s, err := s.WithIssued([]uint64{0, 3})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.OpenIssued(0)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []byte{1, 0, 0, 1} {
		if got, err := l.Get(uint64(i)); err != nil || got != want {
			t.Errorf("slot %d: %d, %v, want %d", i, got, err, want)
		}
	}
	if _, err := l.Get(4); !errors.Is(err, status.ErrIndex) {
		t.Errorf("slot beyond the list: %v", err)
	}
	if _, err := s.WithIssued([]uint64{4}); !errors.Is(err, status.ErrIndex) {
		t.Errorf("WithIssued beyond the list: %v", err)
	}
	s.Issued[0] ^= 1
	if _, err := s.OpenIssued(0); !errors.Is(err, status.ErrMalformed) {
		t.Errorf("spoiled set: %v", err)
	}
}

func FuzzDecodeSet(f *testing.F) {
	for _, set := range [][]uint64{nil, {0}, {1, 2, 3}, {7, 99}} {
		b, _ := status.EncodeSet(set, 100)
		f.Add(b, uint64(100))
	}
	boundtest.Fuzz(f, func(t *testing.T, b []byte, size uint64) {
		set, err := status.DecodeSet(b, size, 1<<20)
		if err != nil {
			return
		}
		again, err := status.EncodeSet(set, size)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("a set of %d below %d has two encodings: %x and %x, %v", len(set), size, b, again, err)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	for bits := 1; bits <= 2; bits++ {
		b, _ := snapshot(f, randomList(f, bits, 64, 5, status.Invalid, 1), now).MarshalCBOR()
		f.Add(b)
	}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		s, err := status.ParseSnapshot(b)
		if err != nil {
			return
		}
		l, err := s.Open(1 << 16)
		if err != nil {
			return
		}
		// What opens has the hash it states and packs to the same sets.
		again, err := status.NewSnapshot(s.URI, l, s.IssuedAt)
		if err != nil || again.SHA256 != s.SHA256 || !bytes.Equal(again.Revoked, s.Revoked) || !bytes.Equal(again.Suspended, s.Suspended) {
			t.Fatalf("opens to another list than it says: %v", err)
		}
	})
}

func FuzzDelta(f *testing.F) {
	_, d := goodDelta(f)
	b, _ := d.MarshalCBOR()
	f.Add(b)
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		d, err := status.ParseDelta(b)
		if err != nil {
			return
		}
		s, _ := goodDelta(t)
		after, err := s.Apply(d)
		if err != nil {
			return
		}
		l, err := after.Open(0)
		if err != nil || l.SHA256() != d.To {
			t.Fatalf("a delta was applied and leads elsewhere: %v", err)
		}
		if l.Check(5) == nil {
			t.Fatal("a revoked entry came back")
		}
	})
}
