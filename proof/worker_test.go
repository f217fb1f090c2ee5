package proof

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/store"
)

// workerEnv makes the test binary play an issuer that serves many requests, which
// are a [task] on its standard input: too much for an argument at night. The program
// serves one a run, which is too slow to count to a hundred thousand.
const workerEnv = "SANAD_PROOF_WORKER"

// A task is what a worker does, all at once, until it is done or killed.
type task struct {
	Store, Keys string
	// Issue for these many persons from number First on, each by a client of its
	// own of so many.
	First, Issue, Clients int
	// Copies are delivered to a wallet of each of them, too.
	Copies int
	// Revoke are credentials to revoke.
	Revoke []string
	// Publishers publish lists into Out, Rounds times or, if 0, until everything
	// else is done. Their clocks go wrong if Wrong is set.
	Publishers, Rounds int
	Out                string
	Wrong              bool
}

const workerInstance = "xa-proof"

func newRecord(n int) registry.Record {
	columns, err := registry.NewColumns([]string{"id", "name", "born", "village", "plot"})
	if err != nil {
		panic(err)
	}
	return registry.NewRecord(record(n), n+1, columns,
		[]string{record(n), "Nurjahan Canary " + strconv.Itoa(n), "1984-04-18", "Jessore Sadar", "1.5"})
}

// openWorker opens the issuer of a task.
func (k *task) open(ctx context.Context, now func() time.Time) (*issuance.Service, *store.DB, error) {
	ks, err := keys.OpenFile(k.Keys, []byte(keystest.Passphrase))
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, k.Store, store.Options{Instance: workerInstance})
	if err != nil {
		return nil, nil, err
	}
	s, err := newService(db, ks, now)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return s, db, nil
}

func newService(db issuance.Store, ks *keys.File, now func() time.Time) (*issuance.Service, error) {
	return issuance.New(issuance.Config{
		Issuer: workerInstance, URL: "https://example.org", StatusBase: "https://example.org/status/", Store: db, Keys: ks, Secret: ks.Secret, Now: now,
		ListSize: 1 << 17,
	})
}

// work is the worker's main.
func work() int {
	var k task
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err == nil {
		err = k.work(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (k *task) work(ctx context.Context) error {
	var shift atomic.Int64
	s, db, err := k.open(ctx, func() time.Time { return time.Now().Add(time.Duration(shift.Load())) })
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := s.Sweep(ctx); err != nil {
		return err
	}
	w := &worker{task: k, s: s}
	var wg, publishers sync.WaitGroup
	next := make(chan int)
	for range k.Clients {
		wg.Go(func() {
			for n := range next {
				w.issue(ctx, n)
				if k.Copies > 0 {
					w.deliver(ctx, n)
				}
			}
		})
	}
	wg.Go(func() {
		for _, id := range k.Revoke {
			w.revoke(ctx, id)
		}
	})
	over := make(chan struct{})
	for i := range k.Publishers {
		publishers.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(i)))
			for n := 0; k.Rounds == 0 || n < k.Rounds; n++ {
				select {
				case <-over:
					if k.Rounds == 0 {
						return
					}
				default:
				}
				if k.Wrong {
					shift.Store(int64(time.Duration(rnd.IntN(180)-120) * time.Second))
				}
				w.publish(ctx, rnd)
			}
		})
	}
	for n := range k.Issue {
		next <- k.First + n
	}
	close(next)
	wg.Wait()
	close(over)
	publishers.Wait()
	if n := w.failed.Load(); n > 0 {
		return fmt.Errorf("%d calls failed", n)
	}
	return nil
}

// A worker does a task and tells its client what came of it, a line each.
type worker struct {
	*task
	s      *issuance.Service
	mu     sync.Mutex
	files  atomic.Int64
	failed atomic.Int64
}

func (w *worker) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

func (w *worker) fail(err error) {
	w.failed.Add(1)
	fmt.Fprintln(os.Stderr, err)
}

func (w *worker) issue(ctx context.Context, n int) {
	i, err := w.s.Issue(ctx, issuance.Request{Programme: "farmer-card", Record: newRecord(n), Actor: "worker"})
	switch {
	case errors.Is(err, issuance.ErrActiveExists):
		return
	case err != nil:
		w.fail(err)
		return
	}
	for _, f := range i.Forms {
		w.say("tok %s %s", i.Credential.ID, hex.EncodeToString(f.Token))
	}
}

// deliver makes copies for a wallet of person n, once in the life of the issuer.
func (w *worker) deliver(ctx context.Context, n int) {
	holders := make([]keys.PublicKey, w.Copies)
	for i := range holders {
		secret, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
		if err == nil {
			holders[i], err = keys.PublicKeyOf(&secret.PublicKey)
		}
		if err != nil {
			w.fail(err)
			return
		}
	}
	i, err := w.s.Deliver(ctx, issuance.Delivery{
		Programme: "farmer-card", Record: newRecord(n), Holders: holders, Idempotency: fmt.Sprint("wallet ", n), Actor: "worker",
	})
	refused, ok := errors.AsType[*issuance.RecordError](err)
	switch {
	case ok && (refused.Code() == issuance.CodeRepeated || refused.Code() == issuance.CodeInProgress):
		return
	case err != nil:
		w.fail(err)
		return
	}
	for _, f := range i.Forms {
		w.say("tok %s %s", cmp.Or(i.Part, i.Credential.ID), hex.EncodeToString(f.Token))
	}
}

func (w *worker) revoke(ctx context.Context, id string) {
	_, err := w.s.Revoke(ctx, id, issuance.Requested, "worker")
	if err != nil && !errors.Is(err, issuance.ErrFinal) {
		w.fail(err)
		return
	}
	w.say("ack %s %d", id, tick())
}

func (w *worker) publish(ctx context.Context, rnd *rand.Rand) {
	began := tick()
	lists, err := w.s.PublishStatus(ctx, issuance.StatusRequest{Lifetime: 7 * 24 * time.Hour, TTL: 24 * time.Hour, Actor: "worker"})
	if err != nil && !(w.Wrong && errors.Is(err, issuance.ErrClock)) {
		w.fail(err)
	}
	ended := tick()
	for _, l := range lists {
		name := filepath.Join(w.Out, fmt.Sprintf("%d-%d", os.Getpid(), w.files.Add(1)))
		if err := os.WriteFile(name, l.Content, 0o600); err != nil {
			w.fail(err)
			return
		}
		w.say("pub %s %d %d", name, began, ended)
	}
	if w.Rounds == 0 { // leave the others some time
		time.Sleep(time.Duration(ended-began) * time.Duration(2+rnd.IntN(8)))
	}
}

// A desk is an issuer of workers, and its clients.
type desk struct {
	tally
	t      *testing.T
	engine string
	dir    string
	store  string // what workers and checker open
	keys   string
	acked  map[string]bool
	kills  int
}

// newDesk makes an issuer that workers can open.
func newDesk(t *testing.T, engine string) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{t: t, engine: engine, dir: dir, store: filepath.Join(dir, "store.db"), keys: filepath.Join(dir, "keys.sanad"), acked: map[string]bool{}}
	_, err := keystest.CheapCost().CreateFile(d.keys, []byte(keystest.Passphrase), nil)
	if err != nil {
		t.Fatal(err)
	}
	if engine == "postgres" {
		d.postgres()
	} else {
		db, err := store.Create(t.Context(), d.store, store.Options{Instance: workerInstance})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, db := d.open(nil)
	defer db.Close()
	for _, p := range []keys.Purpose{keys.Audit, keys.TrustBundle, keys.StatusList, keys.Credential} {
		if _, err := s.FirstKey(t.Context(), keys.Spec{Purpose: p, Created: time.Now()}, "tester"); err != nil {
			t.Fatal(err)
		}
	}
	card, err := os.ReadFile("testdata/card.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddProgramme(t.Context(), card, "tester"); err != nil {
		t.Fatal(err)
	}
	return d
}

// open opens the issuer in this process.
func (d *desk) open(now func() time.Time) (*issuance.Service, *store.DB) {
	d.t.Helper()
	k := task{Store: d.store, Keys: d.keys}
	s, db, err := k.open(d.t.Context(), now)
	if err != nil {
		d.t.Fatal(err)
	}
	return s, db
}

// never is for workers that are not killed.
func never(*ledger) bool { return false }

// run lets workers do tasks until they are done, or all are killed a moment after
// enough has come, and keeps what they say. It reports whether they came to an end.
func (d *desk) run(enough func(l *ledger) bool, tasks ...task) bool {
	d.t.Helper()
	var wg sync.WaitGroup
	var ended atomic.Int64
	var processes []*os.Process
	var killing sync.Once
	var killed atomic.Bool
	ready := make(chan struct{})
	heard := func(l *ledger) {
		if !enough(l) {
			return
		}
		killing.Do(func() {
			go func() {
				<-ready
				time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond)
				killed.Store(true)
				for _, p := range processes {
					_ = p.Kill()
				}
			}()
		})
	}
	for _, k := range tasks {
		k.Store, k.Keys, k.Out = d.store, d.keys, filepath.Join(d.dir, "published")
		if err := os.MkdirAll(k.Out, 0o700); err != nil {
			d.t.Fatal(err)
		}
		text, err := json.Marshal(k)
		if err != nil {
			d.t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			d.t.Fatal(err)
		}
		cmd := exec.CommandContext(d.t.Context(), self)
		cmd.Env = append(os.Environ(), workerEnv+"=1")
		cmd.Stdin = bytes.NewReader(text)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		var talk bytes.Buffer
		cmd.Stderr = &talk
		out, err := cmd.StdoutPipe()
		if err != nil {
			d.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			d.t.Fatal(err)
		}
		processes = append(processes, cmd.Process)
		wg.Go(func() {
			d.listen(out, heard)
			err := cmd.Wait()
			status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
			switch {
			case err == nil:
				ended.Add(1)
			case killed.Load() && status.Signaled() && status.Signal() == syscall.SIGKILL:
				d.with(func(*ledger) { d.kills++ })
			default:
				d.t.Errorf("a worker failed: %v\n%s", err, talk.String())
			}
		})
	}
	close(ready)
	wg.Wait()
	return ended.Load() == int64(len(tasks))
}

// listen keeps what a worker says. A line that breaks off was not received.
func (d *desk) listen(out io.Reader, heard func(*ledger)) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		d.with(func(l *ledger) {
			switch words[0] {
			case "ack":
				at, _ := strconv.ParseInt(words[2], 10, 64)
				l.acks = append(l.acks, ack{words[1], at})
				d.acked[words[1]] = true
			case "pub":
				began, _ := strconv.ParseInt(words[2], 10, 64)
				ended, _ := strconv.ParseInt(words[3], 10, 64)
				l.copies = append(l.copies, published{path: words[1], began: began, ended: ended})
			case "tok":
				b, _ := hex.DecodeString(words[2])
				l.tokens = append(l.tokens, token{words[1], b})
			}
			heard(l)
		})
	}
}

// active are the ids of credentials that are in use.
func (d *desk) active() []string {
	return d.ids(`SELECT credential_id FROM credential WHERE state = 'active' ORDER BY credential_no`)
}

// wholes are the ids of those of which copies are in use.
func (d *desk) wholes() []string {
	return d.ids(`SELECT DISTINCT part_of FROM credential WHERE state = 'active' AND part_of IS NOT NULL ORDER BY part_of`)
}

func (d *desk) ids(query string) []string {
	d.t.Helper()
	db, done, err := openOwn(d.t.Context(), d.store)
	if err != nil {
		d.t.Fatal(err)
	}
	defer done()
	var ids []string
	err = each(d.t.Context(), db, query, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return ids
}

// check runs the checker. No worker may be running.
func (d *desk) check(settled bool) int {
	d.t.Helper()
	found, err := check(d.t.Context(), scene{store: d.store, ledger: d.copy(), settled: settled})
	if err != nil {
		d.t.Fatal(err)
	}
	if len(found) > 0 {
		d.t.Errorf("%d violations:%s", len(found), texts(found))
	}
	return len(found)
}

// fill issues for n persons, as a batch.
func (d *desk) fill(n int) {
	d.t.Helper()
	s, db := d.open(nil)
	defer db.Close()
	folder := filepath.Join(d.dir, "batch")
	result, err := s.RunBatch(d.t.Context(), issuance.BatchRequest{
		Programme: "farmer-card", Source: crowd{n: n}, Folder: folder, Kinds: []issuance.FileKind{issuance.FileCSV}, Actor: "tester",
		Sync: func(string) error { return nil },
	})
	if err != nil || result.Batch.Issued != int64(n) {
		d.t.Fatalf("%+v, %v", result, err)
	}
}

// A crowd is a source of n persons.
type crowd struct {
	registry.Source // of which a batch needs no more than what follows
	n               int
}

func (c crowd) Records(context.Context) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		for n := range c.n {
			if !yield(newRecord(n+1), nil) {
				return
			}
		}
	}
}

func (c crowd) Fingerprint(context.Context) (string, error) { return fmt.Sprint("crowd of ", c.n), nil }
