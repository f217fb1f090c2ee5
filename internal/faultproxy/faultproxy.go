// Package faultproxy stands between a PostgreSQL client and its server and fails
// on purpose: it cuts connections, before, within or after a message, loses the
// reply to one, delays, leaves a server's side of a connection open, sends a
// connection's messages twice, and refuses new connections.
//
// [Start] starts a proxy; [Proxy.Decide] says what happens to which message. The
// proxy reads the client's messages (PostgreSQL's protocol 3.0) as far as it must
// to know where one ends and which one makes the server commit; it changes none.
//
// The package is imported by tests only.
package faultproxy

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A Message is one message of a client, before it is forwarded.
type Message struct {
	// Conn is the number of its connection, from 1, and N its own number in the
	// connection, from 1.
	Conn, N int
	// Type is the type byte of the protocol, such as 'Q'; 0 for a start-up.
	Type byte
	// Commit says that it makes the server commit: a query, or the execution of a
	// prepared statement, whose text begins with COMMIT.
	Commit bool
	// Text is the statement of a query, or of a statement to be prepared.
	Text string
}

// A Deed is what a proxy does with a message.
type Deed int

// The deeds.
const (
	// Forward passes the message on. It is the only deed that leaves the
	// connection whole.
	Forward Deed = iota
	// CutBefore closes both sides; the server never sees the message.
	CutBefore
	// CutWithin passes half of the message on and closes both sides.
	CutWithin
	// CutAfter passes the message on and closes both sides at once.
	CutAfter
	// LoseReply passes the message on, waits for the server's reply, keeps it from
	// the client and closes both sides: what the message asked for is done.
	LoseReply
	// LeaveServer closes the client's side only. The server never sees the message,
	// nor that the client is gone: its transaction stays open, locks and all, for
	// the Time of the action.
	LeaveServer
)

// String names the deed.
func (d Deed) String() string {
	return [...]string{"forward", "cut before", "cut within", "cut after", "lose reply", "leave server"}[d]
}

// An Action is a deed with its circumstances.
type Action struct {
	Do Deed
	// Delay is how long the message waits first. Optional.
	Delay time.Duration
	// Time is how long LeaveServer leaves the server's side open. Optional; until
	// the end of the test if zero.
	Time time.Duration
}

// maxMessage is the longest message of a client, 256 MiB.
const maxMessage = 256 << 20

// A Proxy forwards connections to a server. Its methods may be called at once
// from several goroutines.
type Proxy struct {
	dir       string
	port      int
	tcp       net.Listener
	listeners []net.Listener
	running   sync.WaitGroup

	mu       sync.Mutex
	server   string
	decide   func(Message) Action
	refuse   bool
	replay   bool
	closed   bool
	conns    int
	commits  int
	done     map[Deed]int
	sessions map[*session]bool
}

// Start starts a proxy for the server on this Unix socket. It listens on a Unix
// socket and on a free port of 127.0.0.1, and ends with the test.
func Start(t testing.TB, server string) *Proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "sanad-fp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &Proxy{
		dir: dir, port: 5432, server: server, decide: func(Message) Action { return Action{} },
		done: map[Deed]int{}, sessions: map[*session]bool{},
	}
	unix, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(p.port)))
	if err != nil {
		t.Fatal(err)
	}
	if p.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(errors.Join(err, unix.Close()))
	}
	for _, l := range []net.Listener{unix, p.tcp} {
		p.listeners = append(p.listeners, l)
		p.running.Go(func() { p.serve(l) })
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Errorf("faultproxy: %v", err)
		}
	})
	return p
}

// URL returns db, the URL of a database on the server, through the proxy's Unix
// socket.
func (p *Proxy) URL(t testing.TB, db string) string {
	t.Helper()
	return through(t, db, p.dir, p.port, nil)
}

// TCP is URL through the proxy's port.
func (p *Proxy) TCP(t testing.TB, db string) string {
	t.Helper()
	addr, ok := p.tcp.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("faultproxy: internal error: no TCP address")
	}
	return through(t, db, addr.IP.String(), addr.Port, url.Values{"sslmode": {"disable"}})
}

func through(t testing.TB, db, host string, port int, more url.Values) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", host)
	q.Set("port", strconv.Itoa(port))
	maps.Copy(q, more)
	u.RawQuery = q.Encode()
	return u.String()
}

// Decide makes the proxy ask f about every message from now on; of a new
// connection the start-up is asked about, too. f is called for one message at a
// time.
func (p *Proxy) Decide(f func(Message) Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = f
}

// Point makes new connections go to the server on another Unix socket.
func (p *Proxy) Point(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// Refuse makes the proxy refuse new connections, or take them again.
func (p *Proxy) Refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = yes
}

// Replay makes the proxy send everything that a client sent over a connection
// once more when it has ended, over another connection, as a network would that
// delivers twice. Nobody sees those replies.
func (p *Proxy) Replay(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replay = yes
}

// CutAll closes both sides of every connection.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		s.cut()
	}
}

// Counts are what a proxy has done so far.
type Counts struct {
	// Conns counts the connections that were taken, Commits the messages that made
	// the server commit, whatever was done with them.
	Conns, Commits int
	// Done counts the messages by deed.
	Done map[Deed]int
}

// Cuts is how many connections were ended by a deed.
func (c Counts) Cuts() int {
	n := 0
	for d, k := range c.Done {
		if d != Forward {
			n += k
		}
	}
	return n
}

// Counts returns what the proxy has done so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{Conns: p.conns, Commits: p.commits, Done: maps.Clone(p.done)}
}

// ask returns what to do with a message and counts it.
func (p *Proxy) ask(m Message) Action {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.decide(m)
	p.done[a.Do]++
	if m.Commit {
		p.commits++
	}
	return a
}

func (p *Proxy) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return // closed
		}
		s := p.session(client)
		if s == nil {
			reset(client)
			continue
		}
		p.running.Go(s.run)
	}
}

// session takes a connection, or returns nil.
func (p *Proxy) session(client net.Conn) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.closed {
		return nil
	}
	p.conns++
	s := &session{proxy: p, no: p.conns, client: client, target: p.server, replay: p.replay, ended: make(chan struct{})}
	p.sessions[s] = true
	return s
}

func (p *Proxy) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
}

func (p *Proxy) close() error {
	p.mu.Lock()
	p.closed = true
	var errs []error
	for _, l := range p.listeners {
		errs = append(errs, l.Close())
	}
	for s := range p.sessions {
		s.cut()
	}
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		p.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		errs = append(errs, fmt.Errorf("connections do not end"))
	}
	return errors.Join(errs...)
}
