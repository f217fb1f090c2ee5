package proof

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// A part is a machine's part in a batch that several share: a directory of the issuer and a
// folder of its own.
type part struct {
	*office
	dir, folder string
	args        []string
	kills       map[issuance.Point]int
}

// join is the command of a part; batch is empty for who begins it.
func (o *office) join(dir, folder, source, batch string) *part {
	p := &part{office: o, dir: dir, folder: filepath.Join(o.root, folder), kills: map[issuance.Point]int{}}
	p.args = []string{"batch", "--programme", "farmer-card", "--source", source, "--out", p.folder, "--form", "csv", "--json"}
	if batch == "" {
		p.args = append(p.args, "--shared")
	} else {
		p.args = append(p.args, "--join", batch)
	}
	o.with(func(l *ledger) { l.folders = append(l.folders, p.folder) })
	return p
}

// deaths are where a process dies, one after the other.
func deaths(rnd *rand.Rand, n int) []run {
	points := []issuance.Point{
		issuance.PointIntended, "", issuance.PointSpooled, issuance.PointMarked, issuance.PointReleasing, issuance.PointAuthorised, issuance.PointSigned,
		issuance.PointReleased, "", issuance.PointFinishing,
	}
	first, all := rnd.IntN(len(points)), make([]run, n)
	for i := range all {
		if p := points[(first+i)%len(points)]; p != "" {
			all[i].point, all[i].nth = string(p), 1+rnd.IntN(3)
		} else {
			all[i].after = time.Duration(50+rnd.IntN(600)) * time.Millisecond
		}
	}
	return all
}

// begin begins the batch and dies once others know it. It returns its id. Who dies by the
// clock lives a little longer each time, since a machine with much to do takes a second to
// begin.
func (p *part) begin(r run) string {
	p.t.Helper()
	for range 20 {
		r.args, r.dir = p.args, p.dir
		got := p.run(r)
		p.look(r, got)
		r.after *= 2
		if id := begunBatch.FindStringSubmatch(got.stderr); id != nil {
			if got.killed {
				p.kills[issuance.Point(r.point)]++
			}
			return id[1]
		}
	}
	p.t.Fatal("the batch does not begin")
	return ""
}

var begunBatch = regexp.MustCompile(`this is batch ([0-9A-Z]{26})`)

// work takes part, dies, and takes part again, until the batch has come to its end.
func (p *part) work(deaths []run) {
	for _, r := range deaths {
		r.args, r.dir = p.args, p.dir
		got := p.run(r)
		p.look(r, got)
		if got.killed {
			p.kills[issuance.Point(r.point)]++
		}
	}
	r := run{args: p.args, dir: p.dir}
	got := p.run(r)
	var answer struct {
		Outcome string
		Issued  int
	}
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || answer.Outcome != "complete" {
		p.t.Errorf("in the end: %s", got)
	}
}

// TestJoinedTakesOver is P01 for a machine that shares a batch with one that dies and stays
// away: in the same run it clears away what that had begun, and issues for those records.
func TestJoinedTakesOver(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "postgres")
	const n = 200
	source := o.people("people.csv", 1, n)
	second := filepath.Join(o.root, "second machine")
	if out, err := exec.Command("cp", "-a", o.dir, second).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stays := o.join(o.dir, "part-1", source, "")
	id := stays.begin(run{point: string(issuance.PointIntended), nth: 1})
	dies := o.join(second, "part-2", source, id)
	waits := filepath.Join(o.root, "waits")
	ended := make(chan result, 1)
	go func() {
		ended <- o.run(run{args: stays.args, env: []string{"SANAD_PROOF_WAIT=" + string(issuance.PointMarked) + ":" + waits}})
	}()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(waits); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the first machine marks nothing")
		}
	}
	if got := o.run(run{args: dies.args, dir: second, point: string(issuance.PointIntended), nth: 1}); !got.killed {
		t.Errorf("the second machine did not die: %s", got)
	}
	if err := os.Remove(waits); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got.code != 0 || !strings.Contains(got.stdout, `"outcome": "complete"`) {
		t.Errorf("the first machine, which was not started again: %s", got)
	}
	if got := len(issuedIn(t, stays.folder)); got != n {
		t.Errorf("%d records are in the manifest of who stayed, want %d", got, n)
	}
	o.must(run{args: []string{"fsck"}})
	o.export(run{})
	proved(t, "P01-shared", "postgres", fmt.Sprintf("records=%d taken over=1", n), o.check(true, true))
}

// issuedIn are the records of a manifest that were issued for, with their credentials.
func issuedIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // only read
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	issued := map[string]string{}
	for _, row := range rows[1:] {
		if row[5] != "" {
			t.Errorf("%s: %q", folder, row)
		}
		issued[row[0]] = row[1]
	}
	return issued
}

// TestJoined is P01 for machines that share a batch: each is killed again and again, at
// named points and at random, and another goes on with what it had begun. In the end every
// record was issued for once and stands in the manifest of one machine.
func TestJoined(t *testing.T) {
	t.Parallel()
	seed := uint64(1)
	if os.Getenv("SANAD_SOAK") == "1" {
		seed = uint64(time.Now().UnixNano())
	}
	rnd := rand.New(rand.NewPCG(seed, 11))
	violations, kills, records := 0, 0, 0
	hits := map[issuance.Point]int{}
	const each = 2 // deaths of a machine in one batch, and one more of the first
	batches := count(1, 40)
	for range batches {
		o := newOffice(t, "postgres")
		n := 120 + 10*rnd.IntN(20)
		source := o.people("people.csv", 1, n)
		second := filepath.Join(o.root, "second machine")
		if out, err := exec.Command("cp", "-a", o.dir, second).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		parts := []*part{o.join(o.dir, "part-1", source, "")}
		id := parts[0].begin(deaths(rnd, 1)[0])
		parts = append(parts, o.join(second, "part-2", source, id))
		var wg sync.WaitGroup
		for _, p := range parts {
			d := deaths(rnd, each)
			wg.Go(func() { p.work(d) })
		}
		wg.Wait()
		records += n
		where := map[string]string{}
		for _, p := range parts {
			for record, id := range issuedIn(t, p.folder) {
				if other, twice := where[record]; twice {
					t.Errorf("record %s has %s in %s and %s elsewhere", record, id, p.folder, other)
				}
				where[record] = id
			}
			for point, n := range p.kills {
				kills += n
				hits[point] += n
			}
			if got := o.must(run{args: p.args, dir: p.dir}); !strings.Contains(got.stdout, `"already_finished": true`) {
				t.Errorf("once more in %s: %s", p.folder, got)
			}
		}
		if len(where) != n {
			t.Errorf("%d records are in the manifests, want %d", len(where), n)
		}
		// One that joined late may have issued nothing.
		ids := slices.Concat(manifestIDs(parts[0].folder), manifestIDs(parts[1].folder))
		for i, p := range parts { // each machine's journal follows with what it changes
			o.change(run{dir: p.dir}, "revoke", ids[i])
			o.publish(run{dir: p.dir}, "status", false)
			o.export(run{dir: p.dir})
			o.must(run{args: []string{"fsck"}, dir: p.dir})
		}
		o.must(run{args: []string{"audit", "verify", o.exports[1], "--older", filepath.Join(o.exports[0], "checkpoint.txt")}, bare: true})
		violations += o.check(true, true)
		if t.Failed() {
			break
		}
	}
	if kills < batches {
		t.Errorf("%d kills in %d batches; the test tests little", kills, batches)
	}
	t.Logf("kills by point: %v (seed %d)", hits, seed)
	proved(t, "P01-shared", "postgres", fmt.Sprintf("records=%d batches=%d machines=2 kills=%d", records, batches, kills), violations)
}
