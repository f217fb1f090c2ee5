//go:build !linux

package main

// syncFolder is nil where there is no way to flush many files at once: every
// file is then flushed by itself.
var syncFolder func(folder string) error
