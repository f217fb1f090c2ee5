// Package loadtest plays overload in tests of HTTP servers (promise P30). [Rated] measures
// what a machine does while clients wait for each other, [Arrivals] begins deeds at a rate
// of its own, whatever has become of those before, [Patient] is the transport of a client
// that comes again when it is told to, with the very same request, and [Exhaust] takes the
// store away meanwhile.
//
// Nothing here judges by time. It is used from tests only.
package loadtest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/sqldb"
)

// Refusals counts them by status.
type Refusals [600]atomic.Int64

// Of is how many had this status.
func (r *Refusals) Of(status int) int64 { return r[status].Load() }

// CheckRefusal returns what is wrong with an answer to one of too many requests: it is 503
// or 429 as problem details (RFC 9457), says when to come again, is kept by nobody, and
// says none of the words that only a deed would.
func CheckRefusal(status int, h http.Header, body []byte, never ...string) error {
	code := map[int]string{http.StatusServiceUnavailable: `"code":"unavailable"`, http.StatusTooManyRequests: `"code":"too_many_requests"`}[status]
	bad := code == "" || !strings.Contains(string(body), code) || h.Get("Retry-After") == "" || h.Get("Cache-Control") != "no-store" || h.Get("Location") != "" || len(h["Set-Cookie"]) > 0
	for _, word := range never {
		bad = bad || strings.Contains(string(body), word)
	}
	if bad {
		return fmt.Errorf("%d %s %v, want 503 or 429, Retry-After and nothing else", status, body, h)
	}
	return nil
}

// Refused reports whether a request was refused before anything of it was looked at: by the
// limits, or at the gate, whose words these are (internal/web).
func Refused(status int, body []byte) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && strings.Contains(string(body), "too many requests are being answered")
}

// Patient sends a request again, as it was, while it is [Refused]; one that only reads
// (GET) while it is answered with 503 at all.
type Patient struct {
	Base    http.RoundTripper // optional; [http.DefaultTransport] if nil
	Refused *Refusals
	// Check gets each refusal, to find what is wrong with it. It must be set.
	Check func(status int, h http.Header, body []byte)
}

// RoundTrip implements [http.RoundTripper].
func (p Patient) RoundTrip(r *http.Request) (*http.Response, error) {
	base := p.Base
	if base == nil {
		base = http.DefaultTransport
	}
	for {
		res, err := base.RoundTrip(r)
		if err != nil || res.StatusCode != http.StatusServiceUnavailable && res.StatusCode != http.StatusTooManyRequests {
			return res, err
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return nil, err
		}
		if !Refused(res.StatusCode, b) && r.Method != http.MethodGet {
			res.Body = io.NopCloser(strings.NewReader(string(b)))
			return res, nil
		}
		p.Check(res.StatusCode, res.Header, b)
		p.Refused[res.StatusCode].Add(1)
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(Pause()):
		}
		r = r.Clone(r.Context())
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// Pause is how long a client of a test waits until it comes again, which is less than the
// seconds that it is told.
func Pause() time.Duration { return time.Duration(10+rand.IntN(50)) * time.Millisecond }

// Rated has clients do one deed after the other for a time, and each of them one at least.
// It returns how many deeds were done in a second, and how many in all; a deed gets its
// number, from 0 on.
func Rated(clients int, d time.Duration, deed func(n int)) (rate float64, done int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range clients {
		wg.Go(func() {
			for first := true; first || time.Since(began) < d; first = false {
				deed(int(next.Add(1) - 1))
			}
		})
	}
	wg.Wait()
	return float64(next.Load()) / time.Since(began).Seconds(), int(next.Load())
}

// Arrivals are deeds that begin independently of each other, as those of many strangers do.
type Arrivals struct {
	// Rate is how many begin in a second on average. It must be set.
	Rate float64
	// For is how long they come, but at least Least of them come and at most Most.
	For         time.Duration
	Least, Most int
	// First is the number of the first.
	First int
}

// Start begins. The function that it returns waits until all have ended, and returns how
// many they were.
func (a Arrivals) Start(deed func(n int)) (wait func() int) {
	var wg sync.WaitGroup
	total := 0
	came := make(chan struct{})
	go func() {
		defer close(came)
		began, at := time.Now(), time.Duration(0)
		for total < a.Most && (total < a.Least || at < a.For) {
			// By the clock and not by the one before: who comes late makes nobody later.
			time.Sleep(time.Until(began.Add(at)))
			n := a.First + total
			total++
			wg.Go(func() { deed(n) })
			at += time.Duration(rand.ExpFloat64() / a.Rate * float64(time.Second))
		}
	}()
	return func() int {
		<-came
		wg.Wait()
		return total
	}
}

// Exhaust takes a store away until release is called: on PostgreSQL these tables, so that
// who asks for them holds a connection of its pool and waits; in an SQLite file the right
// to write. Location is the URL of the owner, or the path.
func Exhaust(t testing.TB, location string, tables ...string) (release func()) {
	t.Helper()
	if strings.HasPrefix(location, "postgres:") {
		return pgtest.Lock(t, location, tables...)
	}
	db, err := sqldb.OpenFile(location, "rw", 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		_, _ = conn.ExecContext(ctx, "ROLLBACK") // closing does it, too
		_ = conn.Close()
		_ = db.Close()
	})
	t.Cleanup(release)
	return release
}

// Until waits until something is so, for a time at most, and reports whether it is.
func Until(d time.Duration, ok func() bool) bool {
	for end := time.Now().Add(d); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
