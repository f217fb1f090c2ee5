package console_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An office is a whole issuer on this machine: its folder, made by the commands that an
// operator types, and the programs themselves.
type office struct {
	*testing.T
	bin, dir, url string
}

// consoleSettings are those about the console.
const consoleSettings = `serve:
  published: public
  any_client: true
  sources: {birth-certificate: births, farmer-card: farmers}
console:
  enabled: true
  origin: %s
  help: "+000 555 0100"
`

// newOffice makes an issuer with the births and farmers of the sample country, and
// serves it until the test ends.
func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{T: t, bin: t.TempDir(), dir: filepath.Join(t.TempDir(), "office")}
	if out, err := exec.Command("go", "build", "-o", o.bin, "../../cmd/issuer", "../../cmd/wallet-cli", "../../cmd/verifier").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	// A free port must be known before the office has its address.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o.url = "http://localhost:" + port
	o.run("issuer", "init", o.dir, "--name", "Civil Registry of Kestara", "--country", "XA", "--url", o.url)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(o.dir, "issuer.yaml")
	b, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("sources: {}\n"), fmt.Appendf(nil, "sources:\n  births:\n    csv: %[1]s/data/births.csv\n  farmers:\n    csv: %[1]s/data/farmers.csv\n"+consoleSettings, examples, o.url), 1)
	if err := os.WriteFile(settings, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"birth-certificate", "farmer-card"} {
		o.run("issuer", "programme", "add", "--dir", o.dir, filepath.Join(examples, "programmes", p+".yaml"))
	}
	// Before it is served: the search finds the records of a new office at its next round.
	o.run("issuer", "staff", "office", "north", "--dir", o.dir, "--name", "Northern district", "--column", "registration_office_code", "--value", "CR-06")
	o.run("issuer", "staff", "office", "south", "--dir", o.dir, "--name", "Southern district", "--column", "registration_office_code", "--value", "CR-07")
	o.serve("127.0.0.1:" + port)
	return o
}

// try runs a program and returns its status and what it says.
func (o *office) try(name string, args ...string) (int, string, string) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(o.bin, name), args...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	if cmd.ProcessState == nil {
		o.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), talk.String()
}

// run is try for what must succeed.
func (o *office) run(name string, args ...string) string {
	o.Helper()
	code, out, talk := o.try(name, args...)
	if code != 0 {
		o.Fatalf("%s %s: status %d\n%s", name, strings.Join(args, " "), code, talk)
	}
	return out
}

// serve runs `issuer serve` until the test ends.
func (o *office) serve(at string) {
	o.Helper()
	cmd := exec.Command(filepath.Join(o.bin, "issuer"), "serve", "--dir", o.dir, "--dev-http", "--listen", at)
	var said bytes.Buffer // read after it ended
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		o.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	o.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
			o.Error("issuer serve did not end")
		}
		if o.Failed() {
			o.Logf("issuer serve said:\n%s", said.Bytes())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := http.Get(o.url + "/healthz")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ended:
			o.Fatalf("issuer serve ended:\n%s", said.Bytes())
		default:
		}
		if time.Now().After(deadline) {
			o.Fatalf("issuer serve does not answer: %v", err)
		}
	}
}
