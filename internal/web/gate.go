package web

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// A gate bounds how many requests of one rate are worked on at once (promise P30). Who finds
// it full is told so at once: nobody waits before it.
type gate chan struct{}

// enter takes a place, which leave gives back. It reports whether there was one.
func (g gate) enter() (leave func(), ok bool) {
	select {
	case g <- struct{}{}:
		return sync.OnceFunc(func() { <-g }), true
	default:
		return func() {}, false
	}
}

// newGates returns a gate for each rate, so that a flood of one kind of requests keeps no
// other kind out.
func newGates(rates map[string]Rate, places int) map[string]gate {
	gates := map[string]gate{}
	for class := range rates {
		gates[class] = make(gate, places)
	}
	return gates
}

// busy is the answer to who finds no place. Nothing of the request was looked at.
var busy = &Problem{
	Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "too many requests are being answered; try again later", Retry: 2 * time.Second,
}

// enter takes a place for a request whose body has arrived. It is given back when the answer
// begins, so that neither who sends slowly nor who reads slowly, a stream say, keeps others out.
func (s *site) enter(a *answer, route *Route) error {
	if s.private || isOwn(route) {
		return nil
	}
	leave, ok := s.gates[route.rate()].enter()
	if !ok {
		s.cfg.Metrics.busy.WithLabelValues(route.rate()).Inc()
		return busy
	}
	a.leave = leave
	return nil
}

// maxEarly is the greatest length of a body that is read before there is a place for its
// request. Greater ones are uploads, which handlers read bit by bit.
const maxEarly = 2 << 20

// shortBody is the length up to which a body is read for nothing. Who sends more takes one of
// the places for that, so that those who send long bodies slowly do not fill the memory together.
const shortBody = 64 << 10

// arrive waits for a body. What is wrong with it is for the handler to find. It returns what
// lets go of the body, or [busy].
func (s *site) arrive(a *answer, r *http.Request, route *Route) (leave func(), err error) {
	leave = func() {}
	if route.MaxBody == 0 || route.MaxBody > maxEarly {
		return leave, nil
	}
	var b bytes.Buffer
	_, end := io.CopyN(&b, r.Body, shortBody)
	if end == nil && !s.private {
		var ok bool
		if leave, ok = s.long.enter(); !ok {
			s.cfg.Metrics.busy.WithLabelValues(route.rate()).Inc()
			a.Header().Set("Connection", "close") // so that the rest is not read
			return leave, busy
		}
	}
	if end == nil {
		b.Grow(int(max(0, r.ContentLength-shortBody)) + bytes.MinRead) // all at once, if that is known
		if _, end = b.ReadFrom(r.Body); end == nil {
			end = io.EOF
		}
	}
	r.Body = &arrived{Reader: bytes.NewReader(b.Bytes()), end: end, Closer: r.Body}
	return leave, nil
}

// arrived is a body that was read, and how it ended.
type arrived struct {
	*bytes.Reader
	io.Closer
	end error
}

func (b *arrived) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.end
	}
	return n, err
}
