package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/copytext"
	"github.com/sanad-id/sanad/internal/durable"
)

// A Dump is what [Load] fills a database from.
type Dump struct {
	// Schema is the version of the tables (see [Snapshot]).
	Schema int64
	// Next returns the next table and its rows, and io.EOF behind the last. The
	// order is that of [Snapshot].Tables.
	Next func() (Table, io.Reader, error)
	// Verify is asked when everything is loaded and before anything counts: an
	// error leaves nothing behind.
	Verify func() error
}

// Load makes a database for the issuer o.Instance from a dump of either engine and
// leaves it fenced: it can be read, and takes no work until it is confirmed. It
// returns [ErrExists] rather than overwrite anything; a Load that breaks off leaves
// nothing, or on PostgreSQL a schema that is marked as not complete, which the next one
// replaces. On PostgreSQL the location is that of the role which shall own it. A dump of an older version is brought up to date.
func Load(ctx context.Context, location string, o Options, d Dump) error {
	if err := o.check(); err != nil {
		return err
	}
	ours, err := newest(steps)
	if err != nil {
		return err
	}
	if d.Schema < 1 || d.Schema > ours {
		return refuse(ErrNewer, location, "version %d, this program knows %d", d.Schema, ours)
	}
	if IsPostgres(location) {
		return loadPostgres(ctx, location, o, d)
	}
	path, err := filepath.Abs(location)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := checkFree(path); err != nil {
		return err
	}
	l, err := lockFor(path)
	if err != nil {
		return err
	}
	if err := checkFree(path); err != nil { // again, now that we have the lock
		return errors.Join(err, l.release(condition{}))
	}
	temp := path + ".new"
	removeAll(temp) // of one that broke off; the lock is ours
	err = loadFile(ctx, temp, o, d)
	if err == nil {
		err = durable.Sync(temp)
	}
	if err == nil {
		if err = os.Link(temp, path); err != nil {
			err = refuse(ErrExists, path, "%v", reason(err))
		}
	}
	removeAll(temp)
	if err == nil {
		err = durable.Sync(filepath.Dir(path))
	}
	if err != nil {
		err = fmt.Errorf("load: %w", err)
	}
	return errors.Join(err, l.release(condition{}))
}

// loadFile fills a new file that nobody sees yet.
func loadFile(ctx context.Context, path string, o Options, d Dump) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return refuse(ErrUnreadable, path, "%v", reason(err))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	// A crash leaves nothing that counts, so nothing is synced on the way.
	db, err := openPool(path, "rw", 1, "journal_mode(OFF)", "synchronous(OFF)", "cache_size(-65536)")
	if err != nil {
		return err
	}
	return errors.Join(loadDB(ctx, db, o, d), db.Close())
}

func loadDB(ctx context.Context, db *sql.DB, o Options, d Dump) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return storeError(err)
	}
	if err := migrate(ctx, db, d.Schema); err != nil {
		return err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return storeError(err)
	}
	defer c.Close() // nothing is left to be written then
	put, err := takeAway(ctx, c)
	if err != nil {
		return err
	}
	if err := loadTables(ctx, c, d); err != nil {
		return err
	}
	if d.Verify != nil {
		if err := d.Verify(); err != nil {
			return err
		}
	}
	var instance string
	switch err := c.QueryRowContext(ctx, `SELECT instance_id FROM meta`).Scan(&instance); {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: the dump does not say whose it is", copytext.ErrMalformed)
	case err != nil:
		return storeError(err)
	case instance != o.Instance:
		return refuse(ErrOtherInstance, "the dump", "it belongs to %.40q, not to %.40q", instance, o.Instance)
	}
	if err := put(); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return storeError(err)
	}
	return finishLoad(ctx, db)
}

// finishLoad brings the schema up to date and sets the fence.
func finishLoad(ctx context.Context, db *sql.DB) error {
	if err := migrate(ctx, db, 0); err != nil {
		return err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return storeError(err)
	}
	defer c.Close() // its error is that of the last statement
	put, err := takeAway(ctx, c)
	if err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, `UPDATE meta SET fence = $1, timeline = 0`, FenceRestored); err != nil {
		return storeError(err)
	}
	if err := put(); err != nil {
		return err
	}
	for _, pragma := range []string{"PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL"} {
		if _, err := c.ExecContext(ctx, pragma); err != nil {
			return storeError(err)
		}
	}
	return nil
}

// takeAway drops triggers and indexes and returns what puts them back.
func takeAway(ctx context.Context, c *sql.Conn) (put func() error, err error) {
	rows, err := c.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_schema
		WHERE type IN ('trigger', 'index') AND sql IS NOT NULL AND tbl_name <> 'goose_db_version' ORDER BY type, name`)
	if err != nil {
		return nil, storeError(err)
	}
	var drop, create []string
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, errors.Join(storeError(err), rows.Close())
		}
		drop, create = append(drop, "DROP "+kind+" "+name), append(create, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, storeError(err)
	}
	run := func(statements []string) error {
		for _, s := range statements {
			if _, err := c.ExecContext(ctx, s); err != nil {
				return storeError(err)
			}
		}
		return nil
	}
	return func() error { return run(create) }, run(drop)
}

// each calls load for the tables of a dump, which must be ours, in our order.
func (d Dump) each(load func(t Table, from io.Reader) error) error {
	for last := -1; ; {
		t, from, err := d.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		place := slices.IndexFunc(tables, func(k struct{ name, key string }) bool { return k.name == t.Name })
		if place <= last {
			return fmt.Errorf("%w: table %.40q is unknown or in the wrong place", copytext.ErrMalformed, t.Name)
		}
		last = place
		if err := load(t, from); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
}

func loadTables(ctx context.Context, c *sql.Conn, d Dump) error {
	if _, err := c.ExecContext(ctx, "BEGIN"); err != nil {
		return storeError(err)
	}
	err := d.each(func(t Table, from io.Reader) error { return loadTable(ctx, c, t, from) })
	if err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
		return storeError(err)
	}
	return nil
}

func loadTable(ctx context.Context, c *sql.Conn, t Table, from io.Reader) error {
	names, types, err := columnsOf(ctx, c, t.Name)
	if err != nil {
		return err
	}
	if !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(t.Columns))) {
		return fmt.Errorf("%w: it has the columns %.200q", copytext.ErrMalformed, t.Columns)
	}
	marks := make([]string, len(t.Columns))
	kinds := make([]string, len(t.Columns))
	for i, column := range t.Columns {
		marks[i] = fmt.Sprintf("$%d", i+1)
		kinds[i] = types[slices.Index(names, column)]
	}
	insert, err := c.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)",
		t.Name, strings.Join(t.Columns, ", "), strings.Join(marks, ", "))) //nolint:gosec // names of our own schema
	if err != nil {
		return storeError(err)
	}
	defer insert.Close() // it has no rows
	in := copytext.NewReader(from, len(t.Columns))
	args := make([]any, len(t.Columns))
	for {
		row, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for i, v := range row {
			if args[i], err = sqliteValue(v, kinds[i]); err != nil {
				return fmt.Errorf("column %s: %w", t.Columns[i], err)
			}
		}
		if _, err := insert.ExecContext(ctx, args...); err != nil {
			return storeError(err)
		}
	}
}

func sqliteValue(v copytext.Value, kind string) (any, error) {
	switch {
	case v.Null:
		return nil, nil
	case kind == "INTEGER":
		return v.Int()
	case kind == "BLOB":
		return v.Bytes([]byte{})
	}
	return string(v.Text), nil
}
