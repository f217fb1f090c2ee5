// Package sqldb opens databases as all of ours are opened: an SQLite file with locks
// that hold within the process too, durable and without trust in its schema; a
// PostgreSQL server only where nobody on the way can read or change what is sent.
//
// Left to others: schemas, transactions and what is done again (the packages under
// store), pools of pgx's own (store, store/once), the registry's tables, which are only
// read (registry/sqltable).
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sanad-id/sanad/internal/durable"
)

// ownLocks makes SQLite's locks belong to its open files and not to the process.
// Without it any other part of the program that opens and closes the database
// file, to copy it say, would take SQLite's locks away. Where the system cannot do
// it nothing changes.
var ownLocks = sync.OnceFunc(func() { _, _ = sqlite.OFDLocking(true) })

// pageSlot is room for a page of our files, 4 096 bytes, and what SQLite keeps beside it, 272
// bytes at present. A page that needed more would go where it goes without.
const pageSlot = 4096 + 320

// ReservePages sets memory aside for so many pages of SQLite files, those of all
// connections of the process; it comes before the first of them is opened, and
// fails afterwards. Without it a page takes twice its size, since the driver's memory rounds
// up to powers of two. See docs/decisions/0050-memory-of-a-batch.md.
func ReservePages(pages int) error {
	tls := libc.NewTLS()
	defer tls.Close()
	memory := libc.Xmalloc(tls, types.Size_t(pages*pageSlot)) // as long as the process lives
	if memory == 0 {
		return errors.New("sqldb: no memory for pages")
	}
	list := libc.NewVaList(memory, int32(pageSlot), int32(pages))
	defer libc.Xfree(tls, list)
	if code := sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PAGECACHE, list); code != sqlite3.SQLITE_OK {
		libc.Xfree(tls, memory)
		return fmt.Errorf("sqldb: SQLite takes no memory for pages: result %d; was a file open already?", code)
	}
	return nil
}

// OpenFile opens a pool on the SQLite file at an absolute path; mode is rw, rwc, ro or
// memory. Every connection has the settings of all our files, then the pragmas, each as
// name(value). At most conns connections are open at once, any number if it is 0, and
// idle of them stay open.
func OpenFile(path, mode string, conns, idle int, pragmas ...string) (*sql.DB, error) {
	ownLocks()
	q := url.Values{
		"mode": {mode}, "_txlock": {"immediate"}, "_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"},
		"_pragma": append([]string{
			"busy_timeout(10000)", "foreign_keys(1)", "trusted_schema(0)", "cell_size_check(1)", "synchronous(FULL)", "temp_store(MEMORY)",
		}, pragmas...),
	}
	// No part of it comes from outside but the path, which is escaped.
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(idle)
	return db, nil
}

// MakeFile makes an empty file that only its owner may read, if there is none.
func MakeFile(path string) error {
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

// patience is how long [WriteAhead] waits for others, as every statement does.
const patience = 10 * time.Second

// WriteAhead gives a file a write-ahead log, if it has none; db is a pool or a connection
// of [OpenFile]. The file remembers it. Several processes may come at once: who finds
// another one busy with the change is told so by SQLite at once, in spite of
// busy_timeout, so that it cannot be one of the pragmas of OpenFile.
func WriteAhead(ctx context.Context, db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}) error {
	for end := time.Now().Add(patience); ; {
		_, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ErrInsecure: the connection would go through a network in plain text, or to a server
// that is not proven to be the right one.
var ErrInsecure = errors.New("the connection to the database would not be protected; add sslmode=verify-full to the URL")

// Protected reports whether nobody on the way can read or change what is sent to any of
// the servers.
func Protected(c *pgconn.Config) bool {
	hosts := []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}
	for _, h := range append(hosts, c.Fallbacks...) {
		network, _ := pgconn.NetworkAddress(h.Host, h.Port)
		ip := net.ParseIP(h.Host)
		switch {
		case network == "unix", h.Host == "localhost", ip != nil && ip.IsLoopback():
		case h.TLSConfig == nil || h.TLSConfig.InsecureSkipVerify: // InsecureSkipVerify: verify-ca does not look at the name
			return false
		}
	}
	return true
}

// OpenServer opens a pool on the PostgreSQL database of a URL. The password is that of
// the role if the URL has none; every connection has the parameters. It returns
// [ErrInsecure], or an error that does not name the password.
func OpenServer(location, password string, parameters map[string]string, conns, idle int) (*sql.DB, error) {
	c, err := pgx.ParseConfig(location)
	if err != nil {
		return nil, fmt.Errorf("the URL of the database: %v", err) // pgx leaves the password out
	}
	if c.Password == "" {
		c.Password = password
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	for name, value := range parameters {
		c.RuntimeParams[name] = value
	}
	if !Protected(&c.Config) {
		return nil, ErrInsecure
	}
	pool := stdlib.OpenDB(*c)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(idle)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool, nil
}

// ErrEncoding: the database keeps text in another encoding than UTF-8, so that names in
// most scripts could not be stored, or nobody would notice that they are damaged.
var ErrEncoding = errors.New("the database does not keep text in UTF-8")

// EncodingHint says what to do about [ErrEncoding].
const EncodingHint = "make a database with CREATE DATABASE name OWNER owner ENCODING 'UTF8' TEMPLATE template0 and name that in the settings; " +
	"what is in this one goes there by pg_dump --encoding=UTF8 and psql, while nobody uses it"

// Encoding is how a server calls the one encoding that will do. Nothing relies on the
// collation of a database: columns that are sorted or indexed have one of their own.
const Encoding = "UTF8"

// CheckEncoding returns [ErrEncoding], with what to do, unless a database has the right
// encoding, which is the server's setting server_encoding.
func CheckEncoding(found string) error {
	if found == Encoding {
		return nil
	}
	return fmt.Errorf("%w but in %s; %s", ErrEncoding, found, EncodingHint)
}

// Collided reports whether another transaction was faster and this one may be repeated.
func Collided(err error) bool {
	f, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (f.Code == "40001" || f.Code == "40P01")
}

// Duplicate reports whether a row is there already.
func Duplicate(err error) bool {
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		return f.Code == "23505"
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == 1555 || e.Code() == 2067) // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
}

// ErrUnreachable: the database server does not answer.
var ErrUnreachable = errors.New("the database server cannot be reached")

// Attempts to reach a server share one outcome among all who waited for it.
type Attempts struct {
	mu    sync.Mutex
	ended time.Time
	err   error
}

// Try runs f, unless a try that failed has ended since the caller came: one that waits for
// a server which does not answer is not repeated for each of those behind it.
func (a *Attempts) Try(f func() error) error {
	came := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil && a.ended.After(came) {
		return a.err
	}
	a.err = f()
	a.ended = time.Now()
	return a.err
}

// Lost reports whether an error of PostgreSQL is about the connection and not about a
// statement.
func Lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch f.Code {
		case "57P01", "57P02", "57P03", "57P05", "53300", "25006", "25P03": // shut down, starting up, full, reads only, was idle
			return true
		}
		return len(f.Code) == 5 && f.Code[:2] == "08"
	}
	_, network := errors.AsType[net.Error](err)
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	return network || connect || pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// Plain takes the values out of an error of a database: what PostgreSQL says about a row
// may hold them; SQLite's text does not. An error that is [Lost] wraps [ErrUnreachable].
func Plain(err error) error {
	if f, ok := errors.AsType[*pgconn.PgError](err); ok {
		told := errors.New("the database server reports " + f.Code)
		if Lost(err) {
			return fmt.Errorf("%w: %w", ErrUnreachable, told)
		}
		return told
	}
	if Lost(err) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if _, ok := errors.AsType[*sqlite.Error](err); ok {
		return errors.New(err.Error())
	}
	return err
}
