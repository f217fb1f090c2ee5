package qr_test

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/qr"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// deflated is a zlib stream of b at this level.
func deflated(t testing.TB, b []byte, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestBase45Vectors(t *testing.T) {
	var v struct {
		Cases []struct {
			Source string `json:"source"`
			Bytes  string `json:"bytes_hex"`
			Base45 string `json:"base45"`
		} `json:"cases"`
		Reject []struct {
			Base45 string `json:"base45"`
		} `json:"must_reject"`
	}
	if err := json.Unmarshal(vectors.Read(t, "base45", "rfc9285.json"), &v); err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Cases {
		if got := qr.EncodeBase45(unhex(t, c.Bytes)); got != c.Base45 {
			t.Errorf("%s: encoded %q, want %q", c.Source, got, c.Base45)
		}
		if got, err := qr.DecodeBase45(c.Base45); err != nil || hex.EncodeToString(got) != c.Bytes {
			t.Errorf("%s: decoded %x, %v", c.Source, got, err)
		}
	}
	for _, c := range v.Reject {
		if got, err := qr.DecodeBase45(c.Base45); !errors.Is(err, qr.ErrMalformed) {
			t.Errorf("%q: %x, %v, want ErrMalformed", c.Base45, got, err)
		}
	}
}

func TestDecodeBase45Refuses(t *testing.T) {
	for name, s := range map[string]string{
		"one character":             "A",
		"four characters":           "BB8A",
		"lower case":                "bb8",
		"lower case at the end":     "BB8qe",
		"beyond two bytes":          "GGW",
		"far beyond two bytes":      ":::",
		"beyond one byte":           "::",
		"just beyond one byte":      "V5",
		"line end":                  "BB8\n",
		"character of two bytes":    "BB8é",
		"full-width letters":        "ＢＢ８",
		"zero byte":                 "BB\x00",
		"comma":                     "BB,",
		"wrong first of a triplet":  "~B8",
		"wrong second of a triplet": "B~8",
		"wrong first of a pair":     "BB8~0",
		"wrong second of a pair":    "BB80~",
	} {
		if b, err := qr.DecodeBase45(s); !errors.Is(err, qr.ErrMalformed) {
			t.Errorf("%s: %x, %v, want ErrMalformed", name, b, err)
		}
	}
	if b, err := qr.DecodeBase45(""); err != nil || len(b) != 0 {
		t.Errorf("empty: %x, %v", b, err)
	}
}

func TestZlibVectors(t *testing.T) {
	var v struct {
		Cases []struct {
			Name   string `json:"name"`
			Plain  string `json:"plain_hex"`
			Length int    `json:"plain_len"`
			Repeat *struct {
				Byte  string `json:"byte"`
				Count int    `json:"count"`
			} `json:"plain_repeat"`
			Text string `json:"base45_of_zlib"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(vectors.Read(t, "base45", "zlib.json"), &v); err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Cases {
		got, err := qr.Decode(c.Text)
		if err != nil || len(got) != c.Length {
			t.Errorf("%s: %d bytes, %v, want %d", c.Name, len(got), err, c.Length)
		}
		if c.Repeat == nil && hex.EncodeToString(got) != c.Plain {
			t.Errorf("%s: %x", c.Name, got)
		}
		if qr.Recognise(c.Text) != qr.Proof {
			t.Errorf("%s: %s", c.Name, qr.Recognise(c.Text))
		}
		spoiled := unhexText(t, c.Text)
		spoiled[len(spoiled)-1] ^= 1
		if _, err := qr.Decode(qr.EncodeBase45(spoiled)); !errors.Is(err, qr.ErrMalformed) {
			t.Errorf("%s: another checksum: %v, want ErrMalformed", c.Name, err)
		}
	}
}

func unhexText(t *testing.T, text string) []byte {
	t.Helper()
	b, err := qr.DecodeBase45(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeRefuses(t *testing.T) {
	message := []byte("a message that is long enough to be compressed, a message that is long")
	good := deflated(t, message, 9)
	dictionary := bytes.Clone(good)
	dictionary[1] = 0x20 | 0x9b // 0x78bb, preset dictionary
	tests := []struct {
		name string
		text string
		want error
	}{
		{"nothing spoiled", qr.EncodeBase45(good), nil},
		{"with prefix", "HC1:" + qr.EncodeBase45(good), nil},
		{"line end after it", qr.EncodeBase45(good) + "\r\n", nil},
		{"byte order mark before it", "\ufeff" + qr.EncodeBase45(good), nil},
		{"nothing at all", "", qr.ErrMalformed},
		{"prefix alone", "HC1:", qr.ErrMalformed},
		{"prefix twice", "HC1:HC1:" + qr.EncodeBase45(good), qr.ErrMalformed},
		{"lower case", strings.ToLower(qr.EncodeBase45(good)), qr.ErrMalformed},
		{"line end within", qr.EncodeBase45(good)[:30] + "\n" + qr.EncodeBase45(good)[30:], qr.ErrMalformed},
		{"not compressed", qr.EncodeBase45(message), qr.ErrMalformed},
		{"cut", qr.EncodeBase45(good[:len(good)-1]), qr.ErrMalformed},
		{"no checksum", qr.EncodeBase45(good[:len(good)-4]), qr.ErrMalformed},
		{"trailing byte", qr.EncodeBase45(append(bytes.Clone(good), 0)), qr.ErrMalformed},
		{"two streams", qr.EncodeBase45(append(bytes.Clone(good), good...)), qr.ErrMalformed},
		{"preset dictionary", qr.EncodeBase45(dictionary), qr.ErrMalformed},
		{"gzip", qr.EncodeBase45(append([]byte{0x1f, 0x8b}, good...)), qr.ErrMalformed},
		{"raw deflate", qr.EncodeBase45(good[2 : len(good)-4]), qr.ErrMalformed},
		{"4297 characters", strings.Repeat("0", qr.MaxText+1), qr.ErrTooLarge},
		{"a million characters", strings.Repeat("0", 1<<20), qr.ErrTooLarge},
		{"a million lines", strings.Repeat("\n", 1<<20), qr.ErrMalformed},
		{"QR-01 16 kB", qr.EncodeBase45(deflated(t, make([]byte, qr.MaxInflated), 9)), nil},
		{"QR-01 16 kB and one byte", qr.EncodeBase45(deflated(t, make([]byte, qr.MaxInflated+1), 9)), qr.ErrTooLarge},
		{"QR-01 two million bytes", qr.EncodeBase45(deflated(t, make([]byte, 2<<20), 9)), qr.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := qr.Decode(tt.text)
			if !errors.Is(err, tt.want) {
				t.Errorf("Decode: %v, want %v", err, tt.want)
			}
			if err != nil && b != nil {
				t.Error("bytes and an error")
			}
		})
	}
}

// QR-01: what unpacks hugely is given up at the limit, in little memory.
func TestInflationIsBounded(t *testing.T) {
	bomb := qr.EncodeBase45(deflated(t, make([]byte, 2<<20), 9))
	_, _ = qr.Decode(bomb)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := qr.Decode(bomb); !errors.Is(err, qr.ErrTooLarge) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 100; each > 256<<10 {
		t.Errorf("%d bytes allocated for each", each)
	}
}

func TestEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.SliceOfN(rapid.SampledFrom([]byte("abcdefgh\x00\xff")), 0, 2000).Draw(t, "message")
		text, err := qr.Encode(message)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := qr.Decode(text); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("Decode: %x, %v, want %x", got, err, message)
		}
		if qr.Recognise(text) != qr.Proof {
			t.Fatalf("Recognise: %s", qr.Recognise(text))
		}
		if stored := (len(message) + 11 + 1) / 2 * 3; len(text) > stored {
			t.Fatalf("%d characters, %d without compression", len(text), stored)
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	random := make([]byte, qr.MaxInflated+1)
	rng := rand.NewChaCha8([32]byte{})
	_, _ = rng.Read(random)
	for name, message := range map[string][]byte{
		"more than unpacks":    make([]byte, qr.MaxInflated+1),
		"more than a code has": random[:2900],
	} {
		if text, err := qr.Encode(message); !errors.Is(err, qr.ErrTooLarge) {
			t.Errorf("%s: %d characters, %v, want ErrTooLarge", name, len(text), err)
		}
	}
	// What credential/cwt takes for the largest message does fit.
	if text, err := qr.Encode(random[:2853]); err != nil || len(text) != qr.MaxText {
		t.Errorf("2853 bytes: %d characters, %v", len(text), err)
	}
}

// FuzzBase45: every text that decodes is the one text of its bytes.
func FuzzBase45(f *testing.F) {
	f.Add("QED8WEX0")
	f.Add("GGW")
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		if b, err := qr.DecodeBase45(s); err == nil && qr.EncodeBase45(b) != s {
			t.Fatalf("%q decodes to %x, which encodes to %q", s, b, qr.EncodeBase45(b))
		}
		if b, err := qr.DecodeBase45(qr.EncodeBase45([]byte(s))); err != nil || string(b) != s {
			t.Fatalf("%x: %x, %v", s, b, err)
		}
	})
}

// FuzzDecode: what decodes is within the limits and encodes to a text that
// decodes to the same; what Recognise does not call readable does not decode.
func FuzzDecode(f *testing.F) {
	for _, level := range []int{0, 1, 9, zlib.HuffmanOnly} {
		f.Add(qr.EncodeBase45(deflated(f, []byte("message message message"), level)))
	}
	f.Add("HC1:6BF")
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		kind := qr.Recognise(text)
		b, err := qr.Decode(text)
		if err != nil {
			return
		}
		if len(b) > qr.MaxInflated {
			t.Fatalf("%d bytes", len(b))
		}
		// Streams with a smaller window than 32 kB are read but not recognised.
		if !kind.Readable() && kind != qr.Unknown {
			t.Fatalf("%s decodes", kind)
		}
		again, err := qr.Encode(b)
		if errors.Is(err, qr.ErrTooLarge) {
			return
		}
		if c, err := qr.Decode(again); err != nil || !bytes.Equal(b, c) {
			t.Fatalf("%x: %x, %v", b, c, err)
		}
	})
}

// FuzzEncode: every message comes back, through our reader and the library's.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("a message, a message, a message"))
	f.Add(bytes.Repeat([]byte{0}, 400))
	f.Fuzz(func(t *testing.T, message []byte) {
		text, err := qr.Encode(message)
		if errors.Is(err, qr.ErrTooLarge) {
			return
		}
		if got, err := qr.Decode(text); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("%x: %x, %v", message, got, err)
		}
	})
}
