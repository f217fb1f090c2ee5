// Package sqltable reads registry records from a table or view in SQLite or
// PostgreSQL, whose columns are named as a programme expects them. A view made
// for one kind of credential, read by a role that may do nothing else, is the
// simplest way to connect a registry that lives in a database.
//
// Start with [Open]. The table is only ever read: SQLite is opened read-only,
// PostgreSQL is asked in read-only transactions, and [Source.Warnings] says if
// the role could do more. What values mean is left to package programme.
//
// # Records
//
// Records come in the order of the id column as the database has it, so that an
// index on it serves, and are read from one state of the database (a read-only
// transaction, REPEATABLE READ on PostgreSQL) however long that takes. Records
// without an id that can serve as one (NULL, empty, longer than 1024 bytes,
// bytes that are no text) come last, as row errors. A line is the number of the
// record in this order, from 1; [Source.Lookup] does not know it.
//
// # Values
//
// A value becomes text in one way for each type:
//
//	NULL                         the empty text
//	text, varchar, enum, uuid    as it stands
//	char(n)                      without the blanks that it is filled up with
//	integers, numeric            as PostgreSQL writes them: 12, -3, 1200.50
//	float, REAL of SQLite        as few digits as tell it from others, no exponent: 0.1, 5
//	boolean                      true, false; of SQLite 1 and 0 in a column declared BOOLEAN or BOOL
//	date, time                   2026-01-31, 08:05:00
//	timestamp                    2026-01-31T08:05:00.25
//	timestamptz                  2026-01-31T08:05:00.25Z, in UTC
//	json, jsonb                  as the database writes it
//
// SQLite has no types for dates and times: what is stored is delivered. Columns
// of other PostgreSQL types (bytea, arrays, intervals and so on) are refused by
// Open, and bytes in SQLite are row errors: a view can leave them out or turn
// them into text. Text that is not UTF-8 or contains a NUL is a row error.
//
// # Limits
//
// A table has at most 1024 columns, a value 1 MiB, a record 4 MiB, an id 1024
// bytes; longer ones are row errors, and the database keeps what is longer to
// itself. Reading takes memory for one record. A mark takes 12 bytes and the
// part of the id that differs from the one before for each record; Mark and
// Changes hold the old mark and the new one in memory, and nothing else. They
// have the database sort by id, which it does on its own disk.
package sqltable

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/sanad-id/sanad/registry"
)

// Errors that callers tell apart.
var (
	// ErrTable: the database has no table or view of this name, or the role may
	// not see it.
	ErrTable = errors.New("sqltable: no such table")
	// ErrColumn: the table has no such column, or one that cannot be read as
	// text or serve as id.
	ErrColumn = errors.New("sqltable: wrong column")
	// ErrRight: the role may not read the table.
	ErrRight = errors.New("sqltable: not allowed to read")
	// ErrChanged: the table is no longer as it was when it was opened.
	ErrChanged = errors.New("sqltable: the table's columns are not those it was opened with")
	// ErrConnect: the database cannot be reached or does not let us in.
	ErrConnect = errors.New("sqltable: no connection")
)

// Limits of one table, in bytes of UTF-8.
const (
	maxValue   = 1 << 20
	maxRecord  = 4 << 20
	maxColumns = 1024
	maxID      = 1024
)

// Options say which table to read.
type Options struct {
	// Database is the path of an SQLite file, or the URL of a PostgreSQL
	// database: postgres://USER@HOST/DATABASE, or with ?host=/run/postgresql for
	// a socket. The URL has no password. Over a network the server must prove
	// its name by a certificate (sslmode=verify-full, with sslrootcert if the
	// authority is not one of the system's).
	Database string
	// PasswordFile is a file with the role's password on its first line. Not
	// needed where the server knows the role otherwise.
	PasswordFile string
	// Schema is where to look for the table in PostgreSQL; the role's search
	// path if empty.
	Schema string
	// Table is the exact name of a table or view.
	Table string
	// IDColumn is the name of the column that identifies a record. Required. It
	// should have an index; Lookup and the ranges of a source ask for it.
	IDColumn string
	// ChangedColumn names a column whose value is another one whenever the
	// record has changed, such as a version or the time of the last change.
	// Optional: Changes then reads this column and the ids, and of the other
	// columns only those of records that changed. A change that leaves this
	// column alone is not seen.
	ChangedColumn string
}

// A Source is one table or view. Its methods may be called at once from several
// goroutines; each call sees the table as it is now. Close it in the end.
type Source struct {
	db      database
	columns *registry.Columns
	shape   shape
	warn    []string
}

var _ registry.Ranger = (*Source)(nil)

// Open connects to the database and finds the table and its columns.
func Open(ctx context.Context, o Options) (*Source, error) {
	var db database
	var err error
	if IsURL(o.Database) {
		db, err = openPostgres(o)
	} else {
		db, err = openSQLite(o)
	}
	if err != nil {
		return nil, err
	}
	s := &Source{db: db}
	if err := s.open(ctx, o); err != nil {
		db.close()
		return nil, err
	}
	return s, nil
}

func (s *Source) open(ctx context.Context, o Options) error {
	f, err := s.db.find(ctx, o)
	if err != nil {
		return err
	}
	if len(f.columns) > maxColumns {
		return fmt.Errorf("%w: %q has more than %d", ErrColumn, registry.ShortName(o.Table), maxColumns)
	}
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	if s.columns, err = registry.NewColumns(names); err != nil {
		return fmt.Errorf("%w: %v", ErrColumn, err)
	}
	id, ok := s.columns.Index(o.IDColumn)
	if !ok {
		return fmt.Errorf("%w: no id column: %s; %q has %s", ErrColumn, registry.NoColumn(o.IDColumn), registry.ShortName(o.Table), registry.NameList(names))
	}
	for _, c := range f.columns {
		if c.refused != "" {
			return fmt.Errorf("%w: %q is %s, which has no text; leave it out of a view or turn it into text there", ErrColumn, registry.ShortName(c.name), c.refused)
		}
	}
	changed := -1
	if o.ChangedColumn != "" {
		if changed, ok = s.columns.Index(o.ChangedColumn); !ok {
			return fmt.Errorf("%w: no changed column: %s; %q has %s", ErrColumn, registry.NoColumn(o.ChangedColumn), registry.ShortName(o.Table), registry.NameList(names))
		}
	}
	s.warn = f.warnings
	s.shape, err = s.db.shape(f, id, changed)
	return err
}

// Close ends all connections, once calls that are under way have ended.
func (s *Source) Close() error {
	s.db.close()
	return nil
}

// Columns returns the columns of all records.
func (s *Source) Columns() *registry.Columns { return s.columns }

// Warnings says in sentences what about the connection is not as it should be:
// that the role could change the registry.
func (s *Source) Warnings() []string { return append([]string(nil), s.warn...) }

// Records implements [registry.Source].
func (s *Source) Records(ctx context.Context) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		stopped, err := s.each(ctx, s.shape.records, yield)
		if err != nil && !stopped {
			yield(registry.Record{}, err)
		}
	}
}

// each yields what a statement without arguments finds, and after that the row
// errors of the records that have no place in it.
func (s *Source) each(ctx context.Context, statement statement, yield func(registry.Record, error) bool) (stopped bool, err error) {
	snap, err := s.db.begin(ctx)
	if err != nil {
		return false, err
	}
	defer snap.end()
	return s.eachIn(ctx, snap, statement, yield)
}

func (s *Source) eachIn(ctx context.Context, snap snapshot, statement statement, yield func(registry.Record, error) bool) (stopped bool, err error) {
	line := 0
	err = snap.stream(ctx, statement, nil, func(row []cell) bool {
		line++
		stopped = !yield(s.record(row, line))
		return !stopped && ctx.Err() == nil
	}, nil)
	if err = cmpErr(ctx.Err(), err); err != nil || stopped {
		return stopped, err
	}
	t, err := s.tail(ctx, snap)
	if err != nil {
		return false, err
	}
	for i := range t.total() {
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("read table: %w", err)
		}
		if !yield(registry.Record{}, t.at(i, line+i+1)) {
			return true, nil
		}
	}
	return false, nil
}

// cmpErr prefers the reason why a call ended to what it came to.
func cmpErr(reason, err error) error {
	if reason != nil {
		return fmt.Errorf("read table: %w", reason)
	}
	return err
}

// A tail is how many records have no id that can serve as one, by what is wrong
// with it.
type tail [3]int

func (t tail) total() int { return t[0] + t[1] + t[2] }

// at returns the row error of the i-th of them, from 0.
func (t tail) at(i, line int) *registry.RowError {
	switch {
	case i < t[0]:
		return &registry.RowError{Line: line, Code: registry.RowNoID, Detail: "the column that identifies a record is empty"}
	case i < t[0]+t[1]:
		return &registry.RowError{Line: line, Code: registry.RowTooLong, Detail: fmt.Sprintf("the id is longer than %d bytes", maxID)}
	}
	return &registry.RowError{Line: line, Code: registry.RowEncoding, Detail: "the id is neither text nor a whole number"}
}

func (s *Source) tail(ctx context.Context, snap snapshot) (t tail, err error) {
	if s.shape.tail.sql == "" {
		return t, nil
	}
	err = snap.query(ctx, s.shape.tail, nil, func(row []cell) bool {
		for i := range t {
			t[i] = atoi(row[i].text)
		}
		return true
	})
	return t, cmpErr(ctx.Err(), err)
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

// record makes a record, or a *registry.RowError, of a row of one of the shape's
// statements: the columns, and what is too long.
func (s *Source) record(row []cell, line int) (registry.Record, error) {
	n := s.columns.Len()
	fail := func(code, format string, args ...any) (registry.Record, error) {
		return registry.Record{}, &registry.RowError{Line: line, Code: code, Detail: fmt.Sprintf(format, args...)}
	}
	if c := row[n].text; c == "-1" {
		return fail(registry.RowTooLong, "the record is longer than %d bytes", maxRecord)
	} else if c != "0" {
		return fail(registry.RowTooLong, "column %q is longer than %d bytes", registry.ShortName(s.shape.columns[atoi(c)-1].name), maxValue)
	}
	values := make([]string, n)
	size := 0
	for i := range values {
		c := row[i]
		size += len(c.text)
		switch {
		case c.bytes:
			return fail(registry.RowEncoding, "column %q holds bytes and not text", registry.ShortName(s.shape.columns[i].name))
		case !isText(c.text):
			return fail(registry.RowEncoding, "column %q holds text that is not UTF-8 or has a NUL", registry.ShortName(s.shape.columns[i].name))
		case size > maxRecord:
			return fail(registry.RowTooLong, "the record is longer than %d bytes", maxRecord)
		}
		values[i] = c.text
	}
	id := values[s.shape.id]
	if strings.TrimSpace(id) == "" {
		return fail(registry.RowNoID, "the column that identifies a record is empty")
	}
	return registry.NewRecord(id, line, s.columns, values), nil
}

// Lookup implements [registry.Source]. The record's line is not known.
func (s *Source) Lookup(ctx context.Context, id string) (registry.Record, error) {
	if err := ctx.Err(); err != nil {
		return registry.Record{}, err
	}
	keys, ok := s.shape.keys(id)
	if !ok {
		return registry.Record{}, registry.ErrNoRecord
	}
	snap, err := s.db.begin(ctx)
	if err != nil {
		return registry.Record{}, err
	}
	defer snap.end()
	return s.lookup(ctx, snap, id, keys)
}

func (s *Source) lookup(ctx context.Context, snap snapshot, id string, keys []key) (found registry.Record, err error) {
	count := 0
	var broken error
	err = snap.query(ctx, s.shape.lookup, keys, func(row []cell) bool {
		count++
		r, err := s.record(row, 0)
		if err != nil {
			broken = err
		}
		found = r
		return true
	})
	if err = cmpErr(ctx.Err(), err); err != nil {
		return registry.Record{}, err
	}
	switch {
	case count == 0:
		return registry.Record{}, registry.ErrNoRecord
	case count > 1:
		return registry.Record{}, registry.ErrAmbiguous
	case broken != nil:
		// Not a *RowError: there is no sequence that could go on.
		row, _ := errors.AsType[*registry.RowError](broken)
		return registry.Record{}, fmt.Errorf("sqltable: the record cannot be read: %s", row.Detail)
	}
	return found, nil
}

// Fingerprint implements [registry.Source]: SHA-256 over all columns, values and
// row errors in their order, and the number of records.
func (s *Source) Fingerprint(ctx context.Context) (string, error) {
	hash, n := sha256.New(), 0
	var b []byte
	for _, name := range s.columns.Names() {
		b = appendText(b, name)
	}
	stopped, err := s.each(ctx, s.shape.records, func(r registry.Record, err error) bool {
		n++
		if ctx.Err() != nil {
			return false
		}
		if row, ok := errors.AsType[*registry.RowError](err); ok {
			b = appendText(append(b, 0), row.Code)
		} else {
			b = append(b, 1)
			for i := range s.columns.Len() {
				b = appendText(b, r.At(i))
			}
		}
		if len(b) > 32<<10 {
			hash.Write(b)
			b = b[:0]
		}
		return true
	})
	if stopped || err != nil {
		return "", cmpErr(ctx.Err(), err)
	}
	hash.Write(b)
	return fmt.Sprintf("sha256:%s:%d", hex.EncodeToString(hash.Sum(nil)), n), nil
}
