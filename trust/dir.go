package trust

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/sanad-id/sanad/internal/durable"
)

var _ Memory = (*DirMemory)(nil)

// A DirMemory keeps a State in a folder: the bundle in one file and the mark in
// another that names the bundle by its hash. A bundle is stored before the mark
// that names it and removed after, so that a crash at any moment leaves a mark
// with its bundle.
//
// An edited or half-written bundle is noticed and dropped; an edited mark is an
// error. Neither is proof against somebody who may write to the folder and knows
// this code: they can remove all of it, which looks like a new verifier. Several
// goroutines may use one DirMemory, and several processes one folder where the
// system has file locks.
type DirMemory struct {
	dir string
	mu  sync.Mutex
}

// NewDirMemory returns the memory in this folder, which the first Save makes.
func NewDirMemory(dir string) *DirMemory { return &DirMemory{dir: dir} }

// Names of files in the folder.
const (
	markFile     = "mark"
	lockFile     = "lock"
	bundlePrefix = "bundle-"
	bundleSuffix = ".trust"
)

// Load implements [Memory].
func (m *DirMemory) Load() (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mk, err := m.readMark()
	if errors.Is(err, fs.ErrNotExist) {
		// Bundles without a mark were never trusted by it, or it was removed.
		left, _ := filepath.Glob(filepath.Join(m.dir, bundlePrefix+"*"+bundleSuffix))
		return State{Damaged: len(left) > 0}, nil
	}
	if err != nil {
		return State{}, err
	}
	file, err := readLimited(m.bundlePath(mk.File), MaxFile)
	if err != nil {
		file = nil
	}
	return mk.with(file)
}

func (m *DirMemory) bundlePath(sum string) string {
	// The name is made from the hash and never taken from the mark as it is.
	if len(sum) > 16 {
		sum = sum[:16]
	}
	return filepath.Join(m.dir, bundlePrefix+filepath.Base(sum)+bundleSuffix)
}

func (m *DirMemory) readMark() (mark, error) {
	b, err := readLimited(filepath.Join(m.dir, markFile), 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, err
	}
	if err != nil {
		return mark{}, fmt.Errorf("%w: %w", ErrMemory, err)
	}
	return decodeMark(b)
}

// Save implements [Memory]. It also returns [ErrOtherRoot] and [ErrMixed] if
// another process has come to trust another root or bundle.
func (m *DirMemory) Save(st State) error {
	if err := m.save(st); err != nil {
		return fmt.Errorf("save trust: %w", err)
	}
	return nil
}

func (m *DirMemory) save(st State) error {
	if !st.memorable() {
		return errNothing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()

	old, err := m.readMark()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next := markOf(st)
	if err == nil {
		if err := next.follows(old); err != nil {
			return err
		}
	}
	if st.Bundle != nil {
		sum := sha256.Sum256(st.Bundle)
		next.File = hex.EncodeToString(sum[:])
		if err := durable.Replace(m.bundlePath(next.File), st.Bundle, 0o600); err != nil {
			return err
		}
	} else if old.BundleHash == next.BundleHash {
		next.File = old.File
	}
	b, err := next.encode()
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(m.dir, markFile), b, 0o600); err != nil {
		return err
	}
	m.removeOthers(next.File)
	return nil
}

// removeOthers removes bundles that no mark names any more. One that stays is a
// waste and nothing worse, so errors do not matter.
func (m *DirMemory) removeOthers(sum string) {
	all, _ := filepath.Glob(filepath.Join(m.dir, bundlePrefix+"*"+bundleSuffix))
	for _, path := range all {
		if path != m.bundlePath(sum) {
			_ = os.Remove(path)
		}
	}
}

// readLimited reads a file of at most most bytes.
func readLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%w: a file of more than %d bytes", ErrTooLarge, most)
	}
	return b, nil
}

// lock waits until no other process changes the folder. Where the system has no
// file locks, one process at a time is up to the user.
func (m *DirMemory) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(m.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := durable.Lock(context.Background(), f); err != nil && !errors.Is(err, durable.ErrNoLocks) {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
