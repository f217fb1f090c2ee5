package strict_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/vectors"
)

var limits = strict.Limits{Bytes: 1 << 20, Depth: 64, Items: 1 << 16}

// TestRefuses is the corpus group 3.3, by id.
func TestRefuses(t *testing.T) {
	many := make([]string, 0, 40)
	for i := range 40 {
		many = append(many, `"m`+string(rune('A'+i))+`":1`)
	}
	tests := []struct {
		id, name, text string
		want           error
	}{
		{"JSON-01", "member twice", `{"a":1,"a":1}`, strict.ErrMalformed},
		{"JSON-01", "member twice, one escaped", `{"alg":1,"\u0061lg":2}`, strict.ErrMalformed},
		{"JSON-01", "member twice, deep inside", `[{"x":[{"a":1,"b":2,"a":3}]}]`, strict.ErrMalformed},
		{"JSON-01", "member twice among many", `{` + strings.Join(many, ",") + `,"mC":2}`, strict.ErrMalformed},
		{"JSON-03", "a million brackets", strings.Repeat("[", 1000000), strict.ErrTooLarge},
		{"JSON-03", "one level too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), strict.ErrTooLarge},
		{"JSON-03", "a long number", "1." + strings.Repeat("3", 1000), strict.ErrTooLarge},
		{"JSON-03", "a long whole number", strings.Repeat("9", 129), strict.ErrTooLarge},
		{"JSON-03", "too many values", "[" + strings.Repeat("1,", 1<<16) + "1]", strict.ErrTooLarge},
		{"JSON-03", "too many bytes", `"` + strings.Repeat("x", 1<<20) + `"`, strict.ErrTooLarge},
		{"JSON-04", "bytes after it", `{} {}`, strict.ErrMalformed},
		{"JSON-04", "a zero byte after it", "{}\x00", strict.ErrMalformed},
		{"JSON-04", "byte-order mark", "\ufeff{}", strict.ErrMalformed},
		{"JSON-04", "comment", "{/**/}", strict.ErrMalformed},
		{"JSON-04", "NaN", "NaN", strict.ErrMalformed},
		{"JSON-04", "infinite", "1e999", strict.ErrMalformed},
		{"JSON-04", "nothing", "", strict.ErrMalformed},
		{"JSON-04", "not UTF-8", "\"\xff\"", strict.ErrMalformed},
		{"JSON-04", "high surrogate alone", `"\ud800"`, strict.ErrMalformed},
		{"JSON-04", "low surrogate first", `"\udc00\ud800"`, strict.ErrMalformed},
		{"JSON-04", "high surrogate and a letter", `"\ud800\u0041"`, strict.ErrMalformed},
		{"JSON-04", "control character", "\"\n\"", strict.ErrMalformed},
		{"JSON-04", "control character after an escape", "\"\\n\n\"", strict.ErrMalformed},
		{"JSON-05", "beyond 2^53", "9007199254740993", strict.ErrMalformed},
		{"JSON-05", "below -2^53", "-9007199254740992", strict.ErrMalformed},
		{"JSON-05", "beyond 2^53 with an exponent", "11E15", strict.ErrMalformed},
		{"JSON-05", "below -2^53 with a fraction", "-9007199254740992.0", strict.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			if v, err := limits.JSON([]byte(tt.text)); !errors.Is(err, tt.want) {
				t.Errorf("JSON: kind %d, %v, want %v", v.Kind(), err, tt.want)
			}
		})
	}
}

// TestNamesAreExact is JSON-02: what only looks like a name is not that member.
func TestNamesAreExact(t *testing.T) {
	v, err := limits.Object([]byte("{\"Alg\":1,\"ALG\":2,\"a\u017fub\":3,\"\u212aid\":4,\"alg \":5}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alg", "asub", "kid", "Kid"} {
		if got := v.Get(name); got.Kind() != strict.None {
			t.Errorf("Get(%q): %v, want none", name, got.Any())
		}
	}
}

// TestNumbersHaveOneKind is JSON-05.
func TestNumbersHaveOneKind(t *testing.T) {
	for text, want := range map[string]any{
		"0": int64(0), "-0": int64(0), "0.0": int64(0), "-0.0": int64(0), "0e7": int64(0), "10": int64(10), "1e1": int64(10), "100e-1": int64(10),
		"1.5": 1.5, "-1.5e3": int64(-1500), "1e300": 1e300, "-1e21": -1e21, "9007199254740991": int64(1<<53 - 1), "5e-324": 5e-324,
	} {
		v, err := limits.JSON([]byte(text))
		if err != nil || v.Any() != want {
			t.Errorf("JSON(%s): %v (%T), %v, want %v (%T)", text, v.Any(), v.Any(), err, want, want)
		}
	}
}

// ownAnswer are the files of the suite where we differ from its y_, and those of
// its i_ that we take.
var ownAnswer = map[string]bool{
	"y_object_duplicated_key.json":           false,
	"y_object_duplicated_key_and_value.json": false,
	"i_number_double_huge_neg_exp.json":      true, // rounds to 0
	"i_number_real_underflow.json":           true, // rounds to 0
}

// TestSuite runs the JSON parsing test suite.
func TestSuite(t *testing.T) {
	dir := vectors.Path(t, "json", "test_parsing")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	taken, refused := 0, 0
	for _, f := range files {
		b, err := os.ReadFile(dir + "/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		want, own := ownAnswer[f.Name()]
		if !own {
			want = strings.HasPrefix(f.Name(), "y_")
		}
		v, err := limits.JSON(b)
		if (err == nil) != want {
			t.Errorf("%s: %v, %v", f.Name(), v.Kind(), err)
		}
		if err != nil {
			refused++
			continue
		}
		taken++
	}
	t.Logf("%d taken, %d refused", taken, refused)
	if taken+refused != 318 {
		t.Errorf("%d files, want 318", taken+refused)
	}
}

func TestWriteIsRead(t *testing.T) {
	in := map[string]any{
		"b": []any{nil, true, false, int64(-7), 2.5, "a \"quoted\" \\ \n\t\x01 text ä 𝄞"}, "a": map[string]any{"z": int64(1), "": "empty"}, "n": 1 << 52,
	}
	b, err := strict.AppendJSON(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	v, err := limits.JSON(b)
	if err != nil {
		t.Fatal(err)
	}
	in["n"] = int64(1 << 52)
	if got := v.Any(); !reflect.DeepEqual(got, in) {
		t.Errorf("got %#v, want %#v", got, in)
	}
	if again, err := strict.AppendJSON(nil, v); err != nil || !bytes.Equal(again, b) {
		t.Errorf("written again: %s, %v, want %s", again, err, b)
	}
	for _, bad := range []any{math.NaN(), math.Inf(1), "\xff", int64(1 << 54), 1e20, []byte("x"), map[string]any{"\xff": 1}, []any{map[string]any{"x": struct{}{}}}} {
		if b, err := strict.AppendJSON(nil, bad); err == nil {
			t.Errorf("AppendJSON(%#v): %s, want an error", bad, b)
		}
	}
}

// TestReader shares one bound between texts.
func TestReader(t *testing.T) {
	r := strict.Limits{Bytes: 100, Depth: 3, Items: 5}.Reader(4)
	for i, want := range []error{nil, nil, strict.ErrTooLarge, strict.ErrTooLarge} {
		text := []string{"[1,2]", "[1]", "1", "1"}[i]
		if _, err := r.Next(text); !errors.Is(err, want) {
			t.Errorf("text %d: %v, want %v", i, err, want)
		}
	}
}

// TestReaderSharesMemory: what was read stays what it is while more is read, however
// much that is.
func TestReaderSharesMemory(t *testing.T) {
	long := "[" + strings.TrimSuffix(strings.Repeat("[1,{\"a\":[2]}],", 700), ",") + "]"
	texts := []string{`["a",1]`, `{"x":[1,2,3],"y":{"z":"w"}}`, long, `[]`, `1`, `[[1],[2,[3,4]],5]`, `["b"]`, `{"x":{"x":{"x":[1,2]}}}`, long}
	for _, expected := range []int{0, 1, len(texts), 1000} {
		r := strict.Limits{Bytes: 1 << 20, Depth: 8, Items: 1 << 20}.Reader(expected)
		var values []strict.Value
		for _, text := range texts {
			v, err := r.Next(text)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		for i, v := range values {
			if b, err := strict.AppendJSON(nil, v); err != nil || string(b) != texts[i] {
				t.Errorf("text %d of a reader for %d is now %.100s, %v", i, expected, b, err)
			}
		}
	}
}

func TestDate(t *testing.T) {
	for text, want := range map[string]string{"0": "1970-01-01T00:00:00Z", "1683000000.9": "2023-05-02T04:00:00Z"} {
		v, _ := limits.JSON([]byte(text))
		if at, err := v.Date(); err != nil || at.Format("2006-01-02T15:04:05Z07:00") != want {
			t.Errorf("Date of %s: %v, %v, want %s", text, at, err, want)
		}
	}
	for _, text := range []string{"-1", "-0.5", `"1683000000"`, "null", "1e300", "253402300800"} {
		v, _ := limits.JSON([]byte(text))
		if at, err := v.Date(); err == nil {
			t.Errorf("Date of %s: %v, want an error", text, at)
		}
	}
}

// TestAppendBase64URL: what is written is what the standard library writes.
func TestAppendBase64URL(t *testing.T) {
	b := make([]byte, 3*256+2)
	for i := range b {
		b[i] = byte(i*i + i>>3)
	}
	for n := range b {
		for _, room := range []int{0, 1, 2000} {
			dst := append(make([]byte, 0, 5+room), "front"...)
			if got, want := string(strict.AppendBase64URL(dst, b[:n])), "front"+base64.RawURLEncoding.EncodeToString(b[:n]); got != want {
				t.Fatalf("%d bytes: %s, want %s", n, got, want)
			}
		}
	}
}

func TestBase64URL(t *testing.T) {
	if b, err := strict.DecodeBase64URL("-_8"); err != nil || !bytes.Equal(b, []byte{0xfb, 0xff}) {
		t.Errorf("DecodeBase64URL: %x, %v", b, err)
	}
	for _, s := range []string{"+/8", "-_8=", "-_9", "-_8\n", "-\r_8", "-_8 ", "A", "-_8A-"} {
		if b, err := strict.DecodeBase64URL(s); !errors.Is(err, strict.ErrMalformed) {
			t.Errorf("DecodeBase64URL(%q): %x, %v, want ErrMalformed", s, b, err)
		}
	}
}

// FuzzJSON holds the reader against the standard library: what it takes, that
// takes as well with the same values, and what it wrote it reads again.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,-0.5,1e3,"\u00e4\ud834\udd1e",null,true],"b":{}}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(` "x\ty" `))
	boundtest.FuzzParses(f, 4, func(t *testing.T, b []byte) {
		v, err := limits.JSON(b)
		if err != nil {
			return
		}
		var other any
		if err := json.Unmarshal(b, &other); err != nil {
			t.Fatalf("taken, and encoding/json says %v", err)
		}
		written, err := strict.AppendJSON(nil, v)
		if err != nil {
			t.Fatalf("read and not written: %v", err)
		}
		var again any
		if err := json.Unmarshal(written, &again); err != nil || !reflect.DeepEqual(other, again) && !bytes.Contains(b, []byte("-0")) {
			t.Fatalf("%s became %s: %v", b, written, err)
		}
		back, err := limits.JSON(written)
		if err != nil {
			t.Fatalf("%s is not read again: %v", written, err)
		}
		if twice, err := strict.AppendJSON(nil, back); err != nil || !bytes.Equal(twice, written) {
			t.Fatalf("%s, written again %s: %v", written, twice, err)
		}
	})
}

func FuzzBase64URL(f *testing.F) {
	f.Add("-_8")
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		if b, err := strict.DecodeBase64URL(s); err == nil && string(strict.AppendBase64URL(nil, b)) != s {
			t.Fatalf("%q is a second spelling of %x", s, b)
		}
	})
}
