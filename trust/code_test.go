package trust_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/trust"
)

// TestCode: the changes of a day go into one code, and lead to the very bundle.
func TestCode(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	second := c.daily(t, first, 8, 9, 200, 4000)
	delta, err := trust.MakeDelta(first, second)
	if err != nil {
		t.Fatal(err)
	}
	text, err := trust.Code(delta)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d characters: V%d-L", len(delta), len(text), image.VersionFor(len(text), image.L))
	if qr.Recognise(text) != qr.Proof {
		t.Errorf("a reader takes it for %s", qr.Recognise(text))
	}
	for _, read := range []string{text, "\n" + text + "\r\n"} {
		file, err := trust.FromCode(read)
		if err != nil || !bytes.Equal(file, delta) {
			t.Fatalf("%v, %d bytes of %d", err, len(file), len(delta))
		}
		if _, b, err := trust.Accept(trusted(t, first), file, nil); err != nil || b.Version != 2 {
			t.Errorf("accept: %v", err)
		}
	}
	if whole, err := trust.Code(first); err == nil {
		if file, err := trust.FromCode(whole); err != nil || !bytes.Equal(file, first) {
			t.Errorf("a small bundle in a code: %v", err)
		}
	}
}

func TestCodeRefuses(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	delta, err := trust.MakeDelta(first, c.daily(t, first, 8))
	if err != nil {
		t.Fatal(err)
	}
	text, err := trust.Code(delta)
	if err != nil {
		t.Fatal(err)
	}
	credential, err := qr.Encode([]byte{0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", trust.ErrMalformed},
		{"small letters", strings.ToLower(text), trust.ErrMalformed},
		{"QR-01 cut short", text[:len(text)/3*3-6], trust.ErrMalformed},
		{"a character more", text + "A", trust.ErrMalformed},
		{"a credential", credential, trust.ErrMalformed},
		{"another map", qr.EncodeBase45(deflated(t, []byte{0x01})), trust.ErrMalformed},
		{"too long", strings.Repeat("A", qr.MaxText+1), trust.ErrTooLarge},
	} {
		if _, err := trust.FromCode(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := trust.Code([]byte("no file")); err == nil {
		t.Error("a code of no file")
	}
	if _, err := trust.Code(deflated(t, []byte{0x01})); !errors.Is(err, trust.ErrMalformed) {
		t.Errorf("a code of another file: %v", err)
	}
	// Noise does not compress: a delta with much of it does not fit.
	n := open(t, first).Next(days(2))
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range 90 {
		n.Messages = append(n.Messages, trust.Message{ID: ids(i), Text: map[string]string{"en": fmt.Sprintf("%016x%016x%016x", noise.Uint64(), noise.Uint64(), noise.Uint64())}})
	}
	big, err := trust.MakeDelta(first, c.sign(t, n))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.Code(big); !errors.Is(err, trust.ErrTooLarge) {
		t.Errorf("a delta of %d bytes: %v", len(big), err)
	}
}

func FuzzFromCode(f *testing.F) {
	c := newCountry(f)
	first := c.sign(f, c.content(f))
	if text, err := trust.Code(first); err == nil {
		f.Add(text)
	}
	f.Add("6BF")
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		file, err := trust.FromCode(text)
		if err != nil {
			return
		}
		again, err := trust.Code(file)
		if err != nil || again != strings.Trim(text, "\t\r\n\ufeff") {
			t.Errorf("%q becomes %q, %v", text, again, err)
		}
	})
}
