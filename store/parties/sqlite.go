package parties

import (
	"errors"
	"path/filepath"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// applicationID marks our files in SQLite's header ("SANR").
const applicationID = 0x53414e52

func openSQLite(path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := sqldb.MakeFile(path); err != nil {
		return nil, err
	}
	pool, err := sqldb.OpenFile(path, "rw", 4, 4, "journal_mode(WAL)")
	if err != nil {
		return nil, err
	}
	return &DB{pool: pool}, nil
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
