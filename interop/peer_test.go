package interop_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A peer is somebody else's implementation, in a process of its own.
type peer struct {
	t   testing.TB
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Scanner
}

// perCall is how long a peer may take for an answer.
const perCall = 2 * time.Minute

// startPeer runs a module of this folder, with these variables in its environment.
// Without node or the packages the test is skipped, or fails if SANAD_REQUIRE_NPM is 1.
func startPeer(t testing.TB, module string, environ ...string) *peer {
	t.Helper()
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join("node_modules", ".package-lock.json"))
	}
	if err != nil {
		if os.Getenv("SANAD_REQUIRE_NPM") == "1" {
			t.Fatalf("the npm peers are required (scripts/setup-test.sh): %v", err)
		}
		t.Skip("no node or no npm packages in interop/ (scripts/setup-test.sh)")
	}
	cmd := exec.CommandContext(t.Context(), "node", "peer.mjs", "./"+module)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it stops at the end of its input, or with the test's context
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	return &peer{t: t, in: in, out: lines}
}

// ask makes a call and returns its result, or what the peer said against it.
func (p *peer) ask(call string, args, result any) (refusal string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := json.Marshal(map[string]any{"call": call, "args": args})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		p.t.Fatalf("%s: %v", call, err)
	}
	answered := make(chan bool, 1)
	go func() { answered <- p.out.Scan() }()
	select {
	case ok := <-answered:
		if !ok {
			p.t.Fatalf("%s: the peer ended: %v", call, p.out.Err())
		}
	case <-time.After(perCall):
		p.t.Fatalf("%s: no answer of the peer in %v", call, perCall)
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  string          `json:"error"`
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(p.out.Bytes(), &answer); err != nil {
		p.t.Fatalf("%s: %v", call, err)
	}
	if answer.Error != "" {
		return answer.Error + " " + string(answer.Detail)
	}
	if result != nil {
		if err := json.Unmarshal(answer.Result, result); err != nil {
			p.t.Fatalf("%s: %v", call, err)
		}
	}
	return ""
}

// call is ask for a call that must succeed.
func (p *peer) call(call string, args, result any) {
	p.t.Helper()
	if refusal := p.ask(call, args, result); refusal != "" {
		p.t.Fatalf("%s: the peer says: %s", call, refusal)
	}
}
