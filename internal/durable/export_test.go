package durable

import (
	"os"
	"syscall"
	"testing"
)

// WithoutLinks makes every file system one that has no links for the length of a test.
func WithoutLinks(t *testing.T) {
	link = func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM} }
	t.Cleanup(func() { link = os.Link })
}
