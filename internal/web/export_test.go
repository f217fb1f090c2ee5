package web

import (
	"context"
	"net/http"
	"net/netip"
	"time"
)

// Impatient gives clients this long for headers and for a whole request.
func (c Config) Impatient(header, body time.Duration) Config {
	c.header, c.body = header, body
	return c
}

// Patient waits for Redis however busy the machine is.
func (c Config) Patient() Config {
	c.patience = 20 * time.Second
	return c
}

// ClientOf is the network that a request counts for.
func ClientOf(r *http.Request, proxies []netip.Prefix) string {
	return client(clientAddress(r, proxies)).String()
}

// A Local is what counts in one process.
type Local struct{ l *local }

// NewLocal returns one that remembers so many clients.
func NewLocal(now func() time.Time, most int) Local { return Local{newLocal(now, most)} }

// Allow asks for one request.
func (l Local) Allow(r Rate, addr string) time.Duration {
	wait, _ := l.l.allow(context.Background(), "x", r, client(netip.MustParseAddr(addr)))
	return wait
}

// Size is how many clients it remembers.
func (l Local) Size() int { return len(l.l.byKey) }

// LookOften makes a server look at its certificate for every connection.
func (s *Server) LookOften() { s.cert.every = 0 }
