package sqltable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"

	"github.com/sanad-id/sanad/registry"
)

// A sqliteDB is one SQLite file.
type sqliteDB struct {
	db   *sql.DB
	path string
}

func openSQLite(o Options) (database, error) {
	info, err := os.Stat(o.Database)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is not a file", ErrConnect, o.Database)
	case o.PasswordFile != "" || o.Schema != "":
		return nil, fmt.Errorf("%w: an SQLite file has neither password nor schema", ErrLocation)
	}
	path, err := filepath.Abs(o.Database)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	}
	q := url.Values{
		"mode": {"ro"},
		// What a view of this file calls is not to have effects either.
		"_pragma": {"busy_timeout(10000)", "query_only(1)", "trusted_schema(0)", "mmap_size(0)"},
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrConnect, err)
	}
	// A connection keeps the file it was opened with, and the file may be
	// replaced by a newer one.
	db.SetMaxIdleConns(0)
	return &sqliteDB{db: db, path: o.Database}, nil
}

func (d *sqliteDB) close() { d.db.Close() }

// fail says what an error of SQLite means, without its text, which may quote.
func (d *sqliteDB) fail(deed string, err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: %w", deed, err)
		}
		return fmt.Errorf("%s: %v", deed, err)
	}
	switch e.Code() & 0xff {
	case 1, 17: // SQLITE_ERROR, SQLITE_SCHEMA
		return fmt.Errorf("%w: %s: SQLite code %d", ErrChanged, d.path, e.Code())
	case 5, 6: // SQLITE_BUSY, SQLITE_LOCKED
		return fmt.Errorf("%w: %s is locked by a program that writes to it", ErrConnect, d.path)
	case 14, 8: // SQLITE_CANTOPEN, SQLITE_READONLY
		return fmt.Errorf("%w: %s cannot be opened; in WAL mode its folder must be writable, or the writer running", ErrConnect, d.path)
	case 26: // SQLITE_NOTADB
		return fmt.Errorf("%w: %s is not an SQLite database", ErrConnect, d.path)
	case 11: // SQLITE_CORRUPT
		return fmt.Errorf("%w: %s is damaged", ErrConnect, d.path)
	}
	return fmt.Errorf("%s: SQLite code %d", deed, e.Code())
}

func (d *sqliteDB) find(ctx context.Context, o Options) (found, error) {
	f := found{from: quote(o.Table) + " AS t"}
	encoding, err := d.texts(ctx, "PRAGMA encoding")
	if err != nil {
		return f, err
	}
	if len(encoding) != 1 || encoding[0] != "UTF-8" {
		return f, fmt.Errorf("%w: %s keeps text as UTF-16, whose order is another one; copy it into a database with PRAGMA encoding = 'UTF-8'", ErrLocation, d.path)
	}
	names, err := d.texts(ctx, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name")
	if err != nil {
		return f, err
	}
	if !slices.Contains(names, o.Table) {
		return f, fmt.Errorf("%w: %q; %s has %s", ErrTable, registry.ShortName(o.Table), d.path, registry.NameList(names))
	}
	rows, err := d.db.QueryContext(ctx, `SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid`, o.Table)
	if err != nil {
		return f, d.fail("read columns", err)
	}
	defer rows.Close()
	primary, single := 0, -1
	for rows.Next() {
		var name, declared string
		var pk, hidden int
		if err := rows.Scan(&name, &declared, &pk, &hidden); err != nil {
			return f, d.fail("read columns", err)
		}
		if hidden == 1 {
			continue
		}
		if pk > 0 {
			primary, single = primary+1, len(f.columns)
		}
		f.columns = append(f.columns, sqliteColumn(name, declared))
	}
	if err := rows.Err(); err != nil {
		return f, d.fail("read columns", err)
	}
	if primary == 1 {
		f.columns[single].unique = true
	}
	unique, err := d.texts(ctx, `SELECT min(i.name) FROM pragma_index_list(?) AS l, pragma_index_info(l.name) AS i
		WHERE l."unique" AND NOT l.partial GROUP BY l.name HAVING count(*) = 1 AND min(i.name) IS NOT NULL`, o.Table)
	if err != nil {
		return f, err
	}
	for i := range f.columns {
		for _, u := range unique {
			f.columns[i].unique = f.columns[i].unique || f.columns[i].name == u
		}
	}
	return f, nil
}

func (d *sqliteDB) texts(ctx context.Context, statement string, args ...any) (list []string, err error) {
	rows, err := d.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, d.fail("read the catalogue", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, d.fail("read the catalogue", err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, d.fail("read the catalogue", err)
	}
	return list, nil
}

// sqliteColumn is a column by its declared type. Which values are in it is
// another matter.
func sqliteColumn(name, declared string) column {
	c := column{name: name, ref: "t." + quote(name)}
	declared = strings.ToUpper(declared)
	switch {
	case declared == "BOOLEAN" || declared == "BOOL":
		c.kind = boolean
	case strings.Contains(declared, "CHAR") || strings.Contains(declared, "TEXT") || strings.Contains(declared, "CLOB"):
		if !strings.Contains(declared, "INT") { // section 3.1 of datatype3.html: INT comes first
			c.own = "BINARY"
		}
	}
	return c
}

// quote makes an identifier of a name that the catalogue has. It is always used
// behind "t.", where SQLite does not take it for a text if there is no such
// column.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (d *sqliteDB) shape(f found, id, changed int) (shape, error) {
	s := shape{columns: f.columns, id: id, changed: changed, keys: func(id string) ([]key, bool) {
		text := key{textual, id}
		if isInteger(id) {
			return []key{text, {integer, id}}, true
		}
		return []key{text, text}, id != "" && len(id) <= maxID
	}}
	ref := f.columns[id].ref
	good := fmt.Sprintf("typeof(%s) IN ('integer', 'text') AND octet_length(%s) BETWEEN 1 AND %d", ref, ref, maxID)
	own := ref + " COLLATE BINARY"
	bytes := own
	if f.columns[id].own == "" {
		bytes = "CAST(" + ref + " AS TEXT) COLLATE BINARY"
	}
	var values, lengths, ties []string
	for i, c := range f.columns {
		values = append(values, fmt.Sprintf("CASE WHEN octet_length(%s) <= %d THEN %s END", c.ref, maxValue, c.ref))
		lengths = append(lengths, fmt.Sprintf("ifnull(octet_length(%s), 0)", c.ref))
		if i != id && !f.columns[id].unique {
			ties = append(ties, ", "+c.ref+" COLLATE BINARY")
		}
	}
	tie := strings.Join(ties, "")
	from := " FROM " + f.from + " WHERE " + good
	all := "SELECT " + strings.Join(values, ", ") + ", " + tooLong(lengths) + from
	between := fmt.Sprintf(" AND %s >= ?1 AND %s <= ?2", own, own)
	upTo := fmt.Sprintf(" AND %s <= ?1", own)
	record := func(rest string) statement { return statement{all + rest, kinds(f.columns)} }
	ids := func(rest string) statement { return statement{sql: "SELECT " + ref + from + rest} }
	s.records = record(" ORDER BY " + own + tie)
	s.byID = record(" ORDER BY " + bytes + tie)
	// The first condition finds it by an index, the second one knows 2 from 02.
	one := fmt.Sprintf(" AND %s IN (?1, ?2) AND CAST(%s AS TEXT) COLLATE BINARY = ?1", own, ref)
	s.lookup = record(one + " LIMIT 2")
	s.first = record(one + " ORDER BY " + own + tie + " LIMIT 1")
	s.between = record(between + " ORDER BY " + own + tie)
	s.upTo = record(upTo + " ORDER BY " + own + tie)
	s.ids, s.idsIn, s.idsUpTo = ids(" ORDER BY "+own), ids(between+" ORDER BY "+own), ids(upTo+" ORDER BY "+own)
	if changed >= 0 {
		s.versions = statement{"SELECT " + ref + ", " + values[changed] + from + " ORDER BY " + bytes + tie, []kind{asItStands, f.columns[changed].kind}}
	}
	s.tail.sql = fmt.Sprintf(`SELECT count(*) FILTER (WHERE %[1]s IS NULL OR typeof(%[1]s) = 'text' AND octet_length(%[1]s) = 0),
		count(*) FILTER (WHERE typeof(%[1]s) = 'text' AND octet_length(%[1]s) > %[2]d),
		count(*) FILTER (WHERE typeof(%[1]s) IN ('blob', 'real')) FROM %[3]s WHERE (%[4]s) IS NOT TRUE`, ref, maxID, f.from, good)
	return s, nil
}

// tooLong is the expression for what is too long in a record: 0, the number of a
// column, or -1 for all together. Most records are told by one sum.
func tooLong(lengths []string) string {
	all := sum(lengths)
	var b strings.Builder
	fmt.Fprintf(&b, "CASE WHEN %s <= %d THEN 0", all, maxValue)
	for i, l := range lengths {
		if l != "0" {
			fmt.Fprintf(&b, " WHEN %s > %d THEN %d", l, maxValue, i+1)
		}
	}
	fmt.Fprintf(&b, " WHEN %s > %d THEN -1 ELSE 0 END", all, maxRecord)
	return b.String()
}

// sum adds terms as a tree, since expressions may only be so deep.
func sum(terms []string) string {
	if len(terms) <= 32 {
		return "(" + strings.Join(terms, " + ") + ")"
	}
	half := len(terms) / 2
	return "(" + sum(terms[:half]) + " + " + sum(terms[half:]) + ")"
}

// A sqliteSnapshot is a read transaction.
type sqliteSnapshot struct {
	db *sqliteDB
	tx *sql.Tx
}

func (d *sqliteDB) begin(ctx context.Context) (snapshot, error) {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, cmpErr(ctx.Err(), d.fail("open "+d.path, err))
	}
	return &sqliteSnapshot{d, tx}, nil
}

func (s *sqliteSnapshot) end() { _ = s.tx.Rollback() }

func (s *sqliteSnapshot) query(ctx context.Context, q statement, args []key, each func([]cell) bool) error {
	return s.stream(ctx, q, args, each, nil)
}

func (s *sqliteSnapshot) stream(ctx context.Context, q statement, args []key, each func([]cell) bool, pause func() error) error {
	values := make([]any, len(args))
	for i, k := range args {
		values[i] = k.text
		if k.class == integer {
			n, err := strconv.ParseInt(k.text, 10, 64)
			if err != nil {
				return fmt.Errorf("sqltable: internal error: key of class %q is no number", k.class)
			}
			values[i] = n
		}
	}
	rows, err := s.tx.QueryContext(ctx, q.sql, values...)
	if err != nil {
		return s.db.fail("read table", err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return s.db.fail("read table", err)
	}
	raw, dest, row := make([]any, len(names)), make([]any, len(names)), make([]cell, len(names))
	for i := range raw {
		dest[i] = &raw[i]
	}
	for n := 1; rows.Next(); n++ {
		if err := rows.Scan(dest...); err != nil {
			return s.db.fail("read table", err)
		}
		for i, v := range raw {
			row[i] = sqliteCell(v, i < len(q.kinds) && q.kinds[i] == boolean)
		}
		if !each(row) {
			return nil
		}
		if pause != nil && n%pauseEvery == 0 {
			if err := pause(); err != nil {
				return err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return s.db.fail("read table", err)
	}
	if pause != nil {
		return pause()
	}
	return nil
}

// sqliteCell makes text of a value of any of SQLite's types.
func sqliteCell(v any, isBool bool) cell {
	switch v := v.(type) {
	case nil:
		return cell{}
	case int64:
		if isBool && (v == 0 || v == 1) {
			return cell{text: strconv.FormatBool(v == 1), class: integer}
		}
		return cell{text: strconv.FormatInt(v, 10), class: integer}
	case float64:
		return cell{text: floatText(v)}
	case string:
		return cell{text: v, class: textual}
	}
	return cell{bytes: true}
}
