package desk

import (
	"context"
	"errors"
	"strings"
)

// ErrDirect: the database refused a statement.
var ErrDirect = errors.New("refused by the database")

// Direct runs a statement past the rules of this package.
func (db *DB) Direct(ctx context.Context, query string, args ...any) error {
	err := db.write(ctx, func(t tx) error {
		_, err := t.exec(query, args...)
		return err
	})
	if err != nil {
		return ErrDirect
	}
	return nil
}

// Watch has f told each statement that reads, from now on.
func (db *DB) Watch(f func(query string, args []any)) { db.watch = f }

// Plan returns how the database goes about a statement, a step a line. On PostgreSQL it
// reads a table whole only where there is no other way, however small the table is.
func (db *DB) Plan(ctx context.Context, query string, args []any) (string, error) {
	conn, err := db.readers.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	t, explain := tx{ctx: ctx, q: conn}, "EXPLAIN QUERY PLAN "
	if db.postgres {
		explain = "EXPLAIN "
		for _, setting := range []string{"enable_seqscan", "enable_bitmapscan"} {
			if _, err := t.exec("SET " + setting + " = off"); err != nil {
				return "", err
			}
			defer t.exec("RESET " + setting)
		}
	}
	var plan strings.Builder
	err = t.each(explain+query, args, func(scan func(...any) error) error {
		var step string
		var skip [3]int64
		into := []any{&skip[0], &skip[1], &skip[2], &step}
		if db.postgres {
			into = []any{&step}
		}
		err := scan(into...)
		plan.WriteString(step + "\n")
		return err
	})
	return plan.String(), err
}
