package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/copytext"
)

// A postgresMoment is a read transaction on a connection of its own.
type postgresMoment struct{ conn *pgx.Conn }

// moment implements engine.
func (e *postgresEngine) moment(ctx context.Context) (moment, error) {
	conn, err := pgx.ConnectConfig(ctx, e.config)
	if err != nil {
		return nil, postgresError(err)
	}
	m := postgresMoment{conn}
	// The first statement behind BEGIN fixes what the transaction sees. Whoever reads
	// may take his time between tables.
	for _, s := range []string{
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET LOCAL idle_in_transaction_session_timeout = 0",
		"SET LOCAL bytea_output = 'hex'", "SELECT epoch FROM meta",
	} {
		if _, err := conn.Exec(ctx, s); err != nil {
			return nil, errors.Join(postgresError(err), hangUp(conn))
		}
	}
	return m, nil
}

func (m postgresMoment) row(ctx context.Context, query string, args []any, dest ...any) (bool, error) {
	switch err := m.conn.QueryRow(ctx, query, args...).Scan(dest...); {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, m.failed(ctx, err)
	}
	return true, nil
}

func (m postgresMoment) failed(ctx context.Context, err error) error {
	if e := ctx.Err(); e != nil {
		return e
	}
	return postgresError(err)
}

func (m postgresMoment) columns(ctx context.Context, table string) ([]string, error) {
	rows, err := m.conn.Query(ctx, `SELECT column_name::text FROM information_schema.columns
		WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position`, schemaName, table)
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	return names, nil
}

func (m postgresMoment) copy(ctx context.Context, query string, to io.Writer) (int64, error) {
	tag, err := m.conn.PgConn().CopyTo(ctx, to, "COPY ("+query+") TO STDOUT")
	if err != nil {
		return tag.RowsAffected(), m.failed(ctx, err)
	}
	return tag.RowsAffected(), nil
}

func (m postgresMoment) close() error { return hangUp(m.conn) }

// loadPostgres is [Load] for PostgreSQL, as the role that shall own everything.
func loadPostgres(ctx context.Context, location string, o Options, d Dump) error {
	e, err := parsePostgres(location, o)
	if err != nil {
		return err
	}
	err = e.asOwner(ctx, func(conn *pgx.Conn) error {
		if err := e.empty(ctx, conn); err != nil {
			return err
		}
		if err := e.migrate(ctx, d.Schema); err != nil {
			return err
		}
		if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return loadAll(ctx, tx, o, d) }); err != nil {
			return err
		}
		if err := e.migrate(ctx, 0); err != nil {
			return err
		}
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return finishPostgres(ctx, tx, o) })
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// triggers turns the triggers of our tables off or on again.
func triggers(ctx context.Context, tx pgx.Tx, do string, names []string) error {
	for _, name := range names {
		if _, err := tx.Exec(ctx, "ALTER TABLE "+quote(name)+" "+do+" TRIGGER USER"); err != nil {
			return err
		}
	}
	return nil
}

func loadAll(ctx context.Context, tx pgx.Tx, o Options, d Dump) error {
	var names []string
	err := d.each(func(t Table, from io.Reader) error {
		names = append(names, t.Name)
		if err := triggers(ctx, tx, "DISABLE", []string{t.Name}); err != nil {
			return err
		}
		return copyIn(ctx, tx, t, from)
	})
	if err != nil {
		return err
	}
	if d.Verify != nil {
		if err := d.Verify(); err != nil {
			return err
		}
	}
	var instance string
	switch err := tx.QueryRow(ctx, selectInstance).Scan(&instance); {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%w: the dump does not say whose it is", copytext.ErrMalformed)
	case err != nil:
		return err
	}
	if err := checkInstance("the dump", instance, o); err != nil {
		return err
	}
	if err := deriveStates(ctx, tx, d.Schema); err != nil {
		return err
	}
	return triggers(ctx, tx, "ENABLE", names)
}

// deriveStates fills the tables that triggers would have, from the version on that has
// them; the migration that makes them does so itself.
func deriveStates(ctx context.Context, tx pgx.Tx, version int64) error {
	if version < 4 {
		return nil
	}
	derived := []string{"credential_intended", "credential_not_valid"}
	if err := triggers(ctx, tx, "DISABLE", derived); err != nil {
		return err
	}
	for _, s := range []string{
		`INSERT INTO credential_intended SELECT credential_no, credential_no FROM credential WHERE state = 'intended'`,
		`INSERT INTO credential_not_valid SELECT state, credential_id FROM credential WHERE state = 'suspended' OR state = 'revoked'`,
	} {
		if _, err := tx.Exec(ctx, s); err != nil {
			return err
		}
	}
	return triggers(ctx, tx, "ENABLE", derived)
}

// copyIn copies the rows of a table, each read strictly before the server sees it.
func copyIn(ctx context.Context, tx pgx.Tx, t Table, from io.Reader) error {
	rows, err := tx.Query(ctx, `SELECT column_name::text FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2`,
		schemaName, t.Name)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(t.Columns))) {
		return fmt.Errorf("%w: it has the columns %.200q", copytext.ErrMalformed, t.Columns)
	}
	quoted := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		quoted[i] = quote(c)
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := strictly(from, w, len(t.Columns))
		done <- err
		_ = w.CloseWithError(err) // never fails
	}()
	_, err = tx.Conn().PgConn().CopyFrom(ctx, r, "COPY "+quote(t.Name)+" ("+strings.Join(quoted, ", ")+") FROM STDIN")
	_ = r.CloseWithError(io.ErrClosedPipe) // if the server has had enough before the end
	if read := <-done; read != nil && !errors.Is(read, io.ErrClosedPipe) {
		return read
	}
	return err
}

// strictly copies rows in the one form that they have.
func strictly(from io.Reader, to io.Writer, columns int) error {
	in, out := copytext.NewReader(from, columns), copytext.NewWriter(to)
	for {
		row, err := in.Read()
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		for _, v := range row {
			if v.Null {
				out.Null()
			} else {
				out.Text(string(v.Text))
			}
		}
		if err := out.End(); err != nil {
			return err
		}
	}
}

// finishPostgres sets the fence and gives the schema its name.
func finishPostgres(ctx context.Context, tx pgx.Tx, o Options) error {
	if err := triggers(ctx, tx, "DISABLE", []string{"meta"}); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE meta SET fence = $1, timeline = 0`, FenceRestored); err != nil {
		return err
	}
	if err := triggers(ctx, tx, "ENABLE", []string{"meta"}); err != nil {
		return err
	}
	if err := grant(ctx, tx, o.ServiceRole); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "COMMENT ON SCHEMA "+schemaName+" IS '"+schemaFinished+"'")
	return err
}
