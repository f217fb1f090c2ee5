package engine_test

import (
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/pocket/engine"
)

// FuzzImport gives the page the export of somebody who chose what is inside, and the
// passphrase. Whatever it is, no card of it is live, what is shown is genuine only if an
// issuer signed it, and the page opens afterwards.
func FuzzImport(f *testing.F) {
	const passphrase = "correct horse"
	w := newWorld(f)
	e, id := w.holding()
	file := must[string](f)(e.Export(passphrase))
	inside := must[[]byte](f)(engine.OpenExport(file, passphrase))
	genuine := must[*engine.Shown](f)(e.Show(engine.Show{ID: id, Mode: "static"}, en)).Text
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
			if err != nil || shown.Text == genuine {
				continue
			}
			if r := other.judge(shown.Text, verification.Counter{}); r.Verdict == verification.Valid || r.Verdict == verification.CheckNeeded {
				t.Fatalf("%s: %s", r.Verdict, shown.Text)
			}
		}
	})
}
