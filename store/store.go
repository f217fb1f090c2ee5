package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

var _ issuance.Store = (*DB)(nil)

// Options say which database is expected. Fields without "optional" must be set.
type Options struct {
	// Instance names the issuer that the database belongs to, at most 512 bytes.
	// [Create] writes it down, [Open] refuses the database of another one, so that
	// settings, keys and database of two issuers cannot be mixed up.
	Instance string

	// ReadOnly opens beside another process that writes: nothing is locked, and
	// Write returns an error. Optional.
	ReadOnly bool

	// CheckPages reads all pages through at start even if the file is just as
	// this program left it less than a day ago. Optional. After anything else (a
	// crash, a restore, a copy) they are read in any case.
	CheckPages bool

	// Journal is a second copy of the audit log, outside of the database.
	// Optional. Open refuses a database that lacks what the journal holds
	// ([ErrBehindJournal]).
	Journal Journal

	// WhileFenced lets Write work on a fenced database. Optional; only for what
	// brings a restored database up to date before [DB.Confirm].
	WhileFenced bool

	// Now is the clock. Optional; time.Now if nil.
	Now func() time.Time
}

func (o *Options) check() error {
	switch {
	case o.Instance == "":
		return errors.New("store: Options.Instance is not set")
	case len(o.Instance) > 512:
		return errors.New("store: Options.Instance is longer than 512 bytes")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// A DB is an open database. Its methods may be called at once from several
// goroutines; writers take turns, and readers do not wait for them.
type DB struct {
	path     string
	instance string
	readOnly bool
	epoch    int64
	logNo    int64
	fence    string // as of Open
	writer   int64  // who we are among the writers; as of the newest if readOnly
	journal  Journal
	confirms bool // Options.WhileFenced
	created  time.Time
	now      func() time.Time
	checked  time.Time // when the pages were last read through
	lock     *lock     // nil if readOnly

	readers *sql.DB
	reads   sync.Map // *sql.Stmt on readers by statement
	writers *sql.DB
	conn    *sql.Conn // the one connection that writes; nil if readOnly

	// turn holds one token: the right to write and to use what follows.
	turn   chan struct{}
	broken error
	known  os.FileInfo // the file as last seen
	stmts  map[string]*sql.Stmt
	bulk   map[string]driver.Stmt
	names  names

	close sync.Once
}

// Instance returns the name of the issuer that the database belongs to.
func (db *DB) Instance() string { return db.instance }

// Epoch returns the epoch of the database, which a restore raises.
func (db *DB) Epoch() int64 { return db.epoch }

// LogNo says which audit log of its issuer this is, from 1. One that had to begin
// anew has a higher number and another origin.
func (db *DB) LogNo() int64 { return db.logNo }

// Fenced returns why the database was closed for work when it was opened, or "".
func (db *DB) Fenced() string { return db.fence }

// Created returns when the database was made.
func (db *DB) Created() time.Time { return db.created }

// Path returns where the database is.
func (db *DB) Path() string { return db.path }

// Close waits for a write that is going on and closes the database. Sequences
// that were not ended report an error afterwards.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() { err = db.shut() })
	return err
}

func (db *DB) shut() error {
	<-db.turn // and never back: later writers find it closed
	defer close(db.turn)
	var errs []error
	for _, s := range db.bulk {
		errs = append(errs, s.Close())
	}
	for _, s := range db.stmts {
		errs = append(errs, s.Close())
	}
	errs = append(errs, db.readers.Close()) // and its statements
	if db.conn != nil {
		errs = append(errs, db.conn.Close())
	}
	// The last connection to close moves the write-ahead log into the file.
	if db.writers != nil {
		errs = append(errs, db.writers.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.release(db.condition()))
	}
	return errors.Join(errs...)
}

// condition is how the file is left, or the zero value if it should be checked.
func (db *DB) condition() condition {
	info, err := os.Stat(db.path)
	if err != nil || db.broken != nil {
		return condition{}
	}
	if _, err := os.Stat(db.path + "-wal"); err == nil { // not moved into the file
		return condition{}
	}
	return condition{size: info.Size(), modified: info.ModTime(), checked: db.checked}
}

// Write implements [issuance.Store]. If the commit fails it returns
// [ErrOutcomeUnknown]; after a disk error every later call returns [ErrBroken].
func (db *DB) Write(ctx context.Context, f func(issuance.Tx) error) error {
	if db.readOnly {
		return fmt.Errorf("store: write: opened for reading only: %s", db.path)
	}
	select {
	case _, open := <-db.turn:
		if !open {
			return ErrClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.turn <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return err
	}
	if db.broken != nil {
		return fmt.Errorf("%w: %w", ErrBroken, db.broken)
	}
	if err := db.checkFile(); err != nil {
		db.broken = err
		return err
	}
	return db.write(ctx, f)
}

// write runs one transaction. Statements do not get ctx: it is asked between
// them, so that none is broken off half way.
func (db *DB) write(ctx context.Context, f func(issuance.Tx) error) error {
	t := &tx{db: db, outer: ctx, ctx: context.WithoutCancel(ctx)}
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	open := true
	defer func() {
		t.over = true
		if !open {
			return
		}
		db.names = names{} // what was looked up may never have been stored
		t.settle(outcomeNotStored)
		if e := t.exec("ROLLBACK"); e != nil && !rolledBack(e) && db.broken == nil {
			db.broken = e
		}
	}()
	if err := t.checkFence(); err != nil {
		return err
	}
	if err := f(t); err != nil {
		return err
	}
	if t.lost != nil { // f went on although something had failed
		return t.lost
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.stage(); err != nil {
		return err
	}
	if err := t.exec("COMMIT"); err != nil {
		t.settle(outcomeUnknown)
		return fmt.Errorf("%w: commit: %w", ErrOutcomeUnknown, err)
	}
	open = false
	t.settle(outcomeStored)
	return nil
}

// checkFile notices what was done to the file while we have it open. Writing to
// a file that was removed or replaced would be lost.
func (db *DB) checkFile() error {
	info, err := os.Stat(db.path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %v", ErrFileChanged, err)
	case !os.SameFile(info, db.known):
		return fmt.Errorf("%w: %s is another file now", ErrFileChanged, db.path)
	case info.Size() < db.known.Size():
		return fmt.Errorf("%w: %s was cut off", ErrFileChanged, db.path)
	case info.Mode().Perm()&0o200 == 0:
		return fmt.Errorf("%w: %s is read-only now", ErrFileChanged, db.path)
	}
	db.known = info
	return nil
}

// names remembers the numbers of programmes, batches and lists, which never
// change once they are stored.
type names struct {
	programmes map[string]int64
	versions   map[[2]int64]bool
	batches    map[string]int64
	lists      map[string]listNumber
}

type listNumber struct {
	no   int64
	size uint64
}
