package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
)

// A lock is the right to use a database file: an exclusive flock on a file
// beside it, which the system gives up when the process ends, however it ends. The
// file is never removed, since then two processes could lock two files.
//
// The file also says who has it, and in which condition the last one left the
// database.
type lock struct {
	file *os.File
	left condition
}

// A condition is how a process left the database when it closed it in order.
type condition struct {
	size     int64
	modified time.Time
	// checked is when the pages were last read through.
	checked time.Time
}

// acquire locks the file at path, which it makes if need be. It returns ErrInUse
// with the holder's process id if somebody else has it.
func acquire(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = durable.TryLock(f)
	if errors.Is(err, durable.ErrLocked) {
		pid, _ := readLock(f)
		return nil, errors.Join(fmt.Errorf("%w by process %d", ErrInUse, pid), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	l := &lock{file: f}
	_, l.left = readLock(f)
	// From now on the condition is "open"; only release writes a better one.
	if err := l.write(condition{}); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return l, nil
}

// readLock reads what a lock file says. Anything odd counts as unknown.
func readLock(f *os.File) (pid int, left condition) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, condition{}
	}
	s := bufio.NewScanner(io.LimitReader(f, 4096))
	for s.Scan() {
		word, rest, _ := strings.Cut(s.Text(), " ")
		switch word {
		case "pid":
			pid, _ = strconv.Atoi(rest)
		case "closed":
			var size, modified, checked int64
			if n, err := fmt.Sscanf(rest, "size=%d modified=%d checked=%d", &size, &modified, &checked); n == 3 && err == nil {
				left = condition{size, time.Unix(0, modified), time.Unix(checked, 0)}
			}
		}
	}
	return pid, left
}

func (l *lock) write(c condition) error {
	text := fmt.Sprintf("pid %d\n", os.Getpid())
	if c.size > 0 {
		text += fmt.Sprintf("closed size=%d modified=%d checked=%d\n", c.size, c.modified.UnixNano(), c.checked.Unix())
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(text), 0)
	return err
}

// release gives the lock up and notes the condition, if it is known.
func (l *lock) release(c condition) error {
	// Unlock first: a child that another goroutine is just starting shares the file.
	return errors.Join(l.write(c), durable.Unlock(l.file), l.file.Close())
}
