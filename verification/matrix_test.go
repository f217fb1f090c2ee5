package verification_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// faults are those that promise P13 counts for every source.
var faults = []string{"missing", "unreachable", "timeout", "stale", "malformed", "wrong signature", "wrong subject", "too large", "wrong type"}

// noCell says why a source has no cell for a fault.
var noCell = map[string]map[string]string{
	"status list": {
		"unreachable": "lists come in the bundle; those that are fetched fail as missing here (wallet, TestFailsClosed)",
		"timeout":     "as unreachable",
		"too large":   "a list is as large as the bundle allows, whose own cell this is; an index beyond a list is one",
	},
	"clock": {
		"unreachable":     "the clock is the machine's",
		"timeout":         "the clock is the machine's",
		"wrong signature": "a clock signs nothing; signed dates that contradict it are a cell",
		"wrong type":      "a clock gives a time and nothing else",
	},
	"type": {
		"unreachable": "the rules for a type are part of the bundle",
		"timeout":     "the rules for a type are part of the bundle",
	},
}

// TestFailsClosed is promise P13 for what a verdict rests on: each source with each
// fault that it can have. No cell ends in valid, and each gives its reason. Issuer and
// type metadata and issuers' keys have theirs in package wallet, DID documents in did, the
// key store in keys, policy files and what a running server loses in api/verifier. A
// list of revoked certificates is read nowhere, so that it has no cells.
//
// A fault of the trust file leaves a verifier without a bundle, so that its cells
// also name the error of package trust. A status list that cannot be opened is a
// list that is not there.
func TestFailsClosed(t *testing.T) {
	type cell struct {
		source, fault string
		spoil         func(*testing.T, *scene) error // the error that the source gave
		err           error
		verdict       verification.Verdict
		reason        credential.Reason
	}
	cells := []cell{
		// The trust bundle.
		{"trust bundle", "missing", func(*testing.T, *scene) error { return trust.ErrNoBundle }, trust.ErrNoBundle, "undetermined", credential.NoTrust},
		{"trust bundle", "unreachable", func(*testing.T, *scene) error { return fs.ErrPermission }, fs.ErrPermission, "undetermined", credential.NoTrust},
		{"trust bundle", "timeout", func(*testing.T, *scene) error { return context.DeadlineExceeded }, context.DeadlineExceeded, "undetermined", credential.NoTrust},
		{"trust bundle", "stale", func(_ *testing.T, s *scene) error {
			s.content.OldAfter = asOf.Add(2 * day)
			s.content.RefreshBy = asOf.Add(day)
			return nil
		}, nil, "check_needed", credential.TrustOld},
		{"trust bundle", "root ended", func(t *testing.T, s *scene) error {
			s.bundle = s.open(t)
			s.bundle.Root.Expires = now
			return nil
		}, nil, "undetermined", credential.TrustExpired},
		{"trust bundle", "malformed", func(t *testing.T, _ *scene) error {
			_, err := trust.Open([]byte("trust me"))
			return err
		}, trust.ErrMalformed, "undetermined", credential.NoTrust},
		{"trust bundle", "wrong signature", func(t *testing.T, s *scene) error {
			other := newCountry(t)
			s.content.Roots = other.content.Roots
			_, err := s.content.Sign(rand.Reader, []keys.Signer{s.country.bundle}, asOf)
			return err
		}, trust.ErrQuorum, "undetermined", credential.NoTrust},
		{"trust bundle", "wrong subject", func(t *testing.T, s *scene) error {
			mine, _, err := trust.Accept(trust.State{}, s.file(t), func(*trust.Bundle) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = trust.Accept(mine, newCountry(t).file(t), nil)
			return err
		}, trust.ErrOtherRoot, "undetermined", credential.NoTrust},
		{"trust bundle", "of another country, taken for ours", func(t *testing.T, s *scene) error {
			s.bundle = newCountry(t).open(t)
			return nil
		}, nil, "undetermined", credential.UnknownIssuer},
		{"trust bundle", "too large", func(*testing.T, *scene) error {
			_, err := trust.Open(make([]byte, trust.MaxFile+1))
			return err
		}, trust.ErrTooLarge, "undetermined", credential.NoTrust},
		{"trust bundle", "wrong type", func(t *testing.T, s *scene) error {
			_, err := trust.Open(sign(t, s.signer, s.token))
			return err
		}, trust.ErrMalformed, "undetermined", credential.NoTrust},
		{"trust bundle", "truncated", func(t *testing.T, s *scene) error {
			b := s.file(t)
			_, err := trust.Open(b[:len(b)/2])
			return err
		}, trust.ErrMalformed, "undetermined", credential.NoTrust},

		// The status list.
		{"status list", "missing", func(_ *testing.T, s *scene) error { s.content.Status = nil; return nil }, nil, "check_needed", credential.StatusUnavailable},
		{"status list", "stale", func(t *testing.T, s *scene) error {
			s.content.Status[0] = snapshot(t, list1, asOf.Add(-5*day), nil, nil)
			return nil
		}, nil, "check_needed", credential.StatusOld},
		{"status list", "malformed", func(t *testing.T, s *scene) error {
			s.bundle = s.open(t)
			set := s.bundle.Status[0].Revoked
			for i := range set {
				set[i] = 0xff
			}
			return nil
		}, nil, "check_needed", credential.StatusUnavailable},
		{"status list", "wrong signature", func(t *testing.T, s *scene) error {
			// A list in a bundle is signed with it and bound by its hash.
			s.content.Status[0].SHA256[0] ^= 1
			_, err := s.content.Sign(rand.Reader, []keys.Signer{s.country.bundle}, asOf)
			if err == nil {
				t.Error("a list that does not fit its hash was signed")
			}
			s.content.Status[0].SHA256[0] ^= 1
			other := snapshot(t, list1, asOf, map[uint64]byte{3: status.Suspended, 4: status.Invalid}, nil)
			s.bundle = s.open(t)
			copy(s.bundle.Status[0].Revoked, other.Revoked)
			return nil
		}, nil, "check_needed", credential.StatusUnavailable},
		{"status list", "wrong subject", func(t *testing.T, s *scene) error {
			s.content.Status[0] = snapshot(t, list1+"/", asOf, nil, nil)
			return nil
		}, nil, "check_needed", credential.StatusUnavailable},
		{"status list", "index too large", func(_ *testing.T, s *scene) error { s.token.Status.Index = 1 << 40; return nil }, nil, "invalid", credential.StatusOutOfRange},
		{"status list", "wrong type", func(_ *testing.T, s *scene) error {
			s.conf.COSE, s.input = refusing{credential.Reject(credential.StatusUnsupported, "another mechanism")}, anything
			return nil
		}, nil, "undetermined", credential.StatusUnsupported},
		{"status list", "truncated", func(t *testing.T, s *scene) error {
			s.bundle = s.open(t)
			set := s.bundle.Status[0].Revoked
			clear(set[1:])
			return nil
		}, nil, "check_needed", credential.StatusUnavailable},
		{"status list", "reference missing", func(_ *testing.T, s *scene) error { s.token.Status = nil; return nil }, nil, "invalid", credential.StatusMissing},

		// The clock.
		{"clock", "missing", func(_ *testing.T, s *scene) error { s.conf.Now = at(time.Time{}); return nil }, nil, "check_needed", credential.ClockDoubtful},
		{"clock", "stale", func(_ *testing.T, s *scene) error { s.conf.Now = at(asOf.Add(-day)); return nil }, nil, "check_needed", credential.ClockDoubtful},
		{"clock", "malformed", func(_ *testing.T, s *scene) error { s.conf.Now = at(time.Unix(math.MinInt32, 0)); return nil }, nil, "check_needed", credential.ClockDoubtful},
		{"clock", "too large", func(_ *testing.T, s *scene) error {
			s.conf.Now = at(asOf.AddDate(1, 0, 0).Add(time.Second))
			return nil
		}, nil, "check_needed", credential.ClockDoubtful},
		{"clock", "beyond the calendar", func(_ *testing.T, s *scene) error { s.conf.Now = at(time.Unix(1<<62, 0)); return nil }, nil, "invalid", credential.ClockDoubtful},
		{"clock", "wrong subject", func(_ *testing.T, s *scene) error {
			s.conf.NewestSeen = now.AddDate(1, 0, 0) // the memory of another device
			return nil
		}, nil, "check_needed", credential.ClockDoubtful},
		{"clock", "set back after use", func(_ *testing.T, s *scene) error { s.conf.NewestSeen = now.Add(hour); return nil }, nil, "check_needed", credential.ClockDoubtful},

		// The rules for the type.
		{"type", "missing", func(_ *testing.T, s *scene) error { s.token.Type = "urn:xa:unknown:1"; return nil }, nil, "undetermined", credential.UnknownType},
		{"type", "stale", func(_ *testing.T, s *scene) error { s.content.Types[0].FreshFor = 0; return nil }, nil, "check_needed", credential.StatusOld},
		{"type", "malformed", func(t *testing.T, s *scene) error {
			s.bundle = s.open(t)
			s.bundle.Types[0].FreshFor = math.MinInt64
			return nil
		}, nil, "check_needed", credential.StatusOld},
		{"type", "wrong signature", func(_ *testing.T, s *scene) error { s.signer = s.teacher; s.token.Issuer = school; return nil }, nil, "invalid", credential.NotAuthorised},
		{"type", "wrong subject", func(_ *testing.T, s *scene) error { s.token.Type = diploma; return nil }, nil, "invalid", credential.NotAuthorised},
		{"type", "too large", func(_ *testing.T, s *scene) error {
			s.content.Types[0].FreshFor, s.content.Types[0].OldAfter = math.MaxInt64/time.Second*time.Second, math.MaxInt64/time.Second*time.Second
			s.conf.Now = at(asOf.Add(100 * day))
			return nil
		}, nil, "check_needed", credential.TrustOld},
		{"type", "wrong type", func(_ *testing.T, s *scene) error { s.token.Type = pension; return nil }, nil, "check_needed", credential.HolderNotProven},
		{"type", "truncated", func(_ *testing.T, s *scene) error { s.token.Type = farmer[:len(farmer)-1]; return nil }, nil, "undetermined", credential.UnknownType},
	}
	for _, source := range []string{"trust bundle", "status list", "clock", "type"} {
		for _, fault := range faults {
			is := func(c cell) bool { return c.source == source && c.fault == fault }
			if !slices.ContainsFunc(cells, is) && noCell[source][fault] == "" {
				t.Errorf("P13 %s, %s: neither a cell nor a reason", source, fault)
			}
		}
	}
	for _, c := range cells {
		if c.verdict == verification.Valid {
			t.Errorf("P13 %s, %s may end in valid", c.source, c.fault)
		}
		t.Run("P13 "+c.source+", "+c.fault, func(t *testing.T) {
			s := newScene(t)
			err := c.spoil(t, s)
			if !errors.Is(err, c.err) {
				t.Errorf("the source gave %v, want %v", err, c.err)
			}
			if err != nil {
				s.conf.TrustProblem = err.Error()
			}
			r := s.check(t)
			if r.Verdict != c.verdict {
				t.Errorf("%s, want %s: %+v", r.Verdict, c.verdict, r.Checks)
			}
			found := false
			for _, reason := range r.Reasons() {
				found = found || reason == c.reason
			}
			if !found {
				t.Errorf("reasons %v, want %s among them", r.Reasons(), c.reason)
			}
		})
	}
}
