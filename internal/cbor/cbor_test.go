package cbor_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRefuses gives each reader one thing that is wrong. The rows with an id
// are those of the attack corpus.
func TestRefuses(t *testing.T) {
	deep := func(head byte, last ...byte) []byte {
		return append(bytes.Repeat([]byte{head}, 100_000), last...)[:16<<10]
	}
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing at all", nil, cbor.ErrMalformed},
		{"trailing byte", []byte{0x01, 0x02}, cbor.ErrMalformed},
		{"cut array", []byte{0x82, 0x01}, cbor.ErrMalformed},
		{"CBOR-01 deep arrays", deep(0x81, 0x01), cbor.ErrTooLarge},
		{"CBOR-01 deep maps", deep(0xa1, 0x01), cbor.ErrTooLarge},
		{"CBOR-01 deep tags", deep(0xc1, 0x01), cbor.ErrTooLarge},
		{"CBOR-02 byte string of 2^63", unhex(t, "5b8000000000000000"), cbor.ErrMalformed},
		{"CBOR-02 byte string of 2^63-1", unhex(t, "5b7fffffffffffffff"), cbor.ErrMalformed},
		{"CBOR-02 text of 2^32", unhex(t, "7b0000000100000000"), cbor.ErrMalformed},
		{"CBOR-02 array of 2^63", unhex(t, "9b8000000000000000"), cbor.ErrMalformed},
		{"CBOR-02 array of 2^62", unhex(t, "9b4000000000000000"), cbor.ErrTooLarge},
		{"CBOR-02 map of 2^63", unhex(t, "bb8000000000000000"), cbor.ErrMalformed},
		{"CBOR-02 map of 2^31", unhex(t, "ba80000000"), cbor.ErrTooLarge},
		{"CBOR-03 the same integer key", unhex(t, "a2 0101 0102"), cbor.ErrMalformed},
		{"CBOR-03 the same text key", unhex(t, "a2 616101 616102"), cbor.ErrMalformed},
		{"CBOR-03 the same key in two lengths", unhex(t, "a2 0101 180102"), cbor.ErrMalformed},
		{"CBOR-03 the same key deep inside", unhex(t, "81 a1 01 a2 0101 0102"), cbor.ErrMalformed},
		{"CBOR-04 indefinite bytes", unhex(t, "5f 41 61 ff"), cbor.ErrMalformed},
		{"CBOR-04 indefinite text", unhex(t, "7f 61 61 ff"), cbor.ErrMalformed},
		{"CBOR-04 indefinite array", unhex(t, "9f 01 ff"), cbor.ErrMalformed},
		{"CBOR-04 indefinite map", unhex(t, "bf 01 01 ff"), cbor.ErrMalformed},
		{"CBOR-04 many chunks", append([]byte{0x5f}, bytes.Repeat([]byte{0x41, 0x61}, 8000)...), cbor.ErrMalformed},
		{"CBOR-06 big number", append(unhex(t, "c2 59 2000"), make([]byte, 0x2000)...), cbor.ErrMalformed},
		{"CBOR-06 small big number", unhex(t, "c2 41 01"), cbor.ErrMalformed},
		{"CBOR-06 negative big number", unhex(t, "c3 41 01"), cbor.ErrMalformed},
		{"CBOR-06 date tag on a number", unhex(t, "c0 01"), cbor.ErrMalformed},
		{"CBOR-06 time tag on a text", unhex(t, "c1 61 61"), cbor.ErrMalformed},
		{"text that is not UTF-8", unhex(t, "62 c3 28"), cbor.ErrMalformed},
		{"key that is not UTF-8", unhex(t, "a1 61 ff 01"), cbor.ErrMalformed},
		{"byte string as key", unhex(t, "a1 41 61 01"), cbor.ErrMalformed},
		{"integer beyond 64 bits", unhex(t, "1b ffffffffffffffff"), cbor.ErrMalformed},
		{"not a number", unhex(t, "f9 7e00"), cbor.ErrMalformed},
		{"infinity", unhex(t, "fa 7f800000"), cbor.ErrMalformed},
		{"undefined", unhex(t, "f7"), cbor.ErrMalformed},
		{"simple value 99", unhex(t, "f8 63"), cbor.ErrMalformed},
		{"reserved head", unhex(t, "1c"), cbor.ErrMalformed},
		{"break alone", unhex(t, "ff"), cbor.ErrMalformed},
		{"too many elements", append(unhex(t, "99 0101"), make([]byte, 257)...), cbor.ErrTooLarge},
		{"too many bytes", append(unhex(t, "59 4001"), make([]byte, 0x4001)...), cbor.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v any
			if err := cbor.Token.Unmarshal(tt.in, &v); !errors.Is(err, tt.want) {
				t.Errorf("Unmarshal: %v, want %v", err, tt.want)
			}
			if _, err := walk(tt.in); !errors.Is(err, tt.want) {
				t.Errorf("Cursor: %v, want %v", err, tt.want)
			}
		})
	}
}

// walk reads b with a cursor.
func walk(b []byte) (any, error) {
	c, err := cbor.Token.Cursor(b)
	if err != nil {
		return nil, err
	}
	v := c.Value()
	return v, c.Done()
}

func TestUnmarshalIntoTypes(t *testing.T) {
	var small struct {
		A int8   `cbor:"1,keyasint"`
		B string `cbor:"2,keyasint"`
	}
	for name, in := range map[string]string{
		"number that does not fit": "a1 01 190400",
		"bytes for text":           "a1 02 41 61",
		"text for number":          "a1 01 61 61",
	} {
		if err := cbor.Token.Unmarshal(unhex(t, in), &small); !errors.Is(err, cbor.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if err := cbor.Token.Unmarshal(unhex(t, "01"), small); err == nil || errors.Is(err, cbor.ErrMalformed) {
		t.Errorf("no pointer: %v, want an error that blames the program", err)
	}
}

// An error must not repeat what the input holds.
func TestErrorsHoldNoContent(t *testing.T) {
	type person struct {
		Birth int8 `cbor:"8,keyasint"`
	}
	in, err := cbor.Marshal(map[int]any{8: 19840418, 9: "Rahim"})
	if err != nil {
		t.Fatal(err)
	}
	var p person
	err = cbor.Token.Unmarshal(in, &p)
	if err == nil || strings.Contains(err.Error(), "1984") || strings.Contains(err.Error(), "Rahim") {
		t.Errorf("Unmarshal: %v, want an error without the value", err)
	}
	twice := append([]byte{0xa2}, bytes.Repeat(append([]byte{0x65}, "Rahim\x01"...), 2)...)
	var v any
	if err := cbor.Token.Unmarshal(twice, &v); err == nil || strings.Contains(err.Error(), "Rahim") {
		t.Errorf("Unmarshal: %v, want an error without the key", err)
	}
}

// The examples of RFC 8949 appendix A that the strict reader takes, and the
// order of keys of section 4.2.1.
func TestMarshalIsDeterministic(t *testing.T) {
	tests := []struct {
		v    any
		want string
	}{
		{23, "17"}, {24, "1818"}, {1000000, "1a000f4240"}, {-1, "20"}, {-1000, "3903e7"},
		{uint64(math.MaxInt64), "1b7fffffffffffffff"},
		{1.5, "f93e00"}, {100000.0, "fa47c35000"}, {1.1, "fb3ff199999999999a"},
		{false, "f4"}, {nil, "f6"}, {[]byte{1, 2}, "420102"}, {"ü", "62c3bc"},
		{[]int(nil), "80"}, {map[int]int(nil), "a0"},
		{map[any]any{10: 1, 100: 1, -1: 1, "z": 1, "aa": 1, false: 1}, "a6 0a01 186401 2001 617a01 62616101 f401"},
		{cbor.Tag{Number: 18, Content: []any{}}, "d280"},
	}
	for _, tt := range tests {
		b, err := cbor.Marshal(tt.v)
		if err != nil || !bytes.Equal(b, unhex(t, tt.want)) {
			t.Errorf("Marshal(%v) = %x, %v, want %s", tt.v, b, err, tt.want)
		}
		if _, bool := tt.v.(map[any]any); !bool && !cbor.IsDeterministic(b) {
			t.Errorf("IsDeterministic(%x) = false", b)
		}
	}
	for _, bad := range []any{math.NaN(), math.Inf(1), func() {}} {
		if b, err := cbor.Marshal(bad); err == nil {
			t.Errorf("Marshal(%v) = %x, want an error", bad, b)
		}
	}
	for _, loose := range []string{"1801", "190001", "a2 02 01 01 01", "fb3ff8000000000000", "5801 61", "c0 74 323031332d30332d32315432303a30343a30305a", ""} {
		if cbor.IsDeterministic(unhex(t, loose)) {
			t.Errorf("IsDeterministic(%s) = true", loose)
		}
	}
}

func TestTimes(t *testing.T) {
	type times struct {
		At  time.Time     `cbor:"1,keyasint"`
		For time.Duration `cbor:"2,keyasint"`
	}
	in := times{time.Date(2026, 11, 12, 8, 0, 0, 0, time.UTC), time.Hour}
	b, err := cbor.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out times
	if err := cbor.Token.Unmarshal(b, &out); err != nil || !out.At.Equal(in.At) || out.For != in.For {
		t.Errorf("got %v, %v, want %v", out, err, in)
	}
}

func TestDiagnose(t *testing.T) {
	s, err := cbor.Diagnose(unhex(t, "a2 01 43 010203 6161 78 02 0a1b"))
	if want := `{1: h'010203', "a": "\n\u001b"}`; err != nil || s != want {
		t.Errorf("Diagnose: %q, %v, want %q", s, err, want)
	}
	if _, err := cbor.Diagnose([]byte{0x82}); !errors.Is(err, cbor.ErrMalformed) {
		t.Errorf("Diagnose: %v, want ErrMalformed", err)
	}
}

func TestCursor(t *testing.T) {
	in := unhex(t, "d2 84 43 a10126 a2 01 82 f5 f6 617861 79 20 f93e00")
	c, err := cbor.Token.Cursor(in)
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Tag(); n != 18 {
		t.Errorf("Tag: %d", n)
	}
	if n := c.Array(); n != 4 {
		t.Errorf("Array: %d", n)
	}
	if b := c.Bytes(); !bytes.Equal(b, unhex(t, "a10126")) {
		t.Errorf("Bytes: %x", b)
	}
	if n := c.Pairs(); n != 2 {
		t.Errorf("Pairs: %d", n)
	}
	var got []any
	for k := range c.Map() {
		if k.Word {
			got = append(got, k.Name(), c.Text())
		} else {
			got = append(got, k.Name(), []byte(c.Raw()))
		}
	}
	if want := []any{"1", unhex(t, "82f5f6"), "x", "y"}; !cmp.Equal(got, want) {
		t.Errorf("Map: %v", cmp.Diff(want, got))
	}
	if n := c.Int(); n != -1 {
		t.Errorf("Int: %d", n)
	}
	if f := c.Float(); f != 1.5 {
		t.Errorf("Float: %v", f)
	}
	if err := c.Done(); err != nil {
		t.Errorf("Done: %v", err)
	}
	if n := c.Int(); n != 0 || c.Err() == nil {
		t.Errorf("Int past the end: %d, %v", n, c.Err())
	}
}

func TestCursorRefusesTheWrongKind(t *testing.T) {
	reads := map[string]func(*cbor.Cursor){
		"Int":   func(c *cbor.Cursor) { c.Int() },
		"Bytes": func(c *cbor.Cursor) { c.Bytes() },
		"Text":  func(c *cbor.Cursor) { c.Text() },
		"Array": func(c *cbor.Cursor) { c.Array() },
		"Map": func(c *cbor.Cursor) {
			for range c.Map() {
			}
		},
		"Tag":   func(c *cbor.Cursor) { c.Tag() },
		"Float": func(c *cbor.Cursor) { c.Float() },
	}
	items := map[string]string{"Int": "01", "Bytes": "4161", "Text": "6161", "Array": "80", "Map": "a0", "Tag": "d201", "Float": "f93e00", "Bool": "f5"}
	for read, f := range reads {
		for item, in := range items {
			c, err := cbor.Token.Cursor(unhex(t, in))
			if err != nil {
				t.Fatal(err)
			}
			f(&c)
			if good := read == item; (c.Err() == nil) != good {
				t.Errorf("%s on %s: %v", read, item, c.Err())
			}
		}
	}
	c, err := cbor.Token.Cursor(unhex(t, "820102"))
	if err != nil {
		t.Fatal(err)
	}
	c.Array()
	c.Int()
	if err := c.Done(); !errors.Is(err, cbor.ErrMalformed) {
		t.Errorf("Done with one left: %v, want ErrMalformed", err)
	}
}

// A map has keys of any number; the way in which doubles are found changes with
// it.
func TestCursorFindsDoubleKeys(t *testing.T) {
	for _, n := range []int{2, 15, 16, 17, 200} {
		b := append([]byte{0xb8, byte(n)}, nil...)
		for i := range n {
			b = append(b, 0x19, 0x01, byte(i), 0x00)
		}
		if _, err := walk(b); err != nil {
			t.Errorf("%d keys: %v", n, err)
		}
		b[len(b)-2] = 0 // the last key becomes the first
		if _, err := walk(b); !errors.Is(err, cbor.ErrMalformed) {
			t.Errorf("%d keys, one twice: %v, want ErrMalformed", n, err)
		}
	}
	if _, err := walk(unhex(t, "a2 01 01 6131 02")); !errors.Is(err, cbor.ErrMalformed) {
		t.Errorf("1 and \"1\": %v, want ErrMalformed", err)
	}
}

// Many small containers are as much work as a large one.
func TestCursorCountsAllItems(t *testing.T) {
	few, many := []byte{0x99, 0x00, 0xff}, []byte{0x99, 0x01, 0x00}
	for range 0xff {
		few = append(few, 0xa1, 0x00, 0xa0) // 3 items each: 766 in all
		many = append(many, 0xa1, 0x00, 0xa1, 0x00, 0xa0)
	}
	many = append(many, 0x00)
	if _, err := walk(few); err != nil {
		t.Errorf("%d bytes: %v", len(few), err)
	}
	if _, err := walk(many); !errors.Is(err, cbor.ErrTooLarge) {
		t.Errorf("%d bytes: %v, want ErrTooLarge", len(many), err)
	}
}

func TestDecodersAreSafeForConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			var v any
			if err := (cbor.Limits{Bytes: 100 + i%3, Depth: 4, Items: 16}).Unmarshal([]byte{1}, &v); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// FuzzDecode holds three properties: what decodes encodes to the same value; the
// cursor and the library read the same; and the form of Marshal is a fixed point.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"a26161016162820203", "d28443a10126a1044231324101f6", "c074323031332d30332d32315432303a30343a30305a", "f93e00", "a2010118020a"} {
		f.Add(unhex(f, s))
	}
	boundtest.Fuzz(f, func(t *testing.T, in []byte) {
		var v any
		err := cbor.Token.Unmarshal(in, &v)
		walked, cursorErr := walk(in)
		if err != nil {
			if cursorErr == nil && !mayHoldTag(in) {
				t.Fatalf("the library refuses %x (%v), the cursor reads %v", in, err, walked)
			}
			return
		}
		if cursorErr == nil {
			if want := plain(v); !mayHoldTag(in) && !cmp.Equal(walked, want) {
				t.Fatalf("%x: cursor and library differ: %s", in, cmp.Diff(want, walked))
			}
		} else if !onlyCursorRefuses(v) && !mayHoldTag(in) && !errors.Is(cursorErr, cbor.ErrTooLarge) {
			t.Fatalf("the cursor refuses %x (%v), the library reads %v", in, cursorErr, v)
		}
		again, err := cbor.Marshal(v)
		if err != nil {
			t.Fatalf("encode %v: %v", v, err)
		}
		var v2 any
		if err := cbor.Token.Unmarshal(again, &v2); err != nil {
			t.Fatalf("decode %x again: %v", again, err)
		}
		if !cmp.Equal(v, v2) {
			t.Fatalf("%x: %s", in, cmp.Diff(v, v2))
		}
		if !tagged(v) && !cbor.IsDeterministic(again) {
			t.Fatalf("%x is not deterministic", again)
		}
	})
}

// plain is a decoded value in the form of Cursor.Value.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[any]any:
		out := map[string]any{}
		for k, e := range v {
			switch k := k.(type) {
			case int64:
				out[cbor.Key{Int: k}.Name()] = plain(e)
			case string:
				out[k] = plain(e)
			}
		}
		return out
	}
	return v
}

// tagged reports whether a tag is anywhere in v.
func tagged(v any) bool { return has(v, func(v any) bool { _, ok := v.(cbor.Tag); return ok }) }

// onlyCursorRefuses: keys that are neither integer nor text, and 1 beside "1".
func onlyCursorRefuses(v any) bool {
	return has(v, func(v any) bool {
		m, ok := v.(map[any]any)
		names := map[string]bool{}
		for k := range m {
			switch k := k.(type) {
			case int64:
				names[cbor.Key{Int: k}.Name()] = true
			case string:
				names[k] = true
			}
		}
		return ok && len(names) != len(m)
	})
}

// mayHoldTag reports whether a byte of in may be the head of a tag. The two
// readers treat what is tagged differently: the library checks and builds it,
// the cursor drops the tag.
func mayHoldTag(in []byte) bool {
	return slices.ContainsFunc(in, func(b byte) bool { return cbor.Kind(b>>5) == cbor.Tagged })
}

func has(v any, f func(any) bool) bool {
	if f(v) {
		return true
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if has(e, f) {
				return true
			}
		}
	case map[any]any:
		for k, e := range v {
			if has(k, f) || has(e, f) {
				return true
			}
		}
	case cbor.Tag:
		return has(v.Content, f)
	}
	return false
}

func BenchmarkCursorValue(b *testing.B) {
	in, err := cbor.Marshal(map[int]any{1: "Rahim Uddin", 8: 19840418, 9: 1, 10: map[string]any{"a": []int{1, 2, 3}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := walk(in); err != nil {
			b.Fatal(err)
		}
	}
}

// Maps may have one simple value for a key where the reader says so, and it may stand
// nowhere else.
func TestSimpleKey(t *testing.T) {
	limits := cbor.Token
	limits.SimpleKey = 59
	c, err := limits.Cursor(unhex(t, "a2 01 02 f83b 81 4161"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []cbor.Key
	for k := range c.Map() {
		keys = append(keys, k)
	}
	if err := c.Done(); err != nil || !cmp.Equal(keys, []cbor.Key{{Int: 1}, {Simple: 59}}) {
		t.Errorf("%v, %v", keys, err)
	}
	for name, in := range map[string]string{
		"as a value": "f83b", "as an element": "81 f83b", "another one as key": "a1 f83c 01", "twice": "a2 f83b 01 f83b 02", "true as key": "a1 f5 01",
	} {
		c, err := limits.Cursor(unhex(t, in))
		if err == nil {
			c.Skip()
			err = c.Done()
		}
		if !errors.Is(err, cbor.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := cbor.Token.Cursor(unhex(t, "a1 f83b 01")); !errors.Is(err, cbor.ErrMalformed) {
		t.Errorf("not allowed: %v, want ErrMalformed", err)
	}
}

func TestAppendHead(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "40", 23: "57", 24: "5818", 255: "58ff", 256: "590100", 65535: "59ffff", 65536: "5a00010000", 1<<32 - 1: "5affffffff", 1 << 32: "5b0000000100000000",
	} {
		if got := cbor.AppendHead(nil, cbor.Bytes, n); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("AppendHead(%d) = %x, want %s", n, got, want)
		}
	}
}

// TestAppendIsTheLibrary: whatever is written without the library is what it writes.
func TestAppendIsTheLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(48, 8949))
	number := func() int64 {
		edges := []int64{0, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64}
		n := edges[random.IntN(len(edges))]
		if random.IntN(3) == 0 {
			n = random.Int64() >> random.IntN(64)
		}
		if random.IntN(2) == 0 {
			n = -1 - n
		}
		return n
	}
	text := func() string {
		return strings.Repeat(string(rune('a'+random.IntN(4))), random.IntN(3)) + []string{"", "z", "é", "র", strings.Repeat("long ", 70)}[random.IntN(5)]
	}
	var item func(depth int) any
	item = func(depth int) any {
		kinds := 14
		if depth == 0 {
			kinds = 9
		}
		switch random.IntN(kinds) {
		case 0:
			return nil
		case 1:
			return random.IntN(2) == 0
		case 2:
			return int(number())
		case 3:
			return number()
		case 4:
			return text()
		case 5:
			return []byte(text())
		case 6:
			return []byte(nil)
		case 7:
			return float64(random.IntN(100)) / 8
		case 8:
			return uint64(random.Int64())
		case 9, 10:
			list := []any{}
			for range random.IntN(30) {
				list = append(list, item(depth-1))
			}
			return list
		case 11:
			m := map[int64]any{}
			for range random.IntN(40) {
				m[number()] = item(depth - 1)
			}
			return m
		case 12:
			m := map[string]any{}
			for range random.IntN(40) {
				m[text()] = item(depth - 1)
			}
			return m
		default:
			return cbor.Tag{Number: uint64(random.IntN(300)), Content: map[any]any{number(): item(depth - 1), text(): item(depth - 1)}}
		}
	}
	all := []any{[]any(nil), map[int64]any(nil), map[string]any(nil), map[int64]any{0: 1, -1: 2, math.MinInt64: 3, math.MaxInt64: 4}}
	for range 500 {
		all = append(all, item(3))
	}
	for _, v := range all {
		want, err := cbor.ByLibrary(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cbor.Append([]byte("before"), v)
		if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("Append(%v) = %x, %v, want %x", v, got, err, want)
		}
	}
	if b, err := cbor.Append(nil, []any{map[string]any{"a": math.NaN()}}); err == nil {
		t.Errorf("not a number: %x", b)
	}
}
