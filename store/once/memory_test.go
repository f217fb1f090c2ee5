package once_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/store/once"
)

func openMemory(t *testing.T, room int64) *once.DB {
	t.Helper()
	db, err := once.Open(t.Context(), once.Memory, once.Options{Room: room})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestP10MemoryEnds: after a restart, and on another node, nothing works that was handed out
// before, used or not.
func TestP10MemoryEnds(t *testing.T) {
	db := open(t, once.Memory)
	for _, kind := range once.Kinds() {
		a, b := value(kind, "a"), value(kind, "b")
		put(t, db, a, b)
		if _, err := db.Take(t.Context(), now, b.Key()); err != nil {
			t.Fatal(err)
		}
	}
	other := open(t, once.Memory)
	if db.Durable() || bytes.Equal(db.Secret(), other.Secret()) || len(other.Secret()) != 32 {
		t.Error("what ends with the process says that it does not, or two have one secret")
	}
	for _, state := range []string{"beside it", "after its end"} {
		for _, kind := range once.Kinds() {
			for _, secret := range []string{"a", "b"} {
				v := value(kind, secret)
				if _, err := other.Take(t.Context(), now, v.Key()); !errors.Is(err, once.ErrNone) {
					t.Errorf("%s, Take of %s %s: %v, want %v", state, kind, secret, err, once.ErrNone)
				}
				if _, err := other.Guess(t.Context(), now, kind, v.Digest, 5); !errors.Is(err, once.ErrNone) {
					t.Errorf("%s, Guess at %s %s: %v, want %v", state, kind, secret, err, once.ErrNone)
				}
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		other = open(t, once.Memory)
	}
	a := value(once.Nonce, "a")
	if err := db.Put(t.Context(), a); !errors.Is(err, once.ErrClosed) {
		t.Errorf("Put: %v, want %v", err, once.ErrClosed)
	}
	if _, err := db.Get(t.Context(), now, a.Kind, a.Digest); !errors.Is(err, once.ErrClosed) {
		t.Errorf("Get: %v, want %v", err, once.ErrClosed)
	}
}

// big is a value of 16 KB that lasts for so long.
func big(i int, lasts time.Duration) once.Value {
	v := value(once.Request, "big "+strconv.Itoa(i))
	v.Expires, v.Data = now.Add(lasts), bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	return v
}

// TestMemoryIsBounded: what does not fit is refused and changes nothing, answers to what is
// there still fit, and what has not expired stays, used or not.
func TestMemoryIsBounded(t *testing.T) {
	db := openMemory(t, 1<<20)
	ctx := t.Context()
	var all []once.Value
	for i := 0; ; i++ {
		v := big(i, time.Duration(i+1)*time.Second)
		if err := db.Put(ctx, v); errors.Is(err, once.ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) < 50 || len(all) > 64 {
		t.Fatalf("%d values of 16 KB in 1 MB", len(all))
	}
	check := func(when string, want error, some ...once.Value) {
		t.Helper()
		for _, v := range some {
			if _, err := db.Get(ctx, now, v.Kind, v.Digest); !errors.Is(err, want) {
				t.Errorf("%s: Get: %v, want %v", when, err, want)
			}
		}
	}
	check("full", nil, all...)
	check("what was refused", once.ErrNone, big(len(all), 0))
	if n, err := db.Steps(ctx, now, once.Step{Put: []once.Value{value(once.Nonce, "small")}}, once.Step{Put: []once.Value{big(1000, time.Minute)}}); n != 0 || !errors.Is(err, once.ErrFull) {
		t.Errorf("two steps: %d done, %v, want none, %v", n, err, once.ErrFull)
	}
	check("a step before the one that does not fit", once.ErrNone, value(once.Nonce, "small"))

	// Some are answered: the reserve is for that, and is bounded, too.
	used := 0
	for ; ; used++ {
		_, err := db.Exchange(ctx, now, []once.Key{all[len(all)-1-used].Key()}, []once.Value{big(2000+used, time.Hour)})
		if errors.Is(err, once.ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if used < 4 || used > 9 {
		t.Errorf("%d answers of 16 KB in an eighth of 1 MB", used)
	}
	check("used ones", once.ErrUsed, all[len(all)-used:]...)
	check("not used, since its answer did not fit", nil, all[:len(all)-used]...)
	if _, err := db.Take(ctx, now, all[len(all)-1-used].Key()); err != nil {
		t.Errorf("Take, which needs no room: %v", err)
	}
	used++

	// Ten seconds later those that have expired make room, those that were used do not.
	later := now.Add(10 * time.Second)
	if _, err := db.Exchange(ctx, later, []once.Key{all[20].Key()}, []once.Value{big(3000, time.Hour)}); err != nil {
		t.Errorf("after some have expired: %v", err)
	}
	for _, v := range all[len(all)-used:] {
		if err := db.Put(ctx, v); !errors.Is(err, once.ErrExists) {
			t.Errorf("a used value put again: %v, want %v", err, once.ErrExists)
		}
	}
	// The first to have expired gave its data; whatever the clock says now, it is over.
	check("expired, by a clock that was set back", once.ErrExpired, all[0])
	check("not expired", nil, all[15])
}

// TestMemoryForgetsTheOldest: when there is no room even for what is remembered of values
// that have expired, the oldest are forgotten, and no other.
func TestMemoryForgetsTheOldest(t *testing.T) {
	db := openMemory(t, 1<<20)
	ctx := t.Context()
	small := func(i int) once.Value {
		v := value(once.Request, strconv.Itoa(i))
		v.Expires, v.Data = now.Add(time.Duration(i+1)*time.Millisecond), nil
		return v
	}
	n := 0
	for ; db.Put(ctx, small(n)) == nil; n++ {
		v := small(n)
		if _, err := db.Take(ctx, now, v.Key()); err != nil {
			t.Fatal(err)
		}
	}
	if n < 1000 {
		t.Fatalf("%d values in 1 MB", n)
	}
	if err := db.Put(ctx, small(n)); !errors.Is(err, once.ErrFull) {
		t.Fatalf("Put: %v, want %v", err, once.ErrFull)
	}
	if _, err := db.Sweep(ctx, now.Add(500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := db.Put(ctx, small(n)); err != nil {
		t.Fatalf("after 500 have expired: %v", err)
	}
	for i := range n {
		want := once.ErrUsed
		if i == 0 {
			want = once.ErrNone
		}
		_, err := db.Get(ctx, now, once.Request, small(i).Digest)
		if !errors.Is(err, want) || errors.Is(err, once.ErrUsed) != (i > 0) {
			t.Errorf("value %d: %v, want %v", i, err, want)
		}
	}
	for i := n + 1; i < n+500; i++ {
		if err := db.Put(ctx, small(i)); err != nil {
			t.Fatalf("value %d: %v", i, err)
		}
	}
	if err := db.Put(ctx, small(n+500)); !errors.Is(err, once.ErrFull) {
		t.Errorf("in the place of what has not expired: %v, want %v", err, once.ErrFull)
	}
}

// TestMemoryOfKeysThatWereDisclosed: SIG-05. They stay for years, and whoever makes up keys to
// disclose them takes half of the room at most: others can still ask and answer.
func TestMemoryOfKeysThatWereDisclosed(t *testing.T) {
	const room = 1 << 20
	db := openMemory(t, room)
	mark := once.Value{Kind: once.DisclosedKey, Expires: now.AddDate(10, 0, 0)}
	n := 0
	for ; ; n++ {
		binary.BigEndian.PutUint64(mark.Digest[:], uint64(n))
		if err := db.Put(t.Context(), mark); errors.Is(err, once.ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n < room/2/400 || n > room/2/256 {
		t.Errorf("SIG-05 %d keys in half of %d bytes", n, room)
	}
	for i := range room / 4 / 512 {
		if err := db.Put(t.Context(), value(once.Request, strconv.Itoa(i))); err != nil {
			t.Fatalf("SIG-05 value %d beside them: %v", i, err)
		}
	}
}

// TestMemoryLeavesNothingOfWhatExpired: Sweep overwrites data as soon as they have expired,
// a swap and the end of the DB do, too; what callers were given is theirs.
func TestMemoryLeavesNothingOfWhatExpired(t *testing.T) {
	db := open(t, once.Memory)
	ctx := t.Context()
	a, b, c := value(once.Result, "a"), value(once.Result, "b"), value(once.Result, "c")
	b.Expires, c.Expires = now.Add(time.Hour), now.Add(time.Hour)
	put(t, db, a, b, c)
	got, err := db.Get(ctx, now, a.Kind, a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	stored := []([]byte){db.Stored(a.Key()), db.Stored(b.Key()), db.Stored(c.Key())}
	clear(a.Data) // the caller's
	if string(stored[0]) != "data of a" {
		t.Fatalf("stored: %q", stored[0])
	}
	if n, err := db.Sweep(ctx, now.Add(time.Minute)); n != 0 || err != nil {
		t.Errorf("Sweep: %d, %v", n, err)
	}
	next := b
	next.Data = []byte("next")
	if err := db.Swap(ctx, now, b, next); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for i, s := range stored {
		if len(bytes.Trim(s, "\x00")) > 0 {
			t.Errorf("%q is left of value %d", s, i)
		}
	}
	if string(got.Data) != "data of a" {
		t.Errorf("what the caller has became %q", got.Data)
	}
}

// TestMemoryTakesWhatItSays: as many small values as are let in do not take more than the
// room for them.
func TestMemoryTakesWhatItSays(t *testing.T) {
	const room = 8 << 20
	before := heap()
	db := openMemory(t, room)
	n := 0
	for v := value(once.Nonce, ""); ; n++ {
		binary.BigEndian.PutUint64(v.Digest[:], uint64(n))
		v.Data = v.Digest[:16]
		if db.Put(t.Context(), v) != nil {
			break
		}
	}
	if got := heap() - before; got > room || n < room/1000 {
		t.Errorf("%d values take %d bytes, of at most %d", n, got, room)
	}
	runtime.KeepAlive(db)
}

// heap is how many bytes are alive.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemoryModel: whatever is called in whatever order, memory answers as a file does, as
// long as there is room and the clock goes forward.
func TestMemoryModel(t *testing.T) {
	file, memory := open(t, t.TempDir()+"/once.db"), open(t, once.Memory)
	random := rand.New(rand.NewPCG(48, 10))
	at := now
	for i := range count(600, 100_000) {
		if random.IntN(20) == 0 {
			at = at.Add(time.Duration(random.IntN(40)) * time.Minute)
		}
		some := func() once.Value {
			v := value(once.Request, strconv.Itoa(random.IntN(40)))
			v.Expires, v.Data = at.Add(time.Duration(random.IntN(90)-5)*time.Minute), []byte{byte('a' + random.IntN(3))}
			return v
		}
		a, b, what := some(), some(), random.IntN(6)
		next := a
		next.Data, next.Expires = b.Data, b.Expires
		do := func(db *once.DB) (string, error) {
			ctx := context.Background()
			switch what {
			case 0:
				return "", db.Put(ctx, a)
			case 1:
				got, err := db.Get(ctx, at, a.Kind, a.Digest)
				return string(got.Data) + got.Expires.String(), err
			case 2:
				got, err := db.Exchange(ctx, at, []once.Key{a.Key()}, []once.Value{value(once.Result, strconv.Itoa(i))})
				if err != nil {
					return "", err
				}
				return string(got[0].Data), nil
			case 3:
				n, err := db.Guess(ctx, at, a.Kind, a.Digest, 3)
				return strconv.Itoa(n), err
			case 4:
				done, err := db.Steps(ctx, at, once.Step{Swap: &once.Swap{Old: a, Next: next}}, once.Step{Check: &once.Check{Key: a.Key(), Sum: sha256.Sum256([]byte("b"))}})
				return strconv.Itoa(done), err
			default:
				n, err := db.Sweep(ctx, at)
				return strconv.Itoa(n), err
			}
		}
		want, wantErr := do(file)
		got, err := do(memory)
		if got != want || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Fatalf("call %d, %d: %q, %v in memory; %q, %v in a file", i, what, got, err, want, wantErr)
		}
	}
}

// TestP10MemorySweeps: 64 clients race for values while expired ones are swept and room is
// short: no value is given out twice.
func TestP10MemorySweeps(t *testing.T) {
	db := openMemory(t, 1<<20)
	ctx := t.Context()
	n := count(100, 20_000)
	won := make([]atomic.Int32, n)
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			for i := range n {
				v := big(i, time.Duration(i)*time.Second)
				if c == i%64 {
					if err := db.Put(ctx, v); err != nil && !errors.Is(err, once.ErrFull) {
						t.Error(err)
					}
				}
				switch _, err := db.Take(ctx, now.Add(time.Duration(max(0, i-30))*time.Second), v.Key()); {
				case err == nil:
					won[i].Add(1)
				case !errors.Is(err, once.ErrNone):
					t.Error(err)
				}
				if c == 0 && i%50 == 0 {
					if _, err := db.Sweep(ctx, now.Add(time.Duration(i)*time.Second)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range won {
		if n := won[i].Load(); n > 1 {
			t.Errorf("value %d was given out %d times", i, n)
		}
	}
}

func TestMemoryRefusesTooLittle(t *testing.T) {
	for _, room := range []int64{-1, 1<<20 - 1} {
		if db, err := once.Open(t.Context(), once.Memory, once.Options{Room: room}); err == nil {
			t.Errorf("%d bytes: no error", room)
			_ = db.Close()
		}
	}
}
