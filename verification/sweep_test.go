package verification_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/verification"
)

// sweeps is how many cases the sweep generates: promise P14 per change and per
// night.
func sweeps(t *testing.T) string {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return "1000000"
	case testing.Short():
		return "5000"
	}
	return "100000"
}

// A policy is a type of the sweep.
type policy struct {
	id           string
	fresh        time.Duration
	needs, binds bool
}

// TestSweep generates clocks, ages and policies and compares each verdict with
// what may be said at all, worked out from the numbers alone: promises P14 (never
// valid on stale data) and P20 (clock faults neither create nor extend validity).
func TestSweep(t *testing.T) {
	c := newCountry(t)
	root := asOf.AddDate(8, 0, 0)

	// One bundle with many types and lists of many ages; what varies beside is
	// the clock and the credential.
	var policies []policy
	for _, fresh := range []time.Duration{0, time.Second, hour, day, 3 * day, 7 * day, 30 * day, 365 * day} {
		for i := range 4 {
			p := policy{id: fmt.Sprintf("urn:xa:%d:%d", fresh/time.Second, i), fresh: fresh, needs: i&1 != 0, binds: i&2 != 0}
			policies = append(policies, p)
			c.content.Types = append(c.content.Types, credential.Type{
				ID: p.id, Labels: map[string]string{"en": p.id}, FreshFor: fresh, OldAfter: fresh, StatusRequired: p.needs, HolderRequired: p.binds,
			})
			for k := range c.content.Issuers[0].Keys {
				c.content.Issuers[0].Keys[k].Types = append(c.content.Issuers[0].Keys[k].Types, p.id)
			}
		}
	}
	ages := []time.Duration{0, time.Second, hour, day, 2 * day, 3 * day, 6 * day, 29 * day, 300 * day}
	values := map[uint64]byte{1: status.Invalid, 2: status.Suspended}
	c.content.Status = nil
	for i, age := range ages {
		c.content.Status = append(c.content.Status, snapshot(t, listURI(i), asOf.Add(-age), values, []uint64{0, 1, 2}))
	}
	bundle := c.open(t)
	oldAfter := c.content.OldAfter
	keys := c.content.Issuers[0].Keys // active, retired, stolen

	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	t.Cleanup(func() { _ = checks.Value.Set(before) })
	if err := checks.Value.Set(sweeps(t)); err != nil {
		t.Fatal(err)
	}

	verdicts := map[verification.Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		// Moments are drawn near the edges that rules have, and anywhere.
		p := rapid.SampledFrom(policies).Draw(t, "policy")
		list := rapid.IntRange(-2, len(ages)-1).Draw(t, "list") // -1: none, -2: an unknown one
		edges := []time.Duration{0, p.fresh, oldAfter.Sub(asOf), asOf.AddDate(1, 0, 0).Sub(asOf), root.Sub(asOf)}
		if list >= 0 {
			edges = append(edges, p.fresh-ages[list])
		}
		moment := func(label string) time.Time {
			if rapid.IntRange(0, 7).Draw(t, label+" kind") == 0 {
				return asOf.Add(time.Duration(rapid.Int64Range(-60*365*86400, 90*365*86400).Draw(t, label)) * time.Second)
			}
			edge := rapid.SampledFrom(edges).Draw(t, label+" edge")
			near := rapid.SampledFrom([]int64{2, 600, 86400 * 3, 86400 * 40}).Draw(t, label+" scale")
			return asOf.Add(edge + time.Duration(rapid.Int64Range(-near, near).Draw(t, label))*time.Second)
		}
		device := moment("device clock")
		seen := time.Time{}
		if rapid.IntRange(0, 3).Draw(t, "seen kind") == 0 {
			seen = moment("seen")
		}
		key := keys[rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2}).Draw(t, "key")]
		kid := key.KeyID
		v := credential.Verified{
			Format: credential.FormatCWT, Type: p.id, Issuer: ministry, Key: key.Key, KeyID: kid.Bytes(),
			IssuedAt: asOf.Add(time.Duration(rapid.SampledFrom([]int64{-900, -729, -100, -61, -60, -30, -10, -9, -1, 0, 1, 60}).Draw(t, "issued")) * day),
		}
		if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
			v.Expires = moment("expires")
		}
		if rapid.IntRange(0, 7).Draw(t, "starts") == 0 {
			v.NotBefore = moment("starts at")
		}
		index := rapid.SampledFrom([]uint64{0, 0, 0, 0, 0, 0, 1, 2, 3}).Draw(t, "index")
		switch {
		case list == -2:
			v.Status = &credential.StatusRef{URI: "https://status.xa/unknown", Index: index}
		case list >= 0:
			v.Status = &credential.StatusRef{URI: listURI(list), Index: index}
		}

		checker, err := verification.New(verification.Config{COSE: stated{v}, Trust: bundle, Now: at(device), NewestSeen: seen})
		if err != nil {
			t.Fatal(err)
		}
		r := checker.Check(anything)
		verdicts[r.Verdict]++

		// The rules again, from the numbers alone.
		moments := []time.Time{device, asOf, seen}
		latest := moments[0]
		for _, m := range moments {
			if m.After(latest) {
				latest = m
			}
		}
		skew := verification.DefaultSkew
		expired := !v.Expires.IsZero() && latest.Unix() >= v.Expires.Unix()
		revoked := list >= 0 && (index == 1 || index == 2)
		forged := list >= 0 && index == 3
		inWindow := v.IssuedAt.Unix() >= key.ValidFrom.Unix() && v.IssuedAt.Unix() < key.SignUntil.Unix()
		if key.State == "compromised" {
			inWindow = inWindow && v.IssuedAt.Unix() < theft.Unix() && list != -1
		}
		var why string
		switch {
		case latest.Sub(device) > skew:
			why = "the clock is behind"
		case device.After(asOf.AddDate(1, 0, 0)):
			why = "the clock is a year ahead"
		case latest.Unix() >= oldAfter.Unix():
			why = "the bundle is old"
		case expired:
			why = "expired"
		case v.NotBefore.Sub(latest) > skew:
			why = "not yet valid"
		case v.IssuedAt.Sub(latest) > skew:
			why = "issued in the future"
		case !inWindow:
			why = "issued outside the window of its key"
		case list == -1 && p.needs:
			why = "no status"
		case list == -2:
			why = "unknown list"
		case revoked || forged:
			why = "the list says no"
		case list >= 0 && latest.Sub(asOf.Add(-ages[list])) > p.fresh:
			why = "the list is older than the policy allows"
		case p.binds:
			why = "no proof by the holder"
		}
		if (r.Verdict == verification.Valid) != (why == "") {
			t.Fatalf("verdict %s, although %q: %+v", r.Verdict, why, r.Checks)
		}
		if (expired || revoked || forged || !inWindow) && r.Verdict != verification.Invalid {
			t.Fatalf("verdict %s; expired %v, revoked %v, forged %v, in window %v", r.Verdict, expired, revoked, forged, inWindow)
		}
		if r.Verdict == verification.Valid && list >= 0 && (r.StatusAge > p.fresh || r.StatusAge != latest.Sub(asOf.Add(-ages[list]))) {
			t.Fatalf("valid at age %v, policy %v", r.StatusAge, p.fresh)
		}
	})
	for _, v := range verification.Verdicts() {
		if verdicts[v] == 0 {
			t.Errorf("no case ended in %s", v)
		}
	}
	t.Logf("%v", verdicts)
}

func listURI(i int) string { return fmt.Sprintf("https://status.xa/age/%d", i) }
