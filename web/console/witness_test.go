package console_test

import (
	"context"
	"errors"
	"html"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// A watch says of the witnesses what the test says.
type watch struct {
	is  console.Witnessing
	err error
}

func (w *watch) Witnessing(context.Context) (console.Witnessing, error) { return w.is, w.err }

// TestLackingWitness: heads, auditors and administrators see on the first page, the
// overview and the page of trust that the log has no witness, or will soon have had none
// for too long. Others do not, and nobody while it is co-signed.
func TestLackingWitness(t *testing.T) {
	w := &watch{}
	b := newManaged(t, func(c *console.Config) { c.Manage.Watch = w }).s.bed
	kinds := []string{"forked", "unknown", "stopped", "without", "late"}
	clerk := b.as("north", staff.Clerk)
	who := map[string]*browser{"head": b.as("north", staff.Head), "auditor": b.as("south", staff.Auditor), "administrator": b.as("north", staff.Administrator)}
	en := i18n.For("en")
	shown := func(body string) (found string) {
		text := strings.NewReplacer("<bdi>", "", "</bdi>", "").Replace(html.UnescapeString(body))
		for _, kind := range kinds {
			beginning, _, _ := strings.Cut(en.Text("manage.witness."+kind, nil), "{")
			if strings.Contains(text, beginning) {
				found += kind
			}
		}
		return found
	}
	now := b.clock()
	debt := func(age, limit time.Duration) console.Witnessing {
		return console.Witnessing{Since: now.Add(-age), Until: now.Add(limit - age)}
	}
	without, none := debt(time.Minute, 4*time.Hour), debt(time.Minute, 4*time.Hour)
	without.Without, none.None = true, true
	for _, tt := range []struct {
		name string
		is   console.Witnessing
		err  error
		want string
	}{
		{"everything is co-signed", console.Witnessing{}, nil, ""},
		{"an hour of four", debt(time.Hour, 4*time.Hour), nil, ""},
		{"half of four hours and a minute", debt(2*time.Hour+time.Minute, 4*time.Hour), nil, "late"},
		{"half of an hour and a minute", debt(31*time.Minute, time.Hour), nil, "late"},
		{"longer than the limit", debt(4*time.Hour+time.Minute, 4*time.Hour), nil, "stopped"},
		{"the settings say to go without", without, nil, "without"},
		{"they say so, and everything is co-signed", console.Witnessing{Without: true}, nil, "without"},
		{"no witness is named", none, nil, "late"},
		{"AUD-09 a witness has seen another log", console.Witnessing{Contradicted: true, Without: true}, nil, "forked"},
		{"nobody knows", console.Witnessing{}, errors.New("no database"), "unknown"},
	} {
		w.is, w.err = tt.is, tt.err
		for name, p := range who {
			for _, path := range []string{"/", "/overview", "/trust"} {
				a := p.get(path)
				if got := shown(a.body); a.status != 200 || got != tt.want {
					t.Errorf("%s, %s, %s: %d, a warning %q, want %q", tt.name, name, path, a.status, got, tt.want)
				}
			}
		}
		if got := shown(clerk.get("/").body); got != "" {
			t.Errorf("%s, a clerk: a warning %q", tt.name, got)
		}
	}
	w.is, w.err = debt(3*time.Hour, 4*time.Hour), nil
	for _, l := range i18n.Languages() {
		p := who["head"]
		p.Header.Set("Accept-Language", l.Tag())
		body := html.UnescapeString(p.get("/").body)
		beginning, _, _ := strings.Cut(l.Text("manage.witness.late", nil), "{")
		for _, want := range []string{beginning, l.DateTime(w.is.Since), l.DateTime(w.is.Until), l.Text("manage.witness.tell", nil)} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the warning lacks %q", l.Tag(), want)
			}
		}
	}
}
