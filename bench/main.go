// Command bench measures what has a goal and prints one table: measure, subject,
// baseline, ratio (median and quartiles of at least 15 rounds), floor and goal.
//
// A signature costs what a signature costs. So each measure is a ratio to the
// raw cryptography of the standard library with the same kind of key, in the same
// process and minute: subject and baseline alternate. `make bench` runs it; see
// docs/performance.md for the figures of one machine. The batch runs the real
// program on a million records of the sample country, on SQLite and on a PostgreSQL
// server of its own; -records 10000000 takes ten times as long, and 30 GB of disk
// in -scratch. Nothing fails on time: a
// ratio below its floor is marked, and the exit status says so.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// A row is one line of the table.
type row struct {
	id, measure, subject, baseline string
	value, low, high               float64 // median and quartiles
	floor, goal                    float64
	// lower says that less is better.
	lower  bool
	format string
}

func (r row) verdict() string {
	better := func(limit float64) bool {
		if r.lower {
			return r.value <= limit
		}
		return r.value >= limit
	}
	switch {
	case better(r.goal):
		return "goal met"
	case better(r.floor):
		return "floor met"
	}
	return "BELOW FLOOR"
}

func main() {
	rounds := flag.Int("rounds", 15, "rounds of each measure")
	records := flag.Int("records", 1_000_000, "records of the batch; 0 leaves the batch out")
	engines := flag.String("engines", "sqlite,postgres", "databases of the batch")
	parts := flag.String("parts", "wallets,servers,codes,lists,scanner,batch", "what is measured")
	flag.BoolVar(&processorTime, "cpu", false, "time of the processor in place of the clock's where both sides are ours, for a machine that does other work; and profiles of the servers in -profiles")
	flag.IntVar(&atOnce, "clients", atOnce, "clients at once of the measures over HTTP")
	var t trial
	flag.StringVar(&t.form, "form", "csv", "files that the batch writes: csv, or text for one a code")
	flag.StringVar(&t.profiles, "profiles", "bench/out", "folder for CPU profiles")
	flag.StringVar(&t.dir, "scratch", "", "folder for databases and output, 3 KB a record (default: the system's)")
	flag.Parse()
	t.records = *records
	if processorTime {
		profiles = t.profiles
		must(0, os.MkdirAll(profiles, 0o755))
	}

	fmt.Printf("%s, %d cores, %s\n\n", cpu(), runtime.GOMAXPROCS(0), runtime.Version())
	var rows []row
	chosen := strings.Split(*parts, ",")
	for _, p := range []struct {
		name    string
		measure func(rounds int) []row
	}{{"wallets", wallets}, {"servers", servers}, {"codes", codes}, {"lists", lists}, {"scanner", scanning}} {
		if slices.Contains(chosen, p.name) {
			rows = append(rows, p.measure(*rounds)...)
		}
	}
	if *records > 0 && slices.Contains(chosen, "batch") {
		batchRows, err := batch(context.Background(), t, strings.Split(*engines, ","))
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: error:", err)
			os.Exit(1)
		}
		rows = append(rows, batchRows...)
	}

	tw := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "#\tMEASURE\tSUBJECT\tBASELINE\tVALUE\tQUARTILES\tFLOOR\tGOAL\t")
	below := false
	for _, r := range rows {
		below = below || r.verdict() == "BELOW FLOOR"
		f := func(v float64) string { return fmt.Sprintf(r.format, v) }
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s to %s\t%s\t%s\t%s\n",
			r.id, r.measure, r.subject, r.baseline, f(r.value), f(r.low), f(r.high), f(r.floor), f(r.goal), r.verdict())
	}
	tw.Flush()
	if below {
		os.Exit(1)
	}
}

// ratio runs subject and baseline in turn and returns the median and quartiles
// of baseline time over subject time: 1 means as fast as the baseline.
func ratio(rounds int, subject, baseline func()) (median, low, high float64) {
	subject()
	baseline()
	n, m := calls(subject), calls(baseline)
	values := make([]float64, rounds)
	for i := range values {
		values[i] = each(m, baseline) / each(n, subject)
	}
	slices.Sort(values)
	return values[rounds/2], values[rounds/4], values[rounds*3/4]
}

// calls is how often f can be called in about 40 ms.
func calls(f func()) int {
	n := 1
	for {
		if d := each(n, f) * float64(n); d > float64(5*time.Millisecond) {
			return max(1, int(float64(n)*float64(40*time.Millisecond)/d))
		}
		n *= 2
	}
}

// processorTime and profiles: see the flag cpu.
var (
	processorTime bool
	profiles      string
)

// stopwatch returns a function that says how much time has passed since.
func stopwatch() func() time.Duration {
	if !processorTime {
		start := time.Now()
		return func() time.Duration { return time.Since(start) }
	}
	start := processor()
	return func() time.Duration { return processor() - start }
}

// processor is the processor time that this process has taken, garbage collection
// included.
func processor() time.Duration {
	var u syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// each is the time of one call in nanoseconds.
func each(n int, f func()) float64 {
	passed := stopwatch()
	for range n {
		f()
	}
	return float64(passed()) / float64(n)
}

// must is for the set-up of a measure, where an error is a fault of this program.
func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
	return v
}
