package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience goes before the README's commands: they stop at the first that fails, and
// sleep waits, beyond what it is told, for what was begun to be there. Machines that
// test are busy.
const patience = `set -eE -o pipefail
trap 'echo "exit status $?: $BASH_COMMAND"' ERR
begun() {
  local file
  for file in *.log; do [ ! -e "$file" ] || grep -q ^serving "$file" || return; done
  for file in asked*.txt; do [ ! -e "$file" ] || grep -q ^openid4vp: "$file" || return; done
}
sleep() {
  command sleep "$1"
  for _ in $(seq 300); do ! begun || return 0; command sleep 0.1; done
}
`

// TestReadme does what the README tells a newcomer to paste, in its order and as it
// stands there, with three real programs; ports alone are other ones. A block of output
// promises lines that the commands above it print.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	var promised [][]string // by the block of commands
	fmt.Fprint(&script, patience)
	after := false
	for _, block := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		switch {
		case block[1] == "sh":
			fmt.Fprintf(&script, "echo '== %d'\n%s", len(promised), block[2])
			promised = append(promised, nil)
		case block[1] == "" && after:
			promised[len(promised)-1] = strings.Split(strings.TrimSuffix(block[2], "\n"), "\n")
		}
		after = block[1] == "sh"
	}
	for _, command := range []string{"issuer batch", "verifier check", "issuer serve", "wallet accept", "verifier serve", "wallet present", "issuer revoke"} {
		if !strings.Contains(script.String(), "\n"+command) {
			t.Errorf("the README has no `%s`", command)
		}
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "bin")+"/", "../verifier", "../wallet-cli").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ports := otherPorts(t, "8080", "8443", "9465")
	// The private port is the one that init writes.
	commands := regexp.MustCompile(`(?m)^verifier init .*$`).ReplaceAllString(script.String(), "$0\n"+
		`sed -i 's|^listen:.*|listen: 127.0.0.1:8443|; s|^private:.*|private: 127.0.0.1:9465|' library/verifier.yaml`)
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", ports.Replace(commands))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with the servers that it starts
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	printed := regexp.MustCompile(`(?m)^== \d+\n`).Split(out.String(), -1)[1:]
	if len(printed) != len(promised) {
		t.Fatalf("%d blocks of commands, %d of output:\n%s", len(promised), len(printed), &out)
	}
	lines := 0
	for i, want := range promised {
		got := strings.Split(printed[i], "\n")
		for _, line := range want {
			line, _, _ = strings.Cut(ports.Replace(line), "...")
			for len(got) > 0 && !strings.HasPrefix(got[0], line) {
				got = got[1:]
			}
			if len(got) == 0 {
				t.Fatalf("the README promises %q, and this was printed:\n%s", line, printed[i])
			}
			got, lines = got[1:], lines+1
		}
	}
	if lines < 15 {
		t.Errorf("the README promises %d lines of output", lines)
	}
}

// otherPorts replaces ports by free ones.
func otherPorts(t *testing.T, ports ...string) *strings.Replacer {
	t.Helper()
	var pairs []string
	for _, port := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, free, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, port, free)
	}
	return strings.NewReplacer(pairs...)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
