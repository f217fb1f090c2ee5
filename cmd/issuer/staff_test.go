package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/staff"
	people "github.com/sanad-id/sanad/store/desk"
)

// A staffBed is an issuer with a console.
type staffBed struct {
	t   *testing.T
	dir string
}

func newStaffBed(t *testing.T, url, console string) *staffBed {
	t.Helper()
	b := &staffBed{t: t, dir: filepath.Join(t.TempDir(), "office")}
	b.must("init", b.dir, "--name", "Civil Registry", "--country", "XA", "--url", url)
	settings := filepath.Join(b.dir, settingsName)
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, append(text, "\nconsole: "+console+"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// run is a command in the office.
func (b *staffBed) run(ctx context.Context, args ...string) (status int, out, errs string) {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	if args[0] != "init" {
		args = append(args, "--dir", b.dir)
	}
	status = run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func (b *staffBed) must(args ...string) string {
	b.t.Helper()
	status, out, errs := b.run(b.t.Context(), args...)
	if status != 0 {
		b.t.Fatalf("%v: status %d: %s", args, status, errs)
	}
	return out
}

// invite makes a link and returns the id and what the link ends in.
func (b *staffBed) invite(args ...string) (id, secret string) {
	b.t.Helper()
	var view struct{ Operator, Link string }
	if err := json.Unmarshal([]byte(b.must(append([]string{"staff", "invite", "--json"}, args...)...)), &view); err != nil {
		b.t.Fatal(err)
	}
	return view.Operator, view.Link[strings.LastIndex(view.Link, "/")+1:]
}

// enrol does what a browser and a passkey do.
func (b *staffBed) enrol(secret string) {
	b.t.Helper()
	db, err := people.Open(b.t.Context(), filepath.Join(b.dir, deskName), people.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	if _, err := db.Enrol(b.t.Context(), sha256.Sum256([]byte(secret)), staff.Passkey{ID: []byte(secret), Data: []byte("{}")}, time.Now()); err != nil {
		b.t.Fatal(err)
	}
}

func TestStaffCommands(t *testing.T) {
	b := newStaffBed(t, "http://127.0.0.1:1", "{enabled: true, origin: 'http://localhost:8080'}")
	admin, secret := b.invite("--name", "Amina", "--role", "administrator")
	if status, _, errs := b.run(t.Context(), "staff", "suspend", admin); status != 0 {
		t.Errorf("suspend somebody invited: %s", errs)
	}
	if status, _, errs := b.run(t.Context(), "staff", "recover", admin); status == 0 {
		t.Errorf("a link for somebody suspended: %s", errs)
	}
	b.must("staff", "resume", admin)
	var view struct{ Link string }
	if err := json.Unmarshal([]byte(b.must("staff", "recover", admin, "--json")), &view); err != nil {
		t.Fatal(err)
	}
	b.enrol(view.Link[strings.LastIndex(view.Link, "/")+1:])
	if secret == "" || !strings.HasPrefix(view.Link, "http://localhost:8080/console/invitation/") {
		t.Errorf("the link is %q", view.Link)
	}
	if status, _, errs := b.run(t.Context(), "staff", "suspend", admin); status == 0 || !strings.Contains(errs, "last administrator") {
		t.Errorf("the last administrator was suspended: %s", errs)
	}
	// WA-09: with two others the console's own way is the only one.
	for _, name := range []string{"Badru", "Chen"} {
		_, s := b.invite("--name", name, "--role", "administrator")
		b.enrol(s)
	}
	if status, _, errs := b.run(t.Context(), "staff", "recover", admin); status == 0 || !strings.Contains(errs, "two of them together") {
		t.Errorf("WA-09 one person recovers another: %s", errs)
	}
	b.must("staff", "leave", admin)
	if status, _, _ := b.run(t.Context(), "staff", "resume", admin); status == 0 {
		t.Error("somebody who left came back")
	}
}

// TestLeftOverLink: WA-18, no service for real while a link for a first administrator
// is left over.
func TestLeftOverLink(t *testing.T) {
	b := newStaffBed(t, "https://registry.example", "{enabled: true, origin: 'https://registry.example'}")
	_, first := b.invite("--name", "Amina", "--role", "administrator")
	_, left := b.invite("--name", "Amina", "--role", "administrator")
	b.enrol(first)
	if left == "" {
		t.Fatal("no second link")
	}
	status, _, errs := b.run(t.Context(), "serve", "--listen", "127.0.0.1:0")
	if status == 0 || !strings.Contains(errs, errLeftOver.Error()) || !strings.Contains(errs, "issuer staff leave") {
		t.Errorf("WA-18 served with a left-over link: %d %s", status, errs)
	}
	// When it is used, or gone, what is missing is the certificate and nothing else.
	b.enrol(left)
	if status, _, errs := b.run(t.Context(), "serve", "--listen", "127.0.0.1:0"); status == 0 || strings.Contains(errs, errLeftOver.Error()) || !strings.Contains(errs, "TLS certificate") {
		t.Errorf("afterwards: %d %s", status, errs)
	}
}

// TestServeConsole: the console is a part of the server.
func TestServeConsole(t *testing.T) {
	b := newStaffBed(t, "http://127.0.0.1:1", "{enabled: true, origin: 'http://localhost:8080', time_zone: Asia/Dhaka, help: 'room 4'}")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan string, 1)
	go func() {
		status, _, errs := b.run(ctx, "serve", "--dev-http", "--listen", at)
		if status == 0 {
			errs = ""
		}
		done <- errs
	}()
	var body string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, err := http.Get("http://" + at + "/console/sign-in")
		if err != nil {
			continue
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("the sign-in page: %d, %v", res.StatusCode, err)
		}
		body = string(text)
		break
	}
	stop()
	if errs := <-done; errs != "" {
		t.Errorf("serve: %s", errs)
	}
	if !strings.Contains(body, "Civil Registry") || !strings.Contains(body, "room 4") {
		t.Errorf("the sign-in page is %.200q", body)
	}
}
