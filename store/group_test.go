package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// onEngines runs a test on both engines, with a way to open a database anew with a
// journal.
func onEngines(t *testing.T, test func(t *testing.T, open func(store.Journal) *store.DB)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, func(j store.Journal) *store.DB {
			o := options
			o.Journal = j
			db, err := openAgain(t, create(t), o)
			must(t, err)
			return db
		})
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, func(j store.Journal) *store.DB {
			o := options
			o.Journal = j
			return reopenPostgres(t, createPostgres(t), o)
		})
	})
}

// tally is a journal that counts, and fails if it is told to.
type tally struct {
	head             audit.Head
	stages, commits  int
	discards, leaves int
	fail             error
}

func (c *tally) Head() audit.Head { return c.head }

func (c *tally) Stage(first int64, entries [][]byte) error {
	c.stages++
	if first != c.head.Size {
		return fmt.Errorf("staged from %d, want %d", first, c.head.Size)
	}
	return c.fail
}

func (c *tally) Commit(size int64) { c.commits, c.head.Size = c.commits+1, size }
func (c *tally) Discard() error    { c.discards++; return nil }
func (c *tally) Leave()            { c.leaves++ }

// empty is the journal of an empty log.
func empty() *tally {
	h, err := audit.HeadAt(nothing{}, 0)
	if err != nil {
		panic(err)
	}
	return &tally{head: h}
}

// nothing is an empty log.
type nothing struct{ audit.Storage }

func (nothing) Tail() (int64, time.Time, error) { return 0, time.Time{}, nil }

// queue begins a write that waits until all of these others wait for their turn,
// and returns what each of them returned; the first is the one that waited.
func queue(db *store.DB, first func(issuance.Tx) error, others ...func(context.Context) error) []error {
	errs := make([]error, 1+len(others))
	var wg sync.WaitGroup
	begun := make(chan struct{})
	wg.Go(func() {
		errs[0] = db.Write(context.Background(), func(tx issuance.Tx) error {
			close(begun)
			for db.Waiting() < len(others) {
				time.Sleep(time.Millisecond)
			}
			return first(tx)
		})
	})
	<-begun
	for i, f := range others {
		before := db.Waiting()
		wg.Go(func() { errs[i+1] = f(context.Background()) })
		for db.Waiting() == before { // in this order
			time.Sleep(time.Millisecond)
		}
	}
	wg.Wait()
	return errs
}

// TestGroup: writers that waited share a commit; one that fails, panics, is
// refused by the database or has stopped waiting takes nobody along and leaves
// nothing.
func TestGroup(t *testing.T) {
	onEngines(t, func(t *testing.T, open func(store.Journal) *store.DB) {
		j := empty()
		db := open(j)
		fill(t, db, 0)
		stages := j.stages
		issue := func(n int) func(issuance.Tx) error {
			return func(tx issuance.Tx) error {
				c := credential(n)
				if err := tx.Intend([]issuance.Credential{c}); err != nil {
					return err
				}
				return tx.Append([]audit.Event{{Time: now, Kind: audit.CredentialIntended, Actor: "op", Credential: c.ID}})
			}
		}
		write := func(f func(issuance.Tx) error) func(context.Context) error {
			return func(ctx context.Context) error { return db.Write(ctx, f) }
		}
		onPurpose := errors.New("on purpose")
		errs := queue(db, issue(1),
			write(issue(2)),
			write(func(tx issuance.Tx) error { return errors.Join(issue(3)(tx), onPurpose) }),
			write(func(tx issuance.Tx) error { // of the same record as one before it, whose commit is still to come
				held, err := tx.Held(credential(2).Programme, []issuance.Pseudonym{credential(2).Record})
				if err != nil || len(held) != 1 {
					return fmt.Errorf("held: %v, %v, want the one before", held, err)
				}
				c := credential(4)
				c.Record = credential(2).Record
				return tx.Intend([]issuance.Credential{c})
			}),
			func(ctx context.Context) (err error) {
				defer func() { err, _ = recover().(error) }()
				return db.Write(ctx, func(tx issuance.Tx) error {
					must(t, issue(5)(tx))
					panic(onPurpose)
				})
			},
			func(ctx context.Context) error {
				ctx, cancel := context.WithCancel(ctx)
				return db.Write(ctx, func(tx issuance.Tx) error {
					err := issue(6)(tx)
					cancel()
					return err
				})
			},
			write(issue(7)),
		)
		for i, want := range []error{nil, nil, onPurpose, issuance.ErrActiveExists, onPurpose, context.Canceled, nil} {
			if !errors.Is(errs[i], want) {
				t.Errorf("writer %d: %v, want %v", i, errs[i], want)
			}
		}
		for n := 1; n <= 7; n++ {
			_, err := db.Credential(t.Context(), credential(n).ID)
			if stored := n == 1 || n == 2 || n == 7; stored && err != nil || !stored && !errors.Is(err, issuance.ErrNoCredential) {
				t.Errorf("credential %d: %v, want it stored: %t", n, err, stored)
			}
		}
		if j.stages != stages+1 || j.commits != j.stages {
			t.Errorf("the journal was synced %d times and told of %d commits, want one for all", j.stages-stages, j.commits)
		}
		if size, err := db.AuditSize(t.Context()); err != nil || size != j.head.Size {
			t.Errorf("the log has %d entries, %v; the journal %d", size, err, j.head.Size)
		}
	})
}

// TestGroupFails: if the commit fails nobody's work is stored and everybody is told,
// also those who decided by what others had done; the next writer begins anew.
func TestGroupFails(t *testing.T) {
	onEngines(t, func(t *testing.T, open func(store.Journal) *store.DB) {
		j := empty()
		db := open(j)
		fill(t, db, 0)
		entry := func(tx issuance.Tx) error {
			return tx.Append([]audit.Event{{Time: now, Kind: audit.CredentialIntended, Actor: "op", Credential: credential(1).ID}})
		}
		before, err := db.AuditSize(t.Context())
		must(t, err)
		j.fail = errors.New("no space left on the journal's disk")
		write := func(f func(issuance.Tx) error) func(context.Context) error {
			return func(ctx context.Context) error { return db.Write(ctx, f) }
		}
		errs := queue(db, entry, write(entry), write(func(issuance.Tx) error { return issuance.ErrActiveExists }), write(entry))
		for i, err := range errs {
			if !errors.Is(err, store.ErrJournal) || errors.Is(err, issuance.ErrActiveExists) {
				t.Errorf("writer %d: %v, want %v", i, err, store.ErrJournal)
			}
		}
		j.fail = nil
		if after, err := db.AuditSize(t.Context()); err != nil || after != before {
			t.Errorf("%d entries, %v, want %d", after, err, before)
		}
		must(t, db.Write(t.Context(), entry))
		if after, err := db.AuditSize(t.Context()); err != nil || after != before+1 {
			t.Errorf("%d entries, %v, want %d", after, err, before+1)
		}
	})
}

// TestCommitUnknown: of a transaction whose end nobody knows the journal keeps what was
// staged, since the database may have it.
func TestCommitUnknown(t *testing.T) {
	o, j := options, empty()
	o.Journal = j
	db, err := openAgain(t, create(t), o)
	must(t, err)
	appendEvents(t, db, 1)
	for _, statement := range []string{
		`CREATE TABLE test_commit (one INTEGER REFERENCES meta DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TRIGGER test_commit_fails AFTER INSERT ON audit_block BEGIN INSERT INTO test_commit VALUES (9); END`,
	} {
		must(t, execute(t, db.Path(), statement))
	}
	err = db.Write(t.Context(), func(tx issuance.Tx) error { return tx.Append(events(1)) })
	if !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("Write: %v, want ErrOutcomeUnknown", err)
	}
	if j.commits != 1 || j.leaves != 1 || j.discards != 0 {
		t.Errorf("the journal was told of %d commits, %d unknown ends and %d that are not stored", j.commits, j.leaves, j.discards)
	}
	must(t, execute(t, db.Path(), `DROP TRIGGER test_commit_fails`))
	appendEvents(t, db, 1)
	if size, err := db.AuditSize(t.Context()); err != nil || size != 2 || j.commits != 2 {
		t.Errorf("%d entries, %d commits, %v, want 2", size, j.commits, err)
	}
}

// TestGroupForgets: what a writer stored and took back has no number for those behind it,
// also if something else has got the number since.
func TestGroupForgets(t *testing.T) {
	onEngines(t, func(t *testing.T, open func(store.Journal) *store.DB) {
		db := open(nil)
		fill(t, db, 0)
		onPurpose := errors.New("on purpose")
		save := func(tx issuance.Tx, id string) error {
			b := batchRow()
			b.ID = id
			return tx.SaveBatch(b)
		}
		intend := func(tx issuance.Tx, n int, batch string) error {
			c := credential(n)
			c.Batch = batch
			return tx.Intend([]issuance.Credential{c})
		}
		write := func(f func(issuance.Tx) error) func(context.Context) error {
			return func(ctx context.Context) error { return db.Write(ctx, f) }
		}
		errs := queue(db, func(tx issuance.Tx) error { return intend(tx, 1, "batch-1") },
			write(func(tx issuance.Tx) error { return errors.Join(save(tx, "gone"), intend(tx, 2, "gone"), onPurpose) }),
			write(func(tx issuance.Tx) error { return save(tx, "other") }),
			write(func(tx issuance.Tx) error { return intend(tx, 3, "gone") }),
		)
		for i, want := range []error{nil, onPurpose, nil, issuance.ErrNoBatch} {
			if !errors.Is(errs[i], want) {
				t.Errorf("writer %d: %v, want %v", i, errs[i], want)
			}
		}
	})
}

// TestGroupFenced: who waited while the database was fenced does not go on in the
// transaction that fences it, of which it knows only how things stood before.
func TestGroupFenced(t *testing.T) {
	db := create(t)
	fill(t, db, 0)
	entry := func(tx issuance.Tx) error {
		return tx.Append([]audit.Event{{Time: now, Kind: audit.CredentialIntended, Actor: "op", Credential: credential(1).ID}})
	}
	errs := queue(db, entry,
		func(ctx context.Context) error { return db.Fence(ctx, store.FenceRestored) },
		func(ctx context.Context) error { return db.Write(ctx, entry) },
	)
	for i, want := range []error{nil, nil, store.ErrFenced} {
		if !errors.Is(errs[i], want) {
			t.Errorf("writer %d: %v, want %v", i, errs[i], want)
		}
	}
}

// TestCloseWaits: Close lets a group end, and who comes later finds it closed.
func TestCloseWaits(t *testing.T) {
	db := create(t)
	var closed error
	errs := queue(db,
		func(issuance.Tx) error { return nil },
		func(ctx context.Context) error { return db.Write(ctx, func(issuance.Tx) error { return nil }) },
		func(context.Context) error { closed = db.Close(); return nil },
		func(ctx context.Context) error { return db.Write(ctx, func(issuance.Tx) error { return nil }) },
	)
	if errs[0] != nil || errs[1] != nil || closed != nil || !errors.Is(errs[3], store.ErrClosed) {
		t.Errorf("%v, closed: %v; want only the last one refused", errs, closed)
	}
}

// TestTurns: whoever stops waiting loses the place, and no other one does.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := store.NewTurns()
		must(t, q.Take(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		var order []string
		for _, name := range []string{"a", "b", "c"} {
			c := t.Context()
			if name == "b" {
				c = ctx
			}
			go func() {
				if err := q.Take(c); err != nil {
					order = append(order, name+" gone")
					return
				}
				order = append(order, name)
				q.Pass()
			}()
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		q.Pass()
		synctest.Wait()
		if got, want := fmt.Sprint(order), "[b gone a c]"; got != want {
			t.Errorf("order %s, want %s", got, want)
		}
		must(t, q.Take(t.Context())) // nobody has it
	})
}
