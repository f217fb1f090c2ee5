package engine_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/pocket/engine"
)

// FuzzImport gives the page the export of somebody who chose what is inside, and the
// passphrase. Whatever it is, no card of it is live, what is shown is genuine only if it
// says what the issuer signed, and the page opens afterwards.
func FuzzImport(f *testing.F) {
	const passphrase = "correct horse"
	w := newWorld(f)
	e, id := w.holding()
	file := must[string](f)(e.Export(passphrase))
	inside := must[[]byte](f)(engine.OpenExport(file, passphrase))
	signed := w.judge(must[*engine.Shown](f)(e.Show(engine.Show{ID: id, Mode: "static"}, en)).Text, verification.Counter{})
	if len(signed.Claims) == 0 {
		f.Fatalf("the card itself is %s", signed.Verdict)
	}
	f.Add(inside)
	f.Add([]byte(strings.ReplaceAll(string(inside), id, "another")))
	f.Add([]byte(strings.Replace(string(inside), `"key":null`, `"key":"AAAA"`, 1)))
	f.Add([]byte(`{"held":[{"id":"a","copies":[{}]}],"log":[{"id":"b"},{"id":" "}]}`))
	f.Add([]byte(`{"held":null,"log":[]}`))
	f.Add([]byte(`[]`))
	// The file is sealed and opened with a passphrase, and every card shown.
	boundtest.FuzzParses(f, 10, func(t *testing.T, plain []byte) {
		other := newWorld(t)
		o := other.trusting()
		got, err := o.Import(must[string](t)(engine.SealExport(plain, passphrase)), passphrase)
		if err != nil {
			return
		}
		home, err := o.Home(en)
		if err != nil {
			t.Fatalf("the page does not open after %d cards: %v", got.Cards, err)
		}
		if _, err := o.Log(en); err != nil {
			t.Fatalf("the log does not open: %v", err)
		}
		for _, c := range home.Cards {
			if c.Live {
				t.Fatalf("a card of a file is live: %+v", c)
			}
			shown, err := o.Show(engine.Show{ID: c.ID, Mode: "static"}, en)
			if err != nil {
				continue
			}
			// Every process of the fuzzer has a card of its own, from the same issuer.
			r := other.judge(shown.Text, verification.Counter{})
			if genuine := r.Verdict == verification.Valid || r.Verdict == verification.CheckNeeded; genuine &&
				!(r.Type == signed.Type && r.Issuer == signed.Issuer && r.IssuedAt.Equal(signed.IssuedAt) && r.Expires.Equal(signed.Expires) && reflect.DeepEqual(r.Claims, signed.Claims)) {
				t.Fatalf("%s: %s says %v", r.Verdict, shown.Text, r.Claims)
			}
		}
	})
}
