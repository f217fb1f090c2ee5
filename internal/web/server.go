package web

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A Server has its ports open.
type Server struct {
	cfg      Config
	health   *health
	limits   limiter
	fallback *local
	gates    map[string]gate // by rate
	long     gate            // of long bodies that arrive
	redis    *shared         // nil without
	cert     *certificate
	closing  chan struct{}

	ports []*port
}

// port is one of the two.
type port struct {
	server   *http.Server
	listener net.Listener
	tls      bool
}

// Listen checks settings and routes and opens the ports. Requests wait until
// [Server.Serve]; a server that is not served is closed with [Server.Close].
func Listen(ctx context.Context, c Config, routes []Route) (_ *Server, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: c, closing: make(chan struct{}), fallback: newLocal(c.Now, clients)}
	s.health = &health{checks: c.Ready, cfg: &s.cfg}
	s.limits = s.fallback
	s.gates, s.long = newGates(s.cfg.Rates, s.cfg.MaxRequests), make(gate, max(1, s.cfg.MaxRequests/2))
	public, private, err := s.sites(routes)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if c.Redis != "" {
		if s.redis, err = openRedis(c.Redis, s.cfg.patience); err != nil {
			return nil, err
		}
		s.limits = s.redis
	}
	if c.TLSCert != "" {
		if s.cert, err = loadCertificate(c.TLSCert, c.TLSKey, c.Log); err != nil {
			return nil, err
		}
	}
	if err = s.open(ctx, c.Addr, s.cert != nil, public, c.MaxConns, max(1, c.MaxConns/4)); err != nil {
		return nil, err
	}
	if c.Private != "" {
		err = s.openPrivate(ctx, private)
	}
	return s, err
}

// sites makes the handlers of both ports from the table.
func (s *Server) sites(routes []Route) (public, private *site, err error) {
	public, private = newSite(s, false), newSite(s, true)
	names := map[string]bool{}
	for _, r := range routes {
		if err := r.check(&s.cfg); err != nil {
			return nil, nil, fmt.Errorf("web: route %s: %w", r.Name, err)
		}
		if names[r.Name] {
			return nil, nil, fmt.Errorf("web: two routes are called %s", r.Name)
		}
		names[r.Name] = true
		to := public
		if r.Private {
			if s.cfg.Private == "" {
				return nil, nil, fmt.Errorf("web: route %s is private, and Config.Private is not set", r.Name)
			}
			to = private
		}
		if err := to.add(&r); err != nil {
			return nil, nil, fmt.Errorf("web: %w", err)
		}
	}
	own := s.health.routes(false)
	for _, r := range own {
		err = errors.Join(err, public.add(r))
	}
	figures := s.cfg.Metrics.handler()
	own = append(s.health.routes(true), &Route{Method: http.MethodGet, Pattern: "/metrics", Name: "metrics",
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			figures.ServeHTTP(w, r)
			return nil
		}})
	for _, r := range own {
		err = errors.Join(err, private.add(r))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("web: %w", err)
	}
	return public, private, nil
}

// openPrivate opens the private port: without TLS on the loopback, else with it.
func (s *Server) openPrivate(ctx context.Context, h http.Handler) error {
	err := s.open(ctx, s.cfg.Private, false, h, 64, 0)
	if errors.Is(err, ErrNotLoopback) && s.cert != nil {
		return s.open(ctx, s.cfg.Private, true, h, 64, 0)
	}
	return err
}

func (s *Server) open(ctx context.Context, addr string, secure bool, h http.Handler, conns, share int) error {
	l, err := listen(ctx, addr, secure)
	if err != nil {
		return err
	}
	base := context.WithValue(context.Background(), closingKey, s.closing)
	srv := &http.Server{
		Handler: h, BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: s.cfg.header, ReadTimeout: s.cfg.body, WriteTimeout: s.cfg.body + 30*time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 100},
		// Its lines hold addresses, and faults of strangers are not ours.
		ErrorLog: log.New(faults{s.cfg.Log}, "", 0),
	}
	if secure {
		srv.TLSConfig = s.cert.config()
	}
	s.ports = append(s.ports, &port{srv, newBounded(l, conns, share, s.cfg.Proxies), secure})
	return nil
}

// faults stands for the server's own log.
type faults struct{ log *slog.Logger }

func (f faults) Write(b []byte) (int, error) {
	f.log.Debug("a connection failed")
	return len(b), nil
}

// URL is the address of the public port, such as https://127.0.0.1:8443.
func (s *Server) URL() string { return s.ports[0].url() }

// PrivateURL is that of the private port, "" if there is none.
func (s *Server) PrivateURL() string {
	if len(s.ports) < 2 {
		return ""
	}
	return s.ports[1].url()
}

func (p *port) url() string {
	scheme := "http"
	if p.tls {
		scheme = "https"
	}
	return scheme + "://" + p.listener.Addr().String()
}

// Close closes the ports of a server at once.
func (s *Server) Close() {
	for _, p := range s.ports {
		_ = p.server.Close()
		_ = p.listener.Close()
	}
	if s.redis != nil {
		s.redis.close()
	}
}

// Serve serves until ctx ends, then lets running requests finish. It returns nil if
// it ended because it was told to and everything finished in time.
func (s *Server) Serve(ctx context.Context) error {
	defer s.Close()
	failed := make(chan error, len(s.ports))
	for _, p := range s.ports {
		go func() {
			var err error
			if p.tls {
				err = p.server.ServeTLS(p.listener, "", "")
			} else {
				err = p.server.Serve(p.listener)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	s.cfg.Log.Info("serving", "tls", s.cert != nil, "private", len(s.ports) > 1)
	select {
	case err := <-failed:
		return fmt.Errorf("web: serve: %w", err)
	case <-ctx.Done():
	}
	return s.stop(ctx)
}

// stop says so, waits until others know, ends the streams and lets the rest finish.
func (s *Server) stop(ctx context.Context) error {
	s.health.stopping.Store(true)
	s.cfg.Log.Info("stopping")
	if s.cfg.Drain > 0 {
		time.Sleep(s.cfg.Drain)
	}
	close(s.closing)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	errs := make([]error, len(s.ports))
	var wg sync.WaitGroup
	for i, p := range s.ports {
		wg.Go(func() { errs[i] = p.server.Shutdown(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("web: requests were still running after %v: %w", s.cfg.Grace, err)
	}
	return nil
}

// bounded is a listener with at most so many connections at once. The others wait
// in the system's queue.
type bounded struct {
	net.Listener
	free chan struct{}
	done chan struct{}
	once sync.Once

	// share is the most of one client, 0 for all there are; proxies have no share, since many
	// come through them.
	share   int
	proxies []netip.Prefix
	mu      sync.Mutex
	held    map[netip.Prefix]int
}

func newBounded(l net.Listener, most, share int, proxies []netip.Prefix) *bounded {
	return &bounded{
		Listener: l, free: make(chan struct{}, most), done: make(chan struct{}), share: share, proxies: proxies, held: map[netip.Prefix]int{},
	}
}

// Accept closes the connections of a client beyond its share at once: who holds many idle
// keeps nobody out.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		select {
		case b.free <- struct{}{}:
		case <-b.done:
			return nil, net.ErrClosed
		}
		c, err := b.Listener.Accept()
		if err != nil {
			<-b.free
			return nil, err
		}
		leave, ok := b.enter(c.RemoteAddr())
		if ok {
			return &counted{Conn: c, release: sync.OnceFunc(func() { leave(); <-b.free })}, nil
		}
		_ = c.Close()
		<-b.free
	}
}

// enter takes one of a client's share, which leave gives back. It reports whether there was one.
func (b *bounded) enter(peer net.Addr) (leave func(), ok bool) {
	a, err := netip.ParseAddrPort(peer.String())
	if b.share == 0 || err == nil && slices.ContainsFunc(b.proxies, func(p netip.Prefix) bool { return p.Contains(a.Addr().WithZone("").Unmap()) }) {
		return func() {}, true
	}
	who := client(a.Addr())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[who] >= b.share {
		return nil, false
	}
	b.held[who]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.held[who]--; b.held[who] == 0 {
			delete(b.held, who)
		}
	}, true
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.done) })
	return b.Listener.Close()
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	release func()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
