package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/web/console"
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
	for _, look := range [][]string{{"config", "check"}, {"status", "show"}} {
		out := o.must(append(look, "--dir", o.path("office"))...)
		for _, say := range []string{"no witness watches", "2026-11-23T08:00:00Z", "for 5h0m0s", "limit 4h0m0s", "ISSUING IS STOPPED"} {
			if !strings.Contains(out, say) {
				t.Errorf("%s without a witness does not say %q: %s", look, say, out)
			}
		}
	}
	o.settings("debt_limit: 4h", "debt_limit: 3650d")
	o.refused("audit.debt_limit must not be more than 4h", "config", "check", "--dir", o.path("office"))
	o.settings("debt_limit: 3650d", "debt_limit: 4h")

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

// watched is an office with a witness that is served and has co-signed its log. It has no
// journal, which would notice first.
func watched(t *testing.T) (o *office, stop func()) {
	o = newOffice(t)
	o.settings("journal: journal", "journal: none")
	o.settings("without_witness: true", "without_witness: false")
	o.must("audit", "export", "--dir", o.path("office"), "--out", o.path("export"))
	key := strings.Fields(o.must("audit", "witness", "init", o.path("watch"), "--name", "archive.example/w", "--log", o.path("export/key.txt")))[0]
	url, stop := o.serve(o.path("watch"))
	o.settings("witnesses: []", "witnesses: [{key: "+key+", url: "+url+"}]")
	o.settings("local_hosts: []", "local_hosts: [127.0.0.1]")
	o.must("audit", "checkpoint", "--dir", o.path("office"), "--witness")
	return o, stop
}

// database reads the database file, and put puts another one in its place.
func (o *office) database() []byte {
	o.Helper()
	b, err := os.ReadFile(o.path("office/issuer.db"))
	if err != nil {
		o.Fatal(err)
	}
	return b
}

func (o *office) put(db []byte) {
	o.Helper()
	if err := os.WriteFile(o.path("office/issuer.db"), db, 0o600); err != nil {
		o.Fatal(err)
	}
}

// TestAUD09 cuts the log of an office back: its witness says so, and from then on nothing
// is issued, whatever the settings say and whether or not the witness still answers,
// until the witness co-signs again.
func TestAUD09(t *testing.T) {
	o, stop := watched(t)
	records := farmers(t, 6)
	dir := o.path("office")
	old := o.database()
	id := strings.Fields(o.must(o.issue(records[0])...))[0]
	o.must("audit", "checkpoint", "--dir", dir, "--witness")
	right := o.database()
	ask := []string{"audit", "checkpoint", "--dir", dir, "--witness"}
	const seen = "a witness has seen another audit log of this issuer"
	stopped := func(what string) {
		t.Helper()
		o.refused(seen, o.issue(records[1])...)
		o.refused(what, o.issue(records[1])...)
		for _, look := range [][]string{{"config", "check"}, {"status", "show"}} {
			out := o.must(append(look, "--dir", dir)...)
			for _, say := range []string{"archive.example/w", what, "ISSUING IS STOPPED", "audit checkpoint --witness", "restore it with the journal"} {
				if !strings.Contains(out, say) {
					t.Errorf("%s does not say %q: %s", look, say, out)
				}
			}
		}
	}

	// Shorter than what was co-signed. Nobody has asked yet, and the debt is young.
	o.put(old)
	o.refused("lost what it had confirmed", ask...)
	stopped("lost what it had confirmed")
	o.settings("without_witness: false", "without_witness: true")
	stopped("lost what it had confirmed")
	stop() // each run of the program is a start; the witness is out of reach now
	stopped("lost what it had confirmed")
	o.settings("without_witness: true", "without_witness: false")

	// Everything else goes on.
	o.must("trust", "export", "--dir", dir, "--out", o.path("office.trust"))
	o.must("status", "publish", "--dir", dir, "--out", o.path("public"))

	// The right database: issuing asks by itself, and goes on.
	o.put(right)
	stopped("lost what it had confirmed")
	url, stop := o.serve(o.path("watch"))
	defer func() { stop() }()
	settings, err := os.ReadFile(o.path("office/" + settingsName))
	if err != nil {
		t.Fatal(err)
	}
	before := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(string(settings))
	o.settings(before, url)
	o.must(o.issue(records[1])...)
	o.must("revoke", "--dir", dir, id, "--reason", "lost")
	o.must(ask...)
	if out := o.must("status", "show", "--dir", dir); !strings.Contains(out, "everything is co-signed") {
		t.Errorf("status show: %s", out)
	}

	// The other pasts: grown again to another log of the same size, and beyond.
	have := func() (n int) {
		var v stateView
		if err := json.Unmarshal([]byte(o.must("status", "show", "--json", "--dir", dir)), &v); err != nil {
			t.Fatal(err)
		}
		return int(v.AuditEntries)
	}
	right, size := o.database(), have()
	grown := false
	o.put(old)
	for n := 0; have() <= size && n < 50; n++ {
		if have() == size {
			grown = true
			o.refused("another log of this name and size", ask...)
			stopped("another log of this name and size")
		}
		o.must("trust", "export", "--dir", dir, "--out", o.path("office.trust"))
	}
	if !grown {
		t.Error("the log never had the size of the other one")
	}
	o.refused("is not the beginning of this log", ask...)
	stopped("is not the beginning of this log")
	o.put(right)
	o.must(ask...)
	o.must(o.issue(records[2])...)
}

// TestAUD09Server: a server asks before its first credential, although nothing is due and
// the settings go without a witness; log and figures tell what it heard.
func TestAUD09Server(t *testing.T) {
	o, stop := watched(t)
	defer stop()
	old := o.database()
	o.must(o.issue(farmers(t, 1)[0])...)
	o.must("audit", "checkpoint", "--dir", o.path("office"), "--witness")
	right := o.database()
	o.settings("without_witness: false", "without_witness: true")
	begin := func() (*app, func() string, *bytes.Buffer) {
		t.Helper()
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		p := &program{Program: cli.Program{Name: "issuer", Now: o.Now}, dir: o.path("office")}
		cfg, err := readConfig(p.settings())
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		p.watchWitnesses(cfg, web.NewMetrics(), slog.New(slog.NewJSONHandler(&log, nil)))
		a, err := p.open(cmd, readWrite)
		if err != nil {
			t.Fatal(err)
		}
		count := func() string { return fmt.Sprint(countObjections(cfg, o.path("office/"+objectionsName))) }
		return a, count, &log
	}
	a, count, log := begin()
	if err := a.mayIssue(t.Context(), o.Now()); err != nil || count() != "0" || log.Len() > 0 {
		t.Errorf("the right log: %v, %s objections, %s", err, count(), log)
	}
	a.close()
	o.put(old)
	for range 2 { // a start anew hears the same
		a, count, log = begin()
		for range 2 {
			if err := a.mayIssue(t.Context(), o.Now()); !errors.Is(err, issuance.ErrAuditContradicted) {
				t.Errorf("a log that was cut back: %v, want ErrAuditContradicted", err)
			}
		}
		a.close()
		if count() != "1" || strings.Count(log.String(), `"level":"ERROR"`) != 1 || !strings.Contains(log.String(), "archive.example/w") {
			t.Errorf("a log that was cut back: %s objections, log: %s", count(), log)
		}
		if err := os.RemoveAll(o.path("office/" + objectionsName)); err != nil {
			t.Fatal(err)
		}
	}
	o.put(right)
	a, count, _ = begin()
	defer a.close()
	if err := a.mayIssue(t.Context(), o.Now()); err != nil || count() != "0" {
		t.Errorf("the right log again: %v, %s objections", err, count())
	}
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

// TestConsoleKnowsTheWitnesses: what the console is told about the witnesses is what the
// settings and the log say.
func TestConsoleKnowsTheWitnesses(t *testing.T) {
	o := newOffice(t)
	witnessing := func() console.Witnessing {
		t.Helper()
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		p := &program{Program: cli.Program{Name: "issuer", Now: o.Now}, dir: o.path("office")}
		cfg, ks, err := p.openSettings(cmd)
		if err != nil {
			t.Fatal(err)
		}
		d := newDesk(p, cmd, cfg, ks)
		defer d.close()
		w, err := (&managers{p: p, cmd: cmd, d: d}).Witnessing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	since := o.Now()
	until := since.Add(4 * time.Hour)
	if got, want := witnessing(), (console.Witnessing{Without: true, None: true, Since: since, Until: until}); got != want {
		t.Errorf("a new office: %+v, want %+v", got, want)
	}
	o.settings("without_witness: true", "without_witness: false")
	if got, want := witnessing(), (console.Witnessing{None: true, Since: since, Until: until}); got != want {
		t.Errorf("no witness: %+v, want %+v", got, want)
	}
	o.must("audit", "export", "--dir", o.path("office"), "--out", o.path("export"))
	key := strings.Fields(o.must("audit", "witness", "init", o.path("watch"), "--name", "archive.example/w", "--log", o.path("export/key.txt")))[0]
	url, stop := o.serve(o.path("watch"))
	defer stop()
	o.settings("witnesses: []", "witnesses: [{key: "+key+", url: "+url+"}]")
	o.settings("local_hosts: []", "local_hosts: [127.0.0.1]")
	if got, want := witnessing(), (console.Witnessing{Since: since, Until: until}); got != want {
		t.Errorf("a witness that was not asked: %+v, want %+v", got, want)
	}
	o.must("audit", "checkpoint", "--dir", o.path("office"), "--witness")
	if got, want := witnessing(), (console.Witnessing{}); got != want {
		t.Errorf("a witness that has co-signed: %+v, want %+v", got, want)
	}
}
