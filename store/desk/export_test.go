package desk

import (
	"context"
	"errors"
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
