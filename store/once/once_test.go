package once_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/sanad-id/sanad/internal/faultproxy"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/store/once"
)

// takerEnv makes this program one that takes values; see TestKilledTakers.
const takerEnv = "SANAD_TEST_ONCE_TAKER"

func TestMain(m *testing.M) {
	if os.Getenv(takerEnv) != "" {
		os.Exit(takeAll())
	}
	os.Exit(m.Run())
}

// count is how many of something a test does: at every change, or at night.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/10, 2)
	}
	return change
}

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// engines runs f on empty values in a file, on PostgreSQL and in memory.
func engines(t *testing.T, f func(t *testing.T, location string)) {
	databases(t, f)
	t.Run("memory", func(t *testing.T) { f(t, once.Memory) })
}

// databases are those engines that several processes share: the location is that of a
// service, which can be opened any number of times.
func databases(t *testing.T, f func(t *testing.T, location string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "once.db")) })
	t.Run("postgres", func(t *testing.T) { f(t, service(t)) })
}

// again is another node on what db has. Values in memory have one node.
func again(t *testing.T, db *once.DB, location string) *once.DB {
	if !db.Durable() {
		return db
	}
	return open(t, location)
}

// threeNodes are three that share their values.
func threeNodes(t *testing.T, location string) []*once.DB {
	db := open(t, location)
	return []*once.DB{db, again(t, db, location), again(t, db, location)}
}

// service is a database whose owner has prepared it, as the service's role.
func service(t *testing.T) string {
	t.Helper()
	owner, service := pgtest.New(t)
	o := once.Options{ServiceRole: role(service)}
	for range 2 { // the second time it is there already
		if err := once.Prepare(t.Context(), owner, o); err != nil {
			t.Fatalf("Prepare: %v", err)
		}
	}
	return service
}

// role is the user of a URL.
func role(location string) string {
	c, err := pgx.ParseConfig(location)
	if err != nil {
		panic(err)
	}
	return c.User
}

// socket is the one of a server on this machine.
func socket(t *testing.T, location string) string {
	t.Helper()
	c, err := pgx.ParseConfig(location)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(c.Host, ".s.PGSQL."+strconv.Itoa(int(c.Port)))
}

func open(t *testing.T, location string) *once.DB {
	t.Helper()
	db, err := once.Open(t.Context(), location, once.Options{})
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

// value is one that lives for a minute.
func value(kind once.Kind, secret string) once.Value {
	return once.Value{Kind: kind, Digest: sha256.Sum256([]byte(secret)), Expires: now.Add(time.Minute), Data: []byte("data of " + secret)}
}

// key finds that value.
func key(kind once.Kind, secret string) once.Key {
	v := value(kind, secret)
	return v.Key()
}

func put(t *testing.T, db *once.DB, values ...once.Value) {
	t.Helper()
	if err := db.Put(t.Context(), values...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func TestTakeReturnsWhatWasPut(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		a, b := value(once.PreAuthorizedCode, "a"), value(once.Nonce, "b")
		b.Data = nil
		put(t, db, a, b)
		got, err := db.Get(t.Context(), now, a.Kind, a.Digest)
		if err != nil || !bytes.Equal(got.Data, a.Data) || !got.Expires.Equal(a.Expires) || got.Key() != a.Key() {
			t.Errorf("Get: %v, %v, want %v", got, err, a)
		}
		all, err := db.Take(t.Context(), now, b.Key(), a.Key())
		if err != nil || len(all) != 2 || all[0].Key() != b.Key() || len(all[0].Data) != 0 || !bytes.Equal(all[1].Data, a.Data) {
			t.Errorf("Take: %v, %v, want the two in the order of the keys", all, err)
		}
		// Others see the same, also when opened later.
		for _, other := range []*once.DB{db, again(t, db, location)} {
			_, err = other.Get(t.Context(), now, a.Kind, a.Digest)
			used, ok := errors.AsType[*once.UsedError](err)
			if !ok || !errors.Is(err, once.ErrNone) || !bytes.Equal(used.Value.Data, a.Data) {
				t.Errorf("Get of a used value: %v, want a UsedError with its data", err)
			}
		}
		if got, want := db.Secret(), again(t, db, location).Secret(); len(got) != 32 || !bytes.Equal(got, want) {
			t.Errorf("two processes share no secret of 32 bytes: %d and %d bytes", len(got), len(want))
		}
	})
}

// TestRefusals: each row fails for one reason, and leaves everything as it was.
func TestRefusals(t *testing.T) {
	ctx := context.Background()
	a, b, absent := value(once.PreAuthorizedCode, "a"), value(once.Nonce, "b"), value(once.Nonce, "absent")
	spent, late := value(once.ProofID, "spent"), value(once.Deferred, "late")
	late.Expires = now.Add(-time.Second)
	changed := a
	changed.Data = []byte("another state")
	tests := []struct {
		name string
		do   func(db *once.DB) error
		want error
	}{
		{"take nothing that was ever there", func(db *once.DB) error { _, err := db.Take(ctx, now, a.Key(), absent.Key()); return err }, once.ErrNone},
		{"take it again", func(db *once.DB) error { _, err := db.Take(ctx, now, a.Key(), spent.Key()); return err }, once.ErrUsed},
		{"VCI-05 take it too late", func(db *once.DB) error { _, err := db.Take(ctx, now, a.Key(), late.Key()); return err }, once.ErrExpired},
		{"VCI-05 take it at its last moment", func(db *once.DB) error { _, err := db.Take(ctx, b.Expires, b.Key()); return err }, once.ErrExpired},
		{"take it as another kind", func(db *once.DB) error {
			_, err := db.Take(ctx, now, once.Key{Kind: once.Nonce, Digest: a.Digest})
			return err
		}, once.ErrNone},
		{"put it again", func(db *once.DB) error { return db.Put(ctx, absent, a) }, once.ErrExists},
		{"put a used one again", func(db *once.DB) error { return db.Put(ctx, absent, spent) }, once.ErrExists},
		{"put one again that has expired", func(db *once.DB) error { return db.Put(ctx, absent, late) }, once.ErrExists},
		{"exchange for one that is there", func(db *once.DB) error {
			_, err := db.Exchange(ctx, now, []once.Key{a.Key()}, []once.Value{absent, spent})
			return err
		}, once.ErrExists},
		{"exchange a used one", func(db *once.DB) error {
			_, err := db.Exchange(ctx, now, []once.Key{spent.Key()}, []once.Value{absent})
			return err
		}, once.ErrUsed},
		{"guess at nothing", func(db *once.DB) error { _, err := db.Guess(ctx, now, absent.Kind, absent.Digest, 5); return err }, once.ErrNone},
		{"guess without a guess left", func(db *once.DB) error { _, err := db.Guess(ctx, now, a.Kind, a.Digest, 0); return err }, once.ErrGuesses},
		{"guess at a used one", func(db *once.DB) error { _, err := db.Guess(ctx, now, spent.Kind, spent.Digest, 5); return err }, once.ErrUsed},
		{"swap what has changed", func(db *once.DB) error { return db.Swap(ctx, now, changed, a) }, once.ErrChanged},
		{"swap a used one", func(db *once.DB) error { return db.Swap(ctx, now, spent, spent) }, once.ErrUsed},
		{"swap one that is late", func(db *once.DB) error { return db.Swap(ctx, now, late, late) }, once.ErrExpired},
	}
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		put(t, db, spent)
		if _, err := db.Take(t.Context(), now, spent.Key()); err != nil {
			t.Fatal(err)
		}
		put(t, db, a, b, late)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				if err := tt.do(db); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if got, err := db.Get(t.Context(), now, a.Kind, a.Digest); err != nil || !bytes.Equal(got.Data, a.Data) {
					t.Errorf("afterwards Get of an untouched value: %v", err)
				}
				if _, err := db.Get(t.Context(), now, absent.Kind, absent.Digest); !errors.Is(err, once.ErrNone) {
					t.Errorf("afterwards Get of what is not there: %v", err)
				}
			})
		}
		t.Run("VCI-05 take it in time by a clock that was set back", func(t *testing.T) {
			if _, err := db.Take(t.Context(), now, b.Key()); !errors.Is(err, once.ErrExpired) {
				t.Errorf("Take: %v, want %v", err, once.ErrExpired)
			}
		})
	})
}

func TestCallsThatMakeNoSense(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "once.db"))
	good := value(once.Nonce, "a")
	unknown, timeless, big := value("nothing", "a"), good, good
	timeless.Expires = time.Time{}
	big.Data = make([]byte, once.MaxData+1)
	many := make([]once.Key, once.MaxKeys+1)
	for i := range many {
		many[i] = once.KeyOf(once.Nonce, strconv.Itoa(i))
	}
	for name, do := range map[string]func() error{
		"no value":         func() error { return db.Put(t.Context()) },
		"no such kind":     func() error { return db.Put(t.Context(), unknown) },
		"no end":           func() error { return db.Put(t.Context(), timeless) },
		"too much data":    func() error { return db.Put(t.Context(), big) },
		"the same twice":   func() error { return db.Put(t.Context(), good, good) },
		"too many":         func() error { _, err := db.Take(t.Context(), now, many...); return err },
		"one into another": func() error { return db.Swap(t.Context(), now, good, value(once.Nonce, "b")) },
		"the same in two steps": func() error {
			_, err := db.Steps(t.Context(), now, once.Step{Put: []once.Value{good}}, once.Step{Put: []once.Value{good}})
			return err
		},
		"a step that swaps and puts": func() error {
			_, err := db.Steps(t.Context(), now, once.Step{Put: []once.Value{value(once.Nonce, "b")}, Swap: &once.Swap{Old: good, Next: good}})
			return err
		},
		"a step that puts what must be absent": func() error {
			_, err := db.Steps(t.Context(), now, once.Step{Put: []once.Value{good}, Absent: []once.Key{key(once.Nonce, "b")}})
			return err
		},
		"a swap without an end": func() error { return db.Swap(t.Context(), now, timeless, timeless) },
		"a caller who is gone":  func() error { return db.Put(cancelled(), good) },
	} {
		if err := do(); err == nil || errors.Is(err, once.ErrNone) { // which says that it was looked for
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if _, err := db.Get(t.Context(), now, good.Kind, good.Digest); !errors.Is(err, once.ErrNone) {
		t.Errorf("one of them was stored: %v", err)
	}
	if once.KeyOf(once.Nonce, "ab", "c") == once.KeyOf(once.Nonce, "a", "bc") {
		t.Error("KeyOf does not tell the parts apart")
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestSteps: each is done as if it had come alone, until one is refused.
func TestSteps(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		proof, nonce, token := value(once.ProofID, "proof"), value(once.Nonce, "nonce"), value(once.AccessToken, "token")
		next := token
		next.Data = []byte("what is next")
		swap := once.Step{Swap: &once.Swap{Old: token, Next: next}}
		put(t, db, token)
		for _, c := range []struct {
			name  string
			steps []once.Step
			done  int
			want  error
		}{
			{"all", []once.Step{{Put: []once.Value{proof}}, {Put: []once.Value{nonce, value(once.Nonce, "another")}}, swap}, 3, nil},
			{"the first refused", []once.Step{{Put: []once.Value{proof}}, {Put: []once.Value{value(once.Nonce, "not used")}}}, 0, once.ErrExists},
			{"the second refused", []once.Step{{Put: []once.Value{value(once.ProofID, "proof 2")}}, {Put: []once.Value{value(once.Nonce, "not used"), nonce}}, swap}, 1, once.ErrExists},
			{"the last refused", []once.Step{{Put: []once.Value{value(once.ProofID, "proof 3")}}, {Put: []once.Value{value(once.Nonce, "used")}}, swap}, 2, once.ErrChanged},
			{"no such value", []once.Step{{Swap: &once.Swap{Old: value(once.Grant, "none"), Next: value(once.Grant, "none")}}}, 0, once.ErrNone},
			{"taken and put", []once.Step{{Take: []once.Key{key(once.Nonce, "another")}, Put: []once.Value{value(once.Nonce, "in its place")}}}, 1, nil},
			{"taken again", []once.Step{{Take: []once.Key{key(once.Nonce, "another")}, Put: []once.Value{value(once.Nonce, "not used")}}}, 0, once.ErrUsed},
		} {
			if done, err := db.Steps(t.Context(), now, c.steps...); done != c.done || !errors.Is(err, c.want) {
				t.Errorf("%s: %d steps, %v, want %d, %v", c.name, done, err, c.done, c.want)
			}
		}
		for _, c := range []struct {
			v    once.Value
			want error
		}{
			{proof, nil}, {nonce, nil}, {value(once.Nonce, "another"), once.ErrUsed}, {value(once.Nonce, "in its place"), nil}, {value(once.Nonce, "not used"), once.ErrNone}, {value(once.ProofID, "proof 2"), nil},
			{value(once.ProofID, "proof 3"), nil}, {value(once.Nonce, "used"), nil},
		} {
			if _, err := db.Get(t.Context(), now, c.v.Kind, c.v.Digest); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.v.Data, err, c.want)
			}
		}
		if got, err := db.Get(t.Context(), now, token.Kind, token.Digest); err != nil || !bytes.Equal(got.Data, next.Data) {
			t.Errorf("the token: %s, %v, want %s", got.Data, err, next.Data)
		}
		// More keys than a statement looks up.
		var many []once.Value
		for i := range once.MaxKeys - 1 {
			many = append(many, value(once.Nonce, strconv.Itoa(i)))
		}
		if done, err := db.Steps(t.Context(), now, once.Step{Put: many}, once.Step{Put: []once.Value{proof}}); done != 1 || !errors.Is(err, once.ErrExists) {
			t.Errorf("%d values: %d steps, %v", len(many), done, err)
		}
		for _, v := range many {
			if got, err := db.Get(t.Context(), now, v.Kind, v.Digest); err != nil || !bytes.Equal(got.Data, v.Data) {
				t.Errorf("%s: %s, %v", v.Data, got.Data, err)
			}
		}
	})
}

// TestCheck: a step that asks whether a value still works uses nothing up, and what comes
// after it is done only if it does.
func TestCheck(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		grant := value(once.Grant, "grant")
		put(t, db, grant)
		check := func(v once.Value, data string) *once.Check {
			return &once.Check{Key: v.Key(), Sum: sha256.Sum256([]byte(data))}
		}
		n := 0
		after := func(at time.Time, c *once.Check) error {
			t.Helper()
			n++
			nonce := value(once.Nonce, "after check "+strconv.Itoa(n))
			done, err := db.Steps(t.Context(), at, once.Step{Check: c}, once.Step{Put: []once.Value{nonce}})
			want := map[bool]int{true: 2}[err == nil]
			if done != want {
				t.Errorf("check %d: %d steps done, %v", n, done, err)
			}
			if _, there := db.Get(t.Context(), now, nonce.Kind, nonce.Digest); errors.Is(there, once.ErrNone) != (err != nil) {
				t.Errorf("check %d: %v, and what comes after it: %v", n, err, there)
			}
			return err
		}
		for range 2 {
			if err := after(now, check(grant, "data of grant")); err != nil {
				t.Errorf("a value that works: %v", err)
			}
		}
		if err := after(now, check(grant, "other")); !errors.Is(err, once.ErrChanged) {
			t.Errorf("other data: %v", err)
		}
		if err := after(now, check(value(once.Grant, "none"), "none")); !errors.Is(err, once.ErrNone) {
			t.Errorf("no such value: %v", err)
		}
		if _, err := db.Steps(t.Context(), now, once.Step{Check: check(grant, "data of grant"), Put: []once.Value{value(once.Nonce, "b")}}); err == nil {
			t.Error("a check that puts something")
		}
		next := grant
		next.Data = []byte("next")
		if err := db.Swap(t.Context(), now, grant, next); err != nil {
			t.Fatal(err)
		}
		if err := after(now, check(grant, "data of grant")); !errors.Is(err, once.ErrChanged) {
			t.Errorf("after a swap: %v", err)
		}
		if err := after(now, check(grant, "next")); err != nil {
			t.Errorf("what was swapped in: %v", err)
		}
		late := value(once.Grant, "late")
		put(t, db, late)
		if err := after(late.Expires, check(late, "data of late")); !errors.Is(err, once.ErrExpired) {
			t.Errorf("too late: %v", err)
		}
		if err := after(now, check(late, "data of late")); !errors.Is(err, once.ErrExpired) {
			t.Errorf("after it was too late: %v", err)
		}
		if _, err := db.Take(t.Context(), now, grant.Key()); err != nil {
			t.Fatal(err)
		}
		if err := after(now, check(grant, "next")); !errors.Is(err, once.ErrUsed) {
			t.Errorf("after it was used up: %v", err)
		}
	})
}

// TestAbsent: a step that wants values to be absent is refused as long as one of them works,
// on each node, and stores nothing.
func TestAbsent(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		nodes := threeNodes(t, location)
		there, used := value(once.ProofID, "there"), value(once.ProofID, "used")
		none := key(once.ProofID, "none")
		n := 0
		after := func(at time.Time, want error, keys ...once.Key) {
			t.Helper()
			n++
			nonce := value(once.Nonce, "after "+strconv.Itoa(n))
			done, err := nodes[n%3].Steps(t.Context(), at, once.Step{Absent: keys}, once.Step{Put: []once.Value{nonce}})
			if !errors.Is(err, want) || done != map[bool]int{true: 2}[want == nil] {
				t.Errorf("call %d: %d steps, %v, want %v", n, done, err, want)
			}
			if _, err := nodes[0].Get(t.Context(), now, nonce.Kind, nonce.Digest); (err == nil) != (want == nil) {
				t.Errorf("call %d: what comes after it: %v", n, err)
			}
		}
		for range 3 {
			after(now, nil, there.Key(), none)
		}
		put(t, nodes[0], there, used)
		for range 3 {
			after(now, once.ErrExists, there.Key())
			after(now, once.ErrExists, none, there.Key())
			after(now, nil, none)
		}
		after(there.Expires.Add(-time.Millisecond), once.ErrExists, there.Key())
		after(there.Expires, nil, there.Key())
		if _, err := nodes[0].Take(t.Context(), now, used.Key()); err != nil {
			t.Fatal(err)
		}
		after(now, nil, used.Key())
	})
}

// TestDisclose: SIG-05. Keys come on the list, those that are there already stay, and each
// node sees them, long after.
func TestDisclose(t *testing.T) {
	var list []keys.PublicKey
	for i := range once.MaxKeys + 3 {
		list = append(list, keystest.Key(t, keys.Holder, keys.ES256, strconv.Itoa(i)).Public)
	}
	other := keystest.Key(t, keys.Holder, keys.EdDSA, "0").Public
	engines(t, func(t *testing.T, location string) {
		nodes := threeNodes(t, location)
		for i, some := range [][]keys.PublicKey{nil, list[:2], list[1:4], list, list} {
			if err := once.Disclose(t.Context(), nodes[i%3], now, some...); err != nil {
				t.Fatalf("SIG-05 Disclose %d: %v", i, err)
			}
		}
		for i, k := range append([]keys.PublicKey{other}, list...) {
			var want error
			if i > 0 {
				want = once.ErrExists
			}
			for _, at := range []time.Time{now, now.AddDate(9, 0, 0)} {
				if _, err := nodes[i%3].Steps(t.Context(), at, once.Step{Absent: []once.Key{once.Disclosed(k)}}); !errors.Is(err, want) {
					t.Errorf("SIG-05 key %d at %v: %v, want %v", i, at, err, want)
				}
			}
		}
		if err := nodes[0].Close(); err != nil {
			t.Fatal(err)
		}
		if err := once.Disclose(t.Context(), nodes[0], now, other); !errors.Is(err, once.ErrClosed) {
			t.Errorf("SIG-05 a store that is closed: %v", err)
		}
	})
}

func TestGuessesAndSwaps(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		a := value(once.PreAuthorizedCode, "a")
		put(t, db, a)
		for want := 1; want <= 3; want++ {
			if n, err := db.Guess(t.Context(), now, a.Kind, a.Digest, 3); n != want || err != nil {
				t.Errorf("guess %d: %d, %v", want, n, err)
			}
		}
		next := a
		next.Data, next.Expires = []byte("next"), now.Add(time.Hour)
		if err := db.Swap(t.Context(), now, a, next); err != nil {
			t.Errorf("Swap: %v", err)
		}
		if got, err := db.Get(t.Context(), now.Add(30*time.Minute), a.Kind, a.Digest); err != nil || string(got.Data) != "next" {
			t.Errorf("Get after Swap: %q, %v", got.Data, err)
		}
		if _, err := db.Guess(t.Context(), now, a.Kind, a.Digest, 3); !errors.Is(err, once.ErrGuesses) {
			t.Errorf("guess 4 after Swap: %v, want %v", err, once.ErrGuesses)
		}
	})
}

func TestSweep(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		const old = 2345
		for i := 0; i < old; i += 50 {
			var some []once.Value
			for j := i; j < min(i+50, old); j++ {
				some = append(some, value(once.Nonce, strconv.Itoa(j)))
			}
			put(t, db, some...)
		}
		stays := value(once.Deferred, "stays")
		stays.Expires = now.Add(2 * time.Hour)
		put(t, db, stays)
		for _, tt := range []struct {
			at   time.Time
			want int
		}{{now.Add(time.Minute), 0}, {now.Add(time.Minute + once.Keep), 0}, {now.Add(2*time.Minute + once.Keep), old}, {now.Add(2*time.Minute + once.Keep), 0}} {
			if n, err := db.Sweep(t.Context(), tt.at); n != tt.want || err != nil {
				t.Errorf("Sweep at %v: %d, %v, want %d", tt.at, n, err, tt.want)
			}
		}
		if _, err := db.Get(t.Context(), now, stays.Kind, stays.Digest); err != nil {
			t.Errorf("what had not expired: %v", err)
		}
	})
}

// TestUsedUpForGood: not even a direct statement of the service brings a value back.
func TestUsedUpForGood(t *testing.T) {
	databases(t, func(t *testing.T, location string) {
		db := open(t, location)
		a, b := value(once.Nonce, "a"), value(once.PreAuthorizedCode, "b")
		put(t, db, a, b)
		if _, err := db.Take(t.Context(), now, a.Key()); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Guess(t.Context(), now, b.Kind, b.Digest, 5); err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{
			"UPDATE value SET state = 0 WHERE kind = 'nonce'", "UPDATE value SET state = 2 WHERE kind = 'nonce'",
			"UPDATE value SET expires = expires + 1 WHERE kind = 'nonce'", "UPDATE value SET guesses = 0 WHERE kind = 'pre_authorized_code'",
		} {
			if err := db.Direct(t.Context(), s); err == nil {
				t.Errorf("%s: done", s)
			}
		}
	})
}

// TestServiceRole: the role of the service makes and drops nothing.
func TestServiceRole(t *testing.T) {
	db := open(t, service(t))
	for _, s := range []string{
		"DROP TABLE sanad_once.value", "CREATE TABLE sanad_once.mine (n int)", "ALTER TABLE sanad_once.value DISABLE TRIGGER value_final",
		"UPDATE sanad_once.meta SET version = 2", "DELETE FROM sanad_once.meta", "TRUNCATE sanad_once.value", "UPDATE sanad_once.value SET kind = 'x'",
	} {
		if err := db.Direct(t.Context(), s); err == nil {
			t.Errorf("%s: done", s)
		}
	}
	owner, plain := pgtest.New(t)
	if _, err := once.Open(t.Context(), plain, once.Options{}); err == nil || !strings.Contains(err.Error(), "issuer migrate") {
		t.Errorf("Open without a schema: %v, want a hint", err)
	}
	open(t, owner) // who may makes the schema
	if err := once.Prepare(t.Context(), owner, once.Options{ServiceRole: role(plain)}); err != nil {
		t.Errorf("Prepare: %v", err)
	}
	open(t, plain)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	foreign, newer, text := filepath.Join(dir, "foreign.db"), filepath.Join(dir, "newer.db"), filepath.Join(dir, "text.db")
	for path, statement := range map[string]string{foreign: "PRAGMA application_id = 1", newer: "UPDATE meta SET version = 2"} {
		db, err := once.Open(t.Context(), path, once.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Direct(t.Context(), statement), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{
		foreign, newer, text, dir, filepath.Join(dir, "nowhere", "once.db"),
		"postgres://role@db.example/sanad", "postgres://role@127.0.0.1:1/sanad?connect_timeout=1", "postgres://%zz",
	} {
		if db, err := once.Open(t.Context(), location, once.Options{Password: "hidden"}); err == nil {
			t.Errorf("Open(%q): no error", location)
			_ = db.Close()
		} else if strings.Contains(err.Error(), "hidden") {
			t.Errorf("Open(%q): the password is in %v", location, err)
		}
	}
	if info, err := os.Stat(newer); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file can be read by others: %v, %v", info.Mode(), err)
	}
}

// TestFileReplaced: values in a file that others do not see any more are not
// taken for good.
func TestFileReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	db := open(t, path)
	a := value(once.Nonce, "a")
	put(t, db, a)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"removed", "replaced"} {
		if _, err := db.Take(t.Context(), now, a.Key()); err == nil || errors.Is(err, once.ErrNone) {
			t.Errorf("%s: Take: %v, want an error that decides nothing", state, err)
		}
		if _, err := db.Get(t.Context(), now, a.Kind, a.Digest); err == nil || errors.Is(err, once.ErrNone) {
			t.Errorf("%s: Get: %v, want an error that decides nothing", state, err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClosed(t *testing.T) {
	db, err := once.Open(t.Context(), filepath.Join(t.TempDir(), "once.db"), once.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	a := value(once.Nonce, "a")
	if err := db.Put(t.Context(), a); !errors.Is(err, once.ErrClosed) {
		t.Errorf("Put: %v, want %v", err, once.ErrClosed)
	}
	if _, err := db.Get(t.Context(), now, a.Kind, a.Digest); !errors.Is(err, once.ErrClosed) {
		t.Errorf("Get: %v, want %v", err, once.ErrClosed)
	}
}

// TestWaitingCallsShareATransaction, and one whose caller has gone meanwhile does
// nothing.
func TestWaitingCallsShareATransaction(t *testing.T) {
	databases(t, func(t *testing.T, location string) {
		db := open(t, location)
		sizes, pass := make(chan int), make(chan struct{})
		db.Gate(sizes, pass)
		first := make(chan error, 1)
		go func() { first <- db.Put(context.Background(), value(once.Nonce, "first")) }()
		if n := <-sizes; n != 1 {
			t.Errorf("the first transaction is about %d values", n)
		}
		ctx, leave := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				c := context.Background()
				if i == 0 {
					c = ctx
				}
				switch err := db.Put(c, value(once.Nonce, strconv.Itoa(i))); {
				case i == 0 && !errors.Is(err, context.Canceled), i > 0 && err != nil:
					t.Errorf("Put %d: %v", i, err)
				}
			})
		}
		for db.Waiting() < 100 {
			time.Sleep(time.Millisecond)
		}
		leave()
		for !db.Left() {
			time.Sleep(time.Millisecond)
		}
		pass <- struct{}{}
		if err := <-first; err != nil {
			t.Errorf("Put: %v", err)
		}
		if n := <-sizes; n != 99 {
			t.Errorf("the second transaction is about %d values, want 99", n)
		}
		pass <- struct{}{}
		wg.Wait()
		gone := value(once.Nonce, "0")
		if _, err := db.Get(t.Context(), now, gone.Kind, gone.Digest); !errors.Is(err, once.ErrNone) {
			t.Errorf("the value of the one who left: %v", err)
		}
	})
}

// TestP10OneOfManyTakers: of 64 who redeem a value at once on three nodes, one
// succeeds; of 64 who bring the same proof, one is the first. Every kind.
func TestP10OneOfManyTakers(t *testing.T) {
	n, raced := count(4, 10_000), count(4, 500)
	engines(t, func(t *testing.T, location string) {
		nodes := threeNodes(t, location)
		for _, kind := range once.Kinds() {
			values := make([]once.Value, n)
			for i := range values {
				values[i] = value(kind, fmt.Sprintf("%s %d", kind, i))
			}
			race(t, nodes, values[:raced], once.ErrExists, func(db *once.DB, v once.Value) error { return db.Put(t.Context(), v) })
			for some := range slices.Chunk(values[raced:], 64) {
				put(t, nodes[0], some...)
			}
			race(t, nodes, values, once.ErrUsed, func(db *once.DB, v once.Value) error {
				got, err := db.Take(t.Context(), now, v.Key())
				if err == nil && !bytes.Equal(got[0].Data, v.Data) {
					return fmt.Errorf("%q instead of %q", got[0].Data, v.Data)
				}
				return err
			})
		}
	})
}

// race has 64 clients do the same with all values, and each value succeed once.
func race(t *testing.T, nodes []*once.DB, values []once.Value, late error, do func(*once.DB, once.Value) error) {
	t.Helper()
	won := make([]atomic.Int32, len(values))
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			for i, v := range values {
				switch err := do(nodes[c%len(nodes)], v); {
				case err == nil:
					won[i].Add(1)
				case !errors.Is(err, late):
					t.Errorf("%s %d: %v", v.Kind, i, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range won {
		if n := won[i].Load(); n != 1 {
			t.Errorf("%s %d: %d of 64 succeeded, want 1", values[i].Kind, i, n)
		}
	}
}

// TestP10Cuts: connections to the database are cut anywhere, also between a commit
// and its answer. Nobody is told twice that a value is his.
func TestP10Cuts(t *testing.T) {
	location := service(t)
	proxy := faultproxy.Start(t, socket(t, location))
	nodes := []*once.DB{open(t, proxy.URL(t, location)), open(t, proxy.URL(t, location)), open(t, proxy.URL(t, location))}
	direct := open(t, location)
	var values []once.Value
	for i := range count(40, 5000) {
		values = append(values, value(once.Deferred, strconv.Itoa(i)))
		put(t, direct, values[i])
	}
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(10, 22))
	proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
		mu.Lock()
		defer mu.Unlock()
		if m.Type == 0 || random.IntN(40) > 0 && (!m.Commit || random.IntN(4) > 0) {
			return faultproxy.Action{}
		}
		deeds := []faultproxy.Deed{faultproxy.CutBefore, faultproxy.CutWithin, faultproxy.CutAfter, faultproxy.LoseReply}
		return faultproxy.Action{Do: deeds[random.IntN(len(deeds))]}
	})
	won := make([]atomic.Int32, len(values))
	var unknown atomic.Int32
	var wg sync.WaitGroup
	for c := range 12 {
		wg.Go(func() {
			for i, v := range values {
				switch _, err := nodes[c%len(nodes)].Take(t.Context(), now, v.Key()); {
				case err == nil:
					won[i].Add(1)
				case !errors.Is(err, once.ErrNone):
					unknown.Add(1)
				}
			}
		})
	}
	wg.Wait()
	proxy.Decide(func(faultproxy.Message) faultproxy.Action { return faultproxy.Action{} })
	lost := 0
	for i, v := range values {
		_, err := direct.Take(t.Context(), now, v.Key())
		switch n := won[i].Load(); {
		case n > 1, n == 1 && !errors.Is(err, once.ErrUsed):
			t.Errorf("value %d was given out %d times; then: %v", i, n, err)
		case n == 0:
			lost++
		}
	}
	t.Logf("%d cuts, %d calls of unknown outcome, %d of %d values lost", proxy.Counts().Cuts(), unknown.Load(), lost, len(values))
	if !testing.Short() && (proxy.Counts().Cuts() < 20 || lost > len(values)/2) {
		t.Error("the test tests little")
	}
}

// TestP11Guesses: 64 clients who guess at once at a code on three nodes get five
// guesses between them; what is left to the one who knows it works.
func TestP11Guesses(t *testing.T) {
	const limit = 5
	engines(t, func(t *testing.T, location string) {
		nodes := threeNodes(t, location)
		for i := range count(20, 2000) {
			v := value(once.PreAuthorizedCode, strconv.Itoa(i))
			put(t, nodes[0], v)
			clients := 64
			if i%2 == 1 {
				clients = limit - 1 // and the right one comes in time
			}
			var granted atomic.Int32
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					switch _, err := nodes[c%len(nodes)].Guess(t.Context(), now, v.Kind, v.Digest, limit); {
					case err == nil:
						granted.Add(1)
					case !errors.Is(err, once.ErrGuesses):
						t.Errorf("Guess: %v", err)
					}
				})
			}
			wg.Wait()
			if got, want := int(granted.Load()), min(clients, limit); got != want {
				t.Fatalf("code %d: %d guesses were allowed, want %d", i, got, want)
			}
			_, err := nodes[1].Guess(t.Context(), now, v.Kind, v.Digest, limit)
			if clients < limit {
				if err == nil {
					_, err = nodes[2].Take(t.Context(), now, v.Key())
				}
				if err != nil {
					t.Fatalf("code %d: the right guess in time: %v", i, err)
				}
			} else if !errors.Is(err, once.ErrGuesses) {
				t.Fatalf("code %d: the right guess too late: %v, want %v", i, err, once.ErrGuesses)
			}
		}
	})
}

// TestOpenAtOnce: of several processes that find no file each opens the same one.
func TestOpenAtOnce(t *testing.T) {
	for range count(5, 200) {
		path := filepath.Join(t.TempDir(), "once.db")
		secrets := make([][]byte, 8)
		var wg sync.WaitGroup
		for i := range secrets {
			wg.Go(func() {
				db, err := once.Open(t.Context(), path, once.Options{})
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				secrets[i] = db.Secret()
				if err := db.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		wg.Wait()
		if len(slices.CompactFunc(secrets, bytes.Equal)) != 1 {
			t.Fatal("they do not share a secret")
		}
	}
}

// TestP10KilledTakers: three processes take the same values and are killed again and
// again. Nobody is told twice that a value is his, and in the end all are used.
func TestP10KilledTakers(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n, kills := count(600, 5000), count(9, 300)
	databases(t, func(t *testing.T, location string) {
		db := open(t, location)
		for i := range n {
			put(t, db, value(once.AuthorizationCode, strconv.Itoa(i)))
		}
		var mu sync.Mutex
		won := map[string]int{}
		var left atomic.Int32
		left.Store(int32(kills))
		var wg sync.WaitGroup
		for taker := range 3 {
			wg.Go(func() {
				for round := 0; ; round++ {
					ended, err := runTaker(self, location, n, left.Add(-1) >= 0, rand.New(rand.NewPCG(uint64(taker), uint64(round))), func(line string) {
						mu.Lock()
						won[line]++
						mu.Unlock()
					})
					if err != nil {
						t.Error(err)
					}
					if ended || err != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		for value, times := range won {
			if times > 1 {
				t.Errorf("value %s was given out %d times", value, times)
			}
		}
		for i := range n {
			v := value(once.AuthorizationCode, strconv.Itoa(i))
			if _, err := db.Get(t.Context(), now, v.Kind, v.Digest); !errors.Is(err, once.ErrUsed) {
				t.Errorf("value %d in the end: %v, want %v", i, err, once.ErrUsed)
			}
		}
		if !testing.Short() && len(won) < n/2 {
			t.Errorf("only %d of %d values reached a taker; the test tests little", len(won), n)
		}
	})
}

// runTaker runs a process that takes values. It is killed after some of them, or
// left to end.
func runTaker(self, location string, n int, kill bool, random *rand.Rand, told func(string)) (ended bool, err error) {
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), takerEnv+"="+location, "SANAD_TEST_ONCE_COUNT="+strconv.Itoa(n), "SANAD_TEST_ONCE_SEED="+strconv.Itoa(random.IntN(1<<30)))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	after := 1 + random.IntN(n/20+1)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		told(lines.Text())
		if after--; kill && after == 0 {
			if err := cmd.Process.Kill(); err != nil {
				return false, err
			}
		}
	}
	if err := cmd.Wait(); err != nil && !kill {
		return false, fmt.Errorf("the taker: %v: %s", err, stderr.Bytes())
	}
	return !kill, nil
}

// takeAll is the process: it takes values in an order of its own, eight at a time, and
// writes down those that it got.
func takeAll() int {
	n, err := strconv.Atoi(os.Getenv("SANAD_TEST_ONCE_COUNT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	seed, err := strconv.Atoi(os.Getenv("SANAD_TEST_ONCE_SEED"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	db, err := once.Open(context.Background(), os.Getenv(takerEnv), once.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	order := make(chan int)
	go func() {
		defer close(order)
		for _, i := range rand.New(rand.NewPCG(1, uint64(seed))).Perm(n) {
			order <- i
		}
	}()
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range order {
				v := value(once.AuthorizationCode, strconv.Itoa(i))
				switch _, err := db.Take(context.Background(), now, v.Key()); {
				case err == nil:
					fmt.Fprintf(os.Stdout, "%d\n", i)
				case !errors.Is(err, once.ErrUsed):
					fmt.Fprintln(os.Stderr, err)
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	if err := db.Close(); err != nil || failed.Load() {
		fmt.Fprintln(os.Stderr, "failed", err)
		return 1
	}
	return 0
}
