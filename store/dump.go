package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

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

	db    *DB
	conn  *sql.Conn
	types map[string][]string // of the columns, by table
}

// Snapshot takes a snapshot, which must be closed. It holds up no writer.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	s, err := db.snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return s, nil
}

func (db *DB) snapshot(ctx context.Context) (_ *Snapshot, err error) {
	e, ok := db.engine.(*sqliteEngine)
	if !ok {
		return nil, errors.New("store: no snapshot of this kind of database")
	}
	s := &Snapshot{db: db, types: map[string][]string{}}
	if s.conn, err = e.readers.Conn(ctx); err != nil {
		return nil, readError(ctx, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	// In WAL mode the first statement that reads fixes what the transaction sees.
	if _, err := s.conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return nil, readError(ctx, err)
	}
	if err := s.conn.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&s.Schema); err != nil {
		return nil, readError(ctx, err)
	}
	for _, t := range tables {
		names, types, err := columnsOf(ctx, s.conn, t.name)
		if err != nil {
			return nil, err
		}
		if len(names) > 0 { // older schemas have fewer tables
			s.Tables = append(s.Tables, Table{t.name, names})
			s.types[t.name] = types
		}
	}
	return s, nil
}

// A querier is a connection, a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// columnsOf returns the names and types of the columns of a table.
func columnsOf(ctx context.Context, q querier, table string) (names, types []string, err error) {
	rows, err := q.QueryContext(ctx, `SELECT name, type FROM pragma_table_info($1) ORDER BY cid`, table)
	if err != nil {
		return nil, nil, readError(ctx, err)
	}
	defer rows.Close() // its error is that of rows.Err
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, nil, storeError(err)
		}
		names, types = append(names, name), append(types, kind)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, readError(ctx, err)
	}
	return names, types, nil
}

// CheckPages reads the whole database and returns what it says is damaged, or "".
func (s *Snapshot) CheckPages(ctx context.Context) (string, error) {
	var result string
	if err := s.conn.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
		return "", readError(ctx, err)
	}
	if result == "ok" {
		return "", nil
	}
	return result, nil
}

// Close ends the snapshot.
func (s *Snapshot) Close() error {
	_, err := s.conn.ExecContext(context.WithoutCancel(context.Background()), "ROLLBACK")
	if err != nil && rolledBack(err) {
		err = nil // it never began
	}
	return errors.Join(storeError(err), s.conn.Close())
}

// Copy writes the rows of a table in the form of package copytext and returns
// how many they are. Binary columns are in the form of PostgreSQL's bytea.
func (s *Snapshot) Copy(ctx context.Context, table string, to io.Writer) (int64, error) {
	n, err := s.copy(ctx, table, to)
	if err != nil {
		return n, fmt.Errorf("dump %s: %w", table, err)
	}
	return n, nil
}

// credentialsView joins credentials with their forms, for who reads both.
const credentialsView = "credentials"

// viewColumns are its columns.
var viewColumns = []string{
	"credential_no", "credential_id", "programme_no", "version", "record_ref", "state", "reason", "batch_no",
	"form_no", "form", "list_no", "slot_index", "slot_value", "key_id", "to_be_signed", "signed",
}

const selectView = `SELECT c.credential_no, c.credential_id, c.programme_no, c.version, c.record_ref, c.state, c.reason, c.batch_no,
	f.form_no, f.form, f.list_no, f.slot_index, f.slot_value, f.key_id, f.to_be_signed, f.signed
	FROM credential c LEFT JOIN credential_form f ON f.credential_no = c.credential_no ORDER BY c.credential_no, f.form_no`

// selectAll reads a whole table; no part of it comes from outside.
func (s *Snapshot) selectAll(table string) (string, []string, error) {
	if table == credentialsView {
		return selectView, s.Columns(table), nil
	}
	i := slices.IndexFunc(s.Tables, func(t Table) bool { return t.Name == table })
	k := slices.IndexFunc(tables, func(t struct{ name, key string }) bool { return t.name == table })
	if i < 0 || k < 0 {
		return "", nil, fmt.Errorf("store: no table %.40q", table)
	}
	columns := s.Tables[i].Columns
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + table + " ORDER BY " + tables[k].key, columns, nil
}

func (s *Snapshot) copy(ctx context.Context, table string, to io.Writer) (int64, error) {
	query, columns, err := s.selectAll(table)
	if err != nil {
		return 0, err
	}
	rows, err := s.conn.QueryContext(ctx, query)
	if err != nil {
		return 0, readError(ctx, err)
	}
	defer rows.Close() // its error is that of rows.Err
	w := copytext.NewWriter(to)
	values := make([]any, len(columns))
	dest := make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	n := int64(0)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return n, readError(ctx, err)
		}
		for i, v := range values {
			switch v := v.(type) {
			case nil:
				w.Null()
			case int64:
				w.Int(v)
			case string:
				w.Text(v)
			case []byte:
				w.Bytes(v)
			default:
				return n, fmt.Errorf("store: a %T in column %s", v, columns[i])
			}
		}
		if err := w.End(); err != nil {
			return n, err
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return n, readError(ctx, err)
	}
	return n, w.Flush()
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

// errStopped ends a copy whose reader has had enough.
var errStopped = errors.New("stopped")

// Rows yields the rows of a table in the order of its key. A row is good until the
// next one. An error ends the sequence.
func (s *Snapshot) Rows(ctx context.Context, table string) iter.Seq2[[]copytext.Value, error] {
	return func(yield func([]copytext.Value, error) bool) {
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := s.Copy(ctx, table, w)
			done <- w.CloseWithError(err)
		}()
		stop := func() {
			_ = r.CloseWithError(errStopped) // never fails
			<-done
		}
		defer stop()
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
