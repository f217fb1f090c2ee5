package parties

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/sqldb"
)

// applicationID marks our files in SQLite's header ("SANR").
const applicationID = 0x53414e52

func openSQLite(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := sqldb.MakeFile(path); err != nil {
		return nil, err
	}
	pool, err := sqldb.OpenFile(path, "rw", 4, 4)
	if err != nil {
		return nil, err
	}
	if err := sqldb.WriteAhead(ctx, pool); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, sqldb.Plain(err)), pool.Close())
	}
	return &DB{pool: pool}, nil
}

// ErrNotFile: the database is on PostgreSQL, which has means of its own to copy it.
var ErrNotFile = errors.New("parties: the database is not a file")

// Copy writes the database, as it is at one moment, to a new file that only its owner may
// read. It may be in use meanwhile. The file is there whole or not at all.
func (db *DB) Copy(ctx context.Context, path string) error {
	if db.postgres {
		return ErrNotFile
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("parties: copy: %w", errors.Join(err, fs.ErrExist))
	}
	part, err := os.CreateTemp(filepath.Dir(path), ".parties-*") // 0600, and empty: SQLite fills it
	if err != nil {
		return fmt.Errorf("parties: copy: %w", err)
	}
	defer os.Remove(part.Name()) //nolint:errcheck // gone once it has its name
	_, err = db.pool.ExecContext(ctx, "VACUUM INTO ?", part.Name())
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err == nil {
		err = durable.Place(part.Name(), path) // never over what came meanwhile
	}
	if err != nil {
		return fmt.Errorf("parties: copy: %w", err)
	}
	return nil
}

func sqliteThere(t tx) (bool, error) {
	var application, objects int64
	if _, err := t.one("PRAGMA application_id", nil, &application); err != nil {
		return false, err
	}
	if _, err := t.one("SELECT count(*) FROM sqlite_schema", nil, &objects); err != nil {
		return false, err
	}
	if application != applicationID && (application != 0 || objects > 0) {
		return false, errors.New("the file belongs to another program")
	}
	return objects > 0, nil
}
