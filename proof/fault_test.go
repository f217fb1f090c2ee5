package proof

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fileCalls are the system calls that concern files.
const fileCalls = "openat,read,pread64,write,pwrite64,fsync,fdatasync,sync_file_range,syncfs,ftruncate,fallocate,rename,renameat,renameat2,link,linkat," +
	"unlink,unlinkat,mkdir,mkdirat,rmdir,flock,fcntl,lseek,stat,lstat,fstat,newfstatat,statx,getdents64,close,chmod,fchmod,fchmodat,fchown,fchownat," +
	"readlink,readlinkat,access,faccessat,faccessat2,copy_file_range"

// strace skips a test where it cannot trace.
func strace(t *testing.T) {
	t.Helper()
	out, err := exec.Command("strace", "-f", "--seccomp-bpf", "-e", "trace=openat", "true").CombinedOutput()
	switch {
	case err == nil && strings.Contains(string(out), "openat"):
	case os.Getenv("SANAD_REQUIRE_STRACE") == "1":
		t.Fatalf("strace does not work here: %v\n%s", err, out)
	default:
		t.Skip("strace does not work here; P02 is not proved")
	}
}

// A fileCall is one call of a traced run.
type fileCall struct {
	thread   string
	name     string
	path     string // below the root, ids left out; empty if elsewhere
	nth      int    // of this name on this thread, from 1: what strace counts
	seq      int    // of this name and path in the run, from 1
	injected bool
}

func (c fileCall) String() string { return fmt.Sprintf("%s(%s) number %d", c.name, c.path, c.seq) }

// key names the call in another run.
func (c fileCall) key() string { return fmt.Sprintf("%s %s %d", c.name, c.path, c.seq) }

var (
	callLine = regexp.MustCompile(`^(\d+) +([a-z_0-9]+)\(`)
	anyID    = regexp.MustCompile(`[0-7][0-9A-HJKMNP-TV-Z]{25}`)
	random   = regexp.MustCompile(`\.(new|tmp)[-0-9a-zA-Z]*`)
)

// readTrace reads what strace wrote, in the order in which the calls began.
func readTrace(t *testing.T, path, root string) []fileCall {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var calls []fileCall
	threads, seqs := map[string]int{}, map[string]int{}
	latest := map[string]int{} // by thread
	where := regexp.MustCompile(regexp.QuoteMeta(root) + `[^>",]*`)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		thread, _, _ := strings.Cut(line, " ")
		if m := callLine.FindStringSubmatch(line); m != nil {
			c := fileCall{thread: thread, name: m[2]}
			threads[thread+" "+c.name]++
			c.nth = threads[thread+" "+c.name]
			if p := where.FindString(line); p != "" {
				c.path = random.ReplaceAllString(anyID.ReplaceAllString(strings.TrimPrefix(p, root), "ID"), ".$1")
				seqs[c.name+c.path]++
				c.seq = seqs[c.name+c.path]
			}
			latest[thread] = len(calls)
			calls = append(calls, c)
		}
		if at, ok := latest[thread]; ok && strings.Contains(line, "(INJECTED)") {
			calls[at].injected = true
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return calls
}

// A deed is something that the program does while its files fail.
type deed struct {
	name string
	// do does it with r; it returns what came of it.
	do func(o *office, r run) result
	// again does what a person does after a failure. It must work.
	again func(o *office)
}

var deeds = []deed{
	{"issue", func(o *office, r run) result {
		_, got := o.issue(r, o.root+"/people.csv", record(1), "--supersede")
		return got
	}, func(o *office) {
		if _, got := o.issue(run{}, o.root+"/people.csv", record(1), "--supersede"); got.code != 0 {
			o.t.Errorf("issue again: %s", got)
		}
	}},
	{"batch", func(o *office, r run) result { return o.batch(r, o.batches[0]) }, func(o *office) {
		if got := o.batch(run{}, o.batches[0]); got.code != 0 || !o.batches[0].done.Load() {
			o.t.Errorf("batch again: %s", got)
		}
	}},
	{"revoke", func(o *office, r run) result { return o.change(r, "revoke", o.ids[0]) }, func(o *office) {
		if len(o.ids) > 0 {
			if got := o.change(run{}, "revoke", o.ids[0]); got.code != 0 && !strings.Contains(got.stderr, "is final") {
				o.t.Errorf("revoke again: %s", got)
			}
		}
	}},
	{"status publish", func(o *office, r run) result { return o.publish(r, "status", true) }, func(o *office) {
		if got := o.publish(run{}, "status", true); got.code != 0 {
			o.t.Errorf("publish again: %s", got)
		}
	}},
	{"trust export", func(o *office, r run) result { return o.publish(r, "trust", true) }, func(o *office) {
		if got := o.publish(run{}, "trust", true); got.code != 0 {
			o.t.Errorf("export again: %s", got)
		}
	}},
}

// clone copies an office with all that its client keeps.
func (o *office) clone(t *testing.T) *office {
	t.Helper()
	return o.cloneTo(t, t.TempDir())
}

// cloneTo is clone into a folder.
func (o *office) cloneTo(t *testing.T, root string) *office {
	t.Helper()
	if err := os.CopyFS(root, os.DirFS(o.root)); err != nil {
		t.Fatal(err)
	}
	c := &office{t: t, engine: o.engine, root: root, fetched: map[string]digest{}}
	moved := func(path string) string { return root + strings.TrimPrefix(path, o.root) }
	c.dir, c.store, c.public = moved(o.dir), moved(o.store), moved(o.public)
	c.ledger = o.copy()
	c.ids = slices.Clone(o.ids)
	c.outs.Store(o.outs.Load())
	for i := range c.codes {
		c.codes[i].path = moved(c.codes[i].path)
	}
	for i := range c.copies {
		c.copies[i].path = moved(c.copies[i].path)
	}
	for i := range c.folders {
		c.folders[i] = moved(c.folders[i])
	}
	for i := range c.exports {
		c.exports[i] = moved(c.exports[i])
	}
	for _, j := range o.batches {
		c.batches = append(c.batches, &job{source: moved(j.source), folder: moved(j.folder), form: j.form})
	}
	// The files of the office are private, and the copies must be.
	for _, name := range []string{c.dir + "/secrets/passphrase", c.dir + "/keystore.sanad"} {
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// A fault is what happens to a call.
type fault struct{ name, inject string }

var faults = []fault{{"EIO", "error=EIO"}, {"ENOSPC", "error=ENOSPC"}, {"SIGKILL", "signal=KILL"}}

// trace does a deed under strace, with a fault in it or none, and returns the
// calls that there were.
func (d deed) trace(o *office, name, inject string) ([]fileCall, result) {
	o.t.Helper()
	log := filepath.Join(filepath.Dir(o.root), filepath.Base(o.root)+".trace")
	r := run{env: []string{"SANAD_PROOF_THREAD=1"}, mayFail: true}
	r.before = []string{"strace", "-f", "-y", "-s", "0", "-o", log, "-e", "signal=none", "-e", "trace=" + name}
	if inject != "" {
		r.before = append(r.before, "-e", inject)
	}
	if !strings.Contains(inject, "signal=") { // which strace would not send then
		r.before = slices.Insert(r.before, 1, "--seccomp-bpf")
	}
	got := d.do(o, r)
	calls := readTrace(o.t, log, o.root)
	if err := os.Remove(log); err != nil {
		o.t.Error(err)
	}
	return calls, got
}

// TestFileFaults is P02 by the method of Tessera: each file system call of a run
// of the program fails, or is where the program is killed, once. Nothing may be
// lost, and what is done again without a fault works.
func TestFileFaults(t *testing.T) {
	strace(t)
	base := newOffice(t, "sqlite")
	base.people("people.csv", 1, 3)
	base.issue(run{}, base.root+"/people.csv", record(1))
	base.publish(run{}, "status", true)
	base.publish(run{}, "trust", true)
	base.newJob(100, 6) // each record has two files, each of which is opened, written, synced and renamed alike
	if t.Failed() {
		t.FailNow()
	}
	var mu sync.Mutex
	injected, violations := 0, 0
	tried, hits := map[string]int{}, map[string]int{} // by deed
	t.Run("deeds", func(t *testing.T) {
		for _, d := range deeds {
			t.Run(d.name, func(t *testing.T) {
				o := base.clone(t)
				calls, got := d.trace(o, fileCalls, "")
				if got.code != 0 {
					t.Fatal(got)
				}
				todo := plan(calls)
				t.Logf("%d file calls, %d tried", len(calls), len(todo))
				for _, p := range todo {
					t.Run(p.fault.name+" at "+p.call.String(), func(t *testing.T) {
						t.Parallel()
						hit, bad := p.try(t, d, base)
						mu.Lock()
						defer mu.Unlock()
						violations += bad
						tried[d.name]++
						if hit {
							injected++
							hits[d.name]++
						}
					})
				}
			})
		}
	})
	for name, n := range tried {
		if hits[name] == 0 {
			t.Errorf("P02 %s: none of %d faults was met; nothing is proved", name, n)
		}
	}
	proved(t, "P02", "sqlite", fmt.Sprintf("faults=%d", injected), violations)
}

// A trial is one fault at one call.
type trial struct {
	call  fileCall
	fault fault
}

// plan is what to try: at night everything, otherwise a sample in which each kind
// of call on each file stands.
func plan(calls []fileCall) []trial {
	calls = slices.DeleteFunc(slices.Clone(calls), func(c fileCall) bool { return c.path == "" })
	var all []trial
	for _, c := range calls {
		for _, f := range faults {
			all = append(all, trial{c, f})
		}
	}
	most := count(10, len(all))
	if os.Getenv("SANAD_SOAK") == "1" || len(all) <= most {
		return all
	}
	rnd := rand.New(rand.NewPCG(4, 4))
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	// What changes files comes first.
	changes := []string{"write", "pwrite64", "fsync", "fdatasync", "ftruncate", "renameat", "unlinkat", "mkdirat", "openat"}
	slices.SortStableFunc(all, func(a, b trial) int {
		return cmp.Compare(slices.Index(changes, b.call.name), slices.Index(changes, a.call.name))
	})
	kinds := map[string][]trial{}
	for _, p := range all {
		key := p.call.name + p.call.path
		kinds[key] = append(kinds[key], p)
	}
	var sample []trial
	for round := 0; len(sample) < most; round++ {
		for _, key := range slices.Sorted(maps.Keys(kinds)) {
			if list := kinds[key]; round < len(list) && len(sample) < most && (round > 0 || slices.Contains(changes, list[0].call.name)) {
				sample = append(sample, list[round])
			}
		}
	}
	return sample
}

// try does the deed with the fault. Calls wander between threads and strace
// counts by thread, so that it may take several runs until the right one is hit.
func (p trial) try(t *testing.T, d deed, base *office) (hit bool, violations int) {
	for tries := range 12 {
		o := base.clone(t)
		nth := max(1, p.call.nth-[]int{0, 0, 0, 1, -1, 2, -2, 3, -3, 4, -4, 5}[tries])
		calls, got := d.trace(o, p.call.name, fmt.Sprintf("inject=%s:%s:when=%d", p.call.name, p.fault.inject, nth))
		at := slices.IndexFunc(calls, func(c fileCall) bool { return c.injected })
		if p.fault.name == "SIGKILL" { // which strace does not mark
			at = -1
			if got.killed {
				at = slices.IndexFunc(calls, func(c fileCall) bool { return c.nth == nth })
			}
		}
		hit = at >= 0 && calls[at].key() == p.call.key()
		if !hit && tries < 11 && !(at >= 0 && calls[at].path != "" && tries > 5) {
			continue
		}
		if at < 0 {
			t.Logf("not hit in %d runs", tries+1)
			return false, 0
		}
		violations = o.check(false, false)
		p.durable(t, calls[at], got, calls[at+1:])
		o.fetch()
		d.again(o)
		violations += o.check(true, false)
		t.Logf("hit %s in %d runs", calls[at], tries+1)
		return true, violations
	}
	return false, 0
}

// durable holds the program to DB-03: after a failed sync it ends, and does not
// take what it wrote for durable.
func (p trial) durable(t *testing.T, c fileCall, got result, after []fileCall) {
	t.Helper()
	if p.fault.name == "SIGKILL" || !strings.Contains(c.name, "sync") || got.code != 0 {
		return
	}
	for _, later := range after {
		if later.path == c.path && strings.Contains(later.name, "sync") {
			t.Errorf("DB-03: after a failed %s it went on and synced again", c)
			return
		}
	}
}
