package desk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// applicationID marks our files in SQLite's header ("SANK").
const applicationID = 0x53414e4b

var sqliteFirst = fmt.Sprintf(`PRAGMA application_id = %d;
CREATE TABLE meta (
	one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL,
	secret  BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;`, applicationID)

func openSQLite(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := sqldb.MakeFile(path); err != nil {
		return nil, err
	}
	db := &DB{}
	if db.writers, err = sqldb.OpenFile(path, "rw", 1, 4, "secure_delete(1)"); err != nil {
		return nil, err
	}
	if db.readers, err = sqldb.OpenFile(path, "rw", 0, 4, "secure_delete(1)", "query_only(1)"); err != nil {
		return nil, errors.Join(err, db.writers.Close())
	}
	if err := sqldb.WriteAhead(ctx, db.writers); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, sqldb.Plain(err)), db.Close())
	}
	return db, nil
}

func sqliteVersion(t tx) (version int, may bool, err error) {
	var application, objects int64
	if _, err := t.one("PRAGMA application_id", nil, &application); err != nil {
		return 0, false, err
	}
	if _, err := t.one("SELECT count(*) FROM sqlite_schema", nil, &objects); err != nil {
		return 0, false, err
	}
	if application == 0 && objects == 0 {
		return 0, true, nil
	}
	if application != applicationID {
		return 0, false, errors.New("the file belongs to another program")
	}
	_, err = t.one(`SELECT version FROM meta`, nil, &version)
	return version, true, err
}
