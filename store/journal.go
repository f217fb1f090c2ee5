package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sanad-id/sanad/audit"
)

// A Journal is a second copy of the audit log, outside of the database
// ([audit.Journal] is one). Calls come from one transaction at a time: Stage, once or
// more, then one of Commit, Discard and Leave.
type Journal interface {
	// Head tells the number of entries that the database has confirmed to it, and
	// the root over them.
	Head() audit.Head
	// Stage adds entries, of which the first has this number; it is the Size of
	// Head, or follows what was staged before. They are durable when it returns. It is
	// called before the transaction is stored, and if it fails none of it is.
	Stage(first int64, entries [][]byte) error
	// Commit says that the transaction is stored: the log has size entries.
	Commit(size int64)
	// Discard says that it was not stored, and takes back what was staged.
	Discard() error
	// Leave says that nobody knows whether it was stored. The next transaction
	// stages again, from Head on, what the database then has.
	Leave()
}

// Attach gives an open database its journal, which must be one of its own log: the next
// transaction brings it up to date. It is for who has just done again what the journal
// held; nothing may be written meanwhile.
func (db *DB) Attach(j Journal) { db.journal = j }

// An outcome is how a transaction ended.
type outcome int

const (
	outcomeNotStored outcome = iota
	outcomeStored
	outcomeUnknown
)

// stage hands the entries of a transaction to the journal, and before them those
// that it lacks: what other processes or a program without journal have added.
func (t *tx) stage() error {
	j := t.db.journal
	if j == nil || len(t.entries) == 0 {
		return nil
	}
	t.staged = true
	var err error
	for range maxOvertaken {
		if err = t.stageFrom(j, j.Head().Size); !errors.Is(err, audit.ErrJournalMoved) {
			break
		}
	}
	if err != nil {
		return t.lose(err)
	}
	return nil
}

// maxOvertaken is how often another process that shares the journal's folder may
// have been faster.
const maxOvertaken = 5

// stageFrom hands the journal everything from entry next on.
func (t *tx) stageFrom(j Journal, next int64) error {
	if next > t.first {
		return fmt.Errorf("%w: it holds %d entries, the log has %d", ErrBehindJournal, next, t.first)
	}
	for next < t.first {
		entries, err := t.block(next)
		if err != nil {
			return fmt.Errorf("catch up the journal: %w", err)
		}
		if err := j.Stage(next, entries); err != nil {
			return fmt.Errorf("%w: %w", ErrJournal, err)
		}
		next += int64(len(entries))
	}
	if err := j.Stage(t.first, t.entries); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

// settle tells the journal how a transaction that it has entries of has ended.
func (t *tx) settle(o outcome) {
	if !t.staged {
		return
	}
	t.staged = false
	switch j := t.db.journal; o {
	case outcomeStored:
		j.Commit(t.first + int64(len(t.entries)))
	case outcomeNotStored:
		// What cannot be taken back is taken back by the next Stage.
		_ = j.Discard()
	case outcomeUnknown:
		j.Leave()
	}
}

// block reads the entries of the audit log from number first to the end of the
// block that holds it.
func (t *tx) block(first int64) ([][]byte, error) {
	var start, count int64
	var text string
	ok, err := t.row(selectBlockWith, []any{first}, &start, &count, &text)
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, count)
	for line := range strings.Lines(text) {
		entries = append(entries, []byte(strings.TrimSuffix(line, "\n")))
	}
	if !ok || int64(len(entries)) != count || first-start >= count {
		return nil, fmt.Errorf("store: the audit log breaks off at entry %d", first)
	}
	return entries[first-start:], nil
}

// checkJournal compares log and journal when the database is opened.
func (t *tx) checkJournal() error {
	if t.db.journal == nil {
		return nil
	}
	size, _, err := (&auditLog{t: t}).Tail()
	if err != nil {
		return err
	}
	have := t.db.journal.Head()
	if size < have.Size {
		return refuse(ErrBehindJournal, t.db.location, "it has %d audit entries, the journal %d", size, have.Size)
	}
	head, err := audit.HeadAt(&auditLog{t: t}, have.Size)
	switch {
	case err != nil:
		return err
	case head.Root != have.Root:
		return refuse(ErrBehindJournal, t.db.location, "the first %d entries of its audit log are others than those of the journal", have.Size)
	}
	return nil
}
