package parties

import (
	"context"
	"slices"
	"strings"
	"time"
)

// A Tally is what a counter did on a day without a network: counts, and digests of what
// counts once. It says nothing about persons.
type Tally struct {
	// Party is the relying party whose counter it is.
	Party string
	// ID is chance that the counter made for the day.
	ID string
	// Counter is the verifier's id; may be empty.
	Counter string
	// Day is YYYY-MM-DD, as the counter had it.
	Day string
	// Scans are counts, each of another type, verdict and hour.
	Scans []Scan
	// Once are salted digests, each once.
	Once []Seen
}

// A Scan is how often there was a verdict on a type in an hour of the day.
type Scan struct {
	Type, Verdict string
	Hour          int
	N             int64
}

// A Seen is when something was seen that counts once.
type Seen struct {
	// Hash is a salted SHA-256 in base64url, At the time of day, HH:MM.
	Hash, At string
}

// A Conflict is that something which counts once was seen by another counter, too.
type Conflict struct {
	Hash    string `json:"hash"`
	At      string `json:"at"`
	Counter string `json:"counter"`
}

// PutTally keeps a tally in the place of an earlier one with its id, and returns where
// other tallies of the party have the same digests on that day.
func (db *DB) PutTally(ctx context.Context, y Tally, now time.Time) ([]Conflict, error) {
	var found []Conflict
	err := db.write(ctx, func(t tx) error {
		found = nil
		// Who writes this row first has the others wait until it is done.
		if _, err := t.exec(`INSERT INTO tally (party, id, counter, day, received) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (party, id) DO UPDATE SET counter = excluded.counter, day = excluded.day, received = excluded.received`,
			y.Party, y.ID, y.Counter, y.Day, milli(now)); err != nil {
			return err
		}
		if err := forgetTally(t, y.Party, y.ID); err != nil {
			return err
		}
		var scans, once [][]any
		for _, s := range y.Scans {
			scans = append(scans, []any{y.Party, y.ID, s.Type, s.Verdict, s.Hour, s.N})
		}
		for _, s := range y.Once {
			once = append(once, []any{y.Party, y.ID, s.Hash, s.At})
		}
		if err := t.insert(`INSERT INTO tally_scan (party, id, type, verdict, hour, n) VALUES `, scans); err != nil {
			return err
		}
		if err := t.insert(`INSERT INTO tally_once (party, id, hash, at) VALUES `, once); err != nil {
			return err
		}
		return t.each(`SELECT o.hash, o.at, t.counter FROM tally_once mine
			JOIN tally_once o ON o.party = mine.party AND o.hash = mine.hash AND o.id <> mine.id
			JOIN tally t ON t.party = o.party AND t.id = o.id
			WHERE mine.party = $1 AND mine.id = $2 AND t.day = $3 ORDER BY o.hash, o.at, t.counter`,
			[]any{y.Party, y.ID, y.Day}, func(scan func(...any) error) error {
				var c Conflict
				if err := scan(&c.Hash, &c.At, &c.Counter); err != nil {
					return err
				}
				found = append(found, c)
				return nil
			})
	})
	return found, err
}

func forgetTally(t tx, party, id string) error {
	for _, table := range []string{"tally_scan", "tally_once"} {
		if _, err := t.exec(`DELETE FROM `+table+` WHERE party = $1 AND id = $2`, party, id); err != nil {
			return err
		}
	}
	return nil
}

// Conflicts returns what several counters of a party saw on a day although it counts
// once, in the order of digest and time. A nil party is all of them.
func (db *DB) Conflicts(ctx context.Context, day string, party *string) ([]PartyConflict, error) {
	var all []PartyConflict
	only, name := 0, ""
	if party != nil {
		only, name = 1, *party
	}
	err := db.read(ctx, func(t tx) error {
		all = nil
		return t.each(`SELECT t.party, o.hash, o.at, t.counter FROM tally t JOIN tally_once o ON o.party = t.party AND o.id = t.id
			WHERE t.day = $1 AND ($2 = 0 OR t.party = $3) AND EXISTS (
				SELECT 1 FROM tally_once o2 JOIN tally t2 ON t2.party = o2.party AND t2.id = o2.id
				WHERE o2.party = o.party AND o2.hash = o.hash AND o2.id <> o.id AND t2.day = t.day)
			ORDER BY t.party, o.hash, o.at, t.counter`, []any{day, only, name}, func(scan func(...any) error) error {
			var c PartyConflict
			if err := scan(&c.Party, &c.Hash, &c.At, &c.Counter); err != nil {
				return err
			}
			all = append(all, c)
			return nil
		})
	})
	return all, err
}

// A PartyConflict is one of a relying party.
type PartyConflict struct {
	Party string `json:"party,omitempty"`
	Conflict
}

// sweepTallies is how many tallies a transaction of Sweep folds.
const sweepTallies = 100

// Sweep counts the scans of tallies from before a day among the usage and forgets all else
// of them, and forgets old batches. Tallies of such days must not be put any more.
func (db *DB) Sweep(ctx context.Context, before string, now time.Time) (folded int, err error) {
	if err := db.write(ctx, func(t tx) error {
		_, err := t.exec(`DELETE FROM flushed WHERE at < $1`, milli(now.Add(-keepBatches)))
		return err
	}); err != nil {
		return 0, err
	}
	for {
		n := 0
		if err := db.write(ctx, func(t tx) (err error) {
			n, err = db.fold(t, before)
			return err
		}); err != nil {
			return folded, err
		}
		folded += n
		if n < sweepTallies {
			return folded, nil
		}
	}
}

func (db *DB) fold(t tx, before string) (int, error) {
	query := `SELECT party, id, day FROM tally WHERE day < $1 ORDER BY party, id LIMIT 100`
	if db.postgres {
		query += ` FOR UPDATE SKIP LOCKED` // what another process folds is left to it
	}
	var old []Tally
	if err := t.each(query, []any{before}, func(scan func(...any) error) error {
		var y Tally
		if err := scan(&y.Party, &y.ID, &y.Day); err != nil {
			return err
		}
		old = append(old, y)
		return nil
	}); err != nil {
		return 0, err
	}
	sums := map[Count]int64{}
	for _, y := range old {
		if err := t.each(`SELECT type, verdict, n FROM tally_scan WHERE party = $1 AND id = $2`, []any{y.Party, y.ID}, func(scan func(...any) error) error {
			c := Count{Day: y.Day, Party: y.Party, Kind: KindOffline}
			var n int64
			if err := scan(&c.Subject, &c.Verdict, &n); err != nil {
				return err
			}
			sums[c] += n
			return nil
		}); err != nil {
			return 0, err
		}
		if err := forgetTally(t, y.Party, y.ID); err != nil {
			return 0, err
		}
		if _, err := t.exec(`DELETE FROM tally WHERE party = $1 AND id = $2`, y.Party, y.ID); err != nil {
			return 0, err
		}
	}
	var counts []Count
	for c, n := range sums {
		c.N = n
		counts = append(counts, c)
	}
	slices.SortFunc(counts, compareCounts)
	for _, c := range counts {
		if _, err := t.exec(addCount, c.Day, c.Party, c.Kind, c.Subject, c.Verdict, c.N); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}

// Tidy brings what a counter sent into the form that is kept: what it counted twice is
// added up, and of what it saw twice the first time stays.
func (y *Tally) Tidy() {
	var scans []Scan
	for _, s := range y.Scans {
		if i := slices.IndexFunc(scans, func(o Scan) bool { return o.Type == s.Type && o.Verdict == s.Verdict && o.Hour == s.Hour }); i >= 0 {
			scans[i].N += s.N
		} else {
			scans = append(scans, s)
		}
	}
	slices.SortFunc(y.Once, func(a, b Seen) int {
		if c := strings.Compare(a.Hash, b.Hash); c != 0 {
			return c
		}
		return strings.Compare(a.At, b.At)
	})
	y.Scans, y.Once = scans, slices.CompactFunc(y.Once, func(a, b Seen) bool { return a.Hash == b.Hash })
}
