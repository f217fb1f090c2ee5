//go:build unix

package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type signal = syscall.Signal

const (
	fastSignal = syscall.SIGINT  // end the connections and shut down
	killSignal = syscall.SIGKILL // end without a last word
)

// An account is the one that the server runs as.
type account struct {
	// other is nil if it is our own.
	other *syscall.Credential
}

// serverUser is ours, or postgres or nobody if we are root, as whom PostgreSQL
// refuses to run.
func serverUser() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, errors.New("root may not run PostgreSQL, and there is neither a user postgres nor a user nobody")
}

// maxSocket is the longest path of a socket that every Unix takes.
const maxSocket = 103

// temp is where the folders of clusters are made: os.TempDir, unless a socket's
// path would be too long there or the account may not get at it.
func (a *account) temp() string {
	dir := os.TempDir()
	if len(filepath.Join(dir, "sanad-pg-1234567890", ".s.PGSQL.12345")) > maxSocket {
		return "/tmp"
	}
	if a.other == nil {
		return dir
	}
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil || info.Mode().Perm()&0o001 == 0 || d == dir && info.Mode().Perm()&0o002 == 0 {
			return "/tmp"
		}
		if d == filepath.Dir(d) {
			return dir
		}
	}
}

// give makes a folder the account's.
func (a *account) give(dir string) error {
	if a.other == nil {
		return nil
	}
	return os.Chown(dir, int(a.other.Uid), int(a.other.Gid))
}

// run makes a command run as the account, in a session of its own.
func (a *account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.other, Setsid: true}
}

func send(pid int, s signal) error {
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("signal %v to process %d: %w", s, pid, err)
	}
	return nil
}

// killAll kills a server's first process and, if all is set, every other one of
// it, of which none gets to do anything in between. It returns the others.
func killAll(pid int, all bool) ([]int, error) {
	if err := send(pid, syscall.SIGSTOP); err != nil { // so that it starts no more
		return nil, err
	}
	others := children(pid)
	if all {
		for _, p := range others {
			_ = send(p, killSignal) // it may have ended by itself
		}
	}
	return others, send(pid, killSignal)
}

// awaitEnd waits until processes have ended.
func awaitEnd(pids []int) error {
	deadline := time.Now().Add(30 * time.Second)
	for _, p := range pids {
		for !gone(p) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d does not end", p)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// stat is what the system says of a process: its state and its parent.
func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	// 4711 (postgres) S 4710 ...
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(f) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(f[1])
	return f[0], parent
}

// gone says whether a process has ended, even if nobody has asked for it yet.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	state, _ := stat(pid)
	return state == "Z" || state == "X"
}

// children are the processes that a process started. Without /proc it knows none.
func children(pid int) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var found []int
	for _, d := range dirs {
		p, err := strconv.Atoi(filepath.Base(d))
		if err != nil {
			continue
		}
		if _, parent := stat(p); parent == pid {
			found = append(found, p)
		}
	}
	return found
}
