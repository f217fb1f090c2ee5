package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sanad-id/sanad/internal/durable"
)

// AcknowledgedFile is the file beside [EntriesFile] in the folder of a journal.
// Its first line says up to which entry the database has confirmed the journal.
const AcknowledgedFile = "acknowledged"

// Errors of a [Journal] that callers tell apart.
var (
	// ErrNoJournal: there is no journal in the folder.
	ErrNoJournal = errors.New("audit: there is no journal")
	// ErrJournalDamaged: the files of the journal contradict each other.
	ErrJournalDamaged = errors.New("audit: the journal is damaged")
	// ErrJournalForked: journal and database hold different entries.
	ErrJournalForked = errors.New("audit: journal and database hold different entries")
	// ErrJournalMoved: the entries do not continue the journal. Size says where
	// it ends now; whoever catches it up from there can try again.
	ErrJournalMoved = errors.New("audit: the journal ends elsewhere")
	// ErrJournalGone: the folder or its files were removed, replaced or made
	// read-only. The journal goes on when they are back.
	ErrJournalGone = errors.New("audit: the journal cannot be written to")
	// ErrJournalHangs: the disk has not answered in time. The journal goes on
	// when it does.
	ErrJournalHangs = errors.New("audit: the journal does not answer")
	// ErrJournalBroken: the disk has reported an error of a sync, so what the file
	// holds is unknown. The journal must be opened anew, by a new process.
	ErrJournalBroken = errors.New("audit: the journal has stopped after a disk error")
)

// defaultPatience is how long a [Journal] waits for its disk, and for another
// process that writes to it.
const defaultPatience = 10 * time.Second

// A Journal is a second copy of the audit log outside of the database, in a
// folder that should be on another disk: the entries as an export has them, and up
// to where the database has confirmed them. What was confirmed to anybody is in
// both, so that a database which lost something is noticed, and what it lost is
// known.
//
// Whoever stores a transaction calls Stage with its entries before it commits, and
// Commit or Discard after. The calls come from one transaction at a time. Several
// processes may have a journal open; they take turns from Stage to Commit, and
// Stage returns [ErrJournalMoved] to one that was overtaken. An error of Stage means
// that the transaction must not commit: nothing was staged.
type Journal struct {
	dir      string
	patience time.Duration
	open     func(path string) (journalFile, error)

	// known is the head of confirmed, to be read at any time.
	known atomic.Pointer[Head]

	mu      sync.Mutex
	hanging chan struct{} // closed at the end of an operation that took too long
	// What follows belongs to the operation that is going on.
	broken    error
	files     *journalFiles
	locked    bool
	confirmed position // what the database has confirmed
	staged    position // that, and what was staged since
	saved     uint64   // the sequence number that is in the file of confirmed
	unsynced  bool     // the file of confirmed was written and not synced
}

// CreateJournal makes an empty journal in a folder, which it makes if there is
// none. It returns an error if the folder holds one.
func CreateJournal(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("audit: create journal: %w", err)
	}
	if err := durable.Create(filepath.Join(dir, EntriesFile), nil, 0o600); err != nil {
		return fmt.Errorf("audit: create journal: %w", err)
	}
	first := make([]byte, 2*slotSize)
	copy(first, (&position{}).record(slotSize))
	if err := durable.Create(filepath.Join(dir, AcknowledgedFile), first, 0o600); err != nil {
		return fmt.Errorf("audit: create journal: %w", err)
	}
	if err := durable.Sync(filepath.Dir(filepath.Clean(dir))); err != nil {
		return fmt.Errorf("audit: create journal: %w", err)
	}
	return nil
}

// OpenJournal opens the journal in a folder. It makes none: a folder without one
// may be a disk that is not there ([ErrNoJournal]). It changes no entry, so that one
// process may read what another one writes.
//
// Opening does not depend on the number of entries, unless the file that says how
// far they are confirmed is lost. Then all are read, and count as confirmed.
func OpenJournal(dir string) (*Journal, error) {
	return openJournal(dir, func(path string) (journalFile, error) { return os.OpenFile(path, os.O_RDWR, 0) })
}

func openJournal(dir string, open func(path string) (journalFile, error)) (*Journal, error) {
	j := &Journal{dir: dir, patience: defaultPatience, open: open}
	files, err := j.openFiles()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if j.confirmed, j.saved, err = files.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), files.close())
	}
	j.files = files
	j.confirm(j.confirmed)
	return j, nil
}

// Size returns how many entries the journal holds that the database has confirmed.
func (j *Journal) Size() int64 { return j.known.Load().Size }

// Head returns the number of confirmed entries and the root over them.
func (j *Journal) Head() Head { return *j.known.Load() }

// Stage appends entries, whose first has this number, and makes them durable. It
// must be Size or, within one transaction, follow what was staged before; entries
// that an earlier transaction left unconfirmed are taken back first. Errors are those
// of this package or of the file system, such as a full disk.
func (j *Journal) Stage(first int64, entries [][]byte) error {
	err := j.do(func(ctx context.Context) error { return j.stage(ctx, first, entries) })
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Commit says that the database has stored what was staged, so that it has this
// many entries.
func (j *Journal) Commit(size int64) {
	// What cannot be written now is written by the next Stage.
	_ = j.do(func(context.Context) error {
		if size == j.staged.size && size > j.confirmed.size && j.locked {
			next := j.staged.clone()
			next.seq = j.confirmed.seq + 1
			j.confirm(next)
		}
		return errors.Join(j.save(), j.leave())
	})
}

// Discard says that the database has not stored what was staged, and takes it
// back.
func (j *Journal) Discard() error {
	err := j.do(func(context.Context) error {
		if !j.locked {
			return nil
		}
		return errors.Join(j.takeBack(), j.leave())
	})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Leave says that it is not known whether the database has stored what was
// staged. The next transaction finds out: it begins at Size and stages again what the
// database has.
func (j *Journal) Leave() {
	_ = j.do(func(context.Context) error { return j.leave() })
}

// Close gives the journal free. What is staged and not confirmed stays.
func (j *Journal) Close() error {
	return j.do(func(context.Context) error {
		if j.files == nil {
			return nil
		}
		err := j.save()
		if j.unsynced && err == nil && j.broken == nil {
			err = j.files.confirmed.Sync()
		}
		err = errors.Join(err, j.files.close())
		j.files, j.locked, j.broken = nil, false, errors.New("closed")
		return err
	})
}

// Entries yields the entries from number first on, without line breaks: those that
// are confirmed, and whole ones behind them that were staged when it began. An error
// ends the sequence. That entries are what they were when they were staged is
// checked by [Journal.Check] only.
func (j *Journal) Entries(ctx context.Context, first int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		f, err := os.Open(filepath.Join(j.dir, EntriesFile))
		if err != nil {
			yield(nil, fmt.Errorf("journal: %w", err))
			return
		}
		defer f.Close() // only read
		readJournal(ctx, f, first, j.Size(), yield)
	}
}

// Check reads all confirmed entries and compares them with the hashes that were
// kept of them.
func (j *Journal) Check(ctx context.Context) error {
	want := j.Head()
	var t tree
	var stored []Hash
	for entry, err := range j.Entries(ctx, 0) {
		if err != nil {
			return err
		}
		if t.size == want.Size {
			break
		}
		stored = t.add(tlog.RecordHash(entry), stored[:0])
	}
	if t.head() != want {
		return fmt.Errorf("journal: %w: the first %d entries are not those that were written", ErrJournalDamaged, want.Size)
	}
	return nil
}

// do runs an operation on the files and waits for it, but not for ever. While one
// that took too long goes on no other begins; when it has ended what it staged is
// taken back.
func (j *Journal) do(op func(ctx context.Context) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.hanging != nil {
		select {
		case <-j.hanging:
			j.hanging = nil
		default:
			return ErrJournalHangs
		}
	}
	if j.broken != nil {
		return fmt.Errorf("%w: %w", ErrJournalBroken, j.broken)
	}
	ctx, cancel := context.WithTimeout(context.Background(), j.patience)
	done, ended := make(chan error, 1), make(chan struct{})
	var late atomic.Bool
	go func() {
		defer cancel()
		defer close(ended)
		err := op(ctx)
		if !late.CompareAndSwap(false, true) && j.locked {
			_ = errors.Join(j.takeBack(), j.leave())
		}
		done <- err
	}()
	timeout := time.NewTimer(j.patience)
	defer timeout.Stop()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
	}
	if late.CompareAndSwap(false, true) {
		j.hanging = ended
		return fmt.Errorf("%w for %s", ErrJournalHangs, j.patience)
	}
	return <-done
}

// stage is Stage as an operation.
func (j *Journal) stage(ctx context.Context, first int64, entries [][]byte) error {
	if err := j.enter(ctx); err != nil {
		return err
	}
	err := j.append(first, entries)
	if err != nil {
		err = errors.Join(err, j.takeBack(), j.leave())
	}
	return err
}

// enter takes the lock of the folder and finds out where the journal ends by now.
func (j *Journal) enter(ctx context.Context) error {
	if j.locked {
		return nil
	}
	if err := j.reopen(); err != nil {
		return err
	}
	if err := j.files.take(ctx); err != nil {
		return err
	}
	j.locked = true
	err := j.catchUp()
	if err == nil {
		// What nobody has confirmed so far the caller stages again if need be.
		err = j.takeBack()
	}
	if err != nil {
		err = errors.Join(err, j.leave())
	}
	return err
}

// reopen looks whether the files are those that are open, and opens them again if
// their disk went away and came back.
func (j *Journal) reopen() error {
	info, err := os.Stat(filepath.Join(j.dir, EntriesFile))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrJournalGone, err)
	case info.Mode().Perm()&0o200 == 0:
		return fmt.Errorf("%w: %s is read-only", ErrJournalGone, EntriesFile)
	}
	if j.files != nil && j.files.same(info) {
		return nil
	}
	files, err := j.openFiles()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrJournalGone, err)
	}
	if j.files != nil {
		_ = j.files.close() // of files that are no longer in their place
	}
	j.files = files
	return nil
}

// catchUp takes over what other processes have confirmed since, after having read
// and hashed it, and writes down what this one has confirmed and could not write.
func (j *Journal) catchUp() error {
	at, seq, err := j.files.load()
	if err != nil {
		return err
	}
	unsaved := j.saved == seq && seq != j.confirmed.seq
	switch j.saved = seq; {
	case at.size < j.confirmed.size && unsaved:
		return j.save()
	case at.size < j.confirmed.size:
		return fmt.Errorf("%w: it has %d entries and had %d", ErrJournalForked, at.size, j.confirmed.size)
	case at.size == j.confirmed.size && at.head() == j.confirmed.head():
		at.seq = max(at.seq, j.confirmed.seq)
	default:
		now := j.confirmed.clone()
		if err := j.files.advance(&now, at.offset); err != nil {
			return err
		}
		if now.head() != at.head() {
			return fmt.Errorf("%w: after entry %d", ErrJournalForked, j.confirmed.size)
		}
	}
	j.confirm(at)
	return nil
}

// confirm makes p the position up to which entries are confirmed, behind which
// nothing is staged.
func (j *Journal) confirm(p position) {
	j.confirmed, j.staged = p, p.clone()
	h := p.head()
	j.known.Store(&h)
}

// append writes entries behind what is staged.
func (j *Journal) append(first int64, entries [][]byte) error {
	if first == j.confirmed.size && first != j.staged.size {
		if err := j.takeBack(); err != nil {
			return err
		}
	}
	if first != j.staged.size {
		return fmt.Errorf("%w: it has %d entries, not %d", ErrJournalMoved, j.staged.size, first)
	}
	if err := j.save(); err != nil {
		return err
	}
	next := j.staged.clone()
	text, err := next.add(entries)
	if err != nil {
		return err
	}
	if len(text) > 0 {
		if _, err := j.files.entries.WriteAt(text, j.staged.offset); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if err := j.sync(); err != nil {
		j.broken = err
		return fmt.Errorf("%w: %w", ErrJournalBroken, err)
	}
	j.staged = next
	return nil
}

// sync makes both files durable, at once.
func (j *Journal) sync() error {
	if !j.unsynced {
		return j.files.entries.Sync()
	}
	other := make(chan error, 1)
	go func() { other <- j.files.confirmed.Sync() }()
	err := errors.Join(j.files.entries.Sync(), <-other)
	j.unsynced = err != nil
	return err
}

// takeBack cuts off what is staged and not confirmed.
func (j *Journal) takeBack() error {
	if j.files == nil || j.broken != nil {
		return nil
	}
	j.staged = j.confirmed.clone()
	info, err := j.files.entries.Stat()
	if err == nil && info.Size() > j.confirmed.offset {
		err = j.files.entries.Truncate(j.confirmed.offset)
	}
	if err != nil {
		return fmt.Errorf("take back: %w", err)
	}
	return nil
}

// save writes down what is confirmed, if that is not done. It becomes durable with
// the next entries: a journal that lost the last confirmation says less than it
// holds.
func (j *Journal) save() error {
	if j.saved == j.confirmed.seq || j.files == nil {
		return nil
	}
	at := int64(j.confirmed.seq%2) * slotSize
	if _, err := j.files.confirmed.WriteAt(j.confirmed.record(slotSize), at); err != nil {
		return fmt.Errorf("write %s: %w", AcknowledgedFile, err)
	}
	j.saved, j.unsynced = j.confirmed.seq, true
	return nil
}

// leave gives the folder free for other processes.
func (j *Journal) leave() error {
	if !j.locked {
		return nil
	}
	j.locked = false
	return j.files.release()
}

func (j *Journal) openFiles() (*journalFiles, error) {
	f, err := openJournalFiles(j.dir, j.open)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w in %s: %w", ErrNoJournal, j.dir, err)
	}
	return f, err
}
