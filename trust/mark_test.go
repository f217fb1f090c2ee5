package trust_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/trust"
)

// TestMark: mark and bundle, kept apart, are the State again.
func TestMark(t *testing.T) {
	c := newCountry(t)
	first := c.sign(t, c.content(t))
	st := trusted(t, first)
	mark, err := st.Mark()
	if err != nil {
		t.Fatal(err)
	}
	back, err := trust.Remember(mark, st.Bundle)
	if diff := cmp.Diff(st, back); err != nil || diff != "" {
		t.Errorf("remember: %v (-kept +remembered):\n%s", err, diff)
	}
	if _, err := (trust.State{}).Mark(); err == nil {
		t.Error("the zero State has a mark")
	}
	older := st
	st = trusted(t, first, c.daily(t, first, 8))
	if mark, err = st.Mark(); err != nil {
		t.Fatal(err)
	}
	for name, bundle := range map[string][]byte{"an older bundle": older.Bundle, "none": nil, "a changed one": flip(st.Bundle, 40)} {
		got, err := trust.Remember(mark, bundle)
		if err != nil || !got.Damaged || got.Bundle != nil || got.HighWater != st.HighWater {
			t.Errorf("%s: %v, damaged %v, high water %d", name, err, got.Damaged, got.HighWater)
		}
	}
	for name, spoiled := range map[string][]byte{
		"empty": nil, "a number changed": bytes.Replace(mark, []byte(`"high_water": 2`), []byte(`"high_water": 1`), 1), "cut off": mark[:len(mark)-3],
	} {
		if _, err := trust.Remember(spoiled, st.Bundle); !errors.Is(err, trust.ErrMemory) {
			t.Errorf("mark %s: %v", name, err)
		}
	}
}
