// Package loadtest plays overload in tests of HTTP servers (promise P30). A test starts with
// [Storm], which measures what the machine does and then has twice as much come. [Patient] is
// the transport of a client that comes again when it is told to, with the very same request,
// and [Exhaust] takes the store away meanwhile.
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
	for tries := 0; ; tries++ {
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
		case <-time.After(Pause(tries)):
		}
		r = r.Clone(r.Context())
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// Pause is how long a client of a test waits until it comes again after so many tries, which
// is less than the seconds that it is told: a second at most.
func Pause(tries int) time.Duration {
	return time.Duration((10+rand.IntN(40))*(1+min(tries/3, 29))) * time.Millisecond
}

// A Storm is rounds of twice the rated load. Fields without "optional" must be set.
type Storm struct {
	// Clients measure in each round how much is done: each does one deed after the other for
	// the time Measure, and one at least.
	Clients int
	Measure time.Duration
	// For is how long twice as many come then, but at least Least and at most Most of them.
	For         time.Duration
	Least, Most int
	// Rounds is how often; optional, once if zero.
	Rounds int
	// Prepare is called before they come, with the numbers of the first and of the one after
	// the last that may come. Optional.
	Prepare func(first, end int)
	// Deed is what each does; it gets its number, from 0 on.
	Deed func(n int)
	// Exhaust is called while they come, to take something away until some are refused.
	Exhaust func()
}

// Run does the rounds, each of which waits until all deeds have ended. It returns how many
// deeds they were, and at which rate of deeds in a second the last of them came.
func (s Storm) Run() (deeds int, rate float64) {
	for range max(s.Rounds, 1) {
		rated, n := s.rated(deeds)
		deeds, rate = deeds+n, 2*rated
		if s.Prepare != nil {
			s.Prepare(deeds, deeds+s.Most)
		}
		wait := s.arrive(deeds, rate)
		s.Exhaust()
		deeds += wait()
	}
	return deeds, rate
}

// rated is how many deeds are done in a second while clients wait for their own, and how
// many these were.
func (s Storm) rated(first int) (rate float64, done int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range s.Clients {
		wg.Go(func() {
			for once := true; once || time.Since(began) < s.Measure && int(next.Load()) < s.Most; once = false {
				s.Deed(first + int(next.Add(1)-1))
			}
		})
	}
	wg.Wait()
	return float64(next.Load()) / time.Since(began).Seconds(), int(next.Load())
}

// arrive begins deeds at a rate, independently of each other, as those of many strangers
// come: whatever has become of those before. Wait waits until all have ended, and returns
// how many they were.
func (s Storm) arrive(first int, rate float64) (wait func() int) {
	var wg sync.WaitGroup
	total := 0
	came := make(chan struct{})
	go func() {
		defer close(came)
		began, at := time.Now(), time.Duration(0)
		for total < s.Most && (total < s.Least || at < s.For) {
			// By the clock and not by the one before: who comes late makes nobody later.
			time.Sleep(time.Until(began.Add(at)))
			n := first + total
			total++
			wg.Go(func() { s.Deed(n) })
			at += time.Duration(rand.ExpFloat64() / rate * float64(time.Second))
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
