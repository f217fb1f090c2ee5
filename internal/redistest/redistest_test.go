package redistest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/redistest"
)

// childEnv makes a test process the child of TestNothingIsLeft.
const childEnv = "SANAD_REDISTEST_CHILD"

func TestServers(t *testing.T) {
	a, b := redistest.New(t), redistest.New(t)
	a.Do(t, "SET x 1")
	if got := a.Do(t, "EXISTS x"); got != ":1" {
		t.Errorf("the first server says %s, want :1", got)
	}
	if got := b.Do(t, "EXISTS x"); got != ":0" {
		t.Errorf("the second server says %s, want :0", got)
	}
	a.Kill(t)
	a.Restart(t)
	if got := a.Do(t, "EXISTS x"); got != ":0" {
		t.Errorf("after kill and restart it says %s, want :0", got)
	}
}

// TestChild is what a child of TestNothingIsLeft does until it is killed.
func TestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		return
	}
	fmt.Println(redistest.New(t).Socket())
	time.Sleep(time.Minute)
}

// TestNothingIsLeft kills a test process that has a server.
func TestNothingIsLeft(t *testing.T) {
	redistest.New(t) // skips without Redis
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child says nothing")
	}
	dir := filepath.Dir(lines.Text())
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there after its process was killed", dir)
		}
	}
}
