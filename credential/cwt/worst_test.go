package cwt_test

import (
	"bytes"
	"testing"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/qr"
)

// heavyClaims are claims of many thousand bytes that take a reader much time for
// their size. All of them fit a code, because they compress.
func heavyClaims() map[string]cbor.RawMessage {
	// array of n items, each of them the same bytes
	array := func(n int, item ...byte) []byte {
		return append([]byte{0x99, byte(n >> 8), byte(n)}, bytes.Repeat(item, n)...)
	}
	manyKeys := []byte{0xb8, 240}
	for i := range 240 {
		manyKeys = append(manyKeys, 0x19, 0x10, byte(i), 0x00)
	}
	return map[string]cbor.RawMessage{
		"small integers": array(3, array(250, 0x00)...),
		"large integers": array(3, array(250, 0x19, 0x12, 0x34)...),
		"floats":         array(3, array(250, 0xf9, 0x3c, 0x00)...),
		"empty arrays":   array(3, array(250, 0x80)...),
		"empty maps":     array(3, array(250, 0xa0)...),
		"maps of one":    array(1, array(256, 0xa1, 0x00, 0x00)...),
		"maps in maps":   array(1, array(130, 0xa1, 0x00, 0xa1, 0x00, 0xa1, 0x00, 0xa0)...),
		"empty texts":    array(3, array(250, 0x60)...),
		"short texts":    array(3, array(250, 0x61, 'a')...),
		"many keys":      array(2, manyKeys...),
		"long text":      append([]byte{0x79, 0x3d, 0x00}, bytes.Repeat([]byte("a"), 0x3d00)...),
		"long bytes":     append([]byte{0x59, 0x3d, 0x00}, make([]byte, 0x3d00)...),
	}
}

// BenchmarkVerifyWorst is P18: the most work that an accepted code can make.
func BenchmarkVerifyWorst(b *testing.B) {
	for name, heavy := range heavyClaims() {
		b.Run(name, func(b *testing.B) {
			text, want := heavyText(b, heavy)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifyText(text, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func heavyText(t testing.TB, heavy cbor.RawMessage) (string, cwt.Expect) {
	t.Helper()
	f := goodFixture(t)
	f.claims[-65538] = map[any]any{1: heavy}
	text, err := qr.Encode(f.token(t))
	if err != nil {
		t.Fatal(err)
	}
	return text, f.want
}

// The claims of the benchmark are such as are accepted, and little more is not.
func TestHeavyClaims(t *testing.T) {
	for name, heavy := range heavyClaims() {
		text, want := heavyText(t, heavy)
		if _, err := verifyText(text, want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := goodFixture(t)
	f.claims[-65538] = map[any]any{1: cbor.RawMessage(append([]byte{0x84}, bytes.Repeat(heavyClaims()["maps of one"], 4)...))}
	_, err := cwt.Verify(f.token(t), f.want)
	rejected(t, err, credential.TooLarge)
}
