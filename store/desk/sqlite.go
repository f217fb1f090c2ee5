package desk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"

	"github.com/sanad-id/sanad/internal/durable"
)

// applicationID marks our files in SQLite's header ("SANK").
const applicationID = 0x53414e4b

var sqliteFirst = fmt.Sprintf(`PRAGMA application_id = %d;
CREATE TABLE meta (
	one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL,
	secret  BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;`, applicationID)

// ownLocks makes SQLite's locks belong to its open files and not to the process;
// see package store.
var ownLocks = sync.OnceFunc(func() { _, _ = sqlite.OFDLocking(true) })

func openPool(path string, conns int, pragmas ...string) (*sql.DB, error) {
	ownLocks()
	q := url.Values{
		"mode": {"rw"}, "_txlock": {"immediate"}, "_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"},
		"_pragma": append([]string{
			"busy_timeout(10000)", "trusted_schema(0)", "cell_size_check(1)", "synchronous(FULL)", "temp_store(MEMORY)", "foreign_keys(1)", "secure_delete(1)",
		}, pragmas...),
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(4)
	return db, nil
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	db := &DB{}
	if db.writers, err = openPool(path, 1, "journal_mode(WAL)"); err != nil {
		return nil, err
	}
	if db.readers, err = openPool(path, 0, "query_only(1)"); err != nil {
		return nil, errors.Join(err, db.writers.Close())
	}
	if err := db.writers.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, plain(err)), db.Close())
	}
	return db, nil
}

// makeFile makes an empty file that only its owner may read, if there is none.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(path))
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

// sqliteText is the text of SQLite's errors, which holds no values.
func sqliteText(err error) (string, bool) {
	if _, ok := errors.AsType[*sqlite.Error](err); ok {
		return err.Error(), true
	}
	return "", false
}
