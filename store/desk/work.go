package desk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/work"
)

var (
	_ work.Store = (*DB)(nil)
	_ work.Index = (*DB)(nil)
)

const itemColumns = `id, kind, office, programme, record, credential, made, reason, state, problem, shown, requester, approver, opened, changed, due, expires, worker, until, attempt, seen, lost, rev`

const selectItem = `SELECT ` + itemColumns + ` FROM work_item`

func scanItem(scan func(...any) error) (i work.Item, err error) {
	var shown []byte
	var opened, changed, due, expires, until, seen int64
	err = scan(&i.ID, &i.Kind, &i.Office, &i.Programme, &i.Record, &i.Credential, &i.Made, &i.Reason, &i.State, &i.Problem, &shown, &i.Requester, &i.Approver,
		&opened, &changed, &due, &expires, &i.Worker, &until, &i.Attempt, &seen, &i.Lost, &i.Rev)
	copy(i.Shown[:], shown)
	i.Opened, i.Changed, i.Due, i.Expires, i.Until, i.Seen = moment(opened), moment(changed), moment(due), moment(expires), moment(until), moment(seen)
	return i, err
}

// itemArgs are the values of the columns of an item.
func itemArgs(i *work.Item) []any {
	return []any{
		i.ID, string(i.Kind), i.Office, i.Programme, i.Record, i.Credential, i.Made, string(i.Reason), string(i.State), i.Problem, i.Shown[:], i.Requester, i.Approver,
		milli(i.Opened), milli(i.Changed), milli(i.Due), milli(i.Expires), i.Worker, milli(i.Until), i.Attempt, milli(i.Seen), i.Lost, i.Rev,
	}
}

// AddItem implements [work.Store].
func (db *DB) AddItem(ctx context.Context, i work.Item, e work.Event) error {
	i.Rev = 1
	return db.write(ctx, func(t tx) error {
		args := itemArgs(&i)
		n, err := t.exec(`INSERT INTO work_item (`+itemColumns+`, queue) VALUES (`+marks(1, len(args)+1)+`) ON CONFLICT DO NOTHING`, append(args, string(i.Queue()))...)
		if err != nil {
			return err
		}
		if n == 0 {
			return work.ErrBusy
		}
		return t.event(e)
	})
}

func (t tx) event(e work.Event) error {
	if e.Deed == "" {
		return nil
	}
	_, err := t.exec(`INSERT INTO work_event (item, at, deed, actor, reason, comment) VALUES ($1, $2, $3, $4, $5, $6)`,
		e.Item, milli(e.At), string(e.Deed), e.Actor, e.Reason, e.Comment)
	return err
}

// SaveItem implements [work.Store].
func (db *DB) SaveItem(ctx context.Context, c work.Change) error {
	return db.write(ctx, func(t tx) error {
		i := c.Item
		i.Rev++
		n, err := t.exec(`UPDATE work_item SET kind = $2, credential = $3, made = $4, reason = $5, state = $6, problem = $7, shown = $8, requester = $9, approver = $10,
			changed = $11, due = $12, expires = $13, worker = $14, until = $15, attempt = $16, seen = $17, lost = $18, rev = $19, queue = $20 WHERE id = $1 AND rev = $21`,
			i.ID, string(i.Kind), i.Credential, i.Made, string(i.Reason), string(i.State), i.Problem, i.Shown[:], i.Requester, i.Approver,
			milli(i.Changed), milli(i.Due), milli(i.Expires), i.Worker, milli(i.Until), i.Attempt, milli(i.Seen), i.Lost, i.Rev, string(i.Queue()), c.Item.Rev)
		if err != nil {
			return err
		}
		if n == 0 {
			return t.whyNot(i.ID)
		}
		if err := t.event(c.Event); err != nil {
			return err
		}
		if c.ErasePrint || c.Print != nil {
			if _, err := t.exec(`DELETE FROM work_print WHERE item = $1`, i.ID); err != nil {
				return err
			}
		}
		if c.Print != nil {
			_, err = t.exec(`INSERT INTO work_print (item, sealed) VALUES ($1, $2)`, i.ID, c.Print)
		}
		return err
	})
}

// whyNot says why an item was not changed.
func (t tx) whyNot(id string) error {
	var rev int64
	found, err := t.one(`SELECT rev FROM work_item WHERE id = $1`, []any{id}, &rev)
	if err == nil && !found {
		return work.ErrNoItem
	}
	return orElse(err, work.ErrMoved)
}

// Item implements [work.Store].
func (db *DB) Item(ctx context.Context, office, id string) (i work.Item, err error) {
	err = db.read(ctx, func(t tx) error {
		found := false
		err := t.each(selectItem+` WHERE id = $1 AND ($2 = '' OR office = $2)`, []any{id, office}, func(scan func(...any) error) (err error) {
			found = true
			i, err = scanItem(scan)
			return err
		})
		if err == nil && !found {
			return work.ErrNoItem
		}
		return err
	})
	return i, err
}

// Items implements [work.Store].
func (db *DB) Items(ctx context.Context, q work.ItemQuery) (all []work.Item, err error) {
	if q.Office == "" || q.Limit <= 0 {
		return nil, errors.New("desk: ItemQuery.Office or Limit is not set")
	}
	where, args := ` WHERE office = $1`, []any{q.Office}
	and := func(condition string, values ...any) {
		from := len(args) + 1
		places := make([]any, len(values))
		for i := range values {
			places[i] = fmt.Sprintf("$%d", from+i)
		}
		where += " AND " + fmt.Sprintf(condition, places...)
		args = append(args, values...)
	}
	if q.Queue != "" {
		and(`queue = %s`, string(q.Queue))
	}
	if q.Record != "" {
		and(`programme = %s AND record = %s`, q.Programme, q.Record)
	}
	if q.After != nil {
		and(`(changed, id) > (%s, %s)`, milli(q.After.Changed), q.After.ID)
	}
	args = append(args, q.Limit)
	query := selectItem + where + fmt.Sprintf(` ORDER BY changed, id LIMIT $%d`, len(args))
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(query, args, func(scan func(...any) error) error {
			i, err := scanItem(scan)
			all = append(all, i)
			return err
		})
	})
	return all, err
}

// CountItems implements [work.Store].
func (db *DB) CountItems(ctx context.Context, office string) (map[work.Queue]int, error) {
	counts := map[work.Queue]int{}
	err := db.read(ctx, func(t tx) error {
		// Greater, and not unequal, so that what is over is not read: it is in no queue.
		return t.each(`SELECT queue, count(*) FROM work_item WHERE office = $1 AND queue > '' GROUP BY queue`, []any{office}, func(scan func(...any) error) error {
			var q string
			var n int
			err := scan(&q, &n)
			counts[work.Queue(q)] = n
			return err
		})
	})
	return counts, err
}

// DueItems implements [work.Store].
func (db *DB) DueItems(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	err = db.read(ctx, func(t tx) error {
		ids = nil
		return t.each(`SELECT id FROM work_item WHERE state = 'agreed' AND due <= $1 AND until <= $1 ORDER BY due, id LIMIT $2`, []any{milli(now), limit},
			func(scan func(...any) error) error {
				var id string
				err := scan(&id)
				ids = append(ids, id)
				return err
			})
	})
	return ids, err
}

// ItemEvents implements [work.Store].
func (db *DB) ItemEvents(ctx context.Context, q work.EventQuery) (all []work.Event, err error) {
	query, args := `e.item = $1`, []any{q.Item}
	if q.Item == "" {
		query, args = `i.office = $1 AND i.programme = $2 AND i.record = $3`, []any{q.Office, q.Programme, q.Record}
	}
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(`SELECT e.item, e.at, e.deed, e.actor, e.reason, e.comment FROM work_event e JOIN work_item i ON i.id = e.item WHERE `+query+` ORDER BY e.n`, args,
			func(scan func(...any) error) error {
				var e work.Event
				var at int64
				err := scan(&e.Item, &at, &e.Deed, &e.Actor, &e.Reason, &e.Comment)
				e.At = moment(at)
				all = append(all, e)
				return err
			})
	})
	return all, err
}

// Print implements [work.Store].
func (db *DB) Print(ctx context.Context, item string) (sealed []byte, err error) {
	err = db.read(ctx, func(t tx) error {
		found, err := t.one(`SELECT sealed FROM work_print WHERE item = $1`, []any{item}, &sealed)
		if err == nil && !found {
			return work.ErrNoPrint
		}
		return err
	})
	return sealed, err
}

// SweepItems implements [work.Store].
func (db *DB) SweepItems(ctx context.Context, now, closed time.Time) (lost []string, err error) {
	err = db.write(ctx, func(t tx) error {
		lost = nil
		err := t.each(`SELECT id FROM work_item WHERE state = 'signed' AND expires <= $1 ORDER BY id LIMIT 500`, []any{milli(now)}, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			lost = append(lost, id)
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range lost {
			if _, err := t.exec(`DELETE FROM work_print WHERE item = $1`, id); err != nil {
				return err
			}
		}
		_, err = t.exec(`DELETE FROM work_item WHERE id IN (SELECT id FROM work_item WHERE state IN ('done', 'closed') AND changed < $1 LIMIT 500)`, milli(closed))
		return err
	})
	return lost, err
}

// committed is the level of transactions that lock the row that they rest on.
const committed = sql.LevelReadCommitted
