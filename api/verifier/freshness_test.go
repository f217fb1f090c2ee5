package verifier_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/trust"
)

// TestFreshness moves the clock over each limit: the level changes there and nowhere
// else.
func TestFreshness(t *testing.T) {
	c := newCountry(t)
	c.content.Issuers[0].Keys[0].ValidTo = asOf.AddDate(5, 0, 0)
	c.content.Issuers[1].Keys[0].State = keys.Retired
	b := c.open(t)
	day := 24 * time.Hour
	p := newStranger(t)
	end, short := p.root.NotAfter, p.certificate("short", nil, "short", func(x *x509.Certificate) {
		authority(x)
		x.NotBefore, x.NotAfter = asOf, asOf.Add(50*day)
	})
	p.settings.Certificates = append(p.settings.Certificates, short)
	roots, rootID, shortID := []verifier.IssuerRoot{p.settings}, chain.Hash(p.root.Raw), chain.Hash(short.Raw)
	for _, tt := range []struct {
		what, subject string
		at            time.Time
		want          verifier.Level
	}{
		{"bundle", "", asOf, verifier.LevelFresh},
		{"bundle", "", asOf.Add(8*day - 1), verifier.LevelFresh},
		{"bundle", "", asOf.Add(8 * day), verifier.LevelSoon},
		{"bundle", "", asOf.Add(10 * day), verifier.LevelDue},
		{"bundle", "", asOf.Add(60*day - 1), verifier.LevelDue},
		{"bundle", "", asOf.Add(60 * day), verifier.LevelOld},
		{"root", "", asOf.AddDate(8, 0, -31), verifier.LevelFresh},
		{"root", "", asOf.AddDate(8, 0, -30), verifier.LevelSoon},
		{"root", "", asOf.AddDate(8, 0, 0), verifier.LevelOld},
		{"lists", farmer, asOf.Add(7*day - 7*day/5 - 1), verifier.LevelFresh},
		{"lists", farmer, asOf.Add(7*day - 7*day/5), verifier.LevelSoon},
		{"lists", farmer, asOf.Add(7 * day), verifier.LevelDue},
		{"lists", farmer, asOf.Add(30 * day), verifier.LevelOld},
		{"keys", ministry, asOf.AddDate(1, 0, -31), verifier.LevelFresh},
		{"keys", ministry, asOf.AddDate(1, 0, -30), verifier.LevelSoon},
		{"keys", ministry, asOf.AddDate(1, 0, 0), verifier.LevelDue},
		{"keys", ministry, asOf.AddDate(5, 0, 0), verifier.LevelOld},
		{"keys", school, asOf.AddDate(30, 0, 0), verifier.LevelFresh}, // retired: nothing new, and valid without end
		{"certificate", "", start.AddDate(10, 0, -30), verifier.LevelSoon},
		{"certificate", "", start.AddDate(10, 0, 0), verifier.LevelOld},
		{"issuer_root", rootID, end.Add(-30*day - 1), verifier.LevelFresh},
		{"issuer_root", rootID, end.Add(-30 * day), verifier.LevelSoon},
		{"issuer_root", rootID, end.Add(-1), verifier.LevelSoon},
		{"issuer_root", rootID, end, verifier.LevelOld},
		{"issuer_root", shortID, asOf.Add(40*day - 1), verifier.LevelFresh},
		{"issuer_root", shortID, asOf.Add(40 * day), verifier.LevelSoon},
		{"issuer_root", shortID, asOf.Add(50 * day), verifier.LevelOld},
	} {
		var got []verifier.Level
		for _, f := range verifier.FreshnessOf(b, roots, certificate(t, c.issuer.Key().Public), tt.at) {
			if f.What == tt.what && f.Subject == tt.subject {
				got = append(got, f.Level)
			}
		}
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s %s at %s: %v, want %s", tt.what, tt.subject, tt.at.Format(time.RFC3339), got, tt.want)
		}
	}
	// A type that needs a list and has none; one that needs none is not spoken of.
	c.content.Status = nil
	c.content.Issuers[0].Keys[0].State, c.content.Issuers[0].Keys[0].CompromisedSince = keys.Compromised, asOf
	all := map[string]verifier.Level{}
	for _, f := range verifier.FreshnessOf(c.open(t), nil, nil, now) {
		all[f.What+" "+f.Subject] = f.Level
	}
	if all["lists "+farmer] != verifier.LevelMissing || all["lists "+diploma] != "" || all["keys "+ministry] != verifier.LevelMissing {
		t.Errorf("without lists, and with a stolen key: %v", all)
	}
	if none := verifier.FreshnessOf((*trust.Bundle)(nil), nil, nil, now); len(none) != 1 || verifier.Worst(none) != verifier.LevelMissing {
		t.Errorf("without a bundle: %+v", none)
	}
}
