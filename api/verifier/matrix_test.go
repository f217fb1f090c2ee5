package verifier_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/oid4vp"

	"github.com/sanad-id/sanad/verification"
)

// TestPolicyFailsClosed is promise P13 for policy files: each fault has a cell or a
// reason why there is none, and a server with any of them does not begin.
func TestPolicyFailsClosed(t *testing.T) {
	file := func(name, text string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	cells := map[string]struct {
		spoil func(dir string) error
		want  error // nil for one of the operating system's
	}{
		"missing":     {func(string) error { return nil }, verifier.ErrPolicy},
		"unreachable": {func(dir string) error { return os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "a.yaml")) }, nil},
		"malformed":   {file("a.yaml", "policy: ["), verifier.ErrPolicy},
		"wrong subject": {func(dir string) error {
			return errors.Join(file("a.yaml", policies["card"])(dir), file("b.yaml", policies["card"])(dir))
		}, verifier.ErrPolicy},
		"too large":  {file("a.yaml", policies["card"]+strings.Repeat("#", verifier.MaxPolicy)), verifier.ErrPolicy},
		"wrong type": {func(dir string) error { return os.Mkdir(filepath.Join(dir, "a.yaml"), 0o700) }, nil},
	}
	none := map[string]string{
		"timeout":         "files are read when the server begins",
		"stale":           "a policy has no date; what it says of freshness is judged for each answer",
		"wrong signature": "policies are the operator's own files and are not signed",
	}
	for _, fault := range []string{"missing", "unreachable", "timeout", "stale", "malformed", "wrong signature", "wrong subject", "too large", "wrong type"} {
		c, cell := cells[fault]
		if !cell {
			if none[fault] == "" {
				t.Errorf("P13 policy file, %s: neither a cell nor a reason", fault)
			}
			continue
		}
		dir := t.TempDir()
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		if all, err := verifier.ReadPolicies(dir); err == nil || c.want != nil && !errors.Is(err, c.want) || all != nil {
			t.Errorf("P13 policy file, %s: %v, %v, want %v", fault, all, err, c.want)
		}
	}
}

// TestServerFailsClosed is promise P13 for what a server that runs may lose meanwhile: the
// trust bundle, the list in it, the key for requests, its clock, the values that work once.
func TestServerFailsClosed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lose    func(s *scene)
		verdict verification.Verdict // "" if there is no answer
		reason  credential.Reason
	}{
		{"trust bundle, missing", func(s *scene) { s.bundle.Store(nil); s.problem = "no trust bundle was imported" }, verification.Undetermined, credential.NoTrust},
		{"trust bundle, wrong subject", func(s *scene) { other := newCountry(t); s.bundle.Store(other.open(t)) }, verification.Undetermined, credential.UnknownIssuer},
		{"trust bundle, stale", func(s *scene) {
			s.content.OldAfter, s.content.RefreshBy = asOf.Add(25*time.Hour), asOf.Add(24*time.Hour)
			s.bundle.Store(s.country.open(t))
		}, verification.CheckNeeded, credential.TrustOld},
		{"status list, missing", func(s *scene) { s.content.Status = nil; s.bundle.Store(s.country.open(t)) }, verification.CheckNeeded, credential.StatusUnavailable},
		{"values that work once, unreachable", func(s *scene) { _ = s.db.Close() }, "", ""},
	} {
		s := newScene(t)
		c := s.create(t, object{"policy": "card"})
		r := s.open(t, c.Link)
		form := s.present(t, r)
		tt.lose(s)
		g := s.post(t, r, form)
		if tt.verdict == "" {
			if g.status != http.StatusServiceUnavailable && g.status != http.StatusInternalServerError {
				t.Errorf("P13 %s: %d %s", tt.name, g.status, g.body)
			}
			continue
		}
		_, result := s.state(t, c.ID)
		whole := string(s.relying(t, "GET", "/requests/"+c.ID, nil).body)
		if result == nil || result.Verdict != tt.verdict || !strings.Contains(whole, string(tt.reason)) {
			t.Errorf("P13 %s: %.2000s, want %s for %s", tt.name, whole, tt.verdict, tt.reason)
		}
	}
	s := newScene(t)
	s.signature = oid4vp.Signature{}
	if g := s.relying(t, "POST", "/requests", object{"policy": "card"}); g.status == http.StatusCreated {
		c := decode[verifier.Created](t, g.body)
		i, err := oid4vp.ParseInvocation(c.Link)
		if err != nil {
			t.Fatal(err)
		}
		if g := s.call(t, "GET", i.RequestURI, "", nil); g.status == http.StatusOK {
			t.Errorf("P13 key store, missing: a request object without a key: %s", g.body)
		}
	}
}
