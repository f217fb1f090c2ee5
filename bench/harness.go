package main

import (
	"errors"
	"fmt"
	"testing"
)

// testingTB is the part of testing.TB that nobody calls here.
type testingTB = testing.TB

// harnessFailed is what Fatal and Skip end start with.
type harnessFailed struct{ err error }

// Helper implements testing.TB.
func (h *harness) Helper() {}

// Cleanup implements testing.TB.
func (h *harness) Cleanup(f func()) { h.cleanups = append(h.cleanups, f) }

// Errorf implements testing.TB.
func (h *harness) Errorf(format string, args ...any) { fmt.Printf("PostgreSQL: "+format+"\n", args...) }

// Fatalf implements testing.TB.
func (h *harness) Fatalf(format string, args ...any) {
	panic(harnessFailed{fmt.Errorf(format, args...)})
}

// Fatal implements testing.TB.
func (h *harness) Fatal(args ...any) { panic(harnessFailed{errors.New(fmt.Sprint(args...))}) }

// Skip implements testing.TB.
func (h *harness) Skip(args ...any) { panic(harnessFailed{errors.New(fmt.Sprint(args...))}) }

// Failed implements testing.TB. What went wrong was said already.
func (h *harness) Failed() bool { return false }

// Log implements testing.TB.
func (h *harness) Log(...any) {}

// Logf implements testing.TB.
func (h *harness) Logf(string, ...any) {}
