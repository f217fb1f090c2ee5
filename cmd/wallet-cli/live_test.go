package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestRotation draws by a clock of its own: at once, every 25 seconds, when the clock is
// set back, and not again when it has ended.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var back atomic.Int64 // by how much the clock was set back
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		var out bytes.Buffer
		var drawn []time.Duration
		now := func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		r := rotation{out: &out, now: now, tick: ticker.C, draw: func(at time.Time) (string, error) {
			drawn = append(drawn, at.Sub(start))
			return "[code]", nil
		}}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.run(ctx) }()
		time.Sleep(60500 * time.Millisecond)
		back.Store(int64(time.Hour))
		time.Sleep(2 * time.Second)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{0, redraw, 2 * redraw, 61*time.Second - time.Hour}; !slices.Equal(drawn, want) {
			t.Errorf("drawn at %v, want %v", drawn, want)
		}
		text := out.String()
		if !strings.Contains(text, "A new code in 25 s") || !strings.Contains(text, "A new code in 1 s") || strings.Contains(text, "in 0 s") || strings.Contains(text, "in -") {
			t.Errorf("countdown: %q", text)
		}
		if !strings.HasSuffix(text, clearScreen) {
			t.Error("a code stays on the screen")
		}
		r.draw = func(time.Time) (string, error) { return "", errors.New("no card") }
		if err := r.run(t.Context()); err == nil {
			t.Error("a code that cannot be made is passed over")
		}
	})
}

// TestLiveJourney: a card from a real `issuer serve`, shown live, to a poster, as an
// answer and as a copy, judged by `verifier` as people run it.
func TestLiveJourney(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	file := func(name, content string) string {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "../issuer", "../verifier").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	program := func(want int, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path(name), args...)
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+path("config"), "LC_ALL=en")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		got := 0
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			got = e.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("%s %v: exit %d, want %d\n%s%s", name, args, got, want, out.String(), errs.String())
		}
		return out.String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	office, settings := path("office"), filepath.Join(path("office"), "issuer.yaml")
	bank := []string{"--config", filepath.Join(path("bank"), "verifier.yaml")}
	program(0, "verifier", "init", path("bank"), "--name", "Bank", "--country", "XA", "--url", "https://bank.example")
	file("bank.jwk", program(0, "verifier", append([]string{"keys", "public"}, bank...)...))
	file("records.csv", "id,name,born,village\nR1,Amina Juma,1990-01-02,Uhuru\n")
	program(0, "issuer", "init", office, "--name", "Civil Registry", "--country", "XA", "--url", "http://"+at)
	program(0, "issuer", "programme", "add", "--dir", office, file("card.yaml", cardProgramme))
	b, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "sources: {}", "sources:\n  people: {csv: ../records.csv}", 1)
	const registered = `verifiers: {bank.xa-12: {names: {en: "Bank, branch 12"}, asks: {"urn:xa:card:1": [name, born]}, keys: [../bank.jwk]}}`
	before, after, ok := strings.Cut(text, "\ntrust:\n")
	if !ok {
		t.Fatalf("no trust in the settings:\n%s", text)
	}
	indent := after[:len(after)-len(strings.TrimLeft(after, " "))]
	text = before + "\ntrust:\n" + indent + registered + "\n" + after
	file("office/issuer.yaml", text)
	bundle := path("office.trust")
	program(0, "issuer", "trust", "export", "--dir", office, "--out", bundle)

	serve := exec.CommandContext(t.Context(), path("issuer"), "serve", "--dir", office, "--dev-http", "--listen", at)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Kill(); _ = serve.Wait() })
	waitFor(t, at)

	pass := file("pass", "correct horse battery")
	walletCLI := func(want int, args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		args = append([]string{"--dir", path("wallet"), "--passphrase-file", pass, "--dev-http", "--lang", "en"}, args...)
		if got := run(t.Context(), args, io.Reader(strings.NewReader("")), &out, &errs); got != want {
			t.Fatalf("wallet-cli %v: exit %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
		}
		return out.String(), errs.String()
	}
	if err := cheapWallet(path("wallet"), "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	_, said := walletCLI(2, "trust", "import", bundle)
	_, fingerprint, _ := strings.Cut(said, `--fingerprint "`)
	fingerprint, _, _ = strings.Cut(fingerprint, `"`)
	walletCLI(0, "trust", "import", "--fingerprint", fingerprint, bundle)
	var o struct {
		Offer string `json:"offer"`
	}
	if err := json.Unmarshal([]byte(program(0, "issuer", "offer", "--dir", office, "--programme", "card", "--record", "R1", "--json")), &o); err != nil {
		t.Fatal(err)
	}
	walletCLI(0, "accept", "--yes", o.Offer)
	var list struct {
		Credentials []view `json:"credentials"`
	}
	out, _ := walletCLI(0, "list", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Credentials) != 1 || list.Credentials[0].Type != "urn:xa:card:1" {
		t.Fatalf("list: %s, %v", out, err)
	}
	id := list.Credentials[0].ID
	if out, _ = walletCLI(0, "show", "--offline", id); !strings.Contains(out, "Date of birth  2 January 1990") || !strings.Contains(out, "Village        Uhuru") {
		t.Errorf("show: %s", out)
	}
	// The bundle of today has the status list of today.
	program(0, "issuer", "trust", "export", "--dir", office, "--out", bundle)

	// Live, with what was chosen; the picture is no good two minutes later.
	walletCLI(0, "qr", id, "--live", "--claims", "village", "--out", path("live.png"))
	if out := program(0, "verifier", "check", "--trust", bundle, path("live.png")); !strings.Contains(out, "Genuine") ||
		!strings.Contains(out, "from the holder's phone") || !strings.Contains(out, "Uhuru") || strings.Contains(out, "1990") {
		t.Errorf("live: %s", out)
	}
	if out := program(20, "verifier", "check", "--trust", bundle, path("live.png")); !strings.Contains(out, "a moment ago") {
		t.Errorf("twice: %s", out)
	}
	later := time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339)
	if out := program(20, "verifier", "check", "--trust", bundle, "--at", later, path("live.png")); !strings.Contains(out, "too long ago") {
		t.Errorf("a screenshot after two minutes: %s", out)
	}
	// Without the proof anyone may have it.
	walletCLI(0, "qr", id, "--out", path("alone.png"))
	program(10, "verifier", "check", "--trust", bundle, path("alone.png"))

	// A question on the screen, answered with consent; a stranger's is refused.
	ask := append([]string{"--trust", bundle, "--as", "bank.xa-12", "--type", "urn:xa:card:1", "--purpose", "Opening an account"}, bank...)
	challenge := append([]string{"challenge", "--state", path("question.json"), "--claims", "name,born", "--out", path("question.png")}, ask...)
	program(0, "verifier", challenge...)
	if _, said := walletCLI(2, "qr", "--answer", path("question.png")); !strings.Contains(said, "Bank, branch 12") || !strings.Contains(said, "Opening an account") || !strings.Contains(said, "Date of birth") || !strings.Contains(said, "--yes") {
		t.Errorf("consent: %s", said)
	}
	walletCLI(0, "qr", "--yes", "--answer", path("question.png"), "--out", path("answer.png"))
	if out := program(0, "verifier", "check", "--trust", bundle, "--challenge", path("question.json"), path("answer.png")); !strings.Contains(out, "Answered your question just now") ||
		!strings.Contains(out, "2 January 1990") || strings.Contains(out, "Uhuru") {
		t.Errorf("answer: %s", out)
	}
	program(20, "verifier", "check", "--trust", bundle, "--challenge", path("question.json"), path("live.png"))
	over := append([]string{"challenge", "--state", path("q2.json"), "--claims", "name,village", "--out", path("q2.png")}, ask...)
	program(0, "verifier", over...)
	if _, said := walletCLI(20, "qr", "--yes", "--answer", path("q2.png")); !strings.Contains(said, "over_asking") {
		t.Errorf("asking for too much: %s", said)
	}

	// A poster on the wall.
	program(0, "verifier", append([]string{"poster", "--until", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), "--claims", "name", "--out", path("poster.png")}, ask...)...)
	walletCLI(0, "qr", "--yes", "--poster", path("poster.png"), "--out", path("counter.png"))
	if out := program(0, "verifier", "check", "--trust", bundle, "--poster", path("poster.png"), path("counter.png")); !strings.Contains(out, "for this counter") {
		t.Errorf("poster: %s", out)
	}
	program(20, "verifier", "check", "--trust", bundle, path("counter.png"))
	walletCLI(2, "qr", "--yes", "--answer", path("poster.png"))

	// A copy made out to somebody.
	walletCLI(0, "qr", id, "--for", "Janata Bank", "--until", time.Now().AddDate(0, 1, 0).Format(time.DateOnly), "--out", path("copy.png"))
	if out := program(0, "verifier", "check", "--trust", bundle, "--as", "janata bank", path("copy.png")); !strings.Contains(out, "made out to Janata Bank") {
		t.Errorf("copy: %s", out)
	}
	program(20, "verifier", "check", "--trust", bundle, "--as", "Sonali Bank", path("copy.png"))

	// What was shown to whom.
	if out, _ = walletCLI(0, "log"); !strings.Contains(out, "in person") || !strings.Contains(out, "bank.xa-12") || !strings.Contains(out, "Janata Bank") || strings.Contains(out, "Amina") {
		t.Errorf("log: %s", out)
	}
	for _, bad := range [][]string{
		{"qr"}, {"qr", id, "--live", "--answer", "x"}, {"qr", id, "--for", "x"}, {"qr", id, "--for", "x", "--until", "soon"}, {"qr", id, "--poster", "x"},
	} {
		walletCLI(2, bad...)
	}
	walletCLI(20, "qr", id, "--live", "--claims", "salary")
}

func waitFor(t *testing.T, at string) {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", at, time.Second)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(until) {
			t.Fatal("the issuer does not serve")
		}
	}
}

// cardProgramme is a programme with a code and a card.
const cardProgramme = `
id: card
version: 1
type: urn:xa:card:1
labels: {en: Card}
languages: [en]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name}, type: text, person: fullName, from: name, required: true}
  - {name: born, labels: {en: Date of birth}, type: date, person: dateOfBirth, from: born}
  - {name: village, labels: {en: Village}, type: text, key: 1, from: village}
forms:
  qr: {level: M, max_version: 20}
  card: {kind: cwt, disclosure: {born: hidden, village: hidden}, copies: 3}
`
