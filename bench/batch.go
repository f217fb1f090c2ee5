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
	"strings"
	"sync"
	"syscall"
	"time"
)

// batch issues for a national file with the real program, as a process of its
// own: from the registry's export to stored, signed credentials and their codes
// as text files.
func batch(ctx context.Context, records int) ([]row, error) {
	dir, err := os.MkdirTemp("", "sanad-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	issuer := filepath.Join(dir, "issuer")
	office := filepath.Join(dir, "office")
	run := func(args ...string) (*os.ProcessState, time.Duration, error) {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		start := time.Now()
		err := cmd.Run()
		took := time.Since(start)
		if code := cmd.ProcessState.ExitCode(); err != nil && code != 3 { // 3: some records are made to be refused
			return nil, 0, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out.String())
		}
		return cmd.ProcessState, took, nil
	}
	for _, args := range [][]string{
		{"go", "build", "-trimpath", "-o", issuer, "./cmd/issuer"},
		{issuer, "init", office, "--name", "Bench", "--country", "XA"},
		{issuer, "programme", "add", "--dir", office, "examples/programmes/birth-certificate.yaml"},
		{issuer, "sample", "births", "--records", fmt.Sprint(records), "--out", filepath.Join(dir, "many.csv")},
		{issuer, "sample", "births", "--seed", "2", "--records", fmt.Sprint(records / 10), "--out", filepath.Join(dir, "few.csv")},
	} {
		if _, _, err := run(args...); err != nil {
			return nil, err
		}
	}
	issue := func(name string) (rate, rss float64, err error) {
		out := filepath.Join(dir, "out-"+name)
		state, took, err := run(issuer, "batch", "--dir", office, "--programme", "birth-certificate",
			"--source", filepath.Join(dir, name+".csv"), "--out", out, "--form", "text")
		if err != nil {
			return 0, 0, err
		}
		n, err := countLines(filepath.Join(out, "manifest.csv"))
		if err != nil {
			return 0, 0, err
		}
		usage := state.SysUsage().(*syscall.Rusage)
		return float64(n-1) / took.Seconds(), float64(usage.Maxrss) / 1024, nil
	}
	signBefore, bothBefore := raw()
	_, fewRSS, err := issue("few")
	if err != nil {
		return nil, err
	}
	rate, rss, err := issue("many")
	if err != nil {
		return nil, err
	}
	signAfter, bothAfter := raw()
	sign, both := (signBefore+signAfter)/2, (bothBefore+bothAfter)/2
	fmt.Printf("batch of %d records: %.0f records/s, peak %.0f MB; raw: %.0f signatures/s, %.0f signed and verified/s on all cores\n\n",
		records, rate, rss, sign, both)
	one := func(v float64) (float64, float64, float64) { return v, v, v }
	p9 := row{id: "P9", measure: "batch, SQLite", subject: "issuer batch", baseline: "raw sign, all cores", floor: 0.35, goal: 0.62, format: "%.2f"}
	p9.value, p9.low, p9.high = one(rate / sign)
	p9v := row{id: "P9", measure: "batch, SQLite", subject: "issuer batch", baseline: "raw sign+verify", floor: 0.35, goal: 0.85, format: "%.2f"}
	p9v.value, p9v.low, p9v.high = one(rate / both)
	p10 := row{id: "P10", measure: "batch memory, MB", subject: "issuer batch", baseline: "-", floor: 96, goal: 64, lower: true, format: "%.0f"}
	p10.value, p10.low, p10.high = one(rss)
	growth := row{id: "P10", measure: "memory growth", subject: fmt.Sprint(records), baseline: fmt.Sprint(records / 10), floor: 1.2, goal: 1.05, lower: true, format: "%.2f"}
	growth.value, growth.low, growth.high = one(rss / fewRSS)
	return []row{p9, p9v, p10, growth}, nil
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
	for s := bufio.NewScanner(f); s.Scan(); n++ {
	}
	return n, nil
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
