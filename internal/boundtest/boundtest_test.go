package boundtest

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// An attempt is a test that may fail without failing the test it belongs to.
type attempt struct {
	testing.TB
	failures []string
}

func (a *attempt) Errorf(format string, args ...any) {
	a.failures = append(a.failures, fmt.Sprintf(format, args...))
}
func (a *attempt) Failed() bool            { return len(a.failures) > 0 }
func (a *attempt) Logf(_ string, _ ...any) {}

// TestHold: what allocates or takes too much is found, and only that. A parse that is slow once, as on a machine that is busy, is forgiven.
func TestHold(t *testing.T) {
	var kept []byte
	runs := 0
	spin := func(d time.Duration) {
		for began := processorTime(); processorTime()-began < d; {
			continue
		}
	}
	l := limits{memory: 8 << 20, time: 10 * time.Millisecond}
	for _, tt := range []struct {
		name  string
		parse func()
		want  int
	}{
		{"nothing", func() {}, 0},
		{"within both", func() { kept = make([]byte, 4<<20) }, 0},
		{"too much memory", func() { kept = make([]byte, 9<<20) }, 1},
		{"too much in small pieces, given back", func() {
			for range 9 << 10 {
				kept = make([]byte, 1<<10)
			}
		}, 1},
		{"too slow", func() { spin(20 * time.Millisecond) }, 1},
		{"too slow once", func() {
			if runs++; runs == 1 {
				spin(20 * time.Millisecond)
			}
		}, 0},
	} {
		a := &attempt{TB: t}
		l.hold(a, tt.name, tt.parse)
		if len(a.failures) != tt.want {
			t.Errorf("%s: %q, want %d", tt.name, a.failures, tt.want)
		}
	}
	_ = kept
}

// TestInputs: they have the size that they are for, nearly all of it, and the bombs are some.
func TestInputs(t *testing.T) {
	seeds := []string{`{"a":1}`, "e30.e30.AA", "a=1&b=2", "\xd2\x84\x43\xa1\x01\x26\xa0\x42\x00\x00\x41\x00"}
	for _, size := range sizes {
		all := fixed(size)
		for _, seed := range seeds {
			all = append(all, grown(size, []byte(seed))...)
		}
		if len(all) < 200 {
			t.Errorf("%d inputs of %d bytes", len(all), size)
		}
		for _, in := range all {
			if n := len(in.text()); n > size || n < size/2 {
				t.Errorf("%s: %d bytes for %d", in.name, n, size)
			}
		}
	}
	n, err := io.Copy(io.Discard, flate.NewReader(bytes.NewReader(zlibBomb(64 << 10)[2:])))
	if n < 900<<16 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the bomb is of %d bytes, %v", n, err)
	}
}
