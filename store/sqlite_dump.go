package store

import (
	"context"
	"database/sql"
	"errors"
	"io"

	"github.com/sanad-id/sanad/internal/copytext"
)

// A sqliteMoment is a read transaction.
type sqliteMoment struct{ conn *sql.Conn }

// moment implements engine.
func (e *sqliteEngine) moment(ctx context.Context) (moment, error) {
	conn, err := e.readers.Conn(ctx)
	if err != nil {
		return nil, readError(ctx, err)
	}
	// In WAL mode the first statement that reads fixes what the transaction sees.
	for _, s := range []string{"BEGIN DEFERRED", "SELECT epoch FROM meta"} {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return nil, errors.Join(readError(ctx, err), conn.Close())
		}
	}
	return sqliteMoment{conn}, nil
}

func (m sqliteMoment) row(ctx context.Context, query string, args []any, dest ...any) (bool, error) {
	switch err := m.conn.QueryRowContext(ctx, query, args...).Scan(dest...); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, readError(ctx, err)
	}
	return true, nil
}

func (m sqliteMoment) columns(ctx context.Context, table string) ([]string, error) {
	names, _, err := columnsOf(ctx, m.conn, table)
	return names, err
}

func (m sqliteMoment) pages(ctx context.Context) ([]string, error) {
	var result string
	if _, err := m.row(ctx, "PRAGMA integrity_check(1)", nil, &result); err != nil || result == "ok" {
		return nil, err
	}
	return []string{result}, nil
}

// indexes implements moment: integrity_check has looked at them.
func (m sqliteMoment) indexes(context.Context) ([]string, error) { return nil, nil }

// derived implements moment: indexes do what tables do on PostgreSQL.
func (m sqliteMoment) derived(context.Context) ([]string, error) { return nil, nil }

func (m sqliteMoment) close() error {
	_, err := m.conn.ExecContext(context.Background(), "ROLLBACK")
	if err != nil && rolledBack(err) {
		err = nil // it is over already
	}
	return errors.Join(storeError(err), m.conn.Close())
}

func (m sqliteMoment) copy(ctx context.Context, query string, to io.Writer) (int64, error) {
	rows, err := m.conn.QueryContext(ctx, query)
	if err != nil {
		return 0, readError(ctx, err)
	}
	defer rows.Close() // its error is that of rows.Err
	columns, err := rows.Columns()
	if err != nil {
		return 0, readError(ctx, err)
	}
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
		if err := w.Row(values); err != nil {
			return n, err
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return n, readError(ctx, err)
	}
	return n, w.Flush()
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
