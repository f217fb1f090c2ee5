package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
)

// A street is what the README of the sample sets up: an issuer, a verifier, a shop and a
// wallet, by the commands that stand there.
type street struct {
	*testing.T
	dir, shop, verifier string
}

// freePorts are ports that nobody uses now.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

const sample = "../examples/relying-party"

// newStreet runs the commands of the README, on free ports and without building.
func newStreet(t *testing.T) *street {
	t.Helper()
	program(t, "relying-party")
	root := t.TempDir()
	p := freePorts(t, 4)
	ports := strings.NewReplacer("8081", p[0], "8443", p[1], "8090", p[2], "9465", p[3])
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	there := filepath.Join(root, "examples", "relying-party")
	if err := os.MkdirAll(there, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"age.yaml", "citizen-card.yaml"} {
		if err := os.WriteFile(filepath.Join(there, name), []byte(ports.Replace(read(filepath.Join(sample, name)))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"bin": programs.dir, "examples/data": "../examples/data"} {
		to, err := filepath.Abs(to)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(read(filepath.Join(sample, "README.md")), -1)
	if len(blocks) != 2 || !strings.Contains(blocks[1][1], "wallet present --yes") {
		t.Fatalf("the README has %d blocks of commands", len(blocks))
	}
	build, script, _ := strings.Cut(blocks[0][1], "\n")
	if !strings.Contains(build, "go build -o bin/ ./examples/relying-party") {
		t.Errorf("the README begins with %s", build)
	}
	script = regexp.MustCompile(`(?m)^verifier init .*$`).ReplaceAllString(script, "$0\n"+
		`sed -i 's|^listen:.*|listen: 127.0.0.1:8443|; s|^private:.*|private: 127.0.0.1:9465|' verifier/verifier.yaml`)
	script = strings.Replace(script, "sleep 2;", `for port in 8081 8443 8090; do until (: </dev/tcp/127.0.0.1/$port) 2>/dev/null; do sleep 0.1; done; done;`, 1)
	script = "set -euo pipefail\n" + ports.Replace(script) + "\necho READY\nwait\n"
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with all servers that it starts
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
	})
	s := &street{T: t, dir: filepath.Join(root, "demo", "shop"), shop: "http://127.0.0.1:" + p[2], verifier: "http://127.0.0.1:" + p[1]}
	lines, ready := bufio.NewScanner(out), false
	var said strings.Builder
	for !ready && lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		ready = lines.Text() == "READY"
	}
	if !ready {
		_ = cmd.Wait()
		t.Fatalf("the commands of the README:\n%s%s", said.String(), errs.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return s
}

// current waits until the verifier has noticed the bundle with this version.
func (s *street) current(version uint64) {
	s.Helper()
	for deadline := time.Now().Add(perCall); ; time.Sleep(200 * time.Millisecond) {
		r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.verifier+"/status", nil)
		if err != nil {
			s.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			s.Fatal(err)
		}
		var st struct{ Bundle struct{ Version uint64 } }
		err = json.NewDecoder(res.Body).Decode(&st)
		_ = res.Body.Close()
		if err == nil && st.Bundle.Version >= version {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("the verifier has version %d: %v", st.Bundle.Version, err)
		}
	}
}

// present answers a link with the wallet and returns where it sends the browser.
func (s *street) present(link string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), program(s, "wallet-cli"), "--dir", "phone", "--passphrase-file", "pass", "--dev-http", "present", "--yes", "--json", link)
	cmd.Dir = s.dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.Fatalf("wallet-cli present: %v\n%s%s", err, out, errs.Bytes())
	}
	var presented struct {
		Redirect string `json:"redirect_uri"`
	}
	if err := json.Unmarshal(out, &presented); err != nil {
		s.Fatalf("%v in %s", err, out)
	}
	return presented.Redirect
}

// A visitor is a browser with its cookies.
type visitor struct {
	*street
	http *http.Client
}

func (s *street) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	return &visitor{s, &http.Client{Jar: jar, Timeout: perCall}}
}

func (v *visitor) do(method, address string) string {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, address, nil)
	if err != nil {
		v.Fatal(err)
	}
	res, err := v.http.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		v.Fatalf("%s: %d %s %v", address, res.StatusCode, b, err)
	}
	return string(b)
}

// ask begins a request and returns the link for the wallet.
func (v *visitor) ask(device string) string {
	v.Helper()
	var made struct{ Link, QR string }
	if err := json.Unmarshal([]byte(v.do(http.MethodPost, v.shop+"/ask?device="+device)), &made); err != nil || !strings.HasPrefix(made.QR, "data:image/png") {
		v.Fatalf("%v in %+v", err, made)
	}
	return made.Link
}

func (v *visitor) state() string {
	v.Helper()
	return strings.TrimSpace(v.do(http.MethodGet, v.shop+"/state"))
}

// TestShop runs the sample of a relying party as its README says, with `verifier serve`
// and `wallet-cli present`: by a code on another device, on the same device, and in a
// browser. No other browser gets anything.
func TestShop(t *testing.T) {
	s := newStreet(t)
	s.current(2)
	const welcome, none, waiting = `{"answer":{"over_18":true,"name":"Nasrin Ahmed"},"status":"answered"}`, `{"status":"none"}`, `{"status":"waiting"}`
	expect := func(who string, v *visitor, want string) {
		t.Helper()
		if got := v.state(); got != want {
			t.Errorf("%s sees %s, want %s", who, got, want)
		}
	}
	ann, bob := s.visitor(), s.visitor()
	expect("who has asked nothing", ann, none)
	link := ann.ask("other")
	expect("who has asked", ann, waiting)
	if next := s.present(link); next != "" {
		t.Errorf("on another device the wallet goes to %s", next)
	}
	expect("who has answered", ann, welcome)
	expect("another browser", bob, none)

	carol := s.visitor()
	link = carol.ask("same")
	back := s.present(link)
	if !strings.HasPrefix(back, s.shop+"/done?response_code=") {
		t.Fatalf("on the same device the wallet goes to %q", back)
	}
	expect("who is not back yet", carol, waiting)
	bob.do(http.MethodGet, back)
	expect("a browser with a stolen link", bob, none)
	dave := s.visitor()
	dave.ask("same")
	dave.do(http.MethodGet, back)
	expect("a browser with a stolen link and a request of its own", dave, waiting)
	carol.do(http.MethodGet, back)
	expect("who is back", carol, welcome)
	carol.do(http.MethodGet, back) // once more, as a reload does
	expect("who is back twice", carol, welcome)

	log, err := os.ReadFile(filepath.Join(s.dir, "verifier.log"))
	if err != nil || bytes.Contains(log, []byte("Nasrin")) {
		t.Errorf("the log of the verifier names a person, or cannot be read: %v", err)
	}
	t.Run("in a browser", func(t *testing.T) {
		page := chrometest.New(t)
		page.Open(s.shop + "/")
		page.Check("shop", i18n.For("en"))
		page.Click("#other")
		page.Wait("#qr[src^='data:image/png']")
		s.present(page.Attribute("#link", "href"))
		page.WaitText("Welcome, Nasrin Ahmed. You are over 18.")
	})
}
