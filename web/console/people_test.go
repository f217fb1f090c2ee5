package console_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/staff"
)

// proposal is one of an office, made by somebody of it.
func (b *bed) proposal(office string, a staff.Action) staff.Proposal {
	b.t.Helper()
	payload := `{"kind":"invite","operator":"op-new","name":"New","office":"` + office + `","roles":["clerk"]}`
	if a == staff.ChangeOffice {
		payload = `{"ID":"` + office + `","Name":"New name"}`
	}
	p, err := staff.Propose(a, "op-new", []byte(payload), b.person(office, staff.Head), b.clock())
	must(b.t, err)
	must(b.t, b.desk.SaveProposal(b.t.Context(), p))
	return p
}

var shownHash = regexp.MustCompile(`name="shown" value="([0-9a-f]{64})"`)

// agree opens a proposal and agrees to what it shows.
func (w *browser) agree(at string) answer {
	w.b.t.Helper()
	page := w.get(at)
	m := shownHash.FindStringSubmatch(page.body)
	if m == nil {
		return page
	}
	return w.post(at+"/approve", "shown", m[1])
}

func TestTwoPersonsInviteAThird(t *testing.T) {
	b := newBed(t)
	head, second := b.as("north", staff.Head), b.as("north", staff.Head)
	if a := head.get("/people/new"); a.status != http.StatusOK || strings.Contains(a.body, `value="administrator"`) || strings.Contains(a.body, `value="south"`) {
		t.Fatalf("the form: %d, or it offers what a head cannot give", a.status)
	}
	a := head.post("/people/new", "name", "Chen <b>", "office", "north", "roles", "clerk", "roles", "approver")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/console/people/proposals/pr-") {
		t.Fatalf("propose: %d to %q", a.status, a.to())
	}
	at := a.to()
	if page := head.get(at); !strings.Contains(page.body, "Chen &lt;b&gt;") || strings.Contains(page.body, "/approve") {
		t.Error("WA-16 the name is not shown as it is, or one's own proposal can be agreed to")
	}
	if a := head.post(at + "/use"); a.status != http.StatusConflict {
		t.Errorf("P24 done without a second person: %d", a.status)
	}
	if a := second.agree(at); a.status != http.StatusSeeOther {
		t.Fatalf("agree: %d", a.status)
	}
	done := head.post(at + "/use")
	m := regexp.MustCompile(`http://localhost/console/invitation/([A-Za-z0-9_-]{43})`).FindStringSubmatch(done.body)
	if done.status != http.StatusOK || m == nil {
		t.Fatalf("use: %d", done.status)
	}
	if a := head.post(at + "/use"); a.status != http.StatusConflict {
		t.Errorf("WA-14 an approval was used twice: %d", a.status)
	}
	if a := head.get(at); strings.Contains(a.body, m[1]) {
		t.Error("the link is shown again")
	}
	w, d := b.visitor(), newDevice()
	q := w.begin("/invitation/" + m[1] + "/begin")
	if a := w.finish("/invitation/"+m[1]+"/finish", q, d.create(t, q)); a.status != http.StatusOK {
		t.Errorf("the link: %d %s", a.status, a.body)
	}
	if a := head.get("/people"); !strings.Contains(a.body, "Chen &lt;b&gt;") {
		t.Error("the new colleague is not listed")
	}
	// The log has every step, by ids only.
	var actions []string
	for _, n := range b.audit.all() {
		actions = append(actions, string(n.Kind)+" "+n.Action)
		if strings.Contains(n.Subject+n.Actor, "Chen") {
			t.Errorf("P22 a name in the audit log: %v", n)
		}
	}
	want := "operator.intended people.propose, operator.done people.propose, operator.intended people.approve, operator.done people.approve, " +
		"operator.intended people.change, operator.done people.change, operator.intended account.enrolled, operator.done account.enrolled"
	if got := strings.Join(actions, ", "); got != want {
		t.Errorf("the audit log has\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(b.log.String(), "Chen") || strings.Contains(b.log.String(), m[1]) {
		t.Error("P22 a name or a link in the log")
	}
}

// TestApprovalRefuses: P24 and WA-14 over HTTP; each row is refused and leaves the
// proposal as it was.
func TestApprovalRefuses(t *testing.T) {
	tests := []struct {
		name string
		try  func(b *bed, p staff.Proposal, hash string) answer
		want int
	}{
		{"WA-14 own request", func(b *bed, p staff.Proposal, hash string) answer {
			op, err := b.desk.Operator(b.t.Context(), p.Requester)
			must(b.t, err)
			return b.browserOf(op).post("/people/proposals/"+p.ID+"/approve", "shown", hash)
		}, http.StatusForbidden},
		{"WA-14 something else was shown", func(b *bed, p staff.Proposal, hash string) answer {
			other := strings.Repeat("0", 64)
			return b.as("north", staff.Head).post("/people/proposals/"+p.ID+"/approve", "shown", other)
		}, http.StatusConflict},
		{"WA-14 nothing was shown", func(b *bed, p staff.Proposal, _ string) answer {
			return b.as("north", staff.Head).post("/people/proposals/" + p.ID + "/approve")
		}, http.StatusConflict},
		{"WA-13 of another office", func(b *bed, p staff.Proposal, hash string) answer {
			return b.as("south", staff.Head).post("/people/proposals/"+p.ID+"/approve", "shown", hash)
		}, http.StatusNotFound},
		{"WA-13 as a clerk", func(b *bed, p staff.Proposal, hash string) answer {
			return b.as("north", staff.Clerk).post("/people/proposals/"+p.ID+"/approve", "shown", hash)
		}, http.StatusForbidden},
		{"WA-13 as an office's proposal", func(b *bed, p staff.Proposal, hash string) answer {
			return b.as("north", staff.Administrator).post("/offices/proposals/"+p.ID+"/approve", "shown", hash)
		}, http.StatusNotFound},
		{"WA-10 from another website", func(b *bed, p staff.Proposal, hash string) answer {
			w := b.as("north", staff.Head)
			w.Header.Set("Sec-Fetch-Site", "cross-site")
			w.Header.Set("Origin", "https://evil.example")
			return w.post("/people/proposals/"+p.ID+"/approve", "shown", hash)
		}, http.StatusForbidden},
		{"too late", func(b *bed, p staff.Proposal, hash string) answer {
			b.later(staff.ProposalLifetime)
			return b.as("north", staff.Head).post("/people/proposals/"+p.ID+"/approve", "shown", hash)
		}, http.StatusConflict},
		{"P08 the audit log is away", func(b *bed, p staff.Proposal, hash string) answer {
			b.audit.fail(errors.New("the disk is full"))
			return b.as("north", staff.Head).post("/people/proposals/"+p.ID+"/approve", "shown", hash)
		}, http.StatusServiceUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			p := b.proposal("north", staff.ChangePerson)
			a := tt.try(b, p, hex.EncodeToString(p.Digest[:]))
			if a.status != tt.want {
				t.Errorf("%d, want %d", a.status, tt.want)
			}
			if after, err := b.desk.Proposal(t.Context(), p.ID); err != nil || after.State != staff.Proposed {
				t.Errorf("the proposal is %s, %v", after.State, err)
			}
		})
	}
}

// TestPeopleRefuses: what a head or an administrator tries beyond their rights.
func TestPeopleRefuses(t *testing.T) {
	b := newBed(t)
	head, admin, clerk := b.as("north", staff.Head), b.as("south", staff.Administrator), b.person("north", staff.Clerk)
	boss := b.person("north", staff.Administrator)
	tests := []struct {
		name string
		do   func() answer
		want int
	}{
		{"an administrator made by a head", func() answer {
			return head.post("/people/new", "name", "X", "office", "north", "roles", "administrator")
		}, 422},
		{"for another office", func() answer { return head.post("/people/new", "name", "X", "office", "south", "roles", "clerk") }, 422},
		{"two roles that do not go together", func() answer {
			return admin.post("/people/new", "name", "X", "office", "north", "roles", "auditor", "roles", "clerk")
		}, 422},
		{"no name", func() answer { return head.post("/people/new", "name", " ", "office", "north", "roles", "clerk") }, 422},
		{"WA-16 a name with hidden characters", func() answer {
			return head.post("/people/new", "name", "A\u202eB", "office", "north", "roles", "clerk")
		}, 422},
		{"one's own suspension", func() answer { return head.post("/people/" + head.Operator.ID + "/suspend") }, 403},
		{"an administrator suspended by a head", func() answer { return head.post("/people/" + boss.ID + "/suspend") }, 403},
		{"WA-09 recovery of oneself", func() answer { return head.post("/people/" + head.Operator.ID + "/recover") }, 403},
		{"an administrator recovered by a head", func() answer { return head.post("/people/" + boss.ID + "/recover") }, 403},
		{"somebody resumed who works", func() answer { return head.post("/people/" + clerk.ID + "/resume") }, 403},
		{"an office by a head", func() answer { return head.post("/offices/new", "id", "west", "name", "West") }, 403},
		{"an office with a bad id", func() answer { return admin.post("/offices/new", "id", "West!", "name", "West") }, 422},
		{"an office with values and no column", func() answer {
			return admin.post("/offices/new", "id", "west", "name", "West", "values", "W")
		}, 422},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(b.audit.all())
			a := tt.do()
			if a.status != tt.want {
				t.Errorf("%d, want %d", a.status, tt.want)
			}
			if tt.want == 422 && !strings.Contains(a.body, `id="summary"`) {
				t.Error("the page does not say what is wrong")
			}
			if len(b.audit.all()) != before {
				t.Error("what was refused stands in the audit log")
			}
		})
	}
}

// TestRecoveryByTwo: WA-09. Two supervisors give somebody a new link, which removes the
// passkeys that are lost.
func TestRecoveryByTwo(t *testing.T) {
	b := newBed(t)
	lost, old := b.enrolled("north", staff.Clerk)
	head, second := b.as("north", staff.Head), b.as("north", staff.Head)
	a := head.post("/people/" + lost.Operator.ID + "/recover")
	if a.status != http.StatusSeeOther {
		t.Fatalf("propose: %d", a.status)
	}
	at := a.to()
	if a := second.agree(at); a.status != http.StatusSeeOther {
		t.Fatalf("agree: %d", a.status)
	}
	done := second.post(at + "/use")
	m := regexp.MustCompile(`/console/invitation/([A-Za-z0-9_-]{43})`).FindStringSubmatch(done.body)
	if m == nil {
		t.Fatalf("use: %d", done.status)
	}
	if a := b.visitor().signIn(old); a.status != http.StatusOK {
		t.Errorf("until the link is used the old passkey works: %d", a.status)
	}
	w, d := b.visitor(), newDevice()
	q := w.begin("/invitation/" + m[1] + "/begin")
	if a := w.finish("/invitation/"+m[1]+"/finish", q, d.create(t, q)); a.status != http.StatusOK {
		t.Fatalf("the link: %d %s", a.status, a.body)
	}
	if a := b.visitor().signIn(old); a.status != http.StatusUnauthorized {
		t.Errorf("the lost passkey signs in: %d", a.status)
	}
	if a := lost.get("/account"); a.status != http.StatusSeeOther {
		t.Errorf("the old session goes on: %d", a.status)
	}
	if a := b.visitor().signIn(d); a.status != http.StatusOK {
		t.Errorf("the new passkey: %d", a.status)
	}
}

func TestRolesAndOffices(t *testing.T) {
	b := newBed(t)
	admin, second := b.as("north", staff.Administrator), b.as("south", staff.Administrator)
	clerk := b.as("north", staff.Clerk)
	for _, step := range []struct {
		path  string
		pairs []string
		check func() bool
	}{
		{"/people/" + clerk.Operator.ID + "/roles", []string{"roles", "head"}, func() bool {
			op, err := b.desk.Operator(t.Context(), clerk.Operator.ID)
			return err == nil && op.Is(staff.Head) && !op.Is(staff.Clerk)
		}},
		{"/offices/new", []string{"id", "west", "name", "West", "column", "district", "values", "W1\nW2\r\n\n", "programmes", "birth"}, func() bool {
			o, err := b.desk.Office(t.Context(), "west")
			return err == nil && len(o.Values) == 2 && o.Values[1] == "W2" && o.Works("birth") && !o.Works("farmer")
		}},
	} {
		a := admin.post(step.path, step.pairs...)
		if a.status != http.StatusSeeOther {
			t.Fatalf("%s: %d", step.path, a.status)
		}
		at := a.to()
		if step.check() {
			t.Errorf("%s: done before anybody agreed", step.path)
		}
		if a := second.agree(at); a.status != http.StatusSeeOther {
			t.Fatalf("agree: %d", a.status)
		}
		if a := admin.post(at + "/use"); a.status != http.StatusSeeOther || !step.check() {
			t.Errorf("%s: %d, or it was not done", step.path, a.status)
		}
	}
	if a := clerk.get("/account"); a.status != http.StatusSeeOther {
		t.Errorf("a session with the old roles goes on: %d", a.status)
	}
	if a := admin.post("/people/" + clerk.Operator.ID + "/suspend"); a.status != http.StatusSeeOther {
		t.Errorf("suspend: %d", a.status)
	}
	a := admin.post("/people/" + clerk.Operator.ID + "/resume")
	if second.agree(a.to()).status != http.StatusSeeOther || second.post(a.to()+"/use").status != http.StatusSeeOther {
		t.Error("resume by two")
	}
	if op, err := b.desk.Operator(t.Context(), clerk.Operator.ID); err != nil || op.Standing != staff.Active {
		t.Errorf("resumed: %s, %v", op.Standing, err)
	}
	// One that is refused stays refused.
	a = admin.post("/people/"+clerk.Operator.ID+"/roles", "roles", "clerk")
	if second.post(a.to()+"/refuse").status != http.StatusSeeOther || second.agree(a.to()).status == http.StatusSeeOther {
		t.Error("a refused proposal can be agreed to")
	}
}

// TestPagesOfPeople: every page of this part is drawn in every language, and says each
// thing in words.
func TestPagesOfPeople(t *testing.T) {
	b := newBed(t)
	admin := b.as("north", staff.Administrator)
	p, o := b.proposal("north", staff.ChangePerson), b.proposal("north", staff.ChangeOffice)
	key := regexp.MustCompile(`>(staff|console)\.[a-z_.]+<`)
	for _, lang := range []string{"en", "bn", "fr", "pt", "sw", "ar"} {
		admin.Header.Set("Accept-Language", lang)
		for _, path := range []string{
			"/", "/people", "/people/new", "/people/" + b.person("north", staff.Clerk).ID, "/people/proposals/" + p.ID, "/offices", "/offices/new",
			"/offices/new?office=north", "/offices/proposals/" + o.ID, "/account", "/help",
		} {
			a := admin.get(path)
			if a.status != http.StatusOK {
				t.Errorf("%s %s: %d", lang, path, a.status)
			}
			if m := key.FindString(a.body); m != "" {
				t.Errorf("%s %s shows the key %s", lang, path, m)
			}
		}
	}
}
