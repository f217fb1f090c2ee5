package parties

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Kinds of what is counted.
const (
	// KindRequest: a wallet answered a request under a policy.
	KindRequest = "request"
	// KindProof: any proof was judged.
	KindProof = "proof"
	// KindOffline: a counter judged something without a network.
	KindOffline = "offline"
)

// A Count is how often there was a verdict on a day.
type Count struct {
	// Day is YYYY-MM-DD, in UTC; for counters the day as they have it.
	Day string `json:"day"`
	// Party is the relying party; empty on a private port without keys.
	Party string `json:"party,omitempty"`
	// Kind is request, proof or offline.
	Kind string `json:"kind"`
	// Subject is the policy of a request and the type of what was judged offline.
	Subject string `json:"subject,omitempty"`
	Verdict string `json:"verdict"`
	N       int64  `json:"count"`
}

func compareCounts(a, b Count) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Party, b.Party), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Verdict, b.Verdict))
}

// A Batch names counts that belong together.
type Batch [16]byte

const (
	// maxCounts is the most counts of one batch.
	maxCounts = 10_000
	// keepBatches is for how long a batch is remembered.
	keepBatches = 30 * 24 * time.Hour
)

const addCount = `INSERT INTO usage (day, party, kind, subject, verdict, n) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (day, party, kind, subject, verdict) DO UPDATE SET n = usage.n + excluded.n`

// AddUsage adds counts, all or none. The same batch counts once, however often it is sent:
// whoever does not know the outcome sends it again, within 30 days.
func (db *DB) AddUsage(ctx context.Context, batch Batch, now time.Time, counts []Count) error {
	if len(counts) > maxCounts {
		return fmt.Errorf("parties: %d counts in a batch, of at most %d", len(counts), maxCounts)
	}
	sorted := slices.SortedFunc(slices.Values(counts), compareCounts) // so that no two processes wait for each other
	return db.write(ctx, func(t tx) error {
		n, err := t.exec(`INSERT INTO flushed (batch, at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, batch[:], milli(now))
		if err != nil || n == 0 {
			return err
		}
		for _, c := range sorted {
			if _, err := t.exec(addCount, c.Day, c.Party, c.Kind, c.Subject, c.Verdict, c.N); err != nil {
				return err
			}
		}
		return nil
	})
}

// Usage returns the counts of the days from first to last (YYYY-MM-DD, both included), of
// one party or, with nil, of all, in order. What counters did without a network is in it.
func (db *DB) Usage(ctx context.Context, first, last string, party *string) ([]Count, error) {
	var all []Count
	only, name := 0, ""
	if party != nil {
		only, name = 1, *party
	}
	err := db.read(ctx, func(t tx) error {
		all = nil
		return t.each(`SELECT day, party, kind, subject, verdict, CAST(sum(n) AS bigint) FROM (
				SELECT day, party, kind, subject, verdict, n FROM usage
				UNION ALL
				SELECT t.day, t.party, '`+KindOffline+`', s.type, s.verdict, s.n FROM tally t JOIN tally_scan s ON s.party = t.party AND s.id = t.id
			) AS counts WHERE day >= $1 AND day <= $2 AND ($3 = 0 OR party = $4)
			GROUP BY day, party, kind, subject, verdict ORDER BY day, party, kind, subject, verdict`,
			[]any{first, last, only, name}, func(scan func(...any) error) error {
				var c Count
				if err := scan(&c.Day, &c.Party, &c.Kind, &c.Subject, &c.Verdict, &c.N); err != nil {
					return err
				}
				all = append(all, c)
				return nil
			})
	})
	return all, err
}
