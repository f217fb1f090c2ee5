package worktest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// start is when these tests take place.
var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// item is an item that waits to be checked.
func item(office, record string) work.Item {
	return work.Item{
		ID: staff.NewID("wk"), Kind: work.Issue, Office: office, Programme: "births", Record: record, State: work.Checking, Requester: "op-a", Opened: start, Changed: start, Rev: 1,
	}
}

func event(i work.Item, d work.Deed) work.Event {
	return work.Event{Item: i.ID, At: i.Changed, Deed: d, Actor: "op-a", Reason: "lost", Comment: "the date is wrong"}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// TestStore checks the contract of [work.Store] against the empty store that open
// returns.
func TestStore(t *testing.T, open func(*testing.T) work.Store) {
	t.Run("items come back as they went", func(t *testing.T) { testItems(t, open(t)) })
	t.Run("a record has one open item", func(t *testing.T) { testOpen(t, open(t)) })
	t.Run("one of many changes counts", func(t *testing.T) { testRace(t, open(t)) })
	t.Run("queues by office and page", func(t *testing.T) { testQueues(t, open(t)) })
	t.Run("due", func(t *testing.T) { testDue(t, open(t)) })
	t.Run("prints and sweeping", func(t *testing.T) { testPrints(t, open(t)) })
}

func testItems(t *testing.T, s work.Store) {
	ctx := t.Context()
	i := item("north", "r-1")
	must(t, s.AddItem(ctx, i, event(i, work.DeedTaken)))
	if got, err := s.Item(ctx, "north", i.ID); err != nil || got != i {
		t.Errorf("%+v, %v, want %+v", fields(got), err, fields(i))
	}
	if got, err := s.Item(ctx, "", i.ID); err != nil || got != i {
		t.Errorf("any office: %v", err)
	}
	_, err := s.Item(ctx, "south", i.ID)
	wants(t, err, work.ErrNoItem)
	_, err = s.Item(ctx, "north", "wk-none")
	wants(t, err, work.ErrNoItem)
	next := i
	next.Kind, next.Credential, next.Made, next.Reason, next.State, next.Problem = work.Replace, "OLD", "NEW", "lost", work.Agreed, "later"
	next.Shown, next.Requester, next.Approver, next.Worker = [32]byte{1, 2}, "op-b", "op-c", "at-1"
	next.Changed, next.Due, next.Expires, next.Until, next.Seen = start.Add(time.Second), start.Add(2*time.Second), start.Add(time.Hour), start.Add(time.Minute), start.Add(-time.Hour)
	next.Attempt, next.Lost = 2, 3
	must(t, s.SaveItem(ctx, work.Change{Item: next, Event: event(next, work.DeedApproved)}))
	next.Rev = 2
	if got, err := s.Item(ctx, "north", i.ID); err != nil || got != next {
		t.Errorf("%+v, %v, want %+v", fields(got), err, fields(next))
	}
	wants(t, s.SaveItem(ctx, work.Change{Item: i}), work.ErrMoved)
	none := item("north", "r-2")
	wants(t, s.SaveItem(ctx, work.Change{Item: none}), work.ErrNoItem)
	for _, q := range []work.EventQuery{{Item: i.ID}, {Office: "north", Programme: "births", Record: "r-1"}} {
		events, err := s.ItemEvents(ctx, q)
		if err != nil || len(events) != 2 || events[0] != event(i, work.DeedTaken) || events[1] != event(next, work.DeedApproved) {
			t.Errorf("events %+v, %v", events, err)
		}
	}
	events, err := s.ItemEvents(ctx, work.EventQuery{Office: "south", Programme: "births", Record: "r-1"})
	if err != nil || len(events) != 0 {
		t.Errorf("another office sees %d events, %v", len(events), err)
	}
}

// fields shows what an item hides.
func fields(i work.Item) string {
	type open work.Item
	return fmt.Sprintf("%+v", open(i))
}

func testOpen(t *testing.T, s work.Store) {
	ctx := t.Context()
	i := item("north", "r-1")
	must(t, s.AddItem(ctx, i, event(i, work.DeedTaken)))
	again := item("south", "r-1")
	wants(t, s.AddItem(ctx, again, event(again, work.DeedTaken)), work.ErrBusy)
	if _, err := s.Item(ctx, "south", again.ID); !errors.Is(err, work.ErrNoItem) {
		t.Errorf("refused and yet stored: %v", err)
	}
	i.State = work.Closed
	must(t, s.SaveItem(ctx, work.Change{Item: i, Event: event(i, work.DeedWithdrawn)}))
	must(t, s.AddItem(ctx, again, event(again, work.DeedTaken)))
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			i := item("north", "r-2")
			switch err := s.AddItem(ctx, i, event(i, work.DeedTaken)); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, work.ErrBusy):
				t.Errorf("AddItem: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d items for one record", won.Load())
	}
}

func testRace(t *testing.T, s work.Store) {
	ctx := t.Context()
	i := item("north", "r-1")
	must(t, s.AddItem(ctx, i, event(i, work.DeedTaken)))
	var won atomic.Int32
	var wg sync.WaitGroup
	for n := range 10 {
		wg.Go(func() {
			next := i
			next.Worker = fmt.Sprint("at-", n)
			switch err := s.SaveItem(ctx, work.Change{Item: next, Event: event(next, work.DeedOpened), Print: []byte(next.Worker)}); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, work.ErrMoved):
				t.Errorf("SaveItem: %v", err)
			}
		})
	}
	wg.Wait()
	got, err := s.Item(ctx, "north", i.ID)
	must(t, err)
	print, err := s.Print(ctx, i.ID)
	must(t, err)
	events, err := s.ItemEvents(ctx, work.EventQuery{Item: i.ID})
	must(t, err)
	if won.Load() != 1 || got.Rev != 2 || string(print) != got.Worker || len(events) != 2 {
		t.Errorf("%d changes counted; revision %d, print of %s by %s, %d events", won.Load(), got.Rev, print, got.Worker, len(events))
	}
}

func testQueues(t *testing.T, s work.Store) {
	ctx := t.Context()
	states := []work.State{work.Checking, work.Waiting, work.Agreed, work.Signed, work.Failed, work.Done, work.Closed}
	for n := range 28 {
		for _, office := range []string{"north", "south"} {
			i := item(office, fmt.Sprint(office, n))
			i.State, i.Changed = states[n%len(states)], start.Add(time.Duration(n/14)*time.Minute)
			if i.State == work.Agreed && n > 14 {
				i.Kind = work.Revoke
			}
			must(t, s.AddItem(ctx, i, event(i, work.DeedTaken)))
		}
	}
	counts, err := s.CountItems(ctx, "north")
	must(t, err)
	want := map[work.Queue]int{work.ToCheck: 4, work.ToApprove: 4, work.ToIssue: 2, work.ToChange: 2, work.ToPrint: 4, work.Problems: 4}
	for _, q := range work.Queues() {
		if counts[q] != want[q] {
			t.Errorf("%d in %s, want %d", counts[q], q, want[q])
		}
		var all []work.Item
		query := work.ItemQuery{Office: "north", Queue: q, Limit: 3}
		for range 5 {
			page, err := s.Items(ctx, query)
			must(t, err)
			all = append(all, page...)
			if len(page) < 3 {
				break
			}
			query.After = &page[2]
		}
		if len(all) != want[q] {
			t.Errorf("%d items in the pages of %s, want %d", len(all), q, want[q])
		}
		for k, i := range all {
			if i.Office != "north" || i.Queue() != q || k > 0 && i.Changed.Before(all[k-1].Changed) {
				t.Errorf("%s: item %d of office %s, queue %s", q, k, i.Office, i.Queue())
			}
		}
	}
	found, err := s.Items(ctx, work.ItemQuery{Office: "north", Programme: "births", Record: "north6", Limit: 10})
	if err != nil || len(found) != 1 || found[0].State != work.Closed {
		t.Errorf("items of a record: %v, %v", found, err)
	}
	found, err = s.Items(ctx, work.ItemQuery{Office: "south", Programme: "births", Record: "north6", Limit: 10})
	if err != nil || len(found) != 0 {
		t.Errorf("another office sees %v, %v", found, err)
	}
}

func testDue(t *testing.T, s work.Store) {
	ctx := t.Context()
	for _, w := range []struct {
		record string
		state  work.State
		due    time.Duration
		until  time.Duration
	}{
		{"later", work.Agreed, time.Minute, 0}, {"second", work.Agreed, 0, 0}, {"first", work.Agreed, -time.Minute, 0},
		{"taken", work.Agreed, -time.Minute, time.Minute}, {"left", work.Agreed, time.Second * -30, -time.Second}, {"waits", work.Waiting, -time.Minute, 0},
	} {
		i := item("north", w.record)
		i.State, i.Due = w.state, start.Add(w.due)
		if w.until != 0 {
			i.Worker, i.Until = "at-1", start.Add(w.until)
		}
		must(t, s.AddItem(ctx, i, event(i, work.DeedTaken)))
	}
	due := func(limit int) string {
		ids, err := s.DueItems(ctx, start, limit)
		must(t, err)
		var names []string
		for _, id := range ids {
			i, err := s.Item(ctx, "", id)
			must(t, err)
			names = append(names, i.Record)
		}
		return strings.Join(names, " ")
	}
	if got := due(10); got != "first left second" {
		t.Errorf("due: %s", got)
	}
	if got := due(2); got != "first left" {
		t.Errorf("due, two of them: %s", got)
	}
}

func testPrints(t *testing.T, s work.Store) {
	ctx := t.Context()
	signed := func(record string, expires time.Duration) work.Item {
		i := item("north", record)
		must(t, s.AddItem(ctx, i, event(i, work.DeedTaken)))
		i.State, i.Expires = work.Signed, start.Add(expires)
		must(t, s.SaveItem(ctx, work.Change{Item: i, Event: event(i, work.DeedSigned), Print: []byte("sealed " + record)}))
		i.Rev = 2
		return i
	}
	young, old, printed := signed("young", time.Hour), signed("old", 0), signed("printed", time.Hour)
	if b, err := s.Print(ctx, young.ID); err != nil || string(b) != "sealed young" {
		t.Errorf("print %q, %v", b, err)
	}
	printed.State = work.Done
	must(t, s.SaveItem(ctx, work.Change{Item: printed, Event: event(printed, work.DeedPrinted), ErasePrint: true}))
	_, err := s.Print(ctx, printed.ID)
	wants(t, err, work.ErrNoPrint)
	lost, err := s.SweepItems(ctx, start, start)
	if err != nil || len(lost) != 1 || lost[0] != old.ID {
		t.Errorf("swept %v, %v", lost, err)
	}
	_, err = s.Print(ctx, old.ID)
	wants(t, err, work.ErrNoPrint)
	_, err = s.Print(ctx, young.ID)
	must(t, err)
	// Items that are over go with their events when their time is up, and no others do.
	lost, err = s.SweepItems(ctx, start, start.Add(time.Millisecond))
	must(t, err)
	_, err = s.Item(ctx, "", printed.ID)
	wants(t, err, work.ErrNoItem)
	events, err := s.ItemEvents(ctx, work.EventQuery{Item: printed.ID})
	if err != nil || len(events) != 0 {
		t.Errorf("%d events of an item that is gone, %v", len(events), err)
	}
	for _, i := range []work.Item{young, old} {
		_, err = s.Item(ctx, "", i.ID)
		must(t, err)
	}
	if len(lost) != 1 {
		t.Errorf("a print that is not accounted for is no longer told: %v", lost)
	}
}

// TestIndex checks the contract of [work.Index] against the empty index that open
// returns.
func TestIndex(t *testing.T, open func(*testing.T) work.Index) {
	t.Run("found by all words, in one's office", func(t *testing.T) { testFind(t, open(t)) })
	t.Run("one builder, whole generations", func(t *testing.T) { testGenerations(t, open(t)) })
	t.Run("many records", func(t *testing.T) { testMany(t, open(t)) })
}

// build makes a whole index of entries.
func build(t *testing.T, x work.Index, programme string, entries ...work.Entry) int64 {
	t.Helper()
	turn, err := x.BeginIndex(t.Context(), programme, "at-1", start, start.Add(time.Minute))
	must(t, err)
	must(t, x.PutIndex(t.Context(), work.IndexPart{Programme: programme, Turn: turn, Generation: turn, Put: entries, Until: start.Add(time.Minute), Records: int64(len(entries))}))
	must(t, x.FinishIndex(t.Context(), programme, turn, work.IndexState{Generation: turn, Made: "made", Mark: []byte("mark"), Skipped: 2, Built: start}))
	return turn
}

func find(t *testing.T, x work.Index, q work.FindQuery) string {
	t.Helper()
	if q.Programme == "" {
		q.Programme = "births"
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	hits, err := x.FindRecords(t.Context(), q)
	must(t, err)
	var ids []string
	for i, h := range hits {
		ids = append(ids, h.Record)
		if i > 0 && h.N <= hits[i-1].N {
			t.Errorf("hits out of order")
		}
	}
	return strings.Join(ids, " ")
}

func testFind(t *testing.T, x work.Index) {
	build(t, x, "births",
		work.Entry{Record: "a", Offices: []string{"north"}, Keys: []int64{1, 2, -5}},
		work.Entry{Record: "b", Offices: []string{"south"}, Keys: []int64{1, 2}},
		work.Entry{Record: "c", Offices: []string{"north", "south"}, Keys: []int64{1, 3}},
		work.Entry{Record: "a", Offices: []string{"north"}, Keys: []int64{9}},
		work.Entry{Record: "d", Offices: []string{"north"}, Keys: []int64{2, 3, 4}},
	)
	build(t, x, "marriages", work.Entry{Record: "m", Offices: []string{"north"}, Keys: []int64{1, 2}})
	for _, tt := range []struct {
		q    work.FindQuery
		want string
	}{
		{work.FindQuery{Office: "north", Words: [][]int64{{1}}}, "a c"},
		{work.FindQuery{Office: "south", Words: [][]int64{{1}}}, "b c"},
		{work.FindQuery{Office: "west", Words: [][]int64{{1}}}, ""},
		{work.FindQuery{Office: "north", Words: [][]int64{{1}, {2}}}, "a"},
		{work.FindQuery{Office: "north", Words: [][]int64{{2}, {3}}}, "d"},
		{work.FindQuery{Office: "north", Words: [][]int64{{1, 4}, {3, 2}}}, "a c d"},
		{work.FindQuery{Office: "north", Words: [][]int64{{1, 2, 3}}}, "a c d"},
		{work.FindQuery{Office: "north", Words: [][]int64{{-5}}}, "a"},
		{work.FindQuery{Office: "north", Words: [][]int64{{9}}}, ""},
		{work.FindQuery{Office: "north", Words: [][]int64{{7}}}, ""},
		{work.FindQuery{Office: "north"}, ""},
		{work.FindQuery{Office: "north", Words: [][]int64{{1}, {}}}, ""},
		{work.FindQuery{Office: "north", Others: true, Words: [][]int64{{1}}}, "b"},
		{work.FindQuery{Office: "west", Others: true, Words: [][]int64{{1}}}, "a b c"},
		{work.FindQuery{Programme: "marriages", Office: "north", Words: [][]int64{{1}}}, "m"},
		{work.FindQuery{Programme: "deaths", Office: "north", Words: [][]int64{{1}}}, ""},
	} {
		if got := find(t, x, tt.q); got != tt.want {
			t.Errorf("%+v finds %q, want %q", tt.q, got, tt.want)
		}
	}
	s, err := x.IndexState(t.Context(), "births")
	if err != nil || s.Records != 4 || s.Made != "made" || string(s.Mark) != "mark" || s.Skipped != 2 || !s.Built.Equal(start) || s.Worker != "" {
		t.Errorf("state %+v, %v", s, err)
	}
	must(t, x.DropIndex(t.Context(), "births"))
	if got := find(t, x, work.FindQuery{Office: "north", Words: [][]int64{{1}}}); got != "" {
		t.Errorf("erased, and yet %q", got)
	}
	if s, err := x.IndexState(t.Context(), "births"); err != nil || s.Generation != 0 || s.Mark != nil {
		t.Errorf("erased, and yet %+v, %v", s, err)
	}
	if got := find(t, x, work.FindQuery{Programme: "marriages", Office: "north", Words: [][]int64{{1}}}); got != "m" {
		t.Errorf("another programme was erased with it: %q", got)
	}
}

func testGenerations(t *testing.T, x work.Index) {
	ctx := t.Context()
	old := build(t, x, "births", work.Entry{Record: "a", Offices: []string{"north"}, Keys: []int64{1}}, work.Entry{Record: "b", Offices: []string{"north"}, Keys: []int64{1}})
	turn, err := x.BeginIndex(ctx, "births", "at-1", start, start.Add(time.Minute))
	must(t, err)
	_, err = x.BeginIndex(ctx, "births", "at-2", start.Add(59*time.Second), start.Add(time.Hour))
	wants(t, err, work.ErrBusy)
	put := func(turn, generation int64, remove []string, put ...work.Entry) error {
		return x.PutIndex(ctx, work.IndexPart{Programme: "births", Turn: turn, Generation: generation, Remove: remove, Put: put, Until: start.Add(time.Minute), Records: 7})
	}
	must(t, put(turn, turn, nil, work.Entry{Record: "half", Offices: []string{"north"}, Keys: []int64{1}}))
	if got := find(t, x, work.FindQuery{Office: "north", Words: [][]int64{{1}}}); got != "a b" {
		t.Errorf("half an index is searched: %q", got)
	}
	if s, err := x.IndexState(ctx, "births"); err != nil || s.Building != 7 || s.Worker != "at-1" || s.Generation != old {
		t.Errorf("state %+v, %v", s, err)
	}
	// The worker is gone; the next one's turn ends the first one's.
	next, err := x.BeginIndex(ctx, "births", "at-2", start.Add(time.Minute), start.Add(time.Hour))
	must(t, err)
	wants(t, put(turn, turn, nil), work.ErrMoved)
	wants(t, x.FinishIndex(ctx, "births", turn, work.IndexState{Generation: turn}), work.ErrMoved)
	must(t, put(next, old, []string{"a", "none"}, work.Entry{Record: "c", Offices: []string{"south"}, Keys: []int64{1}}))
	must(t, put(next, old, []string{"b"}, work.Entry{Record: "b", Offices: []string{"north"}, Keys: []int64{2}}))
	must(t, x.FinishIndex(ctx, "births", next, work.IndexState{Generation: old, Made: "then"}))
	for q, want := range map[int64]string{1: "", 2: "b"} {
		if got := find(t, x, work.FindQuery{Office: "north", Words: [][]int64{{q}}}); got != want {
			t.Errorf("key %d finds %q after the change, want %q", q, got, want)
		}
	}
	if got := find(t, x, work.FindQuery{Office: "south", Words: [][]int64{{1}}}); got != "c" {
		t.Errorf("the south finds %q", got)
	}
	if s, err := x.IndexState(ctx, "births"); err != nil || s.Records != 2 || s.Made != "then" {
		t.Errorf("state %+v, %v", s, err)
	}
	wants(t, put(next, old, nil), work.ErrMoved)
}

func testMany(t *testing.T, x work.Index) {
	ctx := t.Context()
	turn, err := x.BeginIndex(ctx, "births", "at-1", start, start.Add(time.Minute))
	must(t, err)
	const n = 3000
	var entries []work.Entry
	for i := range n {
		entries = append(entries, work.Entry{Record: fmt.Sprintf("r-%05d", i), Offices: []string{[]string{"north", "south"}[i%2]}, Keys: []int64{1, int64(100 + i%7), int64(1000 + i)}})
	}
	for part := range slices.Chunk(entries, 1000) {
		must(t, x.PutIndex(ctx, work.IndexPart{Programme: "births", Turn: turn, Generation: turn, Put: part, Until: start.Add(time.Minute)}))
	}
	must(t, x.FinishIndex(ctx, "births", turn, work.IndexState{Generation: turn}))
	seen := 0
	q := work.FindQuery{Programme: "births", Office: "north", Words: [][]int64{{1}, {103}}, Limit: 50}
	for {
		hits, err := x.FindRecords(ctx, q)
		must(t, err)
		seen += len(hits)
		if len(hits) < q.Limit {
			break
		}
		q.After = hits[len(hits)-1].N
	}
	want := 0
	for i := range n {
		if i%2 == 0 && i%7 == 3 {
			want++
		}
	}
	if seen != want {
		t.Errorf("%d of %d found", seen, want)
	}
	if got := find(t, x, work.FindQuery{Office: "south", Words: [][]int64{{1}, {2999 + 1000}}}); got != "r-02999" {
		t.Errorf("found %q", got)
	}
}
