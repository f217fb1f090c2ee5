package desk_test

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/work"
)

// count is how often to try something, or how large a thing is: per change and in the
// nightly run.
func count(change, night int) int {
	if os.Getenv("SANAD_SOAK") != "" {
		return night
	}
	return change
}

// The keys of the records that fill makes. Given names are shared by a fiftieth of all
// records, family names by a two-thousandth; a twin has the same name and birthday.
const (
	space    = 1
	givens   = 50
	families = 2000
	family   = 1_000
	idKeys   = 1_000_000_000
	refKeys  = 2_000_000_000
	twinKeys = 3_000_000_000
)

// fill makes an index of n records of two offices, as many items with an event each, all of
// which but a twentieth are over, and the figures of three years. It writes rows, so that
// a million takes no longer than a database needs for them.
func fill(t testing.TB, db *desk.DB, n int) {
	t.Helper()
	direct := func(query string, args ...any) {
		t.Helper()
		if err := db.Direct(t.Context(), query, args...); err != nil {
			t.Fatalf("%.60s...: %v", query, err)
		}
	}
	direct(`INSERT INTO work_office (no, id) VALUES (1, 'north'), (2, 'south')`)
	direct(`INSERT INTO work_space (space, programme) VALUES (1, 'births')`)
	direct(`INSERT INTO work_index (programme, generation, turn, made, mark, records, skipped, built, worker, until, building) VALUES ('births', 1, 1, 'x', NULL, $1, 0, 1, '', 0, 0)`, n)
	// A part is short enough for the patience of the database.
	const part = 20_000
	for from := 1; from <= n; from += part {
		last := min(from+part-1, n)
		rows := fmt.Sprintf(`WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c WHERE i < %d) `, from, last)
		const number, office = `4294967296 + i`, `1 + i % 3 / 2`
		direct(`INSERT INTO work_record (n, space, record, hashes) `+rows+`SELECT `+number+`, 1, 'R-' || (10000000 + i), $1 FROM c`, []byte{0})
		for _, hash := range []string{
			fmt.Sprintf("i %% %d", givens), fmt.Sprintf("%d + i / 7 %% %d", family, families),
			fmt.Sprintf("%d + i", idKeys), fmt.Sprintf("%d + i", refKeys), fmt.Sprintf("%d + i / 2", twinKeys),
		} {
			direct(`INSERT INTO work_key (space, hash, office, n) ` + rows + `SELECT 1, ` + hash + `, ` + office + `, ` + number + ` FROM c ORDER BY 2, 3, 4`)
		}
		direct(`INSERT INTO work_item (id, kind, office, programme, record, credential, made, reason, state, queue, problem, shown, requester, approver, opened, changed, due, expires, worker, until, attempt, seen, lost, rev) `+
			rows+`SELECT 'item-' || (10000000 + i), 'issue', CASE WHEN i % 3 = 2 THEN 'south' ELSE 'north' END, 'births', 'R-' || (10000000 + i), 'C-' || (10000000 + i), '', '',
			CASE WHEN i % 40 = 0 THEN 'waiting' WHEN i % 40 = 1 THEN 'signed' ELSE 'done' END, CASE WHEN i % 40 = 0 THEN 'approve' WHEN i % 40 = 1 THEN 'print' ELSE '' END,
			'', $1, 'op-a', CASE WHEN i % 40 = 0 THEN '' ELSE 'op-b' END, i, i, 0, 9000000000000, '', 0, 0, 0, 0, 1 FROM c`, make([]byte, sha256.Size))
		direct(`INSERT INTO work_event (item, at, deed, actor, reason, comment) ` + rows + `SELECT 'item-' || (10000000 + i), i, 'asked', 'op-a', '', '' FROM c`)
		direct(`INSERT INTO history (credential, entry) ` + rows + `SELECT 'C-' || (10000000 + i), i FROM c`)
	}
	day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 * 365 {
		direct(`INSERT INTO tally (day, office, programme, what, n) VALUES ($1, 'north', 'births', 'issued', 7), ($1, 'south', 'births', 'issued', 5), ($1, 'north', 'births', 'revoked', 1), ($1, 'south', 'farmers', 'issued', 2)`,
			day.AddDate(0, 0, i).Format(time.DateOnly))
	}
}

// A look is what a page of the console asks of the database.
type look struct {
	name string
	ask  func(ctx context.Context, db *desk.DB) (int, error)
	// plan must be in the plan of SQLite: which index is searched, and by what.
	plan string
}

func looks(n int) []look {
	find := func(words ...[]int64) func(context.Context, *desk.DB) (int, error) {
		return func(ctx context.Context, db *desk.DB) (int, error) {
			hits, err := db.FindRecords(ctx, work.FindQuery{Programme: "births", Office: "north", Words: words, Limit: 21})
			return len(hits), err
		}
	}
	items := func(q work.ItemQuery) func(context.Context, *desk.DB) (int, error) {
		return func(ctx context.Context, db *desk.DB) (int, error) {
			all, err := db.Items(ctx, q)
			return len(all), err
		}
	}
	last := int64(n - n%6) // of the north
	record := fmt.Sprint("R-", 10_000_000+last)
	const byKey = "SEARCH k USING PRIMARY KEY (space=? AND hash=? AND office=? AND n>?)"
	return []look{
		{"search: a common name", find([]int64{3, 4, 5}), byKey},
		{"search: a family name", find([]int64{family + 7, family + 8}), byKey},
		{"search: two names", find([]int64{3, 4}, []int64{family + 7, family + 8, family + 9}), byKey},
		{"search: two common names", find([]int64{3, 4}, []int64{4, 5}), byKey},
		{"search: names that nobody has together", find([]int64{3}, []int64{4}), byKey},
		{"search: registration number", find([]int64{idKeys + last}), byKey},
		{"search: credential id, number on paper", find([]int64{refKeys + last}), byKey},
		{"search: what nobody has", find([]int64{17_000}), byKey},
		{"record: same name and birthday, elsewhere", func(ctx context.Context, db *desk.DB) (int, error) {
			hits, err := db.FindRecords(ctx, work.FindQuery{Programme: "births", Office: "north", Others: true, Words: [][]int64{{twinKeys + last/2}}, Limit: 6})
			return len(hits), err
		}, "SEARCH k USING PRIMARY KEY (space=? AND hash=?)"},
		{"record: its work", items(work.ItemQuery{Office: "north", Programme: "births", Record: record, Limit: 50}), "SEARCH work_item USING INDEX work_item_record (programme=? AND record=?)"},
		{"record: what happened", func(ctx context.Context, db *desk.DB) (int, error) {
			all, err := db.ItemEvents(ctx, work.EventQuery{Office: "north", Programme: "births", Record: record})
			return len(all), err
		}, "SEARCH e USING INDEX work_event_item (item=?)"},
		{"record: entries of the log", func(ctx context.Context, db *desk.DB) (int, error) {
			all, err := db.HistoryOf(ctx, []string{fmt.Sprint("C-", 10_000_000+last)})
			return len(all), err
		}, "SEARCH history USING PRIMARY KEY (credential=?)"},
		{"queues: how many", func(ctx context.Context, db *desk.DB) (int, error) {
			counts, err := db.CountItems(ctx, "north")
			return len(counts), err
		}, "SEARCH work_item USING COVERING INDEX work_item_queue (office=? AND queue>?)"},
		{"queue: first page", items(work.ItemQuery{Office: "north", Queue: work.ToApprove, Limit: 21}), "SEARCH work_item USING INDEX work_item_queue (office=? AND queue=?)"},
		{"queue: a page in the middle", items(work.ItemQuery{Office: "north", Queue: work.ToApprove, After: &work.Item{ID: "x", Changed: time.UnixMilli(int64(n / 2))}, Limit: 21}),
			"SEARCH work_item USING INDEX work_item_queue (office=? AND queue=? AND (changed,id)>(?,?))"},
		{"worker: what is due", func(ctx context.Context, db *desk.DB) (int, error) {
			ids, err := db.DueItems(ctx, now, 50)
			return len(ids), err
		}, "USING INDEX work_item_due"},
		{"overview: thirty days", func(ctx context.Context, db *desk.DB) (int, error) {
			all, err := db.Tally(ctx, "2026-01-01", "2026-01-30")
			return len(all), err
		}, "SEARCH tally USING PRIMARY KEY (day>? AND day<?)"},
	}
}

// TestPlans: what pages ask is found by an index, on both databases, whatever there is of
// it; nothing reads a table from end to end.
func TestPlans(t *testing.T) {
	n := count(3000, 1_000_000)
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		fill(t, db, n)
		for _, l := range looks(n) {
			type statement struct {
				query string
				args  []any
			}
			var asked []statement
			db.Watch(func(query string, args []any) { asked = append(asked, statement{query, slices.Clone(args)}) })
			if _, err := l.ask(t.Context(), db); err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
			db.Watch(nil)
			var plans strings.Builder
			for _, s := range asked {
				plan, err := db.Plan(t.Context(), s.query, s.args)
				if err != nil {
					t.Fatalf("%s: %v\n%s", l.name, err, s.query)
				}
				plans.WriteString(plan)
			}
			for step := range strings.Lines(plans.String()) {
				large := slices.ContainsFunc([]string{"work_item", "work_event", "work_record", "work_key", "history", "tally"}, func(table string) bool {
					return strings.Contains(step, " on "+table) || strings.HasPrefix(step, "SCAN "+table)
				})
				whole := strings.Contains(step, "Seq Scan") && large || strings.HasPrefix(step, "SCAN ") && !strings.HasPrefix(step, "SCAN page") && !strings.HasPrefix(step, "SCAN hit") &&
					!strings.HasPrefix(step, "SCAN (") && !strings.HasPrefix(step, "SCAN counted") && !strings.HasPrefix(step, "SCAN CONSTANT")
				if whole {
					t.Errorf("%s: reads a table from end to end: %s%s", l.name, step, plans.String())
				}
			}
			if filepath.Base(location) == "desk.db" && !strings.Contains(plans.String(), l.plan) {
				t.Errorf("%s: the plan is\n%swant %s", l.name, plans.String(), l.plan)
			}
		}
	})
}

// TestFindPages: pages of what several keys of a word find are each record once, in order,
// however the keys and pages fall.
func TestFindPages(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		const n = 900
		fill(t, db, n)
		words := [][]int64{{3, 4, 5, 6, 7}, {3, 4, 6, 7, 8}} // those with a key of both: 3, 4, 6, 7
		var got []string
		for after := int64(0); ; {
			hits, err := db.FindRecords(t.Context(), work.FindQuery{Programme: "births", Office: "north", Words: words, After: after, Limit: 7})
			must(t, err)
			for _, h := range hits {
				got, after = append(got, h.Record), h.N
			}
			if len(hits) < 7 {
				break
			}
		}
		var want []string
		for i := 1; i <= n; i++ {
			if g := i % givens; i%3 != 2 && (g == 3 || g == 4 || g == 6 || g == 7) {
				want = append(want, fmt.Sprint("R-", 10_000_000+i))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d records %v\nwant %d: %v", len(got), got, len(want), want)
		}
	})
}

var benchRecords = flag.Int("records", 1_000_000, "records and items of BenchmarkMillion")

// BenchmarkMillion measures what pages ask, with a million records and as many items. It
// gives the median and the 99th of a hundred beside the mean.
func BenchmarkMillion(b *testing.B) {
	n := *benchRecords
	run := func(b *testing.B, db *desk.DB) {
		b.Helper()
		for _, l := range looks(n) {
			b.Run(strings.ReplaceAll(l.name, " ", "_"), func(b *testing.B) {
				var took []time.Duration
				rows := 0
				for b.Loop() {
					begun := time.Now()
					found, err := l.ask(b.Context(), db)
					if err != nil {
						b.Fatal(err)
					}
					took, rows = append(took, time.Since(begun)), found
				}
				slices.Sort(took)
				for name, part := range map[string]int{"p50-ms": 50, "p99-ms": 99} {
					b.ReportMetric(float64(took[(len(took)-1)*part/100].Microseconds())/1000, name)
				}
				b.ReportMetric(float64(rows), "rows")
			})
		}
	}
	b.Run("sqlite", func(b *testing.B) {
		db, err := desk.Open(b.Context(), filepath.Join(b.TempDir(), "desk.db"), desk.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		fill(b, db, n)
		run(b, db)
	})
	b.Run("postgres", func(b *testing.B) {
		owner, service := pgtest.New(b)
		c, err := pgx.ParseConfig(service)
		if err != nil {
			b.Fatal(err)
		}
		if err := desk.Prepare(b.Context(), owner, desk.Options{ServiceRole: c.User}); err != nil {
			b.Fatal(err)
		}
		own, err := desk.Open(b.Context(), owner, desk.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer own.Close()
		fill(b, own, n)
		if err := own.Direct(b.Context(), "ANALYZE"); err != nil { // as the server does by itself, sooner or later
			b.Fatal(err)
		}
		db, err := desk.Open(b.Context(), service, desk.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		run(b, db)
	})
}
