package trust_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

const schoolType = "urn:xx:school:1"

// A federation is a country in which the school board publishes its own part.
type federation struct {
	*country
	board      keys.Signer // signs contributions
	credential keys.Signer // signs school certificates
	content    trust.Content
}

func newFederation(t testing.TB) *federation {
	t.Helper()
	f := &federation{country: newCountry(t), board: newSigner(t, keys.TrustBundle), credential: newSigner(t, keys.Credential)}
	f.content = f.country.content(t)
	f.content.Issuers = append(f.content.Issuers, trust.Issuer{
		ID: "xx-school-board", Names: map[string]string{"en": "School Board"},
		Authority: &trust.Authority{Key: f.board.Key().Public, Shared: []string{farmerType}},
	})
	return f
}

const boardList = "https://schools.example/lists/1"

// part is the board's first contribution.
func (f *federation) part(t testing.TB) trust.Contribution {
	t.Helper()
	return trust.Contribution{
		Version: 1, AsOf: days(-2),
		Issuer: trust.Issuer{
			ID: "xx-school-board", Names: map[string]string{"en": "Board of Schools"},
			Keys: []trust.IssuerKey{trust.NewIssuerKey(f.credential.Key(), []string{schoolType, farmerType}, nil)},
		},
		Types:  []credential.Type{{ID: schoolType, Labels: map[string]string{"en": "School certificate"}}},
		Status: []status.Snapshot{packed(t, boardList, days(-2), 4)},
	}
}

func TestMerge(t *testing.T) {
	f := newFederation(t)
	file, err := trust.SignContribution(rand.Reader, f.board, f.part(t), now)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := f.content.Merge(file, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.content.Types) != 2 || f.content.Issuers[2].Names["en"] != "School Board" {
		t.Error("Merge changed the content that it was asked about")
	}
	b := open(t, f.sign(t, merged))
	issuer, key, ok := b.IssuerKey(f.credential.Key().Public)
	if !ok || issuer.Names["en"] != "Board of Schools" || !key.MaySign(schoolType) || issuer.Authority.Version != 1 {
		t.Errorf("IssuerKey: %+v, %v", issuer, ok)
	}
	if _, ok := b.Type(schoolType); !ok {
		t.Error("the type is missing")
	}
	if l, _, ok := b.StatusList(boardList); !ok || l.Check(4) == nil {
		t.Error("the list is missing")
	}

	// The next contribution replaces the first, from the bundle that was published.
	second := f.part(t)
	second.Version, second.AsOf = 2, days(-1)
	second.Types[0].Labels = map[string]string{"en": "Leaving certificate"}
	second.Status = []status.Snapshot{packed(t, boardList, days(-1), 4, 5)}
	if file, err = trust.SignContribution(rand.Reader, f.board, second, now); err != nil {
		t.Fatal(err)
	}
	if merged, err = b.Next(now).Merge(file, now); err != nil {
		t.Fatal(err)
	}
	next := open(t, f.sign(t, merged))
	if typ, _ := next.Type(schoolType); typ.Labels["en"] != "Leaving certificate" || len(next.Types) != 3 || len(next.Status) != 2 {
		t.Errorf("after the second contribution: %+v", next.Content)
	}
	if c, err := trust.OpenContribution(file, f.board.Key().Public); err != nil || c.Version != 2 {
		t.Errorf("OpenContribution: %v, %v", c, err)
	}
	if _, err := trust.OpenContribution(file, f.bundleKeys[0].Key().Public); !errors.Is(err, trust.ErrPartSigner) {
		t.Errorf("OpenContribution by another key: %v", err)
	}
	if _, err := trust.OpenContribution(file, keys.PublicKey{}); !errors.Is(err, trust.ErrPartSigner) {
		t.Errorf("OpenContribution by no key: %v", err)
	}
}

// TestMergeRefuses spoils one thing at a time in a good second contribution.
func TestMergeRefuses(t *testing.T) {
	f := newFederation(t)
	first := f.part(t)
	lost := trust.NewIssuerKey(newSigner(t, keys.Credential).Key(), []string{schoolType}, nil)
	lost.State, lost.CompromisedSince = keys.Compromised, days(-5)
	first.Issuer.Keys = append(first.Issuer.Keys, lost)
	file, err := trust.SignContribution(rand.Reader, f.board, first, now)
	if err != nil {
		t.Fatal(err)
	}
	content, err := f.content.Merge(file, now)
	if err != nil {
		t.Fatal(err)
	}
	stranger := newSigner(t, keys.TrustBundle)
	tests := []struct {
		name  string
		spoil func(p *trust.Contribution)
		by    keys.Signer
		want  error
	}{
		{"signed by another key", func(*trust.Contribution) {}, stranger, trust.ErrPartSigner},
		{"signed by a key of the bundle", func(*trust.Contribution) {}, f.bundleKeys[0], trust.ErrPartSigner},
		{"speaks for another issuer", func(p *trust.Contribution) { p.Issuer.ID = "xx-registry" }, f.board, trust.ErrPartIssuer},
		{"speaks for an issuer nobody knows", func(p *trust.Contribution) { p.Issuer.ID = "xx-new" }, f.board, trust.ErrPartIssuer},
		{"the same version again", func(p *trust.Contribution) { p.Version = 1 }, f.board, trust.ErrPartOld},
		{"a later version with an earlier date", func(p *trust.Contribution) { p.AsOf, p.Status = days(-3), nil }, f.board, trust.ErrPartOld},
		{"describes a type of the country", func(p *trust.Contribution) {
			p.Types = append(p.Types, credential.Type{ID: birthType, Labels: map[string]string{"en": "Birth"}})
		}, f.board, trust.ErrPartForeign},
		{"describes a type that is only shared with it", func(p *trust.Contribution) {
			p.Types = append(p.Types, credential.Type{ID: farmerType, Labels: map[string]string{"en": "Farmer"}})
		}, f.board, trust.ErrPartForeign},
		{"would sign a type of the country", func(p *trust.Contribution) { p.Issuer.Keys[0].Types = []string{birthType} }, f.board, trust.ErrPartForeign},
		{"has a list of the country", func(p *trust.Contribution) { p.Status = append(p.Status, packed(t, listURI, days(-1), 7)) }, f.board, trust.ErrPartForeign},
		{"has a key of another issuer", func(p *trust.Contribution) {
			p.Issuer.Keys = append(p.Issuer.Keys, trust.NewIssuerKey(f.registry.Key(), []string{schoolType}, nil))
		}, f.board, trust.ErrPartForeign},
		{"a compromised key is active again", func(p *trust.Contribution) {
			p.Issuer.Keys[1].State, p.Issuer.Keys[1].CompromisedSince = keys.Active, time.Time{}
		}, f.board, trust.ErrPartOld},
		{"a compromised key is gone", func(p *trust.Contribution) { p.Issuer.Keys = p.Issuer.Keys[:1] }, f.board, trust.ErrPartOld},
		{"compromised later than before", func(p *trust.Contribution) { p.Issuer.Keys[1].CompromisedSince = days(-4) }, f.board, trust.ErrPartOld},
		{"ST-10 a revoked entry comes back", func(p *trust.Contribution) { p.Status[0] = packed(t, boardList, days(-1)) }, f.board, trust.ErrPartOld},
		{"P07 a list goes back in time", func(p *trust.Contribution) { p.Status[0] = packed(t, boardList, days(-3), 4) }, f.board, trust.ErrPartOld},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := f.part(t)
			p.Version, p.AsOf = 2, days(-1)
			p.Issuer.Keys = append(p.Issuer.Keys, lost)
			tt.spoil(&p)
			file, err := trust.SignContribution(rand.Reader, tt.by, p, now)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := content.Merge(file, now); !errors.Is(err, tt.want) {
				t.Errorf("Merge: %v, want %v", err, tt.want)
			}
		})
	}
	asBundle, err := trust.SignPartAs(trust.ContentTypeBundle, file, f.board)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoiled := range map[string][]byte{
		"P18 signed as a bundle": asBundle,
		"nothing":                nil, "half": file[:len(file)/2], "a bit turned": flip(file, len(file)/2), "a bundle": f.sign(t, f.country.content(t)), "OFF-09 a bomb": bomb(t),
	} {
		if _, err := content.Merge(spoiled, now); !errors.Is(err, trust.ErrMalformed) && !errors.Is(err, trust.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignContributionRefuses(t *testing.T) {
	f := newFederation(t)
	for name, spoil := range map[string]func(*trust.Contribution){
		"version 0":           func(p *trust.Contribution) { p.Version = 0 },
		"no date":             func(p *trust.Contribution) { p.AsOf = days(1) },
		"its own authority":   func(p *trust.Contribution) { p.Issuer.Authority = &trust.Authority{Key: f.board.Key().Public} },
		"no English name":     func(p *trust.Contribution) { p.Issuer.Names = nil },
		"a list too new":      func(p *trust.Contribution) { p.Status[0].IssuedAt = now },
		"a type twice":        func(p *trust.Contribution) { p.Types = append(p.Types, p.Types[0]) },
		"a key without a key": func(p *trust.Contribution) { p.Issuer.Keys[0].Key = keys.PublicKey{} },
	} {
		p := f.part(t)
		spoil(&p)
		if _, err := trust.SignContribution(rand.Reader, f.board, p, now); !errors.Is(err, trust.ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []keys.Signer{f.credential, f.rootKeys[0]} {
		if _, err := trust.SignContribution(rand.Reader, s, f.part(t), now); !errors.Is(err, keys.ErrPurpose) {
			t.Errorf("P18 a %s key signed a contribution: %v", s.Key().Purpose, err)
		}
	}
}

func FuzzMerge(f *testing.F) {
	fed := newFederation(f)
	file, err := trust.SignContribution(rand.Reader, fed.board, fed.part(f), now)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := trust.Inflate(file)
	if err != nil {
		f.Fatal(err)
	}
	want, err := fed.content.Merge(file, now)
	if err != nil {
		f.Fatal(err)
	}
	wanted, err := want.Payload()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	boundtest.Fuzz(f, func(t *testing.T, raw []byte) {
		got, err := fed.content.Merge(uncompressed(t, raw), now)
		if err != nil {
			return
		}
		if payload, err := got.Payload(); err != nil || !bytes.Equal(payload, wanted) {
			t.Fatalf("merged what the board never signed: %v", err)
		}
	})
}
