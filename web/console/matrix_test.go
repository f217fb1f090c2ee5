package console_test

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// foreign says for the holes of a route what belongs to the south, so that somebody of
// the north asks for it. A hole that is not here gets an id that there is not.
var foreign = map[string]func(b *bed) string{
	"/console/people/{operator}":            func(b *bed) string { return b.person("south", staff.Clerk).ID },
	"/console/people/proposals/{proposal}":  func(b *bed) string { return b.proposal("south", staff.ChangePerson).ID },
	"/console/offices/proposals/{proposal}": func(b *bed) string { return b.proposal("south", staff.ChangeOffice).ID },
}

var hole = regexp.MustCompile(`\{[a-z.$]+\}`)

// fill puts ids into the holes of a pattern: of the south if there are such, else made up.
func fill(b *bed, pattern string, made bool) string {
	if strings.HasSuffix(pattern, "{$}") {
		return strings.TrimSuffix(pattern, "{$}")
	}
	at := hole.FindStringIndex(pattern)
	if at == nil {
		return pattern
	}
	id := "op-aaaaaaaaaaaaaaaa"
	if f := foreign[pattern[:at[1]]]; f != nil && !made {
		id = f(b)
	}
	return hole.ReplaceAllString(pattern[:at[0]]+id+pattern[at[1]:], "op-aaaaaaaaaaaaaaaa")
}

// ask sends what the row takes, with nothing in it.
func (w *browser) ask(row console.Row, path string) answer {
	w.b.t.Helper()
	if row.Method == http.MethodGet {
		return w.get(path)
	}
	media, body := "", ""
	if len(row.Media) > 0 {
		media = row.Media[0]
	}
	if media == web.MediaJSON {
		body = "{}"
	}
	return w.do(row.Method, path, media, []byte(body))
}

// TestEveryRouteAndRole: P24 and WA-13. Each row of the table, asked by nobody, by each
// role, and by somebody who is suspended: who has no right gets 403 and nothing else.
func TestEveryRouteAndRole(t *testing.T) {
	b := newShop(t).bed // with batches, revocations and programmes
	rows := b.Table()
	if len(rows) < 60 {
		t.Fatalf("%d routes", len(rows))
	}
	refused, allowed := 0, 0
	for _, row := range rows {
		path := fill(b, row.Pattern, true)
		rule, ok := staff.RuleFor(row.Action)
		if !ok {
			t.Errorf("%s is no action of the table", row.Name)
			continue
		}
		if row.Method == http.MethodPost && rule.Fresh && !row.Fresh {
			t.Errorf("%s can be done without the passkey", row.Name)
		}
		if row.Method == http.MethodPost && row.Action != staff.Visit && row.Action != staff.Account && !rule.Changes {
			t.Errorf("%s changes something, and its action %s says that it does not", row.Name, row.Action)
		}
		if row.Action == staff.Visit {
			continue
		}
		if a := b.visitor().ask(row, path); a.status != http.StatusUnauthorized && (a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/console/sign-in")) {
			t.Errorf("%s: nobody gets %d to %q", row.Name, a.status, a.to())
		}
		for _, role := range staff.Roles() {
			w := b.as("north", role)
			a := w.ask(row, path)
			if w.Operator.MayEver(row.Action) {
				allowed++
				if a.status == http.StatusForbidden && len(rule.States) == 0 {
					t.Errorf("%s: %s has the right and gets 403", row.Name, role)
				}
				if a.status >= 500 {
					t.Errorf("%s: %s gets %d\n%s", row.Name, role, a.status, b.log)
				}
				continue
			}
			refused++
			if a.status != http.StatusForbidden {
				t.Errorf("P24 %s: %s has no right and gets %d", row.Name, role, a.status)
			}
		}
	}
	t.Logf("%d routes; %d pairs of role and route refused, %d allowed", len(rows), refused, allowed)
}

// TestStalePasskey: what needs the passkey anew is not done without it, and says so
// before anything else is looked at.
func TestStalePasskey(t *testing.T) {
	b := newBed(t)
	n := 0
	for _, row := range b.Table() {
		if !row.Fresh {
			continue
		}
		n++
		role := staff.Roles()[slices.IndexFunc(staff.Roles(), func(r staff.Role) bool {
			return staff.Operator{ID: "op-a", Standing: staff.Active, Roles: []staff.Role{r}}.MayEver(row.Action)
		})]
		op := b.person("north", role)
		w := b.visitor()
		k, err := b.SignIn(op, b.clock().Add(-6*time.Minute))
		must(t, err)
		w.set(k)
		before := len(b.audit.all())
		if a := w.ask(row, fill(b, row.Pattern, true)); a.status != http.StatusUnauthorized {
			t.Errorf("%s without the passkey: %d", row.Name, a.status)
		}
		if len(b.audit.all()) != before {
			t.Errorf("%s was begun without the passkey", row.Name)
		}
	}
	if n == 0 {
		t.Error("no route needs the passkey anew")
	}
}

// TestOtherOffices: WA-13, what belongs to another office looks as if it did not exist.
func TestOtherOffices(t *testing.T) {
	b := newBed(t)
	n := 0
	for _, row := range b.Table() {
		there, not := fill(b, row.Pattern, false), fill(b, row.Pattern, true)
		if there == not {
			continue
		}
		n++
		for _, role := range []staff.Role{staff.Clerk, staff.Approver, staff.Head, staff.Auditor} {
			w := b.as("north", role)
			if !w.Operator.MayEver(row.Action) {
				continue
			}
			there = fill(b, row.Pattern, false)
			a, made := w.ask(row, there), w.ask(row, not)
			if a.status != http.StatusNotFound || made.status != a.status {
				t.Errorf("%s: %s of the north gets %d for what is the south's, and %d for what is not", row.Name, role, a.status, made.status)
			}
		}
	}
	t.Logf("%d routes lead to something of an office", n)
}

// TestHostIsNotBelieved: WA-12. Addresses on pages come from the settings, whatever the
// request says.
func TestHostIsNotBelieved(t *testing.T) {
	b := newBed(t)
	for _, path := range []string{"/console/", "/console/sign-in", "/console/account"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, nil)
		must(t, err)
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-For", "evil.example")
		res, err := b.visitor().client.Do(r)
		must(t, err)
		page, err := io.ReadAll(res.Body)
		must(t, err)
		_ = res.Body.Close()
		if strings.Contains(string(page), "evil") {
			t.Errorf("%s: the page believes it", path)
		}
		for name, values := range res.Header {
			if strings.Contains(strings.Join(values, " "), "evil") {
				t.Errorf("%s: %s: %v", path, name, values)
			}
		}
	}
}
