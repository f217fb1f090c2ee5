//go:build unix

package issuance_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/store"
)

// childEnv makes the test binary play the issuer that is killed.
const childEnv = "SANAD_ISSUANCE_CHILD"

// A job is what a child does.
type job struct {
	Do     string // "batch", "share" or "issue"
	Store  string
	Folder string
	Batch  string // of "share": the batch to take part in
	N      int    // records
	From   int    // of "issue": the first record
	// Point is where the child kills itself, the Nth time that it comes there;
	// empty for never.
	Point issuance.Point
	Nth   int
}

func TestMain(m *testing.M) {
	text := os.Getenv(childEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		err = j.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// crash kills the process at the job's point, as kill -9 does.
func (j job) crash() func(issuance.Point) {
	var mu sync.Mutex
	seen := 0
	return func(p issuance.Point) {
		if p != j.Point {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == j.Nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

func openStore(ctx context.Context, path string) (*store.DB, error) {
	o := store.Options{Instance: "xa-office"}
	db, err := store.Open(ctx, path, o)
	if errors.Is(err, store.ErrMissing) {
		return store.Create(ctx, path, o)
	}
	return db, err
}

// office opens the service of a job. Its clock begins anew with each process,
// a little behind what the last one said.
func (j job) office(ctx context.Context, db issuance.Store) (*issuance.Service, *ring, error) {
	began := time.Now()
	r := newRing()
	if _, err := keys.Bootstrap(ctx, r, keys.Spec{Purpose: keys.Credential, Created: start}); err != nil {
		return nil, nil, err
	}
	s, err := issuance.New(issuance.Config{
		Issuer: "xa-office", StatusBase: "https://example.org/status/", Store: db, Keys: r, Secret: secret, ListSize: 4096,
		Now: func() time.Time { return start.Add(time.Since(began)) }, Crash: j.crash(), Queue: db.(issuance.Queue),
	})
	if err != nil {
		return nil, nil, err
	}
	_, err = s.AddProgramme(ctx, []byte(card), "tester")
	return s, r, err
}

func (j job) run(ctx context.Context) error {
	db, err := openStore(ctx, j.Store)
	if err != nil {
		return err
	}
	defer db.Close()
	s, _, err := j.office(ctx, db)
	if err != nil {
		return err
	}
	if j.Do == "share" {
		_, err := s.RunBatch(ctx, j.share())
		return err
	}
	if j.Do == "batch" { // which sweeps up after itself
		_, err := s.RunBatch(ctx, j.request())
		return err
	}
	if _, err := s.Sweep(ctx); err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for n := j.From; n < j.From+j.N; n++ {
		i, err := s.Issue(ctx, issuance.Request{Programme: "farmer-card", Record: person(n), Actor: "tester"})
		if errors.Is(err, issuance.ErrActiveExists) {
			continue
		}
		if err != nil {
			return err
		}
		for _, f := range i.Forms {
			fmt.Fprintf(out, "%s %s\n", i.Credential.ID, hex.EncodeToString(f.Token))
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (j job) request() issuance.BatchRequest {
	r := request(people{n: j.N}, j.Folder)
	r.Chunk = 10
	return r
}

// start runs a job in a child. The child is killed by itself, or by the test
// after a time, and what it wrote to standard output is returned.
func (j job) start(t testing.TB, after time.Duration) (ledger string, killed bool) {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err = cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	if err != nil && !killed {
		t.Fatalf("the child failed: %v\n%s", err, talk.String())
	}
	return out.String(), killed
}

// checkReceived looks at what is outside after a kill: every code in the folder
// must be of a credential that the store knows as active, with its hash and slot.
func (b *bed) checkReceived(folder string) {
	b.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		b.Fatal(err)
	}
	listed := map[string]bool{}
	if text, err := os.ReadFile(filepath.Join(folder, "manifest.csv")); err == nil {
		// The last row may be half there.
		whole := text[:bytes.LastIndexByte(text, '\n')+1]
		rows, err := csv.NewReader(bytes.NewReader(whole)).ReadAll()
		if err != nil {
			b.Errorf("P01: the manifest after a kill: %v", err)
		}
		for _, r := range rows {
			listed[r[4]] = true
		}
	}
	for _, e := range entries {
		id, isCode := strings.CutSuffix(e.Name(), ".txt")
		if !isCode {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := qr.Decode(string(text)); err != nil && !listed[e.Name()] {
			continue // it was being written
		}
		id, strip := strings.CutSuffix(id, "-strip")
		c, err := b.store.Credential(b.Context(), id)
		if err != nil || c.State != issuance.Active {
			b.Errorf("P01: %s was released; the store says %s, %v", e.Name(), c.State, err)
			continue
		}
		form := c.Forms[0]
		if strip {
			form = c.Forms[1]
		}
		b.checkForm(c, form, string(text))
	}
}

// bench opens the store of a job in this process, for a look or to finish.
func (j job) bench(t testing.TB) (*bed, *store.DB) {
	t.Helper()
	db, err := openStore(t.Context(), j.Store)
	if err != nil {
		t.Fatal(err)
	}
	j.Point = ""
	s, r, err := j.office(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return &bed{TB: t, ring: r, store: db, service: s}, db
}

// TestBatchIsKilled kills a batch at every named point and at random moments,
// again and again, and resumes it. Once it comes to its end every record was
// issued for once, no slot was used twice, and manifest and store agree.
func TestBatchIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("for the race detector the same happens without kills in other tests")
	}
	rounds, random := count(2, 1, 20), count(10, 2, 400)
	rnd := rand.New(rand.NewPCG(1, 9))
	dir := t.TempDir()
	type kill struct {
		point issuance.Point
		nth   int
		after time.Duration
	}
	var kills []kill
	for range rounds {
		for _, p := range issuance.Points() {
			switch p {
			case issuance.PointPublished, issuance.PointFinishing:
				continue // not in a batch; at its end
			case issuance.PointSynced, issuance.PointSwept:
				kills = append(kills, kill{point: p, nth: 1})
			default:
				kills = append(kills, kill{point: p, nth: 1 + rnd.IntN(4)})
			}
		}
	}
	for range random {
		kills = append(kills, kill{after: time.Duration(rnd.IntN(250)) * time.Millisecond})
	}
	rnd.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	kills = kills[:count(len(kills), 4, len(kills))]
	j := job{Do: "batch", Store: filepath.Join(dir, "store.db"), Folder: filepath.Join(dir, "out"), N: 60 * len(kills)}
	hits := map[issuance.Point]int{}
	finished := false
	for i, k := range kills {
		j.Point, j.Nth = k.point, k.nth
		_, killed := j.start(t, k.after)
		if killed {
			hits[k.point]++
		} else if finished = true; k.point == "" {
			break
		}
		if i%4 == 0 {
			b, db := j.bench(t)
			if _, err := os.Stat(j.Folder); err == nil {
				b.checkReceived(j.Folder)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if t.Failed() {
			t.Fatalf("after kill %d at %q", i, k.point)
		}
	}
	if !finished {
		j.Point, j.Nth = issuance.PointFinishing, 1
		if _, killed := j.start(t, 0); killed {
			hits[j.Point]++
		}
	}
	b, db := j.bench(t)
	defer db.Close()
	result, err := b.service.RunBatch(t.Context(), j.request())
	if err != nil || result.Outcome != issuance.Complete || result.Batch.Issued != int64(j.N) {
		t.Fatalf("in the end: %+v, %v", result, err)
	}
	b.checkBatch(j.Folder, j.N, nil)
	leftovers := len(b.all(issuance.Query{State: issuance.Revoked}))
	t.Logf("%d records, %d leftovers revoked, kills by point: %v", j.N, leftovers, hits)
	if leftovers == 0 && !testing.Short() {
		t.Error("no kill left anything behind; the test tests little")
	}
}

// TestIssuerIsKilled kills an issuer that serves one request after the other.
// The test is the client: what it received must be on record.
func TestIssuerIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("for the race detector the same happens without kills in other tests")
	}
	rounds := count(2, 1, 250)
	rnd := rand.New(rand.NewPCG(2, 9))
	dir := t.TempDir()
	j := job{Do: "issue", Store: filepath.Join(dir, "store.db"), N: 40, From: 1}
	var ledger strings.Builder
	for range rounds {
		for _, p := range []issuance.Point{
			issuance.PointAuthorised, issuance.PointIntended, issuance.PointSigned, issuance.PointMarked, issuance.PointSwept, "",
		} {
			j.Point, j.Nth = p, 1+rnd.IntN(20)
			after := time.Duration(0)
			switch p {
			case issuance.PointSwept:
				j.Nth = 1
			case "":
				after = time.Duration(20+rnd.IntN(150)) * time.Millisecond
			}
			received, _ := j.start(t, after)
			ledger.WriteString(received)
			if i := strings.LastIndexByte(received, '\n'); i < len(received)-1 {
				ledger.WriteByte('\n')
			}
			j.From += 20
		}
	}
	b, db := j.bench(t)
	defer db.Close()
	if _, err := b.service.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	received := 0
	used := map[issuance.Slot]bool{}
	for line := range strings.Lines(ledger.String()) {
		id, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		token, err := hex.DecodeString(text)
		if err != nil || len(token) == 0 {
			continue // cut off by the kill
		}
		parsed, err := cwt.Parse(token)
		if err != nil {
			continue // cut off at an even digit
		}
		received++
		c, err := b.store.Credential(t.Context(), id)
		if err != nil || c.State != issuance.Active {
			t.Errorf("P01: received %s; the store says %s, %v", id, c.State, err)
			continue
		}
		slot := issuance.Slot{List: parsed.Status.URI, Index: parsed.Status.Index}
		on := false
		for _, f := range c.Forms {
			on = on || f.Slot == slot && f.Signed == sha256.Sum256(token)
		}
		if !on || used[slot] {
			t.Errorf("P01: what was received of %s is not what is recorded", id)
		}
		used[slot] = true
	}
	left := b.all(issuance.Query{State: issuance.Revoked})
	for _, c := range left {
		if c.Reason != issuance.Leftover {
			t.Errorf("%s is revoked as %s", c.ID, c.Reason)
		}
	}
	t.Logf("received %d codes, %d leftovers", received, len(left))
	if (received == 0 || len(left) == 0) && !testing.Short() {
		t.Errorf("received %d codes and left %d behind; the test tests little", received, len(left))
	}
}
