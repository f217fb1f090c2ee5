package desk

import (
	"context"

	"github.com/sanad-id/sanad/figures"
)

var _ figures.Store = (*DB)(nil)

// TallyPosition implements [figures.Store].
func (db *DB) TallyPosition(ctx context.Context) (log string, position int64, err error) {
	err = db.read(ctx, func(t tx) error {
		_, err := t.one(`SELECT log, position FROM tally_position WHERE one = 1`, nil, &log, &position)
		return err
	})
	return log, position, err
}

// tallyMarks is how many values go into one statement.
const tallyMarks = 500

// TallyOpen implements [figures.Store].
func (db *DB) TallyOpen(ctx context.Context, credentials []string) (map[string]figures.Open, error) {
	all := map[string]figures.Open{}
	err := db.read(ctx, func(t tx) error {
		for len(credentials) > 0 {
			n := min(len(credentials), tallyMarks)
			args := make([]any, n)
			for i, id := range credentials[:n] {
				args[i] = id
			}
			credentials = credentials[n:]
			err := t.each(`SELECT credential, office, programme, kind, begun FROM tally_open WHERE credential IN (`+marks(1, n)+`)`, args,
				func(scan func(...any) error) error {
					var o figures.Open
					var begun int64
					err := scan(&o.Credential, &o.Office, &o.Programme, &o.Kind, &begun)
					o.Begun = moment(begun)
					all[o.Credential] = o
					return err
				})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// AddTally implements [figures.Store].
func (db *DB) AddTally(ctx context.Context, s figures.Step) error {
	return db.write(ctx, func(t tx) error {
		var log string
		var position int64
		known, err := t.one(`SELECT log, position FROM tally_position WHERE one = 1`, nil, &log, &position)
		if err != nil {
			return err
		}
		switch {
		case s.From == 0:
			if known && log == s.Log && position >= s.To {
				return figures.ErrMoved
			}
			for _, clear := range []string{`DELETE FROM tally`, `DELETE FROM tally_open`, `DELETE FROM tally_position`} {
				if _, err := t.exec(clear); err != nil {
					return err
				}
			}
		case !known || log != s.Log || position != s.From:
			return figures.ErrMoved
		}
		_, err = t.exec(`INSERT INTO tally_position (one, log, position) VALUES (1, $1, $2)
			ON CONFLICT (one) DO UPDATE SET log = excluded.log, position = excluded.position`, s.Log, s.To)
		if err != nil {
			return err
		}
		for _, c := range s.Counts {
			_, err := t.exec(`INSERT INTO tally (day, office, programme, what, n) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (day, office, programme, what) DO UPDATE SET n = tally.n + excluded.n`, c.Day, c.Office, c.Programme, c.What, c.N)
			if err != nil {
				return err
			}
		}
		for _, o := range s.Opened {
			_, err := t.exec(`INSERT INTO tally_open (credential, office, programme, kind, begun) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (credential) DO NOTHING`,
				o.Credential, o.Office, o.Programme, o.Kind, milli(o.Begun))
			if err != nil {
				return err
			}
		}
		for _, id := range s.Closed {
			if _, err := t.exec(`DELETE FROM tally_open WHERE credential = $1`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Tally implements [figures.Store].
func (db *DB) Tally(ctx context.Context, from, to string) (all []figures.Count, err error) {
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(`SELECT day, office, programme, what, n FROM tally WHERE day >= $1 AND day <= $2 ORDER BY day, office, programme, what`, []any{from, to},
			func(scan func(...any) error) error {
				var c figures.Count
				err := scan(&c.Day, &c.Office, &c.Programme, &c.What, &c.N)
				all = append(all, c)
				return err
			})
	})
	return all, err
}
