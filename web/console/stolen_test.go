package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/figures"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/staff"
)

// keyIn returns a key for certificates in this state, "" if there is none.
func (m *managed) keyIn(t *testing.T, state keys.State) string {
	t.Helper()
	all, err := m.s.office.Keys.Keys(t.Context())
	must(t, err)
	for _, k := range all {
		if k.Purpose == keys.Credential && k.State == state {
			return k.ID().String()
		}
	}
	return ""
}

// TestStolenKey: P24 and KEY-09. What would happen is shown, two people agree, the key is
// marked and another made; the page then says what is left, and the new key signs without
// waiting for verifiers.
func TestStolenKey(t *testing.T) {
	m := newManaged(t)
	m.s.office.Issue("farmer-card", 1)
	m.s.office.Publish()
	admin, head := m.s.as("north", staff.Administrator), m.s.as("north", staff.Head)
	day := m.s.clock().AddDate(0, 0, -2).Format(time.DateOnly)
	m.counts = []figures.Count{
		{Day: m.s.clock().AddDate(0, 0, -3).Format(time.DateOnly), Programme: "farmer-card", What: figures.Issued, N: 5000},
		{Day: day, Programme: "farmer-card", What: figures.Issued, N: 31}, {Day: day, Programme: "farmer-card", What: figures.Wallet, N: 17},
	}
	stolen := m.keyIn(t, keys.Active)
	before := len(m.s.audit.all())
	for _, tt := range []struct{ name, key, since string }{
		{"no key", "", day}, {"another key", "0011223344556677", day}, {"no day", stolen, ""}, {"not a day", stolen, "yesterday"},
		{"a day to come", stolen, m.s.clock().AddDate(0, 0, 2).Format(time.DateOnly)}, {"before there were keys", stolen, "1970-01-01"},
	} {
		if a := admin.post("/keys/stolen", "key", tt.key, "since", tt.since); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", tt.name, a.status)
		}
		if a := admin.get("/keys/stolen?key=" + tt.key + "&since=" + tt.since); a.status != http.StatusUnprocessableEntity || strings.Contains(a.body, "effect") {
			t.Errorf("%s is shown: %d", tt.name, a.status)
		}
	}
	if a := head.get("/keys/stolen"); a.status != http.StatusForbidden {
		t.Errorf("a head asks for it: %d", a.status)
	}
	if n := len(m.s.audit.all()); n != before {
		t.Errorf("%d notes of what was refused", n-before)
	}
	page := admin.get("/keys/stolen?key=" + stolen + "&since=" + day)
	for _, want := range []string{"<dd>31</dd>", "<dd>17</dd>", stolen, "A new one is made", "have to be made anew"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("what would happen lacks %q: %d", want, page.status)
		}
	}
	if m.keyIn(t, keys.Compromised) != "" {
		t.Fatal("to look at it did it")
	}

	a := admin.post("/keys/stolen", "key", stolen, "since", day)
	if a.status != http.StatusSeeOther {
		t.Fatalf("propose: %d\n%s", a.status, a.body)
	}
	at := a.to()
	second := admin.post("/keys/stolen", "key", stolen, "since", day).to()
	digest := head.get(at).digest(t)
	if a := admin.post(at+"/use", "digest", digest); a.status != http.StatusConflict || m.keyIn(t, keys.Compromised) != "" {
		t.Errorf("P24 one person alone: %d", a.status)
	}
	if a := admin.post(at+"/approve", "digest", digest); a.status != http.StatusForbidden {
		t.Errorf("WA-14 who asked agrees: %d", a.status)
	}
	for _, p := range []string{at, second} {
		if a := head.post(p+"/approve", "digest", digest); a.status != http.StatusSeeOther {
			t.Fatalf("agree: %d\n%s", a.status, a.body)
		}
	}
	if a := admin.post(at+"/use", "digest", digest); a.status != http.StatusSeeOther {
		t.Fatalf("carry out: %d\n%s", a.status, a.body)
	}
	if m.keyIn(t, keys.Compromised) != stolen || m.keyIn(t, keys.Active) != "" || m.keyIn(t, keys.Planned) == "" {
		t.Fatal("the key is not marked, still signs, or there is no new one")
	}
	if a := admin.post(second+"/use", "digest", digest); a.status != http.StatusConflict {
		t.Errorf("marked twice: %d", a.status)
	}
	left := head.get(at)
	if !strings.Contains(left.body, "What is left to do") || strings.Contains(left.body, ">Done<") {
		t.Errorf("what is left: %d", left.status)
	}

	// The new key need not wait for verifiers, and still takes two people.
	m.s.office.Clock.Add(m.s.clock().Sub(m.s.office.Clock.Now()) + time.Minute)
	m.s.office.Publish()
	a = admin.post("/keys/propose", "purpose", "credential")
	if a.status != http.StatusSeeOther {
		t.Fatalf("let it sign: %d", a.status)
	}
	next := head.get(a.to())
	if !strings.Contains(next.body, "does not wait") {
		t.Error("it is not said that the key does not wait")
	}
	if b := head.post(a.to()+"/approve", "digest", next.digest(t)); b.status != http.StatusSeeOther {
		t.Fatalf("agree: %d", b.status)
	}
	if b := admin.post(a.to()+"/use", "digest", next.digest(t)); b.status != http.StatusSeeOther {
		t.Fatalf("carry out: %d", b.status)
	}
	if m.keyIn(t, keys.Active) == "" {
		t.Error("no key signs")
	}
	m.s.office.Issue("farmer-card", 2)
	if left := head.get(at); strings.Count(left.body, ">Done<") != 2 {
		t.Errorf("what is left does not follow what was done: %d", strings.Count(left.body, ">Done<"))
	}
}
