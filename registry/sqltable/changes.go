package sqltable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/sanad-id/sanad/registry"
)

// Mark implements [registry.Source].
func (s *Source) Mark(ctx context.Context) (mark registry.Mark, err error) {
	c := s.compare(ctx, nil, func(change registry.Change, err error) bool {
		mark = change.Mark
		return true
	})
	if s.shape.changed >= 0 {
		c.quiet = true
		return mark, c.versions()
	}
	return mark, c.records()
}

// Changes implements [registry.Source]. Added and changed records come in the
// order of their ids' bytes, then removed ones in the same order.
func (s *Source) Changes(ctx context.Context, since registry.Mark) iter.Seq2[registry.Change, error] {
	return func(yield func(registry.Change, error) bool) {
		var old *markReader
		if since != nil {
			var err error
			if old, err = readMark(since, s.following()); err != nil {
				yield(registry.Change{}, err)
				return
			}
		}
		c, err := s.compare(ctx, old, yield), error(nil)
		if s.shape.changed >= 0 && since != nil {
			err = c.versions()
		} else {
			err = c.records()
		}
		if err != nil && !c.stopped {
			yield(registry.Change{}, err)
		}
	}
}

func (s *Source) following() [8]byte {
	changed := ""
	if s.shape.changed >= 0 {
		changed = s.shape.columns[s.shape.changed].name
	}
	return following(s.shape.columns[s.shape.id].name, changed)
}

// A comparison is of a table with an older mark, both in the order of the ids'
// bytes.
type comparison struct {
	*Source
	ctx      context.Context
	yield    func(registry.Change, error) bool
	stopped  bool // yield wants no more
	quiet    bool // make the mark only
	digester *registry.Digester

	old     *markReader
	head    entry // the next of old, if there is one
	more    bool
	now     *markWriter
	any     bool   // an id was met
	last    string // the latest
	missing []entry
	broken  bool // records that are not met may be among those that cannot be read
}

func (s *Source) compare(ctx context.Context, old *markReader, yield func(registry.Change, error) bool) *comparison {
	c := &comparison{Source: s, ctx: ctx, yield: yield, old: old, now: newMarkWriter(s.following()), digester: registry.NewDigester(s.columns)}
	c.head, c.more = old.next()
	return c
}

func (c *comparison) emit(change registry.Change, err error) bool {
	if !c.quiet || change.Kind == registry.Reached {
		c.stopped = c.stopped || !c.yield(change, err)
	}
	return !c.stopped
}

// meet goes on to an id. It returns what the mark knows of it, and a
// *registry.RowError if the id was met before.
func (c *comparison) meet(id string, line int) (was entry, known bool, err error) {
	switch {
	case c.any && id == c.last:
		return was, false, &registry.RowError{Line: line, Code: registry.RowDuplicateID, Detail: "an earlier record has the same id"}
	case c.any && id < c.last:
		return was, false, errors.New("sqltable: the database does not order ids by their bytes")
	}
	// The id is part of the whole record's text: a copy lets that go.
	c.any, c.last = true, strings.Clone(id)
	for c.more && c.head.id < id {
		c.missing = append(c.missing, c.head)
		c.head, c.more = c.old.next()
	}
	if c.more && c.head.id == id {
		was, known = c.head, true
		c.head, c.more = c.old.next()
	}
	return was, known, nil
}

// change is what the digests say about a record.
func change(now, was entry, known bool) registry.ChangeKind {
	switch {
	case !known:
		return registry.Added
	case now.digest != was.digest:
		return registry.Changed
	}
	return ""
}

// records reads all columns of all records.
func (c *comparison) records() error {
	var failed error
	stopped, err := c.each(c.ctx, c.shape.byID, func(r registry.Record, err error) bool {
		if err != nil {
			c.broken = true
			return c.emit(registry.Change{}, err)
		}
		if failed = c.ctx.Err(); failed != nil {
			return false
		}
		was, known, err := c.meet(r.ID, r.Line)
		if isRow(err) {
			return c.emit(registry.Change{}, err)
		}
		if failed = err; err != nil {
			return false
		}
		now := entryOf(c.last, c.digester.Record(r))
		if c.shape.changed >= 0 {
			now = entryOf(c.last, c.digester.Value(r.At(c.shape.changed)))
		}
		c.now.add(now)
		if kind := change(now, was, known); kind != "" {
			return c.emit(registry.Change{Kind: kind, ID: r.ID, Record: r}, nil)
		}
		return true
	})
	if err = cmpErr(c.ctx.Err(), errors.Join(failed, err)); err != nil || stopped {
		return err
	}
	return c.finish()
}

func isRow(err error) bool {
	_, ok := errors.AsType[*registry.RowError](err)
	return ok
}

// A met is a record of which only the id and the version were read.
type met struct {
	now, was entry
	kind     registry.ChangeKind
}

// versions reads ids and the changed column, and of the other columns only what
// has changed.
func (c *comparison) versions() error {
	snap, err := c.db.begin(c.ctx)
	if err != nil {
		return err
	}
	defer snap.end()
	var failed error
	var waiting []met
	line := 0
	err = snap.stream(c.ctx, c.shape.versions, nil, func(row []cell) bool {
		line++
		if failed = c.ctx.Err(); failed != nil {
			return false
		}
		if id := row[0].text; !isText(id) || strings.TrimSpace(id) == "" {
			c.broken = true
			return c.emit(registry.Change{}, &registry.RowError{Line: line, Code: registry.RowNoID, Detail: "the id is not text that can identify a record"})
		}
		was, known, err := c.meet(row[0].text, line)
		if isRow(err) {
			return c.emit(registry.Change{}, err)
		}
		if failed = err; err != nil {
			return false
		}
		m := met{now: entryOf(c.last, c.digester.Value(row[1].text)), was: was}
		m.kind = change(m.now, was, known)
		waiting = append(waiting, m)
		return true
	}, func() error {
		if failed == nil && !c.stopped {
			failed = c.fetch(snap, waiting)
		}
		waiting = waiting[:0]
		return failed
	})
	if err = cmpErr(c.ctx.Err(), errors.Join(failed, err)); err != nil || c.stopped {
		return err
	}
	t, err := c.tail(c.ctx, snap)
	if err != nil {
		return err
	}
	for i := range t.total() {
		c.broken = true
		if !c.emit(registry.Change{}, t.at(i, line+i+1)) {
			return nil
		}
	}
	return c.finish()
}

// fetch delivers what has changed of the records that were met.
func (c *comparison) fetch(snap snapshot, waiting []met) error {
	for _, m := range waiting {
		if m.kind == "" || c.quiet {
			c.now.add(m.now)
			continue
		}
		keys, _ := c.shape.keys(m.now.id)
		var r registry.Record
		var broken error
		err := snap.query(c.ctx, c.shape.first, keys, func(row []cell) bool {
			r, broken = c.record(row, 0)
			return true
		})
		switch {
		case cmpErr(c.ctx.Err(), err) != nil:
			return cmpErr(c.ctx.Err(), err)
		case broken != nil:
			// The next time it is as it was: changed, or new.
			if m.kind == registry.Changed {
				c.now.add(m.was)
			}
			if !c.emit(registry.Change{}, broken) {
				return nil
			}
			continue
		case r.ID != m.now.id:
			return fmt.Errorf("%w: the id column compares ids in a way of its own", ErrColumn)
		}
		c.now.add(m.now)
		if !c.emit(registry.Change{Kind: m.kind, ID: r.ID, Record: r}, nil) {
			return nil
		}
	}
	return nil
}

// finish delivers what was removed, and the mark. If some records could not be
// read the missing ones may be among those: then nothing is said to be removed,
// and the mark keeps them for the next time.
func (c *comparison) finish() error {
	for c.more {
		c.missing = append(c.missing, c.head)
		c.head, c.more = c.old.next()
	}
	mark := c.now.mark()
	if c.broken && len(c.missing) > 0 {
		mark = c.keep(mark)
	} else {
		for _, e := range c.missing {
			if !c.emit(registry.Change{Kind: registry.Removed, ID: e.id}, nil) {
				return nil
			}
		}
	}
	c.emit(registry.Change{Kind: registry.Reached, Mark: mark}, nil)
	return nil
}

// keep returns a mark with the missing entries put in where they belong.
func (c *comparison) keep(mark registry.Mark) registry.Mark {
	r, err := readMark(mark, c.following())
	if err != nil {
		panic(fmt.Sprintf("sqltable: internal error: %v", err))
	}
	w, missing := newMarkWriter(c.following()), c.missing
	for e, ok := r.next(); ok; e, ok = r.next() {
		for len(missing) > 0 && missing[0].id < e.id {
			w.add(missing[0])
			missing = missing[1:]
		}
		w.add(e)
	}
	for _, e := range missing {
		w.add(e)
	}
	return w.mark()
}
