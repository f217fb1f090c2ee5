package status_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/vectors"
)

type vector struct {
	Name     string
	Bits     int
	Entries  uint64
	Statuses []struct {
		Index  uint64
		Status byte
	}
	JSON            json.RawMessage
	CBORHex         string `json:"cbor_hex"`
	ByteArrayHex    string `json:"byte_array_hex"`
	ByteArraySHA256 string `json:"byte_array_sha256"`
}

func readVector(t testing.TB, name string, v any) {
	t.Helper()
	if err := json.Unmarshal(vectors.Read(t, "status-list", name+".json"), v); err != nil {
		t.Fatal(err)
	}
}

var vectorNames = []string{"1bit-short", "2bit-short", "1bit-long", "2bit-long", "4bit-long", "8bit-long"}

// TestVectors reads the lists of the draft in both forms, compares each entry,
// and writes them again.
func TestVectors(t *testing.T) {
	for _, name := range vectorNames {
		t.Run(name, func(t *testing.T) {
			var v vector
			readVector(t, name, &v)
			fromCBOR, err := status.ParseCBOR(unhex(t, v.CBORHex), 0)
			if err != nil {
				t.Fatal(err)
			}
			fromJSON, err := status.ParseJSON(v.JSON, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(fromCBOR.Bytes(), fromJSON.Bytes()) || fromCBOR.Bits() != v.Bits || fromJSON.Bits() != v.Bits {
				t.Fatal("the JSON and the CBOR form differ")
			}
			l := fromCBOR
			if l.Size() != v.Entries {
				t.Errorf("%d entries, want %d", l.Size(), v.Entries)
			}
			if v.ByteArrayHex != "" && hex.EncodeToString(l.Bytes()) != v.ByteArrayHex {
				t.Errorf("bytes %x, want %s", l.Bytes(), v.ByteArrayHex)
			}
			if sum := l.SHA256(); v.ByteArraySHA256 != "" && hex.EncodeToString(sum[:]) != v.ByteArraySHA256 {
				t.Errorf("SHA-256 %x, want %s", sum, v.ByteArraySHA256)
			}
			want := make([]byte, v.Entries)
			for _, s := range v.Statuses {
				want[s.Index] = s.Status
			}
			for i := range v.Entries {
				if got, err := l.Get(i); err != nil || got != want[i] {
					t.Fatalf("entry %d: %d, %v, want %d", i, got, err, want[i])
				}
			}
			if _, err := l.Get(v.Entries); !errors.Is(err, status.ErrIndex) {
				t.Errorf("entry past the end: %v", err)
			}
			packed, err := l.CBOR()
			if err != nil {
				t.Fatal(err)
			}
			again, err := status.ParseCBOR(packed, 0)
			if err != nil || !bytes.Equal(again.Bytes(), l.Bytes()) {
				t.Errorf("the list written again does not come back: %v", err)
			}
		})
	}
}

// TestVectorsWritten builds the lists of 1 and 2 bits as an issuer does.
func TestVectorsWritten(t *testing.T) {
	for _, name := range vectorNames[:4] {
		var v vector
		readVector(t, name, &v)
		l, err := status.NewList(v.Bits, v.Entries)
		if err != nil {
			t.Fatal(err)
		}
		skipped := false
		for _, s := range v.Statuses {
			if err := l.Set(s.Index, s.Status); errors.Is(err, status.ErrValue) {
				skipped = true // value 3, which we never write
			} else if err != nil {
				t.Fatal(err)
			}
		}
		want, err := status.ParseJSON(v.JSON, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !skipped && l.SHA256() != want.SHA256() {
			t.Errorf("%s: built %x…, want %x…", name, l.SHA256(), want.SHA256())
		}
	}
}

func TestCheck(t *testing.T) {
	l, err := status.ParseCBOR(mustCBOR(t, 8, []byte{0, 1, 2, 3, 0x0c, 0xff}), 0)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		index uint64
		want  credential.Reason
	}{
		{"revoked", 1, credential.Revoked},
		{"suspended", 2, credential.Suspended},
		{"ST-09 application specific", 3, credential.StatusUnknownValue},
		{"ST-09 reserved", 4, credential.StatusUnknownValue},
		{"ST-09 the last value", 5, credential.StatusUnknownValue},
		{"ST-02 one past the end", 6, credential.StatusOutOfRange},
		{"ST-02 far past the end", 1 << 63, credential.StatusOutOfRange},
		{"ST-02 the largest index", 1<<64 - 1, credential.StatusOutOfRange},
	}
	if err := l.Check(0); err != nil {
		t.Errorf("Check of a valid entry: %v", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := l.Check(tt.index)
			if got, ok := errors.AsType[*credential.RejectedError](err); !ok || got.Reason != tt.want {
				t.Errorf("Check: %v, want a rejection for %s", err, tt.want)
			}
		})
	}
	// A list of two bits holds values that only one of four bits could misread.
	two, err := status.ParseCBOR(mustCBOR(t, 2, []byte{0b11_10_01_00}), 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []credential.Reason
	for i := range uint64(4) {
		var r credential.Reason
		if e, ok := errors.AsType[*credential.RejectedError](two.Check(i)); ok {
			r = e.Reason
		}
		got = append(got, r)
	}
	if diff := cmp.Diff([]credential.Reason{"", credential.Revoked, credential.Suspended, credential.StatusUnknownValue}, got); diff != "" {
		t.Errorf("ST-03 order of entries in a byte (-want +got):\n%s", diff)
	}
}

func TestNewListAndSetRefuse(t *testing.T) {
	for _, bits := range []int{-1, 0, 3, 4, 8, 16} {
		if _, err := status.NewList(bits, 64); !errors.Is(err, status.ErrBits) {
			t.Errorf("ST-03 NewList of %d bits: %v", bits, err)
		}
	}
	for size, want := range map[uint64]error{0: status.ErrMalformed, 7: status.ErrMalformed, 1 << 28: status.ErrTooLarge, 1 << 63: status.ErrTooLarge} {
		if _, err := status.NewList(1, size); !errors.Is(err, want) {
			t.Errorf("NewList of %d entries: %v, want %v", size, err, want)
		}
	}
	one, _ := status.NewList(1, 8)
	two, _ := status.NewList(2, 8)
	if err := one.Set(8, status.Invalid); !errors.Is(err, status.ErrIndex) {
		t.Errorf("ST-02 Set past the end: %v", err)
	}
	if err := one.Set(0, status.Suspended); !errors.Is(err, status.ErrValue) {
		t.Errorf("Set suspended in one bit: %v", err)
	}
	if err := two.Set(0, 3); !errors.Is(err, status.ErrValue) {
		t.Errorf("ST-09 Set a value without meaning: %v", err)
	}
	if err := two.Set(0, status.Suspended); err != nil {
		t.Error(err)
	}
	if one.SHA256() != sha256.Sum256([]byte{0}) || two.SHA256() != sha256.Sum256([]byte{2, 0}) {
		t.Error("a refused Set changed the list")
	}
	if _, err := new(status.List).CBOR(); err == nil {
		t.Error("a list that was never made has a CBOR form")
	}
}

// mustCBOR is a Status List of these bytes, packed by the standard library.
func mustCBOR(t testing.TB, bits int, data []byte) []byte {
	t.Helper()
	return packedCBOR(t, bits, deflated(t, data))
}

func packedCBOR(t testing.TB, bits any, lst any) []byte {
	t.Helper()
	b, err := cbor.Marshal(map[string]any{"bits": bits, "lst": lst})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func deflated(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestParseRefuses spoils one thing at a time in a good list, in CBOR and in
// JSON where the fault has a form there.
func TestParseRefuses(t *testing.T) {
	good := deflated(t, []byte{0xb9, 0xa3})
	withDictionary := func() []byte {
		var out bytes.Buffer
		w, _ := zlib.NewWriterLevelDict(&out, 9, []byte("a dictionary"))
		_, _ = w.Write([]byte("a list"))
		_ = w.Close()
		return out.Bytes()
	}
	tests := []struct {
		name string
		bits any
		lst  any
		want error
	}{
		{"ST-01 a bomb of a hundred times the limit", 1, deflated(t, make([]byte, 1<<20)), status.ErrTooLarge},
		{"ST-01 one byte over the limit", 1, deflated(t, make([]byte, 10_001)), status.ErrTooLarge},
		{"ST-03 no bits", 0, good, status.ErrBits},
		{"ST-03 three bits", 3, good, status.ErrBits},
		{"ST-03 sixteen bits", 16, good, status.ErrBits},
		{"ST-03 minus one bit", -1, good, status.ErrBits},
		{"bits in words", "1", good, status.ErrMalformed},
		{"lst in words", 1, "eNrbuRgAAhcBXQ", status.ErrMalformed},
		{"ST-13 cut before the end", 1, good[:len(good)-5], status.ErrMalformed},
		{"ST-13 cut in the checksum", 1, good[:len(good)-1], status.ErrMalformed},
		{"ST-13 wrong checksum", 1, spoilBit(good, len(good)-1, 0), status.ErrMalformed},
		{"ST-13 a list of no entries", 1, deflated(t, nil), status.ErrMalformed},
		{"ST-13 nothing compressed", 1, []byte{}, status.ErrMalformed},
		{"bytes after the checksum", 1, append(bytes.Clone(good), 0), status.ErrMalformed},
		{"raw DEFLATE", 1, good[2:], status.ErrMalformed},
		{"gzip", 1, append([]byte{0x1f, 0x8b, 8, 0}, good...), status.ErrMalformed},
		{"a preset dictionary", 1, withDictionary(), status.ErrMalformed},
		{"not compressed at all", 1, []byte{0xb9, 0xa3}, status.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if l, err := status.ParseCBOR(packedCBOR(t, tt.bits, tt.lst), 10_000); !errors.Is(err, tt.want) {
				t.Errorf("ParseCBOR: %v, %v, want %v", l, err, tt.want)
			}
			lst := tt.lst
			if b, ok := lst.([]byte); ok {
				lst = base64.RawURLEncoding.EncodeToString(b)
			} else {
				lst = 1 // text is right in JSON
			}
			b, err := json.Marshal(map[string]any{"bits": tt.bits, "lst": lst})
			if err != nil {
				t.Fatal(err)
			}
			if l, err := status.ParseJSON(b, 10_000); !errors.Is(err, tt.want) {
				t.Errorf("ParseJSON: %v, %v, want %v", l, err, tt.want)
			}
		})
	}
}

func TestParseCBORRefusesStrangeCBOR(t *testing.T) {
	good := mustCBOR(t, 1, []byte{1})
	for name, b := range map[string][]byte{
		"nothing":      nil,
		"an array":     {0x80},
		"no lst":       {0xa1, 0x64, 'b', 'i', 't', 's', 1},
		"no bits":      append([]byte{0xa1}, good[1:len(good)-6]...),
		"a byte after": append(bytes.Clone(good), 0),
		"cut":          good[:len(good)-1],
		"bits twice":   append(append([]byte{0xa3}, good[1:]...), 0x64, 'b', 'i', 't', 's', 1),
	} {
		if l, err := status.ParseCBOR(b, 0); !errors.Is(err, status.ErrMalformed) && !errors.Is(err, status.ErrBits) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
	if _, err := status.ParseCBOR(make([]byte, 2<<20), 1000); !errors.Is(err, status.ErrTooLarge) {
		t.Errorf("ST-01 two megabytes where a list of a kilobyte is allowed: %v", err)
	}
}

func TestParseJSONRefusesStrangeJSON(t *testing.T) {
	for _, s := range []string{
		``, `[]`, `null`, `{}`, `{"bits":1}`, `{"lst":"eNrbuRgAAhcBXQ"}`, `{"bits":1,"lst":"eNrbuRgAAhcBXQ"`,
		`{"bits":1,"lst":"eNrbuRgAAhcBXQ"} x`, `{"bits":1,"bits":1,"lst":"eNrbuRgAAhcBXQ"}`, `{"bits":1,"lst":"eNrbuRgAAhcBXQ","lst":""}`,
		`{"bits":1,"lst":"eNrbuRgAAhcBXQ=="}`, `{"bits":1,"lst":"eNrbuRgAAhcBXR"}`, `{"bits":1,"lst":"eNrb\nuRgAAhcBXQ"}`,
		`{"bits":1,"lst":"eNrb+RgA/hcBXQ"}`, `{"bits":1.5,"lst":"eNrbuRgAAhcBXQ"}`,
	} {
		if l, err := status.ParseJSON([]byte(s), 0); !errors.Is(err, status.ErrMalformed) {
			t.Errorf("ParseJSON(%s): %v, %v", s, l, err)
		}
	}
	if _, err := status.ParseJSON([]byte(`{"bits":1,"lst":"eNrbuRgAAhcBXQ","aggregation_uri":"https://a.example"}`), 0); err != nil {
		t.Errorf("a list with more members: %v", err)
	}
	if _, err := status.ParseJSON([]byte(`{"lst":"`+strings.Repeat("A", 1<<20)+`"}`), 1000); !errors.Is(err, status.ErrTooLarge) {
		t.Errorf("ST-01 a megabyte of JSON where a list of a kilobyte is allowed: %v", err)
	}
}

func TestAggregation(t *testing.T) {
	want := []string{"https://example.com/statuslists/1", "https://example.com/statuslists/2", "https://example.com/statuslists/3"}
	got, err := status.ParseAggregation(vectors.Read(t, "status-list", "status-list-aggregation.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lists (-want +got):\n%s", diff)
	}
	b, err := status.MarshalAggregation(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = status.ParseAggregation(b); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("written again: %v, %v", got, err)
	}
	if b, err := status.MarshalAggregation(nil); err != nil || string(b) != `{"status_lists":[]}` {
		t.Errorf("no lists: %s, %v", b, err)
	}
	for _, s := range []string{``, `{}`, `[]`, `{"status_lists":null}`, `{"status_lists":[1]}`, `{"status_lists":"https://a.example"}`,
		`{"status_lists":["/1"]}`, `{"status_lists":["https://a:b@c.example/1"]}`, `{"status_lists":[],"status_lists":[]}`} {
		if got, err := status.ParseAggregation([]byte(s)); !errors.Is(err, status.ErrMalformed) {
			t.Errorf("ParseAggregation(%s): %v, %v", s, got, err)
		}
	}
	if _, err := status.MarshalAggregation([]string{"lists/1"}); err == nil {
		t.Error("a relative URI was written")
	}
}

func FuzzParseCBOR(f *testing.F) {
	f.Add(mustCBOR(f, 1, []byte{0xb9, 0xa3}))
	f.Add(mustCBOR(f, 8, make([]byte, 5000)))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		l, err := status.ParseCBOR(b, 1<<16)
		if err != nil {
			return
		}
		if len(l.Bytes()) > 1<<16 {
			t.Fatalf("%d bytes came out of a list limited to 64 KiB", len(l.Bytes()))
		}
		if l.Check(l.Size()) == nil {
			t.Fatal("an entry past the end is valid")
		}
		packed, err := l.CBOR()
		if err != nil {
			t.Fatal(err)
		}
		again, err := status.ParseCBOR(packed, 1<<16)
		if err != nil || again.SHA256() != l.SHA256() || again.Bits() != l.Bits() {
			t.Fatalf("the list written again is another one: %v", err)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"bits":1,"lst":"eNrbuRgAAhcBXQ"}`))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		l, err := status.ParseJSON(b, 1<<16)
		if err == nil && (len(l.Bytes()) > 1<<16 || l.Check(l.Size()) == nil) {
			t.Fatal("a list larger than allowed, or without an end")
		}
	})
}

func FuzzParseAggregation(f *testing.F) {
	f.Add([]byte(`{"status_lists":["https://example.com/statuslists/1"]}`))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		uris, err := status.ParseAggregation(b)
		if err != nil {
			return
		}
		again, err := status.MarshalAggregation(uris)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := status.ParseAggregation(again); err != nil || cmp.Diff(uris, got) != "" {
			t.Fatalf("written again: %v, %v", got, err)
		}
	})
}

// TestPermutationIsOneToOne goes through whole lists.
func TestPermutationIsOneToOne(t *testing.T) {
	for _, size := range []uint64{1, 2, 3, 4, 5, 7, 8, 100, 1000, 1023, 1025, 65_521, 100_003, 1 << 20} {
		p, err := status.NewPermutation([]byte("a key of thirty-two bytes, about"), size)
		if err != nil {
			t.Fatal(err)
		}
		seen := make([]bool, size)
		for counter := range size {
			i := p.Index(counter)
			if i >= size {
				t.Fatalf("P04 size %d: counter %d gives slot %d", size, counter, i)
			}
			if seen[i] {
				t.Fatalf("P04 size %d: slot %d comes twice", size, i)
			}
			seen[i] = true
		}
	}
}

// TestPermutationLooksRandom is a smoke test: neighbours do not stay neighbours,
// another key gives another order, and the first slots are spread over the list.
func TestPermutationLooksRandom(t *testing.T) {
	const size = 1 << 20
	p, _ := status.NewPermutation([]byte("first key of the list"), size)
	q, _ := status.NewPermutation([]byte("second key of the list"), size)
	same, near := 0, 0
	var eighths [8]int
	for counter := range uint64(size) {
		i := p.Index(counter)
		if i == q.Index(counter) {
			same++
		}
		if counter < 8000 {
			eighths[i*8/size]++
			if d := int64(i) - int64(p.Index(counter+1)); -64 < d && d < 64 {
				near++
			}
		}
	}
	// A random pair of permutations agrees in one place on average.
	if same > 12 {
		t.Errorf("two keys agree in %d places", same)
	}
	if near > 10 {
		t.Errorf("%d of 8 000 neighbours stay within 64 slots", near)
	}
	for i, n := range eighths {
		if n < 850 || n > 1150 {
			t.Errorf("%d of the first 8 000 slots are in eighth %d of the list", n, i)
		}
	}
}

// TestPermutationIsStable pins the order: a list in use must never get another.
func TestPermutationIsStable(t *testing.T) {
	p, err := status.NewPermutation([]byte("a key that is never used elsewhere"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for counter := range uint64(5) {
		got = append(got, p.Index(counter))
	}
	if diff := cmp.Diff(stableSlots, got); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
}

func TestNewPermutationRefuses(t *testing.T) {
	if _, err := status.NewPermutation([]byte("short"), 8); err == nil {
		t.Error("a key of five bytes was taken")
	}
	for _, size := range []uint64{0, 1 << 30, 1 << 63} {
		if _, err := status.NewPermutation(make([]byte, 32), size); !errors.Is(err, status.ErrTooLarge) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	p, _ := status.NewPermutation(make([]byte, 32), 8)
	defer func() {
		if recover() == nil {
			t.Error("P04 a full list gave another slot")
		}
	}()
	p.Index(8)
}

func BenchmarkPermutation(b *testing.B) {
	p, err := status.NewPermutation(make([]byte, 32), 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	for counter := uint64(0); b.Loop(); counter = (counter + 1) % (1 << 20) {
		p.Index(counter)
	}
}

func BenchmarkSnapshot(b *testing.B) {
	l := randomList(b, 1, 10_000_000, 100_000, status.Invalid, 1)
	s := snapshot(b, l, now)
	b.Run("make", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			snapshot(b, l, now)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Open(0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// stableSlots are the first slots of TestPermutationIsStable, as this package gave
// them from the start.
var stableSlots = []uint64{693515, 881494, 518344, 543499, 909206}
