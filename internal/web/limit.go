package web

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// DefaultRate is the rate of routes that name none.
const DefaultRate = "default"

// A Rate is how often one client may ask: Requests in Per on average, and Burst at
// once. A client is an IPv4 address or an IPv6 network of 56 bits, which is what
// one household gets.
type Rate struct {
	Requests int
	Per      time.Duration
	Burst    int
}

func (r Rate) check() error {
	if r.Requests <= 0 || r.Per <= 0 || r.Burst <= 0 {
		return errors.New("requests, time and burst must be positive")
	}
	return nil
}

// DefaultRates are rates for a server whose settings state none: "default" for most
// requests, "heavy" for those that cost much or let a client guess, "light" for
// public files, "people" for steps that many people behind one address take at once,
// "staff" for an office whose people share an address.
func DefaultRates() map[string]Rate {
	return map[string]Rate{
		DefaultRate: {Requests: 120, Per: time.Minute, Burst: 60},
		"heavy":     {Requests: 30, Per: time.Minute, Burst: 15},
		"people":    {Requests: 1200, Per: time.Minute, Burst: 300},
		"light":     {Requests: 600, Per: time.Minute, Burst: 300},
		"staff":     {Requests: 1200, Per: time.Minute, Burst: 400},
	}
}

// errLimits: the store of the limits is out of reach.
var errLimits = errors.New("web: the rate limits are out of reach")

// A limiter counts. wait is zero if the request may go on, else after how long the
// next may. An error means that nothing was counted.
type limiter interface {
	allow(ctx context.Context, class string, r Rate, client netip.Prefix) (wait time.Duration, err error)
}

// clients is the most clients that a process remembers. Those that asked least
// recently are forgotten first.
const clients = 1 << 16

// local counts in this process.
type local struct {
	now func() time.Time

	mu     sync.Mutex
	byKey  map[localKey]*list.Element
	recent *list.List // of *localCount, the most recent first
	most   int
}

type localKey struct {
	class  string
	client netip.Prefix
}

type localCount struct {
	key    localKey
	bucket *rate.Limiter
}

func newLocal(now func() time.Time, most int) *local {
	return &local{now: now, byKey: map[localKey]*list.Element{}, recent: list.New(), most: most}
}

func (l *local) allow(_ context.Context, class string, r Rate, client netip.Prefix) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := localKey{class, client}
	e, ok := l.byKey[key]
	if ok {
		l.recent.MoveToFront(e)
	} else {
		if l.recent.Len() >= l.most {
			oldest := l.recent.Back()
			delete(l.byKey, oldest.Value.(*localCount).key)
			l.recent.Remove(oldest)
		}
		e = l.recent.PushFront(&localCount{key, rate.NewLimiter(rate.Every(r.Per/time.Duration(r.Requests)), r.Burst)})
		l.byKey[key] = e
	}
	now := l.now()
	res := e.Value.(*localCount).bucket.ReserveN(now, 1)
	wait := res.DelayFrom(now)
	if wait > 0 {
		res.CancelAt(now) // it was refused, and does not count
	}
	return wait, nil
}

// client is the network that counts as one client.
func client(a netip.Addr) netip.Prefix {
	a = a.WithZone("").Unmap()
	bits := 56
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all who have none count together
	}
	return p
}
