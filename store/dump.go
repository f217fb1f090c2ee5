package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sanad-id/sanad/internal/copytext"
)

// tables are all tables in an order in which none refers to a later one, each
// with its primary key. Rows are dumped in the order of the key.
var tables = []struct{ name, key string }{
	{"meta", "one"},
	{"writer", "writer_no"},
	{"programme", "programme_no"},
	{"programme_version", "programme_no, version"},
	{"batch", "batch_no"},
	{"batch_chunk", "batch_no, chunk_no"},
	{"status_list", "list_no"},
	{"credential", "credential_no"},
	{"credential_form", "credential_no, form_no"},
	{"publication", "name"},
	{"audit_block", "first_entry"},
	{"audit_hashes", "first_hash"},
	{"audit_checkpoint", "size"},
	{"audit_cosignature", "size, witness"},
}

// A Table is a table of a database, in this order of columns.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// A Snapshot is the content of a database at one moment, whatever is written
// meanwhile. Its methods are called from one goroutine at a time.
type Snapshot struct {
	// Schema is the version of the tables.
	Schema int64
	// Tables are all tables in an order in which none refers to a later one.
	Tables []Table

	conn moment
}

// A moment is a connection of an engine that sees the database as it stood when it
// was opened.
type moment interface {
	// row runs a statement that returns at most one row, and reports whether it did.
	row(ctx context.Context, query string, args []any, dest ...any) (bool, error)
	// columns returns the names of the columns of a table, none if there is none.
	columns(ctx context.Context, table string) ([]string, error)
	// copy writes the rows that a statement returns in the form of package copytext.
	copy(ctx context.Context, query string, to io.Writer) (int64, error)
	// pages returns what the database finds damaged in itself.
	pages(ctx context.Context) ([]string, error)
	// indexes returns which indexes do not have what their tables have, and why; those of
	// which pages tells may be left out.
	indexes(ctx context.Context) ([]string, error)
	// derived returns what is wrong with what is derived from states.
	derived(ctx context.Context) ([]string, error)
	close() error
}

// Snapshot takes a snapshot, which must be closed. It holds up no writer.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	conn, err := db.engine.moment(ctx)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	s := &Snapshot{conn: conn}
	if err := s.describe(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: %w", err), conn.close())
	}
	return s, nil
}

func (s *Snapshot) describe(ctx context.Context) error {
	if _, err := s.conn.row(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`, nil, &s.Schema); err != nil {
		return err
	}
	for _, t := range tables {
		names, err := s.conn.columns(ctx, t.name)
		if err != nil {
			return err
		}
		if len(names) > 0 { // older schemas have fewer tables
			s.Tables = append(s.Tables, Table{t.name, names})
		}
	}
	return nil
}

// CheckPages reads the database and returns what it finds damaged in itself, a text for
// each place.
func (s *Snapshot) CheckPages(ctx context.Context) ([]string, error) { return s.conn.pages(ctx) }

// CheckIndexes returns the indexes, with their schema, that do not have what their tables
// have, a text for each. On SQLite CheckPages looks at them, too.
func (s *Snapshot) CheckIndexes(ctx context.Context) ([]string, error) { return s.conn.indexes(ctx) }

// CheckDerived compares what the database derives from the states of credentials with
// them, and returns what is wrong. SQLite has indexes for that.
func (s *Snapshot) CheckDerived(ctx context.Context) ([]string, error) { return s.conn.derived(ctx) }

// Close ends the snapshot.
func (s *Snapshot) Close() error { return s.conn.close() }

// Copy writes the rows of a table in the form of package copytext and returns
// how many they are. Binary columns are in the form of PostgreSQL's bytea.
func (s *Snapshot) Copy(ctx context.Context, table string, to io.Writer) (int64, error) {
	query, err := s.selectAll(table)
	if err != nil {
		return 0, err
	}
	n, err := s.conn.copy(ctx, query, to)
	if err != nil {
		return n, fmt.Errorf("dump %s: %w", table, err)
	}
	return n, nil
}

// credentialsView joins credentials with their forms, for who reads both.
const credentialsView = "credentials"

// viewColumns are its columns.
var viewColumns = []string{
	"credential_no", "credential_id", "programme_no", "version", "record_ref", "state", "reason", "issued_at", "expires_at",
	"batch_no", "batch_row", "supersedes", "idempotency_key", "part_of",
	"form_no", "form", "list_no", "slot_index", "slot_value", "key_id", "to_be_signed", "signed",
}

const selectView = `SELECT c.credential_no, c.credential_id, c.programme_no, c.version, c.record_ref, c.state, c.reason, c.issued_at, c.expires_at,
	c.batch_no, c.batch_row, c.supersedes, c.idempotency_key, c.part_of,
	f.form_no, f.form, f.list_no, f.slot_index, f.slot_value, f.key_id, f.to_be_signed, f.signed
	FROM credential c LEFT JOIN credential_form f ON f.credential_no = c.credential_no ORDER BY c.credential_no, f.form_no`

// selectAll reads a whole table; no part of it comes from outside.
func (s *Snapshot) selectAll(table string) (string, error) {
	if table == credentialsView {
		return selectView, nil
	}
	i := slices.IndexFunc(s.Tables, func(t Table) bool { return t.Name == table })
	k := slices.IndexFunc(tables, func(t struct{ name, key string }) bool { return t.name == table })
	if i < 0 || k < 0 {
		return "", fmt.Errorf("store: no table %.40q", table)
	}
	return "SELECT " + strings.Join(s.Tables[i].Columns, ", ") + " FROM " + table + " ORDER BY " + tables[k].key, nil
}

// Columns returns the columns of a table in their order, nil if there is none of
// this name. Beside the tables there is "credentials": credential with the columns of
// credential_form, a row for each form.
func (s *Snapshot) Columns(table string) []string {
	if table == credentialsView {
		return viewColumns
	}
	for _, t := range s.Tables {
		if t.Name == table {
			return t.Columns
		}
	}
	return nil
}

// A tap is a writer that can be turned off: what comes then goes nowhere.
type tap struct {
	w   *io.PipeWriter
	off atomic.Bool
}

func (t *tap) Write(b []byte) (int, error) {
	if t.off.Load() {
		return len(b), nil
	}
	n, err := t.w.Write(b)
	if err != nil && t.off.Load() {
		return len(b), nil
	}
	return n, err
}

// Rows yields the rows of a table in the order of its key. A row is good until the
// next one. An error ends the sequence.
func (s *Snapshot) Rows(ctx context.Context, table string) iter.Seq2[[]copytext.Value, error] {
	return func(yield func([]copytext.Value, error) bool) {
		r, w := io.Pipe()
		out := &tap{w: w}
		done := make(chan error, 1)
		go func() {
			_, err := s.Copy(ctx, table, out)
			done <- w.CloseWithError(err)
		}()
		defer func() {
			// A copy cannot be broken off without its connection.
			out.off.Store(true)
			_ = r.Close() // never fails
			<-done
		}()
		for in := copytext.NewReader(r, len(s.Columns(table))); ; {
			row, err := in.Read()
			if err == io.EOF {
				return
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}
