package proof

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
)

// rowBytes is a little less than the length of a row of the manifest.
const rowBytes = 95

// TestBatchOfMillion kills a batch at random and gives the same command again,
// until it is done: every record was issued for once and no slot is used twice,
// as the checker, issuer fsck and issuer audit verify see it. SANAD_PROOF_RECORDS
// says how many records, a million at night.
func TestBatchOfMillion(t *testing.T) {
	records, err := strconv.Atoi(os.Getenv("SANAD_PROOF_RECORDS"))
	if err != nil {
		records = count(4000, 1_000_000)
	}
	kills := 3
	if records > 100_000 {
		kills = 10
	}
	onEach(t, func(t *testing.T, engine string) {
		o := newOffice(t, engine)
		o.must(run{args: []string{"programme", "add", "testdata/plain.yaml"}})
		source, folder := o.people("people.csv", 1, records), filepath.Join(o.root, "batch")
		r := run{
			args: []string{"batch", "--programme", "plain-card", "--source", source, "--out", folder, "--form", "csv", "--json"},
			env:  []string{"SANAD_PROOF_CHUNK="}, long: true,
		}
		rnd := rand.New(rand.NewPCG(uint64(records), 9))
		var at []int64
		for range kills {
			at = append(at, int64(rnd.IntN(records))*rowBytes)
		}
		slices.Sort(at)
		began, killed, tries := time.Now(), 0, 0
		for ; tries < 3*kills+3; tries++ {
			r.until = nil
			if killed < kills {
				limit := at[killed]
				r.until = func() bool {
					info, err := os.Stat(filepath.Join(folder, "manifest.csv"))
					return err == nil && info.Size() >= limit
				}
			}
			got := o.run(r)
			if got.killed {
				killed++
				t.Logf("killed %d times after %s", killed, time.Since(began).Round(time.Second))
				continue
			}
			var answer struct {
				Outcome string `json:"outcome"`
				Issued  int    `json:"issued"`
			}
			if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || answer.Outcome != "complete" || answer.Issued != records {
				t.Fatalf("in the end: %s", got)
			}
			break
		}
		took := time.Since(began)
		o.with(func(l *ledger) { l.folders = append(l.folders, folder) })
		o.publish(run{long: true}, "trust", false)
		o.publish(run{long: true}, "status", false)
		o.export(run{long: true})
		if got := o.run(run{args: []string{"audit", "verify", o.exports[0]}, bare: true, long: true}); got.code != 0 {
			t.Errorf("audit verify: %s", got)
		}
		if got := o.run(run{args: []string{"fsck"}, long: true}); got.code != 0 {
			t.Errorf("fsck: %s", got)
		}
		violations := o.check(true, true)
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		if killed < kills {
			t.Errorf("killed %d times, want %d", killed, kills)
		}
		t.Logf("%d records in %s, of which nothing is said about speed; the checker had %d MB from the system", records, took.Round(time.Second), memory.Sys>>20)
		proved(t, "P01-batch", engine, fmt.Sprintf("records=%d kills=%d", records, killed), violations)
	})
}
