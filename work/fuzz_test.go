package work_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/work"
)

// FuzzOpenRef: a reference in an address that is taken is one that the desk makes itself, so
// that nobody can name a record that was not shown to them.
func FuzzOpenRef(f *testing.F) {
	b := newBed(f)
	good := b.Ref("births", b.id(1))
	f.Add(good)
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_A"
	for n := range 4 { // the last letter of one of them says more than it means
		long := b.Ref("births", strings.Repeat("x", n))
		f.Add(long[:len(long)-1] + string(letters[strings.IndexByte(letters, long[len(long)-1])+1]))
	}
	f.Add(good[1:])
	f.Add(good + "AA")
	f.Add(good + "=")
	f.Add(strings.ToLower(good))
	f.Add("births/" + b.id(1))
	f.Add("")
	f.Add(strings.Repeat("A", 601))
	boundtest.Fuzz(f, func(t *testing.T, ref string) {
		programme, record, err := b.OpenRef(ref)
		if err != nil {
			if !errors.Is(err, work.ErrNoRecord) || programme != "" || record != "" {
				t.Fatalf("%q: %q, %q, %v", ref, programme, record, err)
			}
			return
		}
		if b.Ref(programme, record) != ref {
			t.Fatalf("%q leads to %q of %q, whose reference is %q", ref, record, programme, b.Ref(programme, record))
		}
	})
}
