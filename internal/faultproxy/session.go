package faultproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A session is one connection of a client with its connection to the server.
type session struct {
	proxy  *Proxy
	no     int
	target string
	client net.Conn
	replay bool

	mu     sync.Mutex
	server net.Conn
	over   bool
	ended  chan struct{} // closed by cut

	lose atomic.Bool // the next reply is kept from the client, and is the last
	left atomic.Bool // the client is gone and the server does not know
	sent []byte      // what the client sent, if it is to be replayed
}

func (s *session) run() {
	defer s.proxy.forget(s)
	defer s.cut()
	server, err := net.DialTimeout("unix", s.target, 10*time.Second)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.server = server
	over := s.over
	s.mu.Unlock()
	if over {
		_ = server.Close()
		return
	}
	var back sync.WaitGroup
	back.Go(s.replies)
	s.requests()
	s.cut()
	back.Wait()
	if s.replay {
		s.again()
	}
}

// cut closes both sides at once.
func (s *session) cut() { s.shut(reset) }

// shut closes both sides, the client's by closing.
func (s *session) shut(closing func(net.Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	close(s.ended)
	closing(s.client)
	if s.server != nil {
		_ = s.server.Close()
	}
}

// finish closes a connection after what was sent.
func finish(c net.Conn) { _ = c.Close() }

// reset closes a connection without waiting for what was not sent yet.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// replies passes on what the server says.
func (s *session) replies() {
	buf := make([]byte, 32<<10)
	for {
		n, err := s.server.Read(buf)
		if n > 0 && s.lose.Load() {
			s.cut()
			return
		}
		if n > 0 && !s.left.Load() {
			if _, err := s.client.Write(buf[:n]); err != nil {
				s.cut()
				return
			}
		}
		if err != nil {
			s.shut(finish) // the server's last word may say why
			return
		}
	}
}

// requests passes on what the client says, message by message.
func (s *session) requests() {
	in := reader{r: bufio.NewReaderSize(s.client, 64<<10), statements: map[string]bool{}, portals: map[string]bool{}}
	out := bufio.NewWriterSize(s.server, 64<<10)
	for {
		if in.r.Buffered() == 0 {
			if out.Flush() != nil {
				return
			}
		}
		m, raw, err := in.next()
		if err != nil {
			return
		}
		m.Conn = s.no
		if s.replay && len(s.sent)+len(raw) < maxMessage {
			s.sent = append(s.sent, raw...)
		}
		if !s.act(s.proxy.ask(m), out, raw) {
			return
		}
	}
}

// act does what was decided about a message, and says whether the connection
// goes on.
func (s *session) act(a Action, out *bufio.Writer, raw []byte) bool {
	if a.Delay > 0 {
		if out.Flush() != nil || !s.wait(a.Delay) {
			return false
		}
	}
	switch a.Do {
	case CutBefore:
		_ = out.Flush()
		return false
	case CutWithin:
		_, _ = out.Write(raw[:len(raw)/2])
		_ = out.Flush()
		return false
	case LeaveServer:
		s.left.Store(true)
		_ = out.Flush()
		reset(s.client)
		if a.Time == 0 {
			<-s.ended
			return false
		}
		s.wait(a.Time)
		return false
	case CutAfter, LoseReply:
		s.lose.Store(true)
	}
	if _, err := out.Write(raw); err != nil {
		return false
	}
	if a.Do == CutAfter {
		_ = out.Flush()
		return false
	}
	return true
}

// wait says whether the connection is still there after a time.
func (s *session) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-s.ended:
		return false
	}
}

// again sends everything once more.
func (s *session) again() {
	server, err := net.DialTimeout("unix", s.target, 10*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	_ = server.SetDeadline(time.Now().Add(20 * time.Second))
	var replies sync.WaitGroup
	replies.Go(func() { _, _ = io.Copy(io.Discard, server) })
	if _, err := server.Write(s.sent); err == nil {
		if c, ok := server.(*net.UnixConn); ok {
			_ = c.CloseWrite()
		}
	}
	replies.Wait()
}

// A reader takes a client's messages apart.
type reader struct {
	r       *bufio.Reader
	started bool
	n       int
	// statements and portals are the prepared ones that commit, by name.
	statements, portals map[string]bool
}

// protocol3 is the version in a start-up message, after which messages have a
// type.
const protocol3 = 3 << 16

var errMessage = errors.New("faultproxy: not a message of PostgreSQL's protocol")

// next reads a message and returns it with its bytes.
func (r *reader) next() (Message, []byte, error) {
	head := 4
	if r.started {
		head = 5
	}
	raw := make([]byte, head)
	if _, err := io.ReadFull(r.r, raw); err != nil {
		return Message{}, nil, err
	}
	size := int64(binary.BigEndian.Uint32(raw[head-4:]))
	if size < 4 || size > maxMessage {
		return Message{}, nil, fmt.Errorf("%w: of %d bytes", errMessage, size)
	}
	var rest bytes.Buffer
	if _, err := io.CopyN(&rest, r.r, size-4); err != nil {
		return Message{}, nil, err
	}
	r.n++
	m := Message{N: r.n}
	body := rest.Bytes()
	if r.started {
		m.Type = raw[0]
		r.read(&m, body)
	} else if len(body) >= 4 {
		r.started = binary.BigEndian.Uint32(body)&^0xffff == protocol3
	}
	return m, append(raw, body...), nil
}

// read finds out what a message is about.
func (r *reader) read(m *Message, body []byte) {
	switch m.Type {
	case 'Q':
		m.Text, _ = cString(body)
		m.Commit = commits(m.Text)
	case 'P': // name of the statement, text
		name, rest := cString(body)
		m.Text, _ = cString(rest)
		r.statements[name] = commits(m.Text)
	case 'B': // name of the portal, name of the statement
		portal, rest := cString(body)
		name, _ := cString(rest)
		r.portals[portal] = r.statements[name]
	case 'E': // name of the portal
		portal, _ := cString(body)
		m.Commit = r.portals[portal]
	}
}

func cString(b []byte) (string, []byte) {
	s, rest, _ := bytes.Cut(b, []byte{0})
	return string(s), rest
}

func commits(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	return strings.HasPrefix(text, "commit") || text == "end" || strings.HasPrefix(text, "end;")
}
