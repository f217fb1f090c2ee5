package parties

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"

	"github.com/sanad-id/sanad/internal/durable"
)

// applicationID marks our files in SQLite's header ("SANR").
const applicationID = 0x53414e52

// ownLocks makes SQLite's locks belong to its open files and not to the process;
// see package store.
var ownLocks = sync.OnceFunc(func() { _, _ = sqlite.OFDLocking(true) })

func openSQLite(path string) (*DB, error) {
	ownLocks()
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	q := url.Values{
		"mode": {"rw"}, "_txlock": {"immediate"}, "_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"},
		"_pragma": {"busy_timeout(10000)", "trusted_schema(0)", "cell_size_check(1)", "synchronous(FULL)", "temp_store(MEMORY)", "foreign_keys(1)", "journal_mode(WAL)"},
	}
	pool, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(4)
	pool.SetMaxIdleConns(4)
	return &DB{pool: pool}, nil
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

// sqliteText is the text of SQLite's errors, which holds no values.
func sqliteText(err error) (string, bool) {
	if _, ok := errors.AsType[*sqlite.Error](err); ok {
		return err.Error(), true
	}
	return "", false
}

// sqliteDuplicate reports SQLITE_CONSTRAINT_PRIMARYKEY and _UNIQUE.
func sqliteDuplicate(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == 1555 || e.Code() == 2067)
}
