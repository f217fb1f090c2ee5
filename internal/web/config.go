package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Config is what a server needs. Fields without "optional" must be set.
type Config struct {
	// Addr is the address of the public port, such as :8443 or 127.0.0.1:8080.
	Addr string
	// TLSCert and TLSKey are the files (PEM) of the certificate chain and its key.
	// They are read again when they change. Both or, with DevHTTP, none.
	TLSCert, TLSKey string
	// DevHTTP serves without TLS, on an address of the loopback only.
	DevHTTP bool
	// Private is the address of the port for figures and for routes that are
	// private. Off the loopback it has TLS as the public one. Optional: without it
	// there is none.
	Private string
	// Log gets a line for each request and for each fault.
	Log *slog.Logger

	// Rates are the limits that routes name. [DefaultRate] must be there. Optional:
	// [DefaultRates] if nil.
	Rates map[string]Rate
	// Redis is where several servers count together: redis://, rediss:// or unix://
	// as go-redis reads it. Optional: without it each process counts by itself.
	Redis string
	// Proxies are the networks of reverse proxies, whose X-Forwarded-For says who
	// asks. Optional: without them it is never looked at.
	Proxies []netip.Prefix

	// Ready are asked by /readyz, each within two seconds. Optional.
	Ready []Readiness
	// Degraded names what is worse than it should be although requests are answered;
	// /healthz and /readyz of the private port show it. Optional.
	Degraded func() []string
	// Metrics collects the figures. Optional: one of its own if nil.
	Metrics *Metrics
	// Drain is how long the server goes on after it was told to stop and says so at
	// /readyz, so that a load balancer can turn away. Optional.
	Drain time.Duration
	// Grace is how long running requests then have; 15 seconds if zero.
	Grace time.Duration
	// MaxConns is the most connections at once on the public port; 4096 if zero. One client
	// has at most a fourth of them.
	MaxConns int
	// MaxRequests is the most requests of one rate that are worked on at once on the public
	// port; 256 if zero. Those beyond are answered 503 at once, and so are bodies of more than
	// 64 KiB while half as many of them are there.
	MaxRequests int
	// Now is the clock. Optional; [time.Now] if nil.
	Now func() time.Time

	// header and body are how long a client may take to send them. For tests.
	header, body time.Duration
	// patience is how long a request waits for Redis. For tests.
	patience time.Duration
}

// A Readiness is something without which requests cannot be served.
type Readiness struct {
	// Name is shown on the private port.
	Name string
	// Check returns nil if it is there. Its error is logged.
	Check func(context.Context) error
}

func (c *Config) check() error {
	switch {
	case c.Addr == "":
		return errors.New("web: Config.Addr is not set")
	case c.Log == nil:
		return errors.New("web: Config.Log is not set")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("web: the certificate and its key belong together; one of them is not set")
	case c.TLSCert != "" && c.DevHTTP:
		return errors.New("web: a certificate and the switch for plain http exclude each other")
	case c.TLSCert == "" && !c.DevHTTP:
		return ErrNoTLS
	case c.Drain < 0 || c.Grace < 0 || c.MaxConns < 0 || c.MaxRequests < 0:
		return errors.New("web: a negative limit")
	}
	if c.Rates == nil {
		c.Rates = DefaultRates()
	}
	if _, ok := c.Rates[DefaultRate]; !ok {
		return fmt.Errorf("web: Config.Rates lacks %q", DefaultRate)
	}
	for name, r := range c.Rates {
		if err := r.check(); err != nil {
			return fmt.Errorf("web: rate %s: %w", name, err)
		}
	}
	for _, r := range c.Ready {
		if r.Name == "" || r.Check == nil {
			return errors.New("web: a Readiness without name or function")
		}
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	if c.Grace == 0 {
		c.Grace = 15 * time.Second
	}
	if c.MaxConns == 0 {
		c.MaxConns = 4096
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = 256
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.header == 0 {
		c.header = 5 * time.Second
	}
	if c.patience == 0 {
		c.patience = 250 * time.Millisecond
	}
	if c.body == 0 {
		c.body = 30 * time.Second
	}
	return nil
}

// ErrNoTLS: there is no certificate, and plain http was not asked for.
var ErrNoTLS = errors.New("web: no TLS certificate is set (tls_cert and tls_key in the settings), and plain http is not switched on (--dev-http, for this machine only)")

// ErrNotLoopback: plain http was asked for where others could listen.
var ErrNotLoopback = errors.New("web: plain http is served on the loopback only; set a TLS certificate, or an address such as 127.0.0.1:8080")

// listen opens a port. Without TLS it must be one of the loopback.
func listen(ctx context.Context, addr string, tls bool) (net.Listener, error) {
	if !tls {
		// Asked before the port is open, so that it never is where it must not be.
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("web: the address %q: %w", addr, err)
		}
		if ip, err := netip.ParseAddr(host); (err != nil || !ip.IsLoopback()) && host != "localhost" {
			return nil, fmt.Errorf("%w (%s)", ErrNotLoopback, addr)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("web: %w; end the program that listens there, or choose another address", err)
	}
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	if !tls && !loopback(l.Addr()) {
		_ = l.Close()
		return nil, fmt.Errorf("%w (%s)", ErrNotLoopback, addr)
	}
	return l, nil
}

func loopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
