package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// errEnough ends a sequence that its reader has had enough of.
var errEnough = errors.New("enough")

// OpenList implements [issuance.SlotTx].
func (t *tx) OpenList(l issuance.List) error {
	switch {
	case l.URI == "" || len(l.URI) > 512:
		return t.lose(errors.New("store: a status list needs a URI of at most 512 bytes"))
	case l.Next != 0 || !l.Sealed.IsZero() || !l.Closed.IsZero():
		return t.lose(errors.New("store: a new status list is empty and open"))
	case l.Size == 0 || l.Size > 1<<32:
		return t.lose(fmt.Errorf("store: a status list of %d slots", l.Size))
	}
	no, known, err := t.programmeNo(l.Kind.Programme)
	if err != nil {
		return err
	}
	if !known {
		return t.lose(fmt.Errorf("store: no programme %.40q", l.Kind.Programme))
	}
	err = t.run(insertList, l.URI, no, l.Kind.Form, l.Kind.Bits, int64(l.Size), fromTime(l.Opened))
	if err != nil {
		return fmt.Errorf("open status list: %w", t.meaning(err))
	}
	return nil
}

// TakeSlots implements [issuance.SlotTx].
func (t *tx) TakeSlots(kind issuance.ListKind, n uint64) (issuance.Range, error) {
	programme, known, err := t.programmeNo(kind.Programme)
	if err != nil || !known {
		return issuance.Range{}, err
	}
	var no int64
	var r issuance.Range
	ok, err := t.row(selectOpenList, []any{programme, kind.Form, kind.Bits}, &no, &r.List, &r.Size, &r.First)
	if err != nil || !ok {
		return issuance.Range{}, err
	}
	if r.N = min(n, r.Size-r.First); r.N == 0 {
		return issuance.Range{}, nil
	}
	if err := t.run(updateCounter, no, int64(r.N)); err != nil {
		return issuance.Range{}, fmt.Errorf("take slots: %w", err)
	}
	return r, nil
}

// SealLists implements [issuance.SlotTx].
func (t *tx) SealLists(at time.Time) error {
	if at.IsZero() {
		return t.lose(errors.New("store: seal lists: no time"))
	}
	if err := t.run(updateSealed, fromTime(at)); err != nil {
		return fmt.Errorf("seal lists: %w", err)
	}
	return nil
}

// listNo returns the number and the size of a list.
func (t *tx) listNo(uri string) (listNumber, error) {
	if l, ok := t.db.names.lists[uri]; ok {
		return l, nil
	}
	var l listNumber
	ok, err := t.row(selectListNo, []any{uri}, &l.no, &l.size)
	if err != nil {
		return l, err
	}
	if !ok {
		return l, fmt.Errorf("store: no status list %.80q", uri)
	}
	if t.db.names.lists == nil {
		t.db.names.lists = map[string]listNumber{}
	}
	t.db.names.lists[uri] = l
	return l, nil
}

// Lists implements [issuance.PublicationTx].
func (t *tx) Lists() ([]issuance.List, error) {
	var all []issuance.List
	err := t.rows(selectLists, nil, func(scan func(...any) error) error {
		l, err := scanList(scan)
		if err != nil {
			return t.fail(err)
		}
		all = append(all, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lists: %w", err)
	}
	return all, nil
}

// Lists implements [issuance.Store].
func (db *DB) Lists(ctx context.Context) ([]issuance.List, error) {
	var all []issuance.List
	err := db.read(ctx, selectLists, nil, func(scan func(...any) error) error {
		l, err := scanList(scan)
		all = append(all, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lists: %w", err)
	}
	return all, nil
}

func scanList(scan func(...any) error) (issuance.List, error) {
	var l issuance.List
	var opened int64
	var sealed, closed sql.NullInt64
	err := scan(&l.URI, &l.Kind.Programme, &l.Kind.Form, &l.Kind.Bits, &l.Size, &l.Next, &opened, &sealed, &closed)
	if err != nil {
		return l, storeError(err)
	}
	l.Opened, l.Sealed, l.Closed = toTime(opened), toTime(sealed.Int64), toTime(closed.Int64)
	return l, nil
}

// SlotStates implements [issuance.PublicationTx].
func (t *tx) SlotStates(uri string) iter.Seq2[issuance.SlotState, error] {
	return sequence(t, uri, selectBadSlots, func(scan func(...any) error) (issuance.SlotState, error) {
		var s issuance.SlotState
		err := scan(&s.Index, &s.Value)
		return s, err
	})
}

// IssuedSlots implements [issuance.PublicationTx].
func (t *tx) IssuedSlots(uri string) iter.Seq2[uint64, error] {
	return sequence(t, uri, selectSlots, func(scan func(...any) error) (uint64, error) {
		var i uint64
		err := scan(&i)
		return i, err
	})
}

// sequence yields what a statement finds for a list.
func sequence[T any](t *tx, uri, query string, scan func(func(...any) error) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		l, err := t.listNo(uri)
		if err != nil {
			yield(zero, err)
			return
		}
		err = t.rows(query, []any{l.no}, func(from func(...any) error) error {
			v, err := scan(from)
			if err != nil {
				return t.fail(storeError(err))
			}
			if !yield(v, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(zero, fmt.Errorf("slots of a list: %w", err))
		}
	}
}

// read runs a statement that only reads, beside the writer.
func (db *DB) read(ctx context.Context, query string, args []any, f func(scan) error) error {
	return db.engine.read(ctx, query, true, args, f)
}
