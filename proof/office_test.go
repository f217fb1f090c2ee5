package proof

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// issuerPath is the program, built with the tag proof.
var issuerPath string

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(work())
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sanad-proof-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	issuerPath = filepath.Join(dir, "issuer")
	out, err := exec.Command("go", "build", "-tags", "proof", "-o", issuerPath, "../cmd/issuer").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the issuer: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// count is how often to do something: on every change, and every night, there
// times SANAD_SOAK_SCALE.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		scale, err := strconv.ParseFloat(os.Getenv("SANAD_SOAK_SCALE"), 64)
		if err != nil || scale <= 0 {
			scale = 1
		}
		return max(int(float64(night)*scale), change)
	case testing.Short():
		return max(change/20, 2)
	}
	return change
}

// proved reports what a test did: to its log, and to the file that collects the
// reports of a soak.
func proved(t *testing.T, promise, engine, counts string, violations int) {
	t.Helper()
	line := fmt.Sprintf("PROOF %s %s %s violations=%d", promise, engine, counts, violations)
	t.Log(line)
	if path := os.Getenv("SANAD_PROOF_LOG"); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = fmt.Fprintln(f, line)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// engines are the databases that everything is proved on.
var engines = []string{"sqlite", "postgres"}

// onEach runs a test on each database.
func onEach(t *testing.T, f func(t *testing.T, engine string)) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			f(t, engine)
		})
	}
}

// An office is an issuer in a directory, and the client who keeps the ledger.
type office struct {
	tally
	t      *testing.T
	engine string
	root   string // of everything below
	dir    string // the issuer's
	store  string // what the checker opens
	owner  string // the same as the owner of the tables, on PostgreSQL
	public string // what a web server would serve

	outs    atomic.Int64 // names for what is received
	ids     []string     // credentials that were released and not revoked by us
	batches []*job       // to be resumed until they are finished
	fetched map[string]digest
	putSeen int // how much of ledger.placed was there at the last look
}

// A job is a batch that was begun.
type job struct {
	source, folder string
	form           string // what files it writes
	done           atomic.Bool
	busy           sync.Mutex
}

// newOffice makes an issuer with one programme.
func newOffice(t *testing.T, engine string) *office {
	t.Helper()
	o := noOffice(t, engine)
	var where []string
	if engine == "postgres" {
		where = o.postgres()
	}
	o.begin("https://registry.example.org", where...)
	return o
}

// noOffice is a client whose issuer is yet to be made.
func noOffice(t *testing.T, engine string) *office {
	t.Helper()
	root := t.TempDir()
	o := &office{t: t, engine: engine, root: root, dir: filepath.Join(root, "office"), public: filepath.Join(root, "public"), fetched: map[string]digest{}}
	o.store = filepath.Join(o.dir, "issuer.db")
	if err := os.Mkdir(o.public, 0o755); err != nil {
		t.Fatal(err)
	}
	return o
}

// begin makes the issuer, which keeps its database where init is told to.
func (o *office) begin(url string, where ...string) {
	o.t.Helper()
	o.must(run{args: append([]string{"init", o.dir, "--name", "Civil Registry", "--country", "XA", "--url", url}, where...)})
	o.must(run{args: []string{"programme", "add", "testdata/card.yaml"}})
}

// people writes a register of n persons, from number first on.
func (o *office) people(name string, first, n int) string {
	path := filepath.Join(o.root, name)
	f, err := os.Create(path)
	if err != nil {
		o.t.Fatal(err)
	}
	w := csv.NewWriter(f)
	_ = w.Write([]string{"id", "name", "born", "village", "plot"})
	for i := first; i < first+n; i++ {
		_ = w.Write([]string{record(i), "Nurjahan Canary " + strconv.Itoa(i), "1984-04-18", "Jessore Sadar", "1.5"})
	}
	w.Flush()
	if err := errors.Join(w.Error(), f.Close()); err != nil {
		o.t.Fatal(err)
	}
	return path
}

func record(n int) string { return fmt.Sprintf("F%08d", n) }

// A run is one run of the program.
type run struct {
	args []string
	// point and nth: where it dies. after: when it is killed; never if 0.
	point string
	nth   int
	after time.Duration
	// before are words in front of the command line, for strace.
	before []string
	env    []string
	// mayFail is set if it is run with a fault, of which it may say anything.
	mayFail bool
	// until says when it is killed.
	until func() bool
	// long is set if it may take hours, bare if it has no directory.
	long, bare bool
	// dir is another directory than the office's.
	dir string
}

// A result is what came of it.
type result struct {
	code           int
	killed         bool
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit status %d, killed %t\n%s%s", r.code, r.killed, r.stdout, r.stderr)
}

// run runs the program to its end, whatever that is.
func (o *office) run(r run) result {
	o.t.Helper()
	line := slices.Concat(r.before, []string{issuerPath}, r.args)
	if r.args[0] != "init" && !r.bare {
		line = append(line, "--dir", cmp.Or(r.dir, o.dir))
	}
	limit := 2 * time.Minute
	if r.long {
		limit = 6 * time.Hour
	}
	ctx, stop := context.WithTimeout(o.t.Context(), limit)
	defer stop()
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "SANAD_PROOF_CHUNK=10")
	if r.point != "" {
		cmd.Env = append(cmd.Env, fmt.Sprintf("SANAD_PROOF_CRASH=%s:%d", r.point, r.nth))
	}
	cmd.Env = append(cmd.Env, r.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// With a group of its own everything goes that strace has started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	if r.after > 0 {
		timer := time.AfterFunc(r.after, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer timer.Stop()
	}
	if r.until != nil {
		over := make(chan struct{})
		defer close(over)
		go func() {
			for !r.until() {
				select {
				case <-over:
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}()
	}
	_ = cmd.Wait() // its error is the state of the process
	if ctx.Err() != nil {
		o.t.Fatalf("%v does not come to an end:\n%s", r.args, stderr.String())
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	code := cmd.ProcessState.ExitCode()
	// strace ends as what it traced did, one way or the other.
	return result{code, status.Signaled() || code == 128+int(syscall.SIGKILL), stdout.String(), stderr.String()}
}

// must runs the program without a fault.
func (o *office) must(r run) result {
	o.t.Helper()
	got := o.run(r)
	if got.code != 0 {
		o.t.Fatalf("%v: %s", r.args, got)
	}
	return got
}

// refusals are answers that are none of a failure: what was asked for cannot be.
var refusals = []string{
	"the record holds", "somebody is issuing", "this request has issued", "this request was interrupted", "is final", "the credential is revoked",
	"not possible in this state",
}

// look complains if the program neither did what it should nor died as it was
// told to nor refused for a reason.
func (o *office) look(r run, got result) {
	o.t.Helper()
	if r.mayFail || got.killed && (r.point != "" || r.after > 0) || got.code == 0 {
		return
	}
	for _, text := range refusals {
		if strings.Contains(got.stderr, text) {
			return
		}
	}
	o.t.Errorf("%v: %s", r.args, got)
}

// issue asks for one credential and notes what came.
func (o *office) issue(r run, source, rec string, more ...string) (id string, got result) {
	o.t.Helper()
	out := filepath.Join(o.root, "cards", strconv.FormatInt(o.outs.Add(1), 10))
	r.args = append([]string{"issue", "--programme", "farmer-card", "--source", source, "--record", rec, "--out", out, "--form", "text", "--json"}, more...)
	got = o.run(r)
	o.look(r, got)
	var answer struct {
		ID    string   `json:"credential_id"`
		Files []string `json:"files"`
	}
	told := json.Unmarshal([]byte(got.stdout), &answer) == nil && answer.ID != ""
	files, _ := filepath.Glob(filepath.Join(out, "*.txt"))
	o.with(func(l *ledger) {
		for _, f := range files {
			l.codes = append(l.codes, code{f, told})
		}
		if told {
			o.ids = append(o.ids, answer.ID)
		}
	})
	if told && len(files) != len(answer.Files) {
		o.t.Errorf("%s says %d files, there are %d", answer.ID, len(answer.Files), len(files))
	}
	return answer.ID, got
}

// newJob is a batch of n persons from number first on.
func (o *office) newJob(first, n int) *job {
	name := strconv.FormatInt(o.outs.Add(1), 10)
	j := &job{source: o.people("people-"+name+".csv", first, n), folder: filepath.Join(o.root, "batch-"+name), form: "text"}
	o.with(func(l *ledger) { o.batches = append(o.batches, j) })
	return j
}

// batch runs or resumes a batch.
func (o *office) batch(r run, j *job) result {
	o.t.Helper()
	j.busy.Lock()
	defer j.busy.Unlock()
	r.args = []string{"batch", "--programme", "farmer-card", "--source", j.source, "--out", j.folder, "--form", j.form, "--json"}
	got := o.run(r)
	if got.code != 3 { // some were refused: they hold one
		o.look(r, got)
	}
	if _, err := os.Stat(j.folder); err != nil {
		return got
	}
	if strings.Contains(got.stdout, `"outcome": "complete"`) || strings.Contains(got.stdout, `"outcome": "partial"`) {
		j.done.Store(true)
	}
	ids := manifestIDs(j.folder)
	o.with(func(l *ledger) {
		if !slices.Contains(l.folders, j.folder) {
			l.folders = append(l.folders, j.folder)
		}
		for _, id := range ids {
			if !slices.Contains(o.ids, id) && len(o.ids) < 2000 {
				o.ids = append(o.ids, id)
			}
		}
	})
	return got
}

// manifestIDs are the credentials of a manifest, as far as its rows are whole.
func manifestIDs(dir string) (ids []string) {
	text, _ := os.ReadFile(filepath.Join(dir, "manifest.csv"))
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, ","); len(cells) == 6 && len(cells[1]) == 26 && strings.HasSuffix(line, "\n") {
			ids = append(ids, cells[1])
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// change revokes, suspends or resumes, and notes a revocation that was
// acknowledged.
func (o *office) change(r run, verb, id string) result {
	o.t.Helper()
	r.args = []string{verb, id, "--json"}
	if verb != "resume" {
		r.args = append(r.args, "--reason", "lost")
	}
	got := o.run(r)
	o.look(r, got)
	var answer struct {
		State string `json:"state"`
	}
	if json.Unmarshal([]byte(got.stdout), &answer) == nil && answer.State == "revoked" {
		at := tick()
		o.with(func(l *ledger) {
			l.acks = append(l.acks, ack{id, at})
			o.ids = slices.DeleteFunc(o.ids, func(other string) bool { return other == id })
		})
	}
	return got
}

// publish asks for every status list or for a trust bundle, into a place of its
// own or into the one that is served, and notes what came.
func (o *office) publish(r run, what string, served bool) result {
	o.t.Helper()
	began := tick()
	out := o.public
	if !served {
		out = filepath.Join(o.root, "published", strconv.FormatInt(o.outs.Add(1), 10))
		if err := os.MkdirAll(out, 0o700); err != nil {
			o.t.Fatal(err)
		}
	}
	r.args = []string{"status", "publish", "--json", "--out", out}
	if what == "trust" {
		// One place for the bundle, whichever command publishes it.
		r.args = []string{"trust", "export", "--json", "--out", filepath.Join(out, "xa-civil-registry.trust")}
	}
	got := o.run(r)
	o.look(r, got)
	ended := tick()
	if !served && got.code == 0 && !got.killed {
		files := handedOut(out)
		o.with(func(l *ledger) {
			for _, f := range files {
				l.copies = append(l.copies, published{path: f, began: began, ended: ended})
			}
		})
	} else if served && got.code == 0 && !got.killed {
		put := o.putThere(what, got.stdout, ended)
		o.with(func(l *ledger) { l.placed = append(l.placed, put...) })
	}
	return got
}

// putThere is what the issuer says that it has put where it is served.
func (o *office) putThere(what, stdout string, at int64) (put []placed) {
	o.t.Helper()
	var bundle struct{ Version int64 }
	var lists []struct {
		URI    string
		Number int64
	}
	var err error
	if what == "trust" {
		err = json.Unmarshal([]byte(stdout), &bundle)
		put = append(put, placed{"trust", bundle.Version, at})
	} else {
		err = json.Unmarshal([]byte(stdout), &lists)
		for _, l := range lists {
			put = append(put, placed{l.URI, l.Number, at})
		}
	}
	if err != nil || len(put) == 0 || put[0].number == 0 {
		o.t.Errorf("the issuer published and says %q: %v", stdout, err)
	}
	return put
}

// handedOut are the bundles and lists in a folder.
func handedOut(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	return slices.DeleteFunc(files, func(f string) bool {
		name := filepath.Base(f)
		return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".new") || strings.HasSuffix(name, ".lock") || name == "index.json"
	})
}

// fetch looks at what is served, as a verifier would.
func (o *office) fetch() {
	o.t.Helper()
	put := 0
	o.with(func(l *ledger) { put = len(l.placed) })
	for _, f := range handedOut(o.public) {
		began := tick()
		b, err := os.ReadFile(f)
		if err != nil {
			o.t.Fatal(err)
		}
		// What was seen before says something only if it should have changed.
		if ended := tick(); o.fetched[f] != digestOf(b) || o.putSeen < put {
			o.fetched[f] = digestOf(b)
			to := filepath.Join(o.root, "fetched", strconv.FormatInt(o.outs.Add(1), 10))
			if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, b, 0o600)); err != nil {
				o.t.Fatal(err)
			}
			o.with(func(l *ledger) {
				l.copies = append(l.copies, published{path: to, began: began, ended: ended, served: true})
			})
		}
	}
	o.putSeen = put
}

// export takes a checkpoint of the audit log out of the house.
func (o *office) export(r run) result {
	o.t.Helper()
	out := filepath.Join(o.root, "audit", strconv.FormatInt(o.outs.Add(1), 10))
	r.args = []string{"audit", "export", "--json", "--out", out}
	got := o.run(r)
	o.look(r, got)
	if got.code == 0 && !got.killed {
		o.with(func(l *ledger) { l.exports = append(l.exports, out) })
	}
	return got
}

// some picks a credential that may be changed.
func (o *office) some(rnd *rand.Rand) string {
	o.Lock()
	defer o.Unlock()
	if len(o.ids) == 0 {
		return ""
	}
	return o.ids[rnd.IntN(len(o.ids))]
}

// check runs the checker over everything so far. Nothing may be running.
func (o *office) check(settled, finished bool) int {
	o.t.Helper()
	found, err := check(o.t.Context(), scene{store: o.store, ledger: o.copy(), settled: settled, finished: finished})
	if err != nil {
		o.t.Fatal(err)
	}
	if len(found) > 0 {
		o.t.Errorf("%d violations:%s", len(found), texts(found))
	}
	return len(found)
}
