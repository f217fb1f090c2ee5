package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// A trial is what the batch measures are made with.
type trial struct {
	records  int
	form     string // what is written: text or csv
	profiles string // folder for CPU profiles
	dir      string // scratch
	issuer   string // the program
}

// batch issues for a national file with the real program, as processes of their
// own: from the registry's export to stored, signed credentials and their codes in
// files, on SQLite and on PostgreSQL.
func batch(ctx context.Context, t trial, engines []string) ([]row, error) {
	var err error
	if t.dir, err = os.MkdirTemp(t.dir, "sanad-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(t.dir)
	if err := os.MkdirAll(t.profiles, 0o755); err != nil {
		return nil, err
	}
	t.issuer = filepath.Join(t.dir, "issuer")
	if _, err := t.run(ctx, "go", "build", "-trimpath", "-o", t.issuer, "./cmd/issuer"); err != nil {
		return nil, err
	}
	// A tenth of the records, the same on one core, all of them, and a tenth for the
	// profile, which takes memory and time itself: of different people, since nobody gets
	// two.
	for i, n := range []int{t.records / 10, t.records / 10, t.records, t.records / 10} {
		_, err := t.run(ctx, t.issuer, "sample", "births", "--seed", strconv.Itoa(i+1), "--records", strconv.Itoa(n), "--out", t.csv(i))
		if err != nil {
			return nil, err
		}
	}
	var rows []row
	for _, engine := range engines {
		more, err := t.engine(ctx, engine)
		if err != nil {
			return nil, fmt.Errorf("batch on %s: %w", engine, err)
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// The files of records.
const (
	few = iota
	alone
	many
	profiled
)

func (t trial) csv(i int) string { return filepath.Join(t.dir, fmt.Sprintf("births-%d.csv", i)) }

// oneCode is a programme without its strip: the measures are of one signature a record.
func (t trial) oneCode(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var kept []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "  strip: ") {
			kept = append(kept, line)
		}
	}
	to := filepath.Join(t.dir, filepath.Base(path))
	return to, os.WriteFile(to, []byte(strings.Join(kept, "")), 0o600)
}

// engine measures on one database, "sqlite" or "postgres".
func (t trial) engine(ctx context.Context, engine string) ([]row, error) {
	office := filepath.Join(t.dir, "office-"+engine)
	begin := []string{t.issuer, "init", office, "--name", "Bench", "--country", "XA"}
	rawRows := func() (float64, error) { return t.rawSQLite(ctx) }
	if engine == "postgres" {
		server := new(harness)
		defer server.end()
		cluster, err := server.start()
		if err != nil {
			fmt.Printf("batch on PostgreSQL: left out, %v\n\n", err)
			return nil, nil
		}
		owner, service := cluster.New(server)
		begin = append(begin, "--store", service, "--store-owner", owner)
		rawRows = func() (float64, error) {
			owner, _ := cluster.New(server)
			return rawPostgres(ctx, owner)
		}
	}
	births, err := t.oneCode("examples/programmes/birth-certificate.yaml")
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{begin, {t.issuer, "programme", "add", "--dir", office, births}} {
		if _, err := t.run(ctx, args...); err != nil {
			return nil, err
		}
	}
	small, err := t.issue(ctx, engine, few, 0)
	if err != nil {
		return nil, err
	}
	single, err := t.issue(ctx, engine, alone, 1)
	if err != nil {
		return nil, err
	}
	signBefore, bothBefore := raw()
	large, err := t.issue(ctx, engine, many, 0)
	if err != nil {
		return nil, err
	}
	signAfter, bothAfter := raw()
	sign, both := (signBefore+signAfter)/2, (bothBefore+bothAfter)/2
	rows, err := rawRows()
	if err != nil {
		return nil, fmt.Errorf("raw rows: %w", err)
	}
	bound := 1 / (1/both + 1/(rows*float64(runtime.GOMAXPROCS(0)))) // while one core inserts the others sign
	if _, err := t.issue(ctx, engine, profiled, 0); err != nil {
		return nil, err
	}
	rate := float64(large.records) / large.took.Seconds()
	fmt.Printf("batch on %s, --form %s: %d records in %s, %.0f a second, %.2f CPU ms each, peak %.0f MB; raw: %.0f signatures/s, %.0f signed and verified/s on all cores, %.0f rows/s on one\n",
		engine, t.form, large.records, large.took.Round(time.Second), rate, large.cpu.Seconds()*1000/float64(large.records), large.rss, sign, both, rows)
	// What a country takes, from the slope between the two sizes.
	slope := (large.took - small.took).Seconds() / float64(large.records-small.records)
	if slope > 0 { // a few records say nothing
		fmt.Printf("170 million records on these cores, from the slope: %.1f hours\n", slope*170e6/3600)
	}
	fmt.Println()

	p9 := row{id: "P9", measure: "batch, " + engine, subject: "issuer batch", baseline: "raw sign, all cores", floor: 0.35, goal: 0.62, format: "%.2f"}
	if engine == "postgres" {
		p9.goal = 0.57
	}
	p9v, p9r := p9, p9
	p9v.baseline, p9v.goal = "raw sign+verify", 0.85
	p9r.baseline, p9r.goal = "raw sign+verify+row", 0.85
	p10 := row{id: "P10", measure: "memory, MB, " + engine, subject: "issuer batch", baseline: "-", floor: 96, goal: 64, lower: true, format: "%.0f"}
	p10g := row{
		id: "P10", measure: "memory growth, " + engine, subject: strconv.Itoa(large.records), baseline: strconv.Itoa(small.records),
		floor: 1.2, goal: 1.05, lower: true, format: "%.2f",
	}
	p11 := row{
		id: "P11", measure: "time growth, " + engine, subject: strconv.Itoa(large.records), baseline: strconv.Itoa(small.records),
		floor: 11, goal: 10.3, lower: true, format: "%.1f",
	}
	p11c := row{id: "P11", measure: "cores, " + engine, subject: fmt.Sprint(runtime.GOMAXPROCS(0), " cores"), baseline: "1 core", floor: 1.7, goal: 1.85, format: "%.2f"}
	return []row{
		p9.once(rate / sign), p9v.once(rate / both), p9r.once(rate / bound), p10.once(large.rss), p10g.once(large.rss / small.rss),
		p11.once(large.took.Seconds() / small.took.Seconds() * float64(small.records) * 10 / float64(large.records)),
		p11c.once(single.took.Seconds() / small.took.Seconds() * float64(small.records) / float64(single.records)),
	}, nil
}

// once is the row of what was measured once.
func (r row) once(v float64) row {
	r.value, r.low, r.high = v, v, v
	return r
}

// An outcome is what one run of issuer batch took.
type outcome struct {
	records   int
	took, cpu time.Duration
	rss       float64 // MB
}

// issue runs one batch, on one core if cores is 1. The profile of the last one
// is kept.
func (t trial) issue(ctx context.Context, engine string, which, cores int) (outcome, error) {
	out := filepath.Join(t.dir, fmt.Sprintf("out-%s-%d", engine, which))
	defer os.RemoveAll(out) // 600 bytes a record, and a file each for text
	args := []string{
		t.issuer, "batch", "--dir", filepath.Join(t.dir, "office-"+engine), "--programme", "birth-certificate",
		"--source", t.csv(which), "--out", out, "--form", t.form,
	}
	if which == profiled {
		args = append(args, "--cpu-profile", filepath.Join(t.profiles, "batch-"+engine+".prof"))
	}
	if cores == 1 {
		if taskset, err := exec.LookPath("taskset"); err == nil {
			args = append([]string{taskset, "-c", "0"}, args...)
		}
		args = append([]string{"env", "GOMAXPROCS=1"}, args...)
	}
	began := time.Now()
	state, err := t.run(ctx, args...)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{took: time.Since(began), cpu: state.UserTime() + state.SystemTime()}
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		o.rss = float64(usage.Maxrss) / 1024
	}
	o.records, err = countLines(filepath.Join(out, "manifest.csv"))
	o.records-- // the header
	return o, err
}

// exitPartial is the program's exit status when some records were refused, as
// some of the sample are made to be.
const exitPartial = 3

func (t trial) run(ctx context.Context, args ...string) (*os.ProcessState, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && (cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != exitPartial) {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out.String())
	}
	return cmd.ProcessState, nil
}

// A harness lets a program that is no test start a server as tests do.
type harness struct {
	testingTB
	cleanups []func()
}

// serverSettings are what docs/operating.md asks of a server for large batches.
// Random pages of indexes go into the write-ahead log whole once after every
// checkpoint, so that a server which makes one every few seconds writes little else.
var serverSettings = map[string]string{"max_wal_size": "8GB", "checkpoint_timeout": "15min", "shared_buffers": "512MB"}

// start starts a server that waits for the disk at every commit, as a real one does.
func (h *harness) start() (cluster *pgtest.Cluster, err error) {
	defer func() {
		if r := recover(); r != nil {
			failed, ok := r.(harnessFailed)
			if !ok {
				panic(r)
			}
			err = failed.err
		}
	}()
	return pgtest.Start(h, pgtest.Options{Durable: true, Settings: serverSettings}), nil
}

func (h *harness) end() {
	for i := len(h.cleanups) - 1; i >= 0; i-- {
		h.cleanups[i]()
	}
}

// raw is how many ES256 signatures all cores make in a second, alone and with
// one verification each.
func raw() (sign, both float64) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	digest := sha256.Sum256([]byte("bench"))
	measure := func(f func()) float64 {
		const span = 2 * time.Second
		var wg sync.WaitGroup
		counts := make([]int, runtime.GOMAXPROCS(0))
		for w := range counts {
			wg.Go(func() {
				for end := time.Now().Add(span); time.Now().Before(end); counts[w]++ {
					f()
				}
			})
		}
		wg.Wait()
		total := 0
		for _, c := range counts {
			total += c
		}
		return float64(total) / span.Seconds()
	}
	sign = measure(func() { must(ecdsa.SignASN1(rand.Reader, key, digest[:])) })
	both = measure(func() {
		if sig := must(ecdsa.SignASN1(rand.Reader, key, digest[:])); !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			panic("bench: internal error: own signature does not verify")
		}
	})
	return sign, both
}

func countLines(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := 0
	s := bufio.NewScanner(f)
	for s.Scan() {
		n++
	}
	return n, s.Err()
}

// cpu names the processor.
func cpu() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
