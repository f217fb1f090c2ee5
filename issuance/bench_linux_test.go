package issuance_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// syncfs makes everything on the folder's file system durable.
func syncfs(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// rawRate is how many ES256 signatures all cores make in a second, with a
// verification each if verify is set.
func rawRate(verify bool) float64 {
	key := keyNumber(0)
	digest := sha256.Sum256([]byte("bench"))
	counts := make([]int, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	began := time.Now()
	for w := range counts {
		wg.Go(func() {
			for time.Since(began) < time.Second {
				sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
				if err != nil || verify && !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
					panic("raw signature failed")
				}
				counts[w]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(began).Seconds()
}

// BenchmarkBatch issues for 10 000 records, one form each, to SQLite and text
// files, and reports the rate against raw cryptography on the same cores (P9).
func BenchmarkBatch(b *testing.B) {
	const n = 10_000
	var rate, sign, both float64
	rounds := 0
	for b.Loop() {
		b.StopTimer()
		rounds++
		sign += rawRate(false)
		both += rawRate(true)
		db, err := store.Create(b.Context(), filepath.Join(b.TempDir(), "store.db"), store.Options{Instance: "xa-office"})
		if err != nil {
			b.Fatal(err)
		}
		bed := newBed(b, db)
		r := request(people{n: n}, b.TempDir())
		r.Programme, r.Chunk, r.Sync = "receipt", 0, syncfs
		began := time.Now()
		b.StartTimer()
		result, err := bed.service.RunBatch(b.Context(), r)
		b.StopTimer()
		if err != nil || result.Outcome != issuance.Complete {
			b.Fatalf("%+v, %v", result, err)
		}
		rate += n / time.Since(began).Seconds()
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(rate/float64(rounds), "records/s")
	b.ReportMetric(rate/sign, "of-raw-sign")
	b.ReportMetric(rate/both, "of-raw-sign+verify")
}
