package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/staff"
)

// TestKeysNeedARight: KEY-09. Whoever is not signed in, or has no right, gets nothing done
// about keys, and nothing stands in the audit log.
func TestKeysNeedARight(t *testing.T) {
	m := newManaged(t)
	m.s.office.Publish()
	active := m.keyIn(t, keys.Active)
	day := m.s.clock().Format("2006-01-02")
	asks := []struct {
		name, path string
		pairs      []string
	}{
		{"rotates", "/keys/propose", []string{"purpose", "credential"}},
		{"marks a key as stolen", "/keys/stolen", []string{"key", active, "since", day}},
		{"agrees", "/key-changes/pr-aaaaaaaaaaaaaaaa/approve", []string{"digest", strings.Repeat("0", 64)}},
		{"carries out", "/key-changes/pr-aaaaaaaaaaaaaaaa/use", []string{"digest", strings.Repeat("0", 64)}},
	}
	before, notes := m.allKeys(t), len(m.s.audit.all())
	for name, who := range map[string]struct {
		w    *browser
		want int
	}{
		"nobody":     {m.s.visitor(), http.StatusUnauthorized},
		"a clerk":    {m.s.as("north", staff.Clerk), http.StatusForbidden},
		"an auditor": {m.s.as("north", staff.Auditor), http.StatusForbidden},
	} {
		for _, ask := range asks {
			t.Run("KEY-09 "+name+" "+ask.name, func(t *testing.T) {
				a := who.w.post(ask.path, ask.pairs...)
				if a.status != who.want && (who.want != http.StatusUnauthorized || a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/console/sign-in")) {
					t.Errorf("%d to %q, want %d", a.status, a.to(), who.want)
				}
			})
		}
	}
	if after := m.allKeys(t); after != before || len(m.s.audit.all()) != notes {
		t.Errorf("KEY-09 the keys were %s and are %s; %d entries", before, after, len(m.s.audit.all())-notes)
	}
}

// allKeys is where every key stands.
func (m *managed) allKeys(t *testing.T) string {
	t.Helper()
	all, err := m.s.office.Keys.Keys(t.Context())
	must(t, err)
	var b strings.Builder
	for _, k := range all {
		b.WriteString(k.String() + "\n")
	}
	return b.String()
}

// TestWorkNeedsARight: KEY-10 and VCI-19. Nobody revokes a credential, and nobody makes an
// offer, who is not signed in, has no right or works for another office.
func TestWorkNeedsARight(t *testing.T) {
	b, d, o := newWorkBed(t)
	clerk := b.as("north", staff.Clerk)
	approver := b.as("north", staff.Approver)
	record := "/console/records/" + d.Ref("births", "B-1")
	page := wantStatus(t, clerk.get(record), 200)
	item := wantStatus(t, clerk.post(record+"/ask", "shown", field(t, page.body, "shown")), 303).to()
	page = wantStatus(t, approver.get(item), 200)
	wantStatus(t, approver.post(item+"/approve", "shown", field(t, page.body, "shown")), 303)
	if a := wantStatus(t, clerk.post(item+"/offer", "form", "wallet"), 200); !strings.Contains(a.body, "openid-credential-offer:") {
		t.Fatal("who has the right gets no offer")
	}
	wantStatus(t, clerk.post(item+"/printed"), 303)
	found := regexp.MustCompile(`href="([^"]*/revoke)"`).FindStringSubmatch(wantStatus(t, clerk.get(record), 200).body)
	if found == nil {
		t.Fatal("the page of the record does not lead to a revocation")
	}
	revoke := found[1]
	wantStatus(t, clerk.get(revoke), 200)
	notes := len(b.audit.all())
	for _, tt := range []struct {
		name string
		w    *browser
		want int
	}{
		{"nobody", b.visitor(), http.StatusUnauthorized},
		{"an auditor", b.as("north", staff.Auditor), http.StatusForbidden},
		{"a clerk of another office", b.as("south", staff.Clerk), http.StatusNotFound},
	} {
		for _, deed := range []struct {
			id, path string
			pairs    []string
		}{
			{"KEY-10 revokes as", revoke, []string{"reason", "lost"}},
			{"VCI-19 offers as", item + "/offer", []string{"form", "wallet"}},
			{"VCI-19 offers a record as", record + "/offer", []string{"form", "wallet"}},
		} {
			t.Run(deed.id+" "+tt.name, func(t *testing.T) {
				a := tt.w.post(deed.path, deed.pairs...)
				if a.status != tt.want && (tt.want != http.StatusUnauthorized || a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/console/sign-in")) {
					t.Errorf("%d to %q, want %d", a.status, a.to(), tt.want)
				}
				if strings.Contains(a.body, "openid-credential-offer:") {
					t.Error("an offer was handed out")
				}
			})
		}
	}
	if n := len(b.audit.all()) - notes; n != 0 {
		t.Errorf("KEY-10 and VCI-19: %d entries of what was refused", n)
	}
	if waiting, err := d.RunDue(t.Context()); err != nil || waiting != 0 {
		t.Errorf("KEY-10 %d changes were ordered, %v", waiting, err)
	}
	for c, err := range o.DB.Find(t.Context(), issuance.Query{}) {
		if err != nil || c.State != issuance.Active {
			t.Errorf("KEY-10 %s is %s, %v", c.ID, c.State, err)
		}
	}
}

// TestMoreThanTheFormHas: JSON-08. Fields that a form does not have change nothing about what
// is proposed or done.
func TestMoreThanTheFormHas(t *testing.T) {
	more := []string{
		"role", "administrator", "status", "active", "standing", "active", "state", "approved", "approvedBy", "op-aaaaaaaaaaaaaaaa", "approved_by", "op-aaaaaaaaaaaaaaaa",
		"operator", "op-aaaaaaaaaaaaaaaa", "kind", "recover", "requester", "op-aaaaaaaaaaaaaaaa", "digest", strings.Repeat("0", 64),
	}
	t.Run("JSON-08 a person who is proposed", func(t *testing.T) {
		b := newBed(t)
		head := b.as("north", staff.Head)
		want := []string{"name", "X", "office", "north", "roles", "clerk"}
		plain := wantStatus(t, head.post("/people/new", want...), 303).to()
		with := wantStatus(t, head.post("/people/new", append(want, more...)...), 303).to()
		p, err := b.desk.Proposal(t.Context(), plain[strings.LastIndex(plain, "/")+1:])
		must(t, err)
		q, err := b.desk.Proposal(t.Context(), with[strings.LastIndex(with, "/")+1:])
		must(t, err)
		if strings.ReplaceAll(string(q.Payload), q.Subject, p.Subject) != string(p.Payload) || q.State != staff.Proposed || q.Requester != head.Operator.ID || q.Action != p.Action {
			t.Errorf("%s of %s: %s, want %s", q.State, q.Requester, q.Payload, p.Payload)
		}
		wantStatus(t, head.post(with+"/use", more...), http.StatusConflict) // nobody has agreed
	})
	t.Run("JSON-08 a record that is asked for", func(t *testing.T) {
		b, d, o := newWorkBed(t)
		clerk := b.as("north", staff.Clerk)
		record := "/console/records/" + d.Ref("births", "B-1")
		page := wantStatus(t, clerk.get(record), 200)
		item := wantStatus(t, clerk.post(record+"/ask", append([]string{"shown", field(t, page.body, "shown")}, more...)...), 303).to()
		i, err := d.Item(t.Context(), clerk.Operator, strings.TrimPrefix(item, "/console/items/"))
		must(t, err)
		wantStatus(t, clerk.post(item+"/issue", more...), http.StatusConflict)
		for c := range o.DB.Find(t.Context(), issuance.Query{}) {
			t.Errorf("%s was issued", c.ID)
		}
		if !strings.Contains(wantStatus(t, b.as("north", staff.Approver).get("/queues/approve"), 200).body, item) {
			t.Errorf("it is not to be approved: %+v", i)
		}
	})
}
