//go:build !unix

package pgtest

import (
	"errors"
	"os"
	"os/exec"
)

type signal int

const (
	fastSignal signal = iota
	killSignal
)

var errSystem = errors.New("clusters are started on Unix only")

type account struct{}

func serverUser() (*account, error) { return nil, errSystem }

func (*account) temp() string { return os.TempDir() }

func (*account) give(string) error { return errSystem }

func (*account) run(*exec.Cmd) {}

func send(int, signal) error { return errSystem }

func killAll(int, bool) ([]int, error) { return nil, errSystem }

func awaitEnd([]int) error { return errSystem }

func gone(int) bool { return true }
