package proof

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// A server is `issuer serve` in the background.
type server struct {
	t   *testing.T
	cmd *exec.Cmd
	url string

	mu  sync.Mutex
	log bytes.Buffer
}

// serve starts the server, which publishes into o.public every second. It ends with the
// test.
func (o *office) serve() *server {
	o.t.Helper()
	s := &server{t: o.t, cmd: exec.Command(issuerPath, "serve", "--dev-http", "--listen", "127.0.0.1:0", "--dir", o.dir)}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StderrPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	at := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := servingAt.FindStringSubmatch(lines.Text()); m != nil {
				at <- m[1]
			}
			s.mu.Lock()
			fmt.Fprintln(&s.log, lines.Text())
			s.mu.Unlock()
		}
	}()
	o.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-read
		_ = s.cmd.Wait() // says that it was killed
		if o.t.Failed() {
			o.t.Logf("the server said:\n%s", &s.log)
		}
	})
	select {
	case s.url = <-at:
	case <-read:
		o.t.Fatalf("issuer serve ended: %s", &s.log)
	case <-time.After(time.Minute):
		o.t.Fatal("issuer serve does not begin")
	}
	return s
}

var servingAt = regexp.MustCompile(`serving .* at (http://[0-9.:]+)`)

// ready asks /readyz.
func (s *server) ready() (bool, string) {
	resp, err := http.Get(s.url + "/readyz")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close() // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode == http.StatusOK, string(body)
}

// until waits until the server is ready, or is not.
func (s *server) until(want bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got, body := s.ready()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("ready is %t for a minute: %s", got, body)
		}
	}
}

// newPair makes an office on a PostgreSQL server with a standby. Its URL names both.
func newPair(t *testing.T, synchronous bool) (o *office, primary, standby *pgtest.Cluster) {
	t.Helper()
	primary = pgtest.Start(t, pgtest.Options{})
	owner, service := primary.New(t)
	standby = primary.Standby(t, synchronous)
	o = noOffice(t, "postgres")
	o.store = pgtest.URL(t, service, primary, standby)
	o.begin("http://localhost:8080", "--store", o.store, "--store-owner", pgtest.URL(t, owner, primary, standby))
	return o, primary, standby
}

// set adds lines to the settings.
func (o *office) set(lines ...string) {
	o.t.Helper()
	path := filepath.Join(o.dir, "issuer.yaml")
	text := string(read(o.t, path)) + "\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// A failOver is an office whose primary is killed under it.
type failOver struct {
	*office
	primary, standby *pgtest.Cluster
	server           *server
	source           string
	ids              []string // usable credentials from before
	job              *job     // the batch during which it happens
	ended            bool     // it had come to its end before
}

// begin is what happens before: all of it is on the standby.
func (f *failOver) begin(told bool) {
	f.t.Helper()
	settings := []string{fmt.Sprintf("serve: {published: %s, publish_every: 1s}", f.public)}
	if told {
		settings = append(settings, "store_standby: synchronous")
	}
	f.set(settings...)
	f.server = f.serve()
	f.source = f.people("people.csv", 1, 20)
	for i := range 3 {
		id, _ := f.issue(run{}, f.source, record(1+i))
		f.ids = append(f.ids, id)
	}
	f.revoked(f.ids[0])
	f.publish(run{}, "status", true)
	f.export(run{})
	f.server.until(true)
}

// lose does what the standby may lack: credentials of before and of now are revoked, and
// everybody has the lists that say so.
func (f *failOver) lose() {
	f.t.Helper()
	id, _ := f.issue(run{}, f.source, record(5))
	f.revoked(id)
	f.revoked(f.ids[1])
	f.publish(run{}, "status", true)
	f.fetch()
}

// kill kills the primary when a batch has released some of its records, and lets the
// standby take over.
func (f *failOver) kill(records, released int, complete bool) result {
	f.t.Helper()
	f.job = f.newJob(1000, records)
	var got result
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		got = f.batch(run{mayFail: true}, f.job)
	}()
	for deadline := time.Now().Add(time.Minute); len(manifestIDs(f.job.folder)) < released; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatal("the batch does not go on")
		}
	}
	if complete {
		f.standby.CatchUp(f.t, f.primary)
	}
	f.primary.Kill(f.t)
	f.standby.Promote(f.t)
	<-ended
	if f.ended = got.code == 0; f.ended {
		f.t.Log("the batch had come to its end before; the test tests little")
	}
	return got
}

// refused wants every command that changes something to be refused, with what says and
// what to do about it.
func (f *failOver) refused(says string) {
	f.t.Helper()
	for _, args := range [][]string{ // the deeds are refused at one place, whatever the reason
		{"issue", "--programme", "farmer-card", "--source", f.source, "--record", record(7), "--out", filepath.Join(f.root, "refused"), "--form", "text"},
		{"revoke", f.ids[2], "--reason", "lost"},
		{"status", "publish", "--out", f.root},
		{"batch", "--programme", "farmer-card", "--source", f.job.source, "--out", f.job.folder, "--form", f.job.form},
	} {
		if args[0] == "batch" && f.ended {
			continue // nothing is left that it would change
		}
		got := f.run(run{args: args})
		if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, says) || !strings.Contains(got.stderr, "issuer restore confirm") {
			f.t.Errorf("DB-05 %s: %s, want a refusal that says %q and names issuer restore confirm", args[0], got, says)
		}
	}
}

// told wants a command that only looks to say something, and to end with this status.
func (f *failOver) told(code int, says string, args ...string) {
	f.t.Helper()
	if got := f.run(run{args: args}); got.code != code || !strings.Contains(got.stdout, says) {
		f.t.Errorf("DB-05 %v: %s, want exit status %d and %q", args, got, code, says)
	}
}

// confirm is what the operator does. It is killed at random first, and comes to its end when
// it is given again.
func (f *failOver) confirm(kills int) {
	f.t.Helper()
	journal := []string{"restore", "confirm", "--journal", filepath.Join(f.dir, "journal")}
	before := f.run(run{args: []string{"status", "show", "--json"}})
	f.must(run{args: append(journal, "--check")})
	if after := f.run(run{args: []string{"status", "show", "--json"}}); epochOf(f.t, after) != epochOf(f.t, before) {
		f.t.Errorf("--check made of %s\n%s", before, after)
	}
	journal = append(journal, "--alone", "--reason", "no-console")
	for range kills {
		f.run(run{args: journal, after: time.Duration(1+rand.IntN(300)) * time.Millisecond})
	}
	if got := f.run(run{args: journal}); got.code != 0 && !strings.Contains(got.stderr, "there is nothing to confirm") {
		f.t.Fatalf("restore confirm: %s", got)
	}
}

func epochOf(t *testing.T, r result) int64 {
	t.Helper()
	var state struct{ Epoch int64 }
	if err := json.Unmarshal([]byte(r.stdout), &state); err != nil || state.Epoch == 0 {
		t.Fatalf("status show: %s", r)
	}
	return state.Epoch
}

// goOn works on after it: with the same server, the same command for a batch or, if that was
// given up, which the same command says, another one for the rest of its records.
func (f *failOver) goOn(givenUp bool) (violations int) {
	f.t.Helper()
	f.must(run{args: []string{"fsck"}})
	f.server.until(true)
	if !givenUp || f.ended {
		f.batch(run{mayFail: givenUp}, f.job) // the old primary may not have told that it had ended
	} else if got := f.batch(run{mayFail: true}, f.job); got.code != 1 || !strings.Contains(got.stderr, "the batch was given up before its end") ||
		!strings.Contains(got.stderr, "stays valid") || !strings.Contains(got.stderr, "with a new --out") {
		f.t.Errorf("the same command for a batch that was given up: %s", got)
	}
	done := manifestIDs(f.job.folder)
	if givenUp {
		again := &job{source: f.job.source, folder: f.job.folder + "-rest", form: "text"}
		f.batch(run{}, again)
		done = append(done, manifestIDs(again.folder)...)
	}
	if want := strings.Count(string(read(f.t, f.job.source)), "\n") - 1; len(done) != want {
		f.t.Errorf("the batch has %d credentials in its manifests, want %d", len(done), want)
	}
	f.revoked(f.ids[2])
	f.publish(run{}, "trust", false)
	f.publish(run{}, "status", true)
	f.fetch()
	f.export(run{})
	violations = f.check(true, true)
	f.must(run{args: []string{"audit", "verify", f.exports[1], "--older", filepath.Join(f.exports[0], "checkpoint.txt")}, bare: true})
	f.must(run{args: []string{"fsck"}})
	return violations
}

// TestFailOver (DB-05) kills the primary while a batch runs and a server publishes, and a
// standby takes over. If that lacks what was confirmed, or might, nobody works on before
// somebody has confirmed it, with the journal; afterwards nothing that was revoked is valid
// again and no slot was used twice.
func TestFailOver(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sync  bool // the standby is synchronous
		told  bool // the settings say so
		lacks bool // it lacks the last commits
		night bool // on every change store/faulttest plays it
		says  string
	}{
		{"it lacks commits", false, false, true, true, "behind its journal"},
		{"it might lack some", false, false, false, true, "a standby took over"},
		{"it lacks commits and is said not to", false, true, true, false, "behind its journal"},
		{"it lacks nothing", true, true, false, false, ""},
	} {
		if tt.night && os.Getenv("SANAD_SOAK") != "1" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			violations, rounds := 0, count(1, 10)
			for range rounds {
				o, primary, standby := newPair(t, tt.sync)
				f := &failOver{office: o, primary: primary, standby: standby}
				f.begin(tt.told)
				if tt.lacks {
					standby.HoldBack(t)
				}
				f.lose()
				complete := !tt.lacks && !tt.sync
				records := 100
				if complete {
					records = 400 // which last until the standby has caught up
				}
				f.kill(records, 20+rand.IntN(40), complete)
				if tt.says != "" {
					f.refused(tt.says)
					f.looks(tt.told, tt.lacks)
					f.confirm(count(1, 4))
				}
				violations += f.goOn(tt.says != "")
				if got, fenced := epochOf(t, f.run(run{args: []string{"status", "show", "--json"}})), tt.says != ""; (got > 1) != fenced {
					t.Errorf("epoch %d, fenced %t", got, fenced)
				}
			}
			proved(t, "P03", "postgres", fmt.Sprintf("program: fail-overs=%d (%s)", rounds, tt.name), violations)
		})
	}
}

// looks wants those who only look to see what has happened.
func (f *failOver) looks(told, lacks bool) {
	f.t.Helper()
	if lacks {
		f.told(3, "journal_ahead", "fsck")
		f.told(0, "has lost what it had confirmed", "status", "show")
	}
	if told {
		return // the database itself does not tell
	}
	f.server.until(false)
	if !lacks {
		// The batch may have gone on between the last look at the standby and the kill.
		got := f.run(run{args: []string{"fsck"}})
		if ok := got.code == 0 || got.code == 3 && strings.Contains(got.stdout, "journal_ahead"); !ok || !strings.Contains(got.stdout, "takes no work (failed_over)") {
			f.t.Errorf("DB-05 fsck: %s, want a fence, and nothing found but what was lost", got)
		}
	}
	f.told(0, "closed for work (failed_over)", "status", "show")
	f.told(0, "takes no work (failed_over)", "config", "check")
	f.told(0, "", "backup", "--out", filepath.Join(f.root, "fenced.backup"), "--passphrase-file", filepath.Join(f.dir, "secrets", "passphrase"))
}
