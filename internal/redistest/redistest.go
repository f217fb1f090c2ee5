// Package redistest starts real Redis for tests, from the distribution's packages.
// It never uses a server that happens to run.
//
// [New] starts an empty server of its own for a test: it listens on a Unix socket
// in a directory of its own and nowhere else, and keeps nothing on disk. A
// supervising shell kills it and removes the directory when the test process ends,
// however it ends.
//
// Where Redis is not installed tests are skipped with one line that says so, or
// fail if SANAD_REQUIRE_REDIS is 1. The package is imported by tests only.
package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take before the test fails.
const patience = 30 * time.Second

var errMissing = errors.New("redis-server is not installed; scripts/setup-test.sh does it")

// supervise starts the server, says its process id and waits for the end of its
// input, which comes with the end of the test process.
const supervise = `redis-server --port 0 --unixsocket "$1" --dir "$2" --save "" --appendonly no --daemonize no >"$2/log" 2>&1 </dev/null &
pid=$!
echo $pid
while read -r line; do :; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
rm -rf "$2"
exit 0`

// A Server is one that runs, or did until it was killed.
type Server struct {
	dir string
	pid int
	in  io.Closer
	cmd *exec.Cmd
}

// New starts a server for a test. It is gone when the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	switch {
	case errors.Is(err, errMissing) && os.Getenv("SANAD_REQUIRE_REDIS") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(s.stop)
	return s
}

func start() (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errMissing
	}
	// Not below TempDir of the test, whose path may be too long for a socket.
	dir, err := os.MkdirTemp("", "sanad-redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.launch(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// Socket is the path of the socket that the server listens on.
func (s *Server) Socket() string { return filepath.Join(s.dir, "redis.sock") }

// URL is the address of the server as go-redis reads it.
func (s *Server) URL() string {
	return (&url.URL{Scheme: "unix", Path: s.Socket()}).String()
}

func (s *Server) launch() error {
	s.cmd = exec.Command("sh", "-c", supervise, "sh", s.Socket(), s.dir)
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.in = in
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	if s.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		if _, err = s.ask("PING"); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("it does not answer: %w\n%s", err, log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *Server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.in.Close()
		_ = s.cmd.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

// Do sends a command without spaces in its words, such as FLUSHALL, and returns the
// first line of the answer.
func (s *Server) Do(t testing.TB, command string) string {
	t.Helper()
	answer, err := s.ask(command)
	if err != nil {
		t.Fatalf("redistest: %s: %v", command, err)
	}
	return answer
}

// ask speaks the inline form of Redis' protocol.
func (s *Server) ask(command string) (string, error) {
	c, err := net.DialTimeout("unix", s.Socket(), patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, command+"\r\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "-") {
		return "", errors.New(line)
	}
	return line, nil
}

// Kill ends the server without a last word. What it knew is gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	p, err := os.FindProcess(s.pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatalf("redistest: kill: %v", err)
	}
	deadline := time.Now().Add(patience)
	for {
		if _, err := s.ask("PING"); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("redistest: it does not end")
		}
		time.Sleep(time.Millisecond)
	}
}

// Restart starts the server again, empty, on the same socket.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	_ = s.in.Close()
	_ = s.cmd.Wait()
	err := os.MkdirAll(s.dir, 0o700)
	if err == nil {
		err = s.launch()
	}
	if err != nil {
		t.Fatalf("redistest: restart: %v", err)
	}
}
