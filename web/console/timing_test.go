package console_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// A trail is what a desk asked of what it rests on.
type trail struct {
	mu    sync.Mutex
	steps []string
}

func (t *trail) add(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, step)
}

// take returns the steps since it was called last.
func (t *trail) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.steps = nil }()
	return strings.Join(t.steps, "\n")
}

// tracked has a desk leave a trail: each call of its store, its index and its registry
// that a stranger could tell one record from another by.
func (t *trail) tracked(c *work.Config) {
	c.Store, c.Index = trackedStore{c.Store, t}, trackedIndex{c.Index, t}
	source := c.Source
	c.Source = func(ctx context.Context, programme string) (registry.Source, func(), error) {
		src, done, err := source(ctx, programme)
		return trackedSource{src, t}, done, err
	}
}

type trackedStore struct {
	work.Store
	t *trail
}

func (s trackedStore) Item(ctx context.Context, office, id string) (work.Item, error) {
	s.t.add("item of " + office)
	return s.Store.Item(ctx, office, id)
}

func (s trackedStore) Items(ctx context.Context, q work.ItemQuery) ([]work.Item, error) {
	s.t.add("items of " + q.Office)
	return s.Store.Items(ctx, q)
}

func (s trackedStore) ItemEvents(ctx context.Context, q work.EventQuery) ([]work.Event, error) {
	s.t.add("events of " + q.Office)
	return s.Store.ItemEvents(ctx, q)
}

type trackedIndex struct {
	work.Index
	t *trail
}

func (i trackedIndex) FindRecords(ctx context.Context, q work.FindQuery) ([]work.Hit, error) {
	hits, err := i.Index.FindRecords(ctx, q)
	i.t.add(fmt.Sprintf("%d words of %s, others %t: %d", len(q.Words), q.Office, q.Others, len(hits)))
	return hits, err
}

type trackedSource struct {
	registry.Source
	t *trail
}

func (s trackedSource) Lookup(ctx context.Context, id string) (registry.Record, error) {
	s.t.add("lookup")
	return s.Source.Lookup(ctx, id)
}

// TestTimeTellsNothing: OUT-09 and WA-17. Whether what somebody may not see is there, or
// not, takes the same steps and gets the same answer; a stranger has nothing to measure but
// how long the same step takes. At night it is measured: of a hundred thousand answers, half
// of each kind and in an order of chance, one who sees how long two took guesses hardly
// better than by a coin which is which.
func TestTimeTellsNothing(t *testing.T) {
	var steps trail
	b, d, _ := newWorkBed(t, steps.tracked)
	north, south := b.as("north", staff.Clerk), b.as("south", staff.Clerk)
	record := "/records/" + d.Ref("births", "S-1")
	wantStatus(t, south.post(record+"/ask", "shown", field(t, wantStatus(t, south.get(record), http.StatusOK).body, "shown")), http.StatusSeeOther)
	south.get("/") // where it is said that a colleague was asked
	items, err := b.desk.Items(t.Context(), work.ItemQuery{Office: "south", Programme: "births", Record: "S-1", Limit: 1})
	if err != nil || len(items) != 1 {
		t.Fatalf("the item of the south: %d, %v", len(items), err)
	}
	_, used := b.invite("north", staff.InviteLink, staff.Clerk)
	w, dev := b.visitor(), newDevice()
	q := w.begin("/invitation/" + used + "/begin")
	wantStatus(t, w.finish("/invitation/"+used+"/finish", q, dev.create(t, q)), http.StatusOK)
	made, _ := staff.NewInvitation(staff.InviteLink, b.clock())
	ended := b.as("north", staff.Clerk)
	const cookie = "sanad-console"
	token := ended.cookie(cookie)
	if token == "" {
		t.Fatal("no session")
	}
	wantStatus(t, ended.post("/sign-out"), http.StatusSeeOther)
	visitor := b.visitor()
	session := func(token string) func() answer {
		return func() answer {
			visitor.set(&http.Cookie{Name: cookie, Value: token, Path: "/"})
			return visitor.get("/account")
		}
	}
	get := func(w *browser, path string) func() answer { return func() answer { return w.get(path) } }
	find := func(w *browser, text string) func() answer {
		body := []byte(url.Values{"text": {text}}.Encode())
		return func() answer { return w.do(http.MethodPost, "/search", web.MediaForm, body) }
	}
	for _, row := range []struct {
		name       string
		there, not func() answer
	}{
		{"token: a link that was used", get(visitor, "/invitation/"+used), get(visitor, "/invitation/"+made)},
		{"token: a session that ended", session(token), session(strings.Repeat("A", len(token)))},
		{"code: work of another office", get(north, "/items/"+items[0].ID), get(north, "/items/"+staff.NewID("wk"))},
		{"person: a record of another office", get(north, record), get(north, "/records/"+d.Ref("births", "S-9"))},
		{"person: the number of another office's record", find(north, "S-1"), find(north, "S-9")},
		{"person: a name that another office alone has", find(south, "Ayesha"), find(south, "Mandari")},
	} {
		t.Run(row.name, func(t *testing.T) {
			steps.take()
			first := row.there()
			want := steps.take()
			second := row.not()
			if got := steps.take(); got != want {
				t.Errorf("OUT-09 what is there takes the steps\n%s\nwhat is not\n%s", want, got)
			}
			same := func(a answer) string { return echoed.ReplaceAllString(a.body, "") }
			if first.status != second.status || same(first) != same(second) {
				t.Errorf("OUT-09 the answers differ: %d and %d\n%s\n%s", first.status, second.status, same(first), same(second))
			}
			n := count(0, 50_000)
			if n == 0 {
				return
			}
			if won := guess(n, func() { row.there() }, func() { row.not() }); won < 0.45 || won > 0.55 {
				t.Errorf("OUT-09 whoever sees how long two answers took is right %.1f times of a hundred", 100*won)
			}
		})
	}
	if count(0, 1) == 1 {
		// The measure sees a difference of a few thousandths of a second.
		slower := func() { get(north, "/help")(); time.Sleep(2 * time.Millisecond) }
		if won := guess(2000, slower, func() { get(north, "/help")() }); won < 0.9 {
			t.Errorf("a difference of two milliseconds is seen %.1f times of a hundred", 100*won)
		}
	}
}

// echoed is what a page says back of the question: what was typed, where, and the number of
// the request.
var echoed = regexp.MustCompile(`name="back" value="[^"]*"|name="text" type="search" value="[^"]*"|<p class="soft">.*?</p>`)

// guess returns how often the longer of two times is that of a: one half if they say
// nothing. It calls each n times, in an order of chance, so that what else a machine does
// falls on both.
func guess(n int, a, b func()) float64 {
	type sample struct {
		took time.Duration
		a    bool
	}
	all := make([]sample, 0, 2*n)
	for range n {
		pair := []sample{{a: true}, {}}
		rand.Shuffle(2, func(i, j int) { pair[i], pair[j] = pair[j], pair[i] })
		for _, s := range pair {
			begun := time.Now()
			if s.a {
				a()
			} else {
				b()
			}
			s.took = time.Since(begun)
			all = append(all, s)
		}
	}
	// The sum of ranks (Mann and Whitney), which outliers do not move.
	slices.SortFunc(all, func(x, y sample) int { return int(x.took - y.took) })
	ranks := 0.0
	for i, s := range all {
		if s.a {
			ranks += float64(i + 1)
		}
	}
	return (ranks - float64(n)*float64(n+1)/2) / (float64(n) * float64(n))
}
