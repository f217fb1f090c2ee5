package web

import (
	"os"
	"runtime/debug"
)

// RoomyHeap lets the heap of a server grow to four times of what is alive before it is
// collected, in place of twice: little is alive in one, and what requests leave behind is
// most of it. Whoever sets GOGC decides instead.
func RoomyHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
}
