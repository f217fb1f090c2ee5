//go:build proof

package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

// This build is the subject of package proof: the same program, which can be
// told by its environment where to die and what time it is.
//
//	SANAD_PROOF_CRASH=POINT:N  kill -9 the N-th time that it comes to POINT
//	SANAD_PROOF_WAIT=POINT:FILE make FILE when it first comes to POINT, and wait there until
//	                           it is gone; what else is under way goes on
//	SANAD_PROOF_CLOCK=DURATION set the clock forward, or back
//	SANAD_PROOF_CHUNK=N        records of a batch in one transaction
//	SANAD_PROOF_THREAD=1       stay on one thread, so that strace counts right
var (
	clock = func() func() time.Time {
		shift, _ := time.ParseDuration(os.Getenv("SANAD_PROOF_CLOCK"))
		return func() time.Time { return time.Now().Add(shift) }
	}()
	crash = func() func(issuance.Point) {
		name, nth, _ := strings.Cut(os.Getenv("SANAD_PROOF_CRASH"), ":")
		n, _ := strconv.ParseInt(nth, 10, 64)
		at, file, _ := strings.Cut(os.Getenv("SANAD_PROOF_WAIT"), ":")
		var seen atomic.Int64
		var waited atomic.Bool
		return func(p issuance.Point) {
			if string(p) == at && waited.CompareAndSwap(false, true) {
				for _, err := os.Create(file); err == nil; _, err = os.Stat(file) {
					time.Sleep(5 * time.Millisecond)
				}
			}
			if string(p) == name && seen.Add(1) == n {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}()
	// A proof starts the program a hundred thousand times; what a guess of the
	// passphrase costs is none of its promises.
	keyCost  = keys.Cost{Memory: 64, Time: 1, Threads: 1}
	chunk, _ = strconv.Atoi(os.Getenv("SANAD_PROOF_CHUNK"))
)

func init() {
	lockPatience = 0 // a second program is told at once
	if os.Getenv("SANAD_PROOF_THREAD") != "" {
		runtime.LockOSThread()
	}
}
