package desk

import (
	"context"
	"slices"

	"github.com/sanad-id/sanad/work"
)

var _ work.HistoryStore = (*DB)(nil)

// HistoryPosition implements [work.HistoryStore].
func (db *DB) HistoryPosition(ctx context.Context) (log string, position int64, err error) {
	err = db.read(ctx, func(t tx) error {
		_, err := t.one(`SELECT log, position FROM history_position WHERE one = 1`, nil, &log, &position)
		return err
	})
	return log, position, err
}

// AddHistory implements [work.HistoryStore].
func (db *DB) AddHistory(ctx context.Context, s work.HistoryStep) error {
	return db.write(ctx, func(t tx) error {
		var log string
		var position int64
		known, err := t.one(`SELECT log, position FROM history_position WHERE one = 1`, nil, &log, &position)
		if err != nil {
			return err
		}
		switch {
		case s.From == 0:
			if known && log == s.Log && position >= s.To {
				return work.ErrMoved
			}
			if _, err := t.exec(`DELETE FROM history`); err != nil {
				return err
			}
		case !known || log != s.Log || position != s.From:
			return work.ErrMoved
		}
		_, err = t.exec(`INSERT INTO history_position (one, log, position) VALUES (1, $1, $2)
			ON CONFLICT (one) DO UPDATE SET log = excluded.log, position = excluded.position`, s.Log, s.To)
		if err != nil {
			return err
		}
		for _, m := range s.Entries {
			if _, err := t.exec(`INSERT INTO history (credential, entry) VALUES ($1, $2)`, m.Credential, m.Entry); err != nil {
				return err
			}
		}
		return nil
	})
}

// HistoryOf implements [work.HistoryStore].
func (db *DB) HistoryOf(ctx context.Context, credentials []string) (all []int64, err error) {
	for part := range slices.Chunk(credentials, tallyMarks) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		err := db.read(ctx, func(t tx) error {
			return t.each(`SELECT entry FROM history WHERE credential IN (`+marks(1, len(part))+`)`, args, func(scan func(...any) error) error {
				var n int64
				err := scan(&n)
				all = append(all, n)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}
