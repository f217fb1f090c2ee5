package engine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/scanner/engine"
)

var asOf = time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)

const (
	licence = "urn:xx:licence:1"
	list    = "https://status.xx/1"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newSigner(t *testing.T, purpose keys.Purpose) keys.Signer {
	t.Helper()
	secret := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	pub := must[keys.PublicKey](t)(keys.NewPublicKey(keys.ES256, secret.Public()))
	from := asOf.AddDate(-2, 0, 0)
	return must[keys.Signer](t)(keys.NewSigner(keys.Key{
		Public: pub, Purpose: purpose, State: keys.Active, Created: from, Published: from, SignFrom: from, SignUntil: from.AddDate(10, 0, 0),
	}, secret))
}

// A country is an authority with its bundles, and one licence.
type country struct {
	first, second []byte // bundles; the second revokes the licence
	code          []byte
	fingerprint   string

	bundleKey, issuer, registrar keys.Signer
	content                      trust.Content // of the first
	listed                       []byte        // the last that listing made
}

// sign publishes a bundle.
func (c *country) sign(t *testing.T, content trust.Content) []byte {
	t.Helper()
	return must[[]byte](t)(content.Sign(rand.Reader, []keys.Signer{c.bundleKey}, content.AsOf))
}

// listing is the first bundle with these offices.
func (c *country) listing(t *testing.T, offices []trust.Verifier) []byte {
	t.Helper()
	content := c.content
	content.Verifiers = offices
	c.listed = c.sign(t, content)
	return c.listed
}

func newCountry(t *testing.T) country {
	t.Helper()
	root, signer, issuer := newSigner(t, keys.TrustRoot), newSigner(t, keys.TrustBundle), newSigner(t, keys.Credential)
	chain := must[[][]byte](t)(trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: asOf.AddDate(-1, 0, 0), Expires: asOf.AddDate(8, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{signer.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, asOf.AddDate(-1, 0, 0)))
	lists := func(at time.Time, revoked bool) []status.Snapshot {
		l := must[*status.List](t)(status.NewList(1, 1<<10))
		if revoked {
			if err := l.Set(3, status.Invalid); err != nil {
				t.Fatal(err)
			}
		}
		return []status.Snapshot{must[status.Snapshot](t)(status.NewSnapshot(list, l, at))}
	}
	sign := func(c trust.Content) []byte {
		return must[[]byte](t)(c.Sign(rand.Reader, []keys.Signer{signer}, c.AsOf))
	}
	first := trust.Content{
		Roots: chain, Version: 1, AsOf: asOf, RefreshBy: asOf.AddDate(0, 0, 10), OldAfter: asOf.AddDate(0, 0, 60), Jurisdiction: "XX",
		Issuers: []trust.Issuer{{
			ID: "xx", Names: map[string]string{"en": "Ministry", "ar": "وزارة"}, Keys: []trust.IssuerKey{trust.NewIssuerKey(issuer.Key(), []string{licence}, nil)},
		}},
		Types: []credential.Type{{
			ID: licence, Labels: map[string]string{"en": "Licence"}, FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour, StatusRequired: true, Policy: "licence/1",
			Fields: []credential.TypeField{
				{Key: 1, Name: "trade", Labels: map[string]string{"en": "Trade"}, Kind: "text"}, {Key: 2, Name: "town", Labels: map[string]string{"en": "Town"}, Kind: "text"},
			},
		}},
		Status: lists(asOf, false), Algorithms: []keys.Algorithm{keys.ES256},
	}
	c := country{first: sign(first), content: first, bundleKey: signer, issuer: issuer, registrar: newSigner(t, keys.Request)}
	b := must[*trust.Bundle](t)(trust.Open(c.first))
	next := b.Next(asOf.AddDate(0, 0, 1))
	next.Status = lists(next.AsOf, true)
	c.second, c.fingerprint = sign(next), b.Fingerprint()
	d := must[*cwt.Draft](t)(cwt.NewDraft(cwt.Token{
		Issuer: "xx", Type: licence, IssuedAt: asOf.AddDate(0, 0, -3), Expires: asOf.AddDate(1, 0, 0), Status: &credential.StatusRef{URI: list, Index: 3},
		Fields: map[int64]any{1: "Baker"},
	}, issuer.Key().Public))
	c.code = []byte(must[string](t)(qr.Encode(must[[]byte](t)(d.Sign(rand.Reader, issuer, asOf)))))
	return c
}

func verdict(t *testing.T, e *engine.Engine, code []byte) engine.Checked {
	t.Helper()
	return must[engine.Checked](t)(e.Check(code, i18n.For("en"), false))
}

// TestEngine is the life of a page: nobody trusted, first trust, newer lists, memory.
func TestEngine(t *testing.T) {
	c := newCountry(t)
	en, ar := i18n.For("en"), i18n.For("ar")
	e := engine.New(func() time.Time { return asOf.AddDate(0, 0, 1) })
	if got := verdict(t, e, c.code); got.Report.Verdict != verification.Undetermined || got.Learned {
		t.Errorf("nobody is trusted: %s, learned %v", got.Report.Verdict, got.Learned)
	}
	if mark, bundle := e.Memory(); mark != nil || bundle != nil {
		t.Error("there is something to remember of nothing")
	}
	asked := e.Import(c.first, "", ar)
	if asked.Done || asked.Confirm == nil || asked.Confirm.Fingerprint != c.fingerprint || !strings.Contains(asked.Confirm.Issuers[0], "وزارة") {
		t.Fatalf("first import: %+v", asked)
	}
	if again := e.Import(c.first, strings.Repeat("00000 ", 6), en); again.Done {
		t.Error("another fingerprint was taken")
	}
	if done := e.Import(c.first, c.fingerprint, en); !done.Done || !done.Changed {
		t.Fatalf("confirmed: %+v", done)
	}
	if same := e.Import(c.first, "", en); !same.Done || same.Changed {
		t.Errorf("the same again: %+v", same)
	}
	got := verdict(t, e, c.code)
	if got.Report.Verdict != verification.Valid || got.Page.Claims[0].Value != "Baker" {
		t.Fatalf("judged: %s %+v", got.Report.Verdict, got.Page)
	}
	if tr := e.Trust(en); !tr.Trusted || tr.Version != 1 || !strings.Contains(tr.Summary, "12 November 2026") || tr.Issuers[0].Name != "Ministry" || len(tr.Types) != 1 ||
		tr.Types[0].Note != "counts as fresh for 7 days; good until 19 November 2026" {
		t.Errorf("trust: %+v", tr)
	}
	later := engine.New(func() time.Time { return asOf.AddDate(0, 0, 8) })
	later.Import(c.first, c.fingerprint, en)
	if tr := later.Trust(en); tr.Types[0].Note != "counts as fresh for 7 days; old since 19 November 2026: check needed" {
		t.Errorf("after a week: %+v", tr.Types)
	}
	older, olderBundle := e.Memory()
	if done := e.Import(c.second, "", en); !done.Done || !done.Changed {
		t.Fatalf("newer lists: %+v", done)
	}
	if got := verdict(t, e, c.code); got.Report.Verdict != verification.Invalid || got.Page.Why[0].Code != credential.Revoked {
		t.Errorf("revoked meanwhile: %s %v", got.Report.Verdict, got.Page.Why)
	}
	mark, bundle := e.Memory()

	back := engine.New(func() time.Time { return asOf.AddDate(0, 0, 2) })
	if err := back.Restore(mark, bundle); err != nil {
		t.Fatal(err)
	}
	if got := verdict(t, back, c.code); got.Report.Verdict != verification.Invalid {
		t.Errorf("after a new start: %s", got.Report.Verdict)
	}
	// The bundle was lost or put back: the mark knows better.
	for name, stored := range map[string][]byte{"lost": nil, "an older one": olderBundle} {
		lost := engine.New(func() time.Time { return asOf.AddDate(0, 0, 2) })
		if err := lost.Restore(mark, stored); err != nil {
			t.Fatal(err)
		}
		if tr := lost.Trust(en); !tr.Damaged {
			t.Errorf("%s: %+v", name, tr)
		}
		if got := verdict(t, lost, c.code); got.Report.Verdict != verification.Undetermined {
			t.Errorf("%s: %s", name, got.Report.Verdict)
		}
		if r := lost.Import(c.first, "", en); r.Refused != "rollback" {
			t.Errorf("%s, then the first bundle: %+v", name, r)
		}
		if r := lost.Import(c.second, "", en); !r.Done {
			t.Errorf("%s, then the newest: %+v", name, r)
		}
	}
	if err := engine.New(time.Now).Restore(older[:len(older)-2], olderBundle); !errors.Is(err, trust.ErrMemory) {
		t.Errorf("a spoiled mark: %v", err)
	}
}

// TestImportRefuses: each refusal has its code and a sentence of its own.
func TestImportRefuses(t *testing.T) {
	c, other := newCountry(t), newCountry(t)
	for _, tt := range []struct {
		name string
		file []byte
		code string
	}{
		{"nothing", nil, "damaged"},
		{"half of it", c.second[:len(c.second)/2], "damaged"},
		{"text", []byte("hello"), "damaged"},
		{"an older one", c.first, "rollback"},
		{"of another authority", other.second, "other_root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := engine.New(func() time.Time { return asOf.AddDate(0, 0, 1) })
			if r := e.Import(c.second, c.fingerprint, i18n.For("en")); !r.Done {
				t.Fatal(r)
			}
			r := e.Import(tt.file, "", i18n.For("bn"))
			if r.Done || r.Refused != tt.code || r.Sentence == "" || strings.HasPrefix(r.Sentence, "scanner.") {
				t.Errorf("import: %+v", r)
			}
			if got := verdict(t, e, c.code); got.Report.Verdict != verification.Invalid {
				t.Errorf("after it: %s", got.Report.Verdict)
			}
		})
	}
	for _, code := range []string{"rollback", "other_root", "mixed", "backwards", "gap", "root_chain", "quorum", "newer_format", "damaged"} {
		if !i18n.Has("scanner.trust." + code) {
			t.Errorf("no sentence for %s", code)
		}
	}
	for _, age := range []trust.Age{trust.UpdateSoon, trust.Old, trust.Expired} {
		if !i18n.Has("scanner.age." + string(age)) {
			t.Errorf("no sentence for %s", age)
		}
	}
}
