package sqldb_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sanad-id/sanad/internal/sqldb"
)

// TestReservedPages: what is reserved is used, for the pages of all connections, and
// not behind SQLite's back. It takes a process of its own, in which nothing is open yet.
func TestReservedPages(t *testing.T) {
	if os.Getenv("SANAD_TEST_RESERVED") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestReservedPages$", "-test.v")
		cmd.Env = append(os.Environ(), "SANAD_TEST_RESERVED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := sqldb.ReservePages(200); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.OpenFile(filepath.Join(t.TempDir(), "pages.db"), "rwc", 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{"CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t (b) SELECT randomblob(3000) FROM n"} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	tls := libc.NewTLS()
	defer tls.Close()
	at := tls.Alloc(16) // how many are in use, and how many were at most
	defer tls.Free(16)
	if code := sqlite3.Xsqlite3_status64(tls, sqlite3.SQLITE_STATUS_PAGECACHE_USED, at, at+8, 0); code != sqlite3.SQLITE_OK {
		t.Fatalf("status: result %d", code)
	}
	if used := binary.NativeEndian.Uint64(libc.GoBytes(at, 8)); used < 50 {
		t.Errorf("%d pages of those reserved are in use", used)
	}
	if err := sqldb.ReservePages(200); err == nil {
		t.Error("reserved while a file is open")
	}
}

// TestOpenServerRefuses: no URL leads through a network in plain text, or to a server
// whose name nobody checks.
func TestOpenServerRefuses(t *testing.T) {
	for url, insecure := range map[string]bool{
		"postgres://u@db.example/d":                                 true, // prefer: plain text if there is no TLS
		"postgres://u@db.example/d?sslmode=disable":                 true,
		"postgres://u@db.example/d?sslmode=require":                 true,
		"postgres://u@db.example/d?sslmode=verify-ca":               true,
		"postgres://u@10.0.0.1/d?sslmode=disable":                   true,
		"postgres://u@localhost.example/d?sslmode=disable":          true,
		"postgres://u@localhost,db.example/d?sslmode=disable":       true,
		"postgres://u@db.example/d?sslmode=verify-full":             false,
		"postgres://u@localhost/d?sslmode=disable":                  false,
		"postgres://u@127.0.0.1/d?sslmode=disable":                  false,
		"postgres://u@[::1]/d?sslmode=disable":                      false,
		"postgres:///d?host=/run/postgresql&user=u&sslmode=disable": false,
	} {
		db, err := sqldb.OpenServer(url, "secret", nil, 1, 0)
		if errors.Is(err, sqldb.ErrInsecure) != insecure || err != nil && !insecure {
			t.Errorf("%s: %v", url, err)
		}
		if db != nil {
			_ = db.Close()
		}
	}
	if _, err := sqldb.OpenServer("postgres://u:hunter2@h:port/d", "", nil, 1, 0); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a URL that is none: %v", err)
	}
}

// TestPlain: what a server says of a row stays out of errors.
func TestPlain(t *testing.T) {
	said := &pgconn.PgError{Code: "23505", Message: "duplicate key", Detail: "Key (name)=(Amina Juma) already exists."}
	err := fmt.Errorf("add: %w", said)
	if got := sqldb.Plain(err).Error(); got != "the database server reports 23505" {
		t.Errorf("Plain: %q", got)
	}
	if !sqldb.Duplicate(err) || sqldb.Collided(err) || !sqldb.Collided(&pgconn.PgError{Code: "40001"}) {
		t.Error("the kinds of errors are mixed up")
	}
	if sqldb.Plain(nil) != nil || sqldb.Plain(os.ErrClosed) != os.ErrClosed {
		t.Error("Plain changes what is not a database's")
	}
}

// TestWriteAheadAtOnce: many who open a new file at once all get its write-ahead log.
func TestWriteAheadAtOnce(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "new.db")
		if err := sqldb.MakeFile(path); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				db, err := sqldb.OpenFile(path, "rw", 1, 1)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				var mode string
				if err := sqldb.WriteAhead(t.Context(), db); err != nil {
					t.Error(err)
				} else if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
					t.Errorf("journal %q, %v", mode, err)
				}
			})
		}
		wg.Wait()
	}
}

// TestFile: a file is private, durable, and its rows are unique as SQLite says.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b.db")
	for range 2 {
		if err := sqldb.MakeFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	db, err := sqldb.OpenFile(path, "rw", 1, 1, "journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var synchronous, trusted int
	if err := db.QueryRow("SELECT synchronous, trusted_schema FROM pragma_synchronous, pragma_trusted_schema").Scan(&synchronous, &trusted); err != nil || synchronous != 2 || trusted != 0 {
		t.Errorf("synchronous %d, trusted_schema %d, %v", synchronous, trusted, err)
	}
	if _, err := db.Exec("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT; INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO t VALUES (1)"); !sqldb.Duplicate(err) {
		t.Errorf("the same row again: %v", err)
	}
}
