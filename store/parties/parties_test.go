package parties_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/sqldb"
	"github.com/sanad-id/sanad/store/parties"
)

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// engines runs f on empty databases in a file and on PostgreSQL.
func engines(t *testing.T, f func(t *testing.T, location string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "parties.db")) })
	t.Run("postgres", func(t *testing.T) {
		owner, _ := pgtest.New(t)
		f(t, owner)
	})
}

func open(t *testing.T, location string) *parties.DB {
	t.Helper()
	db, err := parties.Open(t.Context(), location, parties.Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func key(party, secret string, scopes ...parties.Scope) parties.Key {
	return parties.Key{Party: party, Digest: sha256.Sum256([]byte(secret)), Scopes: scopes, Created: now}
}

// TestEncoding: nothing is made in a database that could not store every name.
func TestEncoding(t *testing.T) {
	owner, _ := pgtest.NewEncoded(t, "LATIN1")
	if _, err := parties.Open(t.Context(), owner, parties.Options{}); !errors.Is(err, sqldb.ErrEncoding) || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
		t.Errorf("Open in LATIN1: %v", err)
	}
}

// TestCopy: a copy that is made while others write is one moment of the database, whole or
// not there.
func TestCopy(t *testing.T) {
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "parties.db"))
	if _, err := db.AddKey(t.Context(), key("bank", "k", parties.Tallies), nil); err != nil {
		t.Fatal(err)
	}
	const day = "2026-11-22"
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	started := make(chan struct{})
	writing.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			both := []parties.Count{{Day: day, Party: "bank", Kind: "proof", Verdict: "valid", N: 1}, {Day: day, Party: "bank", Kind: "proof", Verdict: "invalid", N: 1}}
			if err := db.AddUsage(context.Background(), parties.Batch{byte(n), byte(n >> 8)}, now, both); err != nil {
				t.Error(err)
			}
			if n == 1 {
				close(started)
			}
		}
	})
	<-started
	for i := range 5 {
		to := filepath.Join(dir, fmt.Sprint("copy-", i))
		must(t, db.Copy(t.Context(), to))
		if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the copy: %v, %v", info, err)
		}
		was, err := os.ReadFile(to)
		must(t, err)
		if err := db.Copy(t.Context(), to); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a file: %v", err)
		}
		if is, err := os.ReadFile(to); err != nil || !bytes.Equal(is, was) {
			t.Error("a file that was there was changed")
		}
		kept := open(t, to)
		found, err := kept.Keys(t.Context())
		if err != nil || len(found) != 1 || found[0].Party != "bank" {
			t.Errorf("keys in the copy: %v, %v", found, err)
		}
		rows, err := kept.Usage(t.Context(), day, day, nil)
		if err != nil || len(rows) != 2 || rows[0].N != rows[1].N || rows[0].N < 1 {
			t.Errorf("half of a batch is in the copy: %v, %v", rows, err)
		}
	}
	stop()
	writing.Wait()
	if err := db.Copy(t.Context(), filepath.Join(dir, "none", "copy")); err == nil {
		t.Error("copied into a folder that is not there")
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".parties-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestKeys: keys are kept as digests, replaced with an overlap, and ended for good.
func TestKeys(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		first := key("library", "secret one", parties.Verify, parties.Requests)
		first.Policies = []string{"card", "age"}
		first, err := db.AddKey(t.Context(), first, nil)
		must(t, err)
		upload, err := db.AddKey(t.Context(), key("library", "secret two", parties.Tallies), nil)
		must(t, err)
		if _, err := db.AddKey(t.Context(), key("another", "secret one", parties.Verify), nil); !errors.Is(err, parties.ErrExists) {
			t.Errorf("the same key for another party: %v", err)
		}
		week := 7 * 24 * time.Hour
		next := key("library", "secret three", parties.Requests, parties.Verify)
		next.Created = now.Add(time.Hour)
		next, err = db.AddKey(t.Context(), next, &week)
		must(t, err)
		must(t, db.RevokeKey(t.Context(), upload.ID, now.Add(2*time.Hour)))
		for _, id := range []string{upload.ID, "nobody", ""} {
			if err := db.RevokeKey(t.Context(), id, now); !errors.Is(err, parties.ErrNone) {
				t.Errorf("revoke %q: %v", id, err)
			}
		}
		got, err := open(t, location).Keys(t.Context())
		must(t, err)
		first.Expires, upload.Revoked = next.Created.Add(week), now.Add(2*time.Hour)
		byID := map[string]parties.Key{}
		for _, k := range got {
			byID[k.ID] = k
		}
		for _, want := range []parties.Key{first, upload, next} {
			if have := byID[want.ID]; fmt.Sprint(have) != fmt.Sprint(want) {
				t.Errorf("key %s is\n%v, want\n%v", want.ID, have, want)
			}
		}
		if first.Live(first.Expires) || !first.Live(first.Expires.Add(-1)) || upload.Live(now) || !next.Live(now.AddDate(50, 0, 0)) {
			t.Error("which keys are live is wrong")
		}
		for name, spoil := range map[string]func(*parties.Key){
			"no party": func(k *parties.Key) { k.Party = "" }, "two lines": func(k *parties.Key) { k.Party = "a\nb" }, "a long name": func(k *parties.Key) { k.Party = strings.Repeat("x", 101) },
			"no scope": func(k *parties.Key) { k.Scopes = nil }, "a scope that there is not": func(k *parties.Key) { k.Scopes = []parties.Scope{"all"} },
			"no digest": func(k *parties.Key) { k.Digest = [32]byte{} }, "the digest of nothing": func(k *parties.Key) { k.Digest = sha256.Sum256(nil) },
			"no date": func(k *parties.Key) { k.Created = time.Time{} }, "two policies in one": func(k *parties.Key) { k.Policies = []string{"a b"} },
		} {
			k := key("x", name, parties.Verify)
			spoil(&k)
			if _, err := db.AddKey(t.Context(), k, nil); err == nil {
				t.Errorf("a key with %s is kept", name)
			}
		}
	})
}

// TestUsageCountsOnce: batches that are sent again, at once and by several processes,
// count once, and different ones all count.
func TestUsageCountsOnce(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		dbs := []*parties.DB{open(t, location), open(t, location), open(t, location)}
		r := rand.New(rand.NewPCG(1, 2))
		want := map[parties.Count]int64{}
		var wg sync.WaitGroup
		for i := range 12 {
			batch := parties.Batch{byte(i), 1}
			var counts []parties.Count
			for _, p := range r.Perm(6) {
				c := parties.Count{Day: "2026-11-2" + fmt.Sprint(p%2), Party: "p" + fmt.Sprint(p%3), Kind: parties.KindRequest, Subject: "card", Verdict: "valid"}
				want[c] += int64(p + 1)
				c.N = int64(p + 1)
				counts = append(counts, c)
			}
			for _, db := range append(dbs, dbs[i%3]) { // each sends it, one of them twice
				wg.Go(func() {
					if err := db.AddUsage(context.Background(), batch, now, counts); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		got, err := dbs[0].Usage(t.Context(), "2026-11-20", "2026-11-21", nil)
		must(t, err)
		if len(got) != len(want) {
			t.Errorf("%d rows, want %d", len(got), len(want))
		}
		for _, c := range got {
			n := c.N
			c.N = 0
			if want[c] != n {
				t.Errorf("%v: %d, want %d", c, n, want[c])
			}
		}
		p := "p1"
		own, err := dbs[1].Usage(t.Context(), "2026-11-21", "2026-11-21", &p)
		must(t, err)
		if len(own) != 1 || own[0].Party != "p1" || own[0].Day != "2026-11-21" {
			t.Errorf("one party on one day: %v", own)
		}
		bad := []parties.Count{{Day: "2026-11-22", Kind: "proof", Verdict: "valid", N: 1}, {Day: "2026-11-22", Kind: "proof", Verdict: "invalid", N: 0}}
		if err := dbs[0].AddUsage(t.Context(), parties.Batch{99}, now, bad); err == nil {
			t.Error("a count of none is taken")
		}
		if left, err := dbs[0].Usage(t.Context(), "2026-11-22", "2026-11-22", nil); err != nil || len(left) != 0 {
			t.Errorf("half of a batch is kept: %v, %v", left, err)
		}
	})
}

func hash(n int) string { return fmt.Sprintf("%043d", n) }

func tally(party, id, counter string, n int64, once ...parties.Seen) parties.Tally {
	return parties.Tally{Party: party, ID: id, Counter: counter, Day: "2026-11-21", Once: once,
		Scans: []parties.Scan{{Type: "urn:card", Verdict: "valid", Hour: 9, N: n}, {Type: "urn:card", Verdict: "valid", Hour: 10, N: 1}}}
}

// TestTallies: a tally that is sent again replaces itself, conflicts are seen between
// counters of one party on one day, and what is old is counted once and forgotten.
func TestTallies(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db, ctx := open(t, location), t.Context()
		put := func(y parties.Tally, want ...parties.Conflict) {
			t.Helper()
			got, err := db.PutTally(ctx, y, now)
			must(t, err)
			if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: conflicts %v, want %v", y.ID, got, want)
			}
		}
		put(tally("a", "one", "bank-1", 5, parties.Seen{Hash: hash(1), At: "10:14"}, parties.Seen{Hash: hash(2), At: "10:20"}))
		put(tally("a", "one", "bank-1", 7, parties.Seen{Hash: hash(1), At: "10:14"}, parties.Seen{Hash: hash(3), At: "11:00"}))
		put(tally("b", "one", "other", 100, parties.Seen{Hash: hash(1), At: "10:15"})) // another party's
		other := tally("a", "three", "bank-3", 1, parties.Seen{Hash: hash(1), At: "12:00"})
		other.Day = "2026-11-20"
		put(other)
		put(tally("a", "two", "bank-2", 2, parties.Seen{Hash: hash(1), At: "09:00"}, parties.Seen{Hash: hash(2), At: "10:21"}),
			parties.Conflict{Hash: hash(1), At: "10:14", Counter: "bank-1"}) // hash 2 was taken back
		put(tally("a", "one", "bank-1", 7, parties.Seen{Hash: hash(1), At: "10:14"}), parties.Conflict{Hash: hash(1), At: "09:00", Counter: "bank-2"})
		party := "a"
		report, err := db.Conflicts(ctx, "2026-11-21", &party)
		must(t, err)
		if len(report) != 2 || report[0].At != "09:00" || report[1].At != "10:14" || report[1].Counter != "bank-1" {
			t.Errorf("the report: %v", report)
		}
		if all, err := db.Conflicts(ctx, "2026-11-20", nil); err != nil || len(all) != 0 {
			t.Errorf("the day before: %v, %v", all, err)
		}
		usage := func() string {
			t.Helper()
			all, err := db.Usage(ctx, "2026-11-20", "2026-11-21", &party)
			must(t, err)
			return fmt.Sprint(all)
		}
		before := usage()
		if want := fmt.Sprint([]parties.Count{
			{Day: "2026-11-20", Party: "a", Kind: "offline", Subject: "urn:card", Verdict: "valid", N: 2},
			{Day: "2026-11-21", Party: "a", Kind: "offline", Subject: "urn:card", Verdict: "valid", N: 11},
		}); before != want {
			t.Errorf("usage %s, want %s", before, want)
		}
		// Folded by several at once: the figures stay, and the digests are gone.
		var wg sync.WaitGroup
		for range 3 {
			other := open(t, location)
			wg.Go(func() {
				if _, err := other.Sweep(context.Background(), "2026-11-22", now.AddDate(0, 0, 1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if after := usage(); after != before {
			t.Errorf("usage after folding: %s, before: %s", after, before)
		}
		if report, err := db.Conflicts(ctx, "2026-11-21", nil); err != nil || len(report) != 0 {
			t.Errorf("digests are left: %v, %v", report, err)
		}
	})
}

// TestTallyAtOnce: of one tally that arrives several times at once one is kept whole.
func TestTallyAtOnce(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		dbs := []*parties.DB{open(t, location), open(t, location)}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				var once []parties.Seen
				for n := range 300 {
					once = append(once, parties.Seen{Hash: hash(n), At: fmt.Sprintf("10:%02d", i)})
				}
				if _, err := dbs[i%2].PutTally(context.Background(), tally("a", "one", "", int64(i+1), once...), now); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all, err := dbs[0].Usage(t.Context(), "2026-11-21", "2026-11-21", nil)
		must(t, err)
		if len(all) != 1 || all[0].N < 2 || all[0].N > 9 {
			t.Errorf("%v", all)
		}
		found, err := dbs[0].PutTally(t.Context(), tally("a", "two", "", 1, parties.Seen{Hash: hash(7), At: "11:00"}, parties.Seen{Hash: hash(299), At: "11:00"}), now)
		if err != nil || len(found) != 2 || found[0].At != found[1].At {
			t.Errorf("what is kept is of two uploads: %v, %v", found, err)
		}
	})
}

// TestTidy: counts of one type, verdict and hour are added up; the first time counts.
func TestTidy(t *testing.T) {
	y := parties.Tally{
		Scans: []parties.Scan{{"a", "valid", 9, 1}, {"b", "valid", 9, 2}, {"a", "valid", 9, 3}},
		Once:  []parties.Seen{{"y", "10:00"}, {"x", "11:00"}, {"x", "09:30"}},
	}
	y.Tidy()
	if want := (parties.Tally{Scans: []parties.Scan{{"a", "valid", 9, 4}, {"b", "valid", 9, 2}}, Once: []parties.Seen{{"x", "09:30"}, {"y", "10:00"}}}); !reflect.DeepEqual(y, want) {
		t.Errorf("%+v, want %+v", y, want)
	}
}

// TestOpenRefuses: what is not ours is left alone.
func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("no database at all ", 100)), 0o600))
	if _, err := parties.Open(t.Context(), path, parties.Options{}); err == nil {
		t.Error("a file that is no database is opened")
	}
	if _, err := parties.Open(t.Context(), "postgres://someone@db.example/x?sslmode=disable", parties.Options{}); err == nil || !strings.Contains(err.Error(), "verify-full") {
		t.Errorf("without TLS: %v", err)
	}
}
