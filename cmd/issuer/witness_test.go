package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/cli"
)

// An office is an issuer in a directory, with a clock that the test turns.
type office struct {
	*testing.T
	dir string

	mu  sync.Mutex
	now time.Time
}

func (o *office) Now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *office) wait(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = o.now.Add(d)
}

// run runs a command and returns what it wrote.
func (o *office) run(args ...string) (status int, out string) {
	var b bytes.Buffer
	p := program{Program: cli.Program{Name: "issuer", Now: o.Now}}
	status = p.Run(o.Context(), p.commands(), args, strings.NewReader(""), &b, &b)
	return status, b.String()
}

// must runs a command that must succeed.
func (o *office) must(args ...string) string {
	o.Helper()
	status, out := o.run(args...)
	if status != 0 {
		o.Fatalf("issuer %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
	return out
}

// refused runs a command that must fail and say this.
func (o *office) refused(say string, args ...string) {
	o.Helper()
	status, out := o.run(args...)
	if status == 0 || !strings.Contains(out, say) {
		o.Errorf("issuer %s: status %d, want a failure that says %q\n%s", strings.Join(args, " "), status, say, out)
	}
}

// settings changes the settings file.
func (o *office) settings(old, new string) {
	o.Helper()
	path := filepath.Join(o.dir, "office", settingsName)
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte(old)) {
		o.Fatalf("%v: no %q in\n%s", err, old, b)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(new), 1), 0o600); err != nil {
		o.Fatal(err)
	}
}

func (o *office) path(name string) string { return filepath.Join(o.dir, name) }

// newOffice makes an issuer with a programme and a register.
func newOffice(t *testing.T) *office {
	o := &office{T: t, dir: t.TempDir(), now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	o.must("init", o.path("office"), "--name", "Registry", "--country", "XA")
	o.must("programme", "add", "--dir", o.path("office"), "../../examples/programmes/farmer-card.yaml")
	return o
}

// issue issues for a record of the example register.
func (o *office) issue(record string) []string {
	return []string{
		"issue", "--dir", o.path("office"), "--programme", "farmer-card", "--source", "../../examples/data/farmers.csv",
		"--record", record, "--out", o.path("out"), "--form", "text",
	}
}

// serve runs a witness in this process until stop is called, and returns its address.
func (o *office) serve(dir string) (address string, stop func()) {
	o.Helper()
	ctx, cancel := context.WithCancel(o.Context())
	r, w := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		p := program{Program: cli.Program{Name: "issuer", Now: o.Now}}
		if status := p.Run(ctx, p.commands(), []string{"audit", "witness", "serve", "--dir", dir, "--listen", "127.0.0.1:0"}, strings.NewReader(""), w, io.Discard); status != 0 {
			o.Errorf("audit witness serve: status %d", status)
		}
		_ = w.Close()
	})
	b := make([]byte, 256)
	n, err := r.Read(b)
	line, _, _ := strings.Cut(string(b[:n]), "\n")
	address, ok := strings.CutPrefix(line, "listening on ")
	if err != nil || !ok {
		o.Fatalf("audit witness serve said %q, %v", b[:n], err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	return "http://" + address, func() { cancel(); wg.Wait() }
}

// TestAUD07 lets witnesses be out of reach for hours.
func TestAUD07(t *testing.T) {
	o := newOffice(t)
	records := farmers(t, 5)
	o.must("audit", "export", "--dir", o.path("office"), "--out", o.path("export"))
	key := strings.Fields(o.must("audit", "witness", "init", o.path("watch"), "--name", "archive.example/w", "--log", o.path("export/key.txt")))[0]

	// Without a witness, and without saying so, the limit holds as well.
	o.settings("without_witness: true", "without_witness: false")
	o.must(o.issue(records[0])...)
	o.wait(5 * time.Hour)
	o.refused("gone without a witness for too long", o.issue(records[1])...)

	url, stop := o.serve(o.path("watch"))
	o.settings("witnesses: []", "witnesses: [{key: "+key+", url: "+url+"}]")
	o.settings("local_hosts: []", "local_hosts: [127.0.0.1]")
	o.must(o.issue(records[1])...) // which asks by itself
	if out := o.must("audit", "checkpoint", "--dir", o.path("office"), "--witness"); !strings.Contains(out, "everything is co-signed") {
		t.Errorf("audit checkpoint: %s", out)
	}
	stop()

	o.wait(3 * time.Hour)
	id := strings.Fields(o.must(o.issue(records[2])...))[0]
	o.wait(90 * time.Minute)
	if out := o.must("config", "check", "--dir", o.path("office")); !strings.Contains(out, "no witness has co-signed") || strings.Contains(out, "STOPPED") {
		t.Errorf("config check after 90 minutes: %s", out)
	}
	o.must(o.issue(records[3])...)
	o.wait(3 * time.Hour)
	o.refused("gone without a witness for too long", o.issue(records[4])...)
	for _, look := range [][]string{{"config", "check"}, {"status", "show"}} {
		if out := o.must(append(look, "--dir", o.path("office"))...); !strings.Contains(out, "ISSUING IS STOPPED") {
			t.Errorf("%s after the limit: %s", look, out)
		}
	}
	// Everything else goes on.
	o.must("revoke", "--dir", o.path("office"), id, "--reason", "lost")
	o.must("trust", "export", "--dir", o.path("office"), "--out", o.path("office.trust"))
	o.must("status", "publish", "--dir", o.path("office"), "--out", o.path("public"))
	o.refused("not every witness has co-signed", "audit", "checkpoint", "--dir", o.path("office"), "--witness")

	// Going without is a setting, and every look says so.
	o.settings("without_witness: false", "without_witness: true")
	o.must(o.issue(records[4])...)
	for _, look := range [][]string{{"config", "check"}, {"status", "show"}} {
		if out := o.must(append(look, "--dir", o.path("office"))...); !strings.Contains(out, "issuing goes on without") {
			t.Errorf("%s: %s", look, out)
		}
	}
	o.settings("without_witness: true", "without_witness: false")

	// The witness without its network: a folder goes to it and back.
	o.must("audit", "export", "--dir", o.path("office"), "--out", o.path("export"))
	o.refused("want 1", "audit", "verify", o.path("export"), "--witness", key)
	o.must("audit", "witness", "cosign", "--dir", o.path("watch"), o.path("export"))
	o.must("audit", "checkpoint", "--dir", o.path("office"), "--take-in", o.path("export/checkpoint.txt"))
	o.must("audit", "export", "--dir", o.path("office"), "--out", o.path("export"))
	o.must("audit", "verify", o.path("export"), "--witness", key, "--older", o.path("export/checkpoint.txt"))
	o.wait(time.Minute)
	if out := o.must("config", "check", "--dir", o.path("office")); strings.Contains(out, "STOPPED") {
		t.Errorf("config check: %s", out)
	}
}

// TestWitnessKnowsBetter: an office whose database went back is told so by the
// witness.
func TestWitnessKnowsBetter(t *testing.T) {
	o := newOffice(t)
	o.settings("journal: journal", "journal: none") // which would notice first
	records := farmers(t, 2)
	o.must("audit", "export", "--dir", o.path("office"), "--out", o.path("export"))
	key := strings.Fields(o.must("audit", "witness", "init", o.path("watch"), "--name", "archive.example/w", "--log", o.path("export/key.txt")))[0]
	url, stop := o.serve(o.path("watch"))
	defer stop()
	o.settings("witnesses: []", "witnesses: [{key: "+key+", url: "+url+"}]")
	o.settings("local_hosts: []", "local_hosts: [127.0.0.1]")
	o.must("audit", "checkpoint", "--dir", o.path("office"), "--witness")
	old, err := os.ReadFile(o.path("office/issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	o.must(o.issue(records[0])...)
	o.must("audit", "checkpoint", "--dir", o.path("office"), "--witness")
	if err := os.WriteFile(o.path("office/issuer.db"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	o.refused("lost what it had confirmed", "audit", "checkpoint", "--dir", o.path("office"), "--witness")
	for range 3 { // until it is as long as the log that the witness knows
		_, _ = o.run(o.issue(records[1])...)
		_, _ = o.run("trust", "export", "--dir", o.path("office"), "--out", o.path("office.trust"))
	}
	o.refused("not every witness has co-signed", "audit", "checkpoint", "--dir", o.path("office"), "--witness")
}

// TestP08Commands takes the journal away and makes it read-only: no command that
// changes something does, looking goes on, and when it is back so does the rest.
func TestP08Commands(t *testing.T) {
	o := newOffice(t)
	records := farmers(t, 3)
	id := strings.Fields(o.must(o.issue(records[0])...))[0]
	dir := o.path("office")
	journal := filepath.Join(dir, "journal")
	state := func() string {
		out := o.must("audit", "export", "--dir", dir, "--out", o.path("export"))
		entries, _, _ := strings.Cut(out, " ")
		return entries + o.must("status", "--dir", dir, id)
	}
	for _, fault := range []struct {
		name       string
		spoil, fix func() error
	}{
		{"removed", func() error { return os.Rename(journal, journal+".away") }, func() error { return os.Rename(journal+".away", journal) }},
		{"read-only", func() error { return os.Chmod(filepath.Join(journal, "entries.jsonl"), 0o400) },
			func() error { return os.Chmod(filepath.Join(journal, "entries.jsonl"), 0o600) }},
		{"another disk in its place", func() error { return errors.Join(os.Rename(journal, journal+".away"), os.Mkdir(journal, 0o700)) },
			func() error { return errors.Join(os.Remove(journal), os.Rename(journal+".away", journal)) }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			before := state()
			if err := fault.spoil(); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				o.issue(records[1]),
				{"batch", "--dir", dir, "--programme", "farmer-card", "--source", "../../examples/data/farmers.csv", "--out", o.path("batch-" + fault.name), "--form", "text"},
				{"revoke", "--dir", dir, id, "--reason", "lost"},
				{"suspend", "--dir", dir, id, "--reason", "investigation"},
				{"trust", "export", "--dir", dir, "--out", o.path("p08.trust")},
				{"trust", "part", "--dir", dir, "--out", o.path("p08.part")},
				{"status", "publish", "--dir", dir, "--out", o.path("p08")},
				{"keys", "rotate", "--dir", dir},
				{"programme", "add", "--dir", dir, "../../examples/programmes/birth-certificate.yaml"},
			} {
				if status, out := o.run(args...); status == 0 {
					t.Errorf("issuer %s succeeded:\n%s", strings.Join(args, " "), out)
				}
			}
			for _, args := range [][]string{
				{"status", "--dir", dir, id}, {"trust", "show", "--dir", dir}, {"config", "check", "--dir", dir}, {"programme", "list", "--dir", dir}, {"keys", "list", "--dir", dir},
			} {
				if status, out := o.run(args...); status != 0 {
					t.Errorf("issuer %s failed:\n%s", strings.Join(args, " "), out)
				}
			}
			for _, name := range []string{"p08.trust", "p08.part"} {
				if _, err := os.Stat(o.path(name)); err == nil {
					t.Errorf("%s was written", name)
				}
			}
			if err := fault.fix(); err != nil {
				t.Fatal(err)
			}
			if after := state(); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
	o.must(o.issue(records[1])...)
	o.must("revoke", "--dir", dir, id, "--reason", "lost")
	if out := o.must("audit", "journal", "--dir", dir); !strings.Contains(out, "entries of") {
		t.Error(out)
	}
}

// TestJournalCommand begins a journal for an office that had none.
func TestJournalCommand(t *testing.T) {
	o := newOffice(t)
	o.settings("journal: journal", "journal: second")
	records := farmers(t, 1)
	o.refused("there is no journal", o.issue(records[0])...)
	o.must("audit", "journal", "--dir", o.path("office"), "--create")
	o.refused("file exists", "audit", "journal", "--dir", o.path("office"), "--create")
	o.must(o.issue(records[0])...)
	first, _, _ := strings.Cut(o.must("audit", "export", "--dir", o.path("office"), "--out", o.path("export")), " ")
	if out := o.must("audit", "journal", "--dir", o.path("office")); !strings.Contains(out, "holds "+first+" entries of "+first) {
		t.Errorf("%s entries; %s", first, out)
	}
	a, err := os.ReadFile(o.path("export/entries.jsonl"))
	b, err2 := os.ReadFile(o.path("office/second/entries.jsonl"))
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Error("journal and export differ")
	}
}

// farmers are ids of records of the example register.
func farmers(t *testing.T, n int) []string {
	t.Helper()
	rows, err := readCSV("../../examples/data/farmers.csv")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range rows[1:] {
		if len(ids) < n {
			ids = append(ids, r[0])
		}
	}
	return ids
}
