package sqltable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sanad-id/sanad/registry"
)

// A postgresDB is one PostgreSQL database. Everything goes through the extended
// protocol with values in text form.
type postgresDB struct {
	pool *pgxpool.Pool
	role string
}

// maxMessage is more than a row has that our statements ask for.
const maxMessage = 64 << 20

func openPostgres(o Options) (database, error) {
	dsn, err := connString(o.Database)
	if err != nil {
		return nil, err
	}
	password, err := readPassword(o.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	}
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil { // such as a certificate file that is not there; pgx hides the password
		return nil, fmt.Errorf("%w: %v", ErrLocation, err)
	}
	c.ConnConfig.Password = password
	c.ConnConfig.RuntimeParams = map[string]string{"application_name": "sanad"}
	c.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxMessage)
		return f
	}
	c.MaxConns, c.MinConns, c.MaxConnIdleTime = 16, 0, time.Minute
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrConnect, err)
	}
	return &postgresDB{pool, c.ConnConfig.User}, nil
}

func (d *postgresDB) close() { d.pool.Close() }

// fail says what an error of PostgreSQL means. Of what the server says only the
// code is passed on: message and detail may quote values.
func (d *postgresDB) fail(deed string, err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return fmt.Errorf("%s: %w", deed, err)
	case !ok:
		return fmt.Errorf("%w: %s: %v", ErrConnect, deed, err)
	}
	switch {
	case e.Code == "42501":
		return fmt.Errorf("%w: role %q; the owner allows it with GRANT SELECT ON the table TO the role", ErrRight, d.role)
	case e.Code == "42P01" || e.Code == "42703":
		return fmt.Errorf("%w: SQLSTATE %s", ErrChanged, e.Code)
	case e.Code == "28P01" || e.Code == "28000":
		return fmt.Errorf("%w: the server does not let role %q in (SQLSTATE %s): check the password file and pg_hba.conf", ErrConnect, d.role, e.Code)
	case e.Code == "3D000":
		return fmt.Errorf("%w: the server has no such database", ErrConnect)
	case strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "53") || strings.HasPrefix(e.Code, "57"):
		return fmt.Errorf("%w: %s: SQLSTATE %s", ErrConnect, deed, e.Code)
	}
	return fmt.Errorf("%s: SQLSTATE %s", deed, e.Code)
}

// A postgresSnapshot is a read-only transaction on a connection of its own.
type postgresSnapshot struct {
	db   *postgresDB
	conn *pgxpool.Conn
}

func (d *postgresDB) begin(ctx context.Context) (snapshot, error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, cmpErr(ctx.Err(), d.fail("connect", err))
	}
	s := &postgresSnapshot{d, conn}
	for _, sql := range []string{
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
		// For this transaction only: a pooler may give the connection to others.
		// Whoever reads may take longer over a record than a server has patience.
		`SELECT pg_catalog.set_config('DateStyle', 'ISO, YMD', true), pg_catalog.set_config('TimeZone', 'UTC', true),
			pg_catalog.set_config('extra_float_digits', '1', true), pg_catalog.set_config('client_encoding', 'UTF8', true),
			pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true)`,
	} {
		if _, err := s.exec(ctx, sql, nil, nil); err != nil {
			s.end()
			return nil, cmpErr(ctx.Err(), d.fail("begin", err))
		}
	}
	return s, nil
}

// end goes back to a connection that others may use, or ends it.
func (s *postgresSnapshot) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if c := s.conn.Conn().PgConn(); !c.IsClosed() && c.TxStatus() != 'I' {
		_, _ = s.exec(ctx, "ROLLBACK", nil, nil) // Release looks at what came of it
	}
	s.conn.Release()
}

// exec runs one statement and returns how many rows it had.
func (s *postgresSnapshot) exec(ctx context.Context, sql string, args []string, each func([][]byte) bool) (n int, err error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	r := s.conn.Conn().PgConn().ExecParams(ctx, sql, params, nil, nil, nil)
	for more := true; r.NextRow(); n++ {
		more = more && each != nil && each(r.Values())
	}
	_, err = r.Close()
	return n, err
}

// texts is query for the catalogue.
func (s *postgresSnapshot) texts(ctx context.Context, sql string, args ...string) (rows [][]string, err error) {
	_, err = s.exec(ctx, sql, args, func(values [][]byte) bool {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = string(v)
		}
		rows = append(rows, row)
		return true
	})
	if err != nil {
		return nil, cmpErr(ctx.Err(), s.db.fail("read the catalogue", err))
	}
	return rows, nil
}

func texts(args []key) []string {
	list := make([]string, len(args))
	for i, k := range args {
		list[i] = k.text
	}
	return list
}

func (s *postgresSnapshot) query(ctx context.Context, q statement, args []key, each func([]cell) bool) error {
	var row rowReader
	_, err := s.exec(ctx, q.sql, texts(args), func(values [][]byte) bool { return each(row.read(values, q.kinds)) })
	if err != nil {
		return s.db.fail("read table", err)
	}
	return nil
}

// stream uses a cursor, so that one may stop without the rest being sent, and
// use the connection in between.
func (s *postgresSnapshot) stream(ctx context.Context, q statement, args []key, each func([]cell) bool, pause func() error) error {
	if _, err := s.exec(ctx, "DECLARE sanad NO SCROLL CURSOR FOR "+q.sql, texts(args), nil); err != nil {
		return s.db.fail("read table", err)
	}
	fetch := "FETCH FORWARD " + strconv.Itoa(pauseEvery) + " FROM sanad"
	var row rowReader
	for more := true; more; {
		n, err := s.exec(ctx, fetch, nil, func(values [][]byte) bool {
			more = each(row.read(values, q.kinds))
			return more
		})
		if err != nil {
			return s.db.fail("read table", err)
		}
		if more && pause != nil {
			if err := pause(); err != nil {
				return err
			}
		}
		more = more && n == pauseEvery
	}
	if _, err := s.exec(ctx, "CLOSE sanad", nil, nil); err != nil {
		return s.db.fail("read table", err)
	}
	return nil
}

// A rowReader makes text of rows in PostgreSQL's text form.
type rowReader struct {
	cells []cell
	buf   []byte
}

func (r *rowReader) read(values [][]byte, kinds []kind) []cell {
	r.cells, r.buf = r.cells[:0], r.buf[:0]
	for _, v := range values {
		r.buf = append(r.buf, v...)
	}
	// One string for all, which lives as long as one of its values.
	all := string(r.buf)
	for i, v := range values {
		text := all[:len(v)]
		all = all[len(v):]
		if i < len(kinds) && kinds[i] != asItStands && v != nil {
			text = postgresText(text, kinds[i])
		}
		r.cells = append(r.cells, cell{text: text, class: textual})
	}
	return r.cells
}

// postgresText makes our text of PostgreSQL's.
func postgresText(s string, k kind) string {
	switch k {
	case boolean:
		if s == "t" {
			return "true"
		}
		return "false"
	case float:
		if f, err := strconv.ParseFloat(s, 64); err == nil && f-f == 0 { // not infinite, not NaN
			return floatText(f)
		}
	case padded:
		return strings.TrimRight(s, " ")
	case timestamp, zoned:
		return timestampText(s, k == zoned)
	}
	return s
}

func (d *postgresDB) find(ctx context.Context, o Options) (f found, err error) {
	snap, err := d.begin(ctx)
	if err != nil {
		return f, err
	}
	defer snap.end()
	s := snap.(*postgresSnapshot)
	oid, err := s.table(ctx, o, &f)
	if err != nil {
		return f, err
	}
	rows, err := s.texts(ctx, `SELECT a.attname, a.attnotnull AND c.relkind IN ('r', 'p'), coalesce(l.collisdeterministic, true),
			EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
				AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL AND i.indexprs IS NULL)
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
		WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
		ORDER BY a.attnum`, oid)
	if err != nil {
		return f, err
	}
	if len(rows) == 0 {
		return f, fmt.Errorf("%w: role %q may read no column of %q; the owner allows it with GRANT SELECT ON %s TO %s",
			ErrRight, d.role, registry.ShortName(o.Table), strings.TrimSuffix(f.from, " AS t"), pgx.Identifier{d.role}.Sanitize())
	}
	for _, r := range rows {
		f.columns = append(f.columns, column{
			name: r[0], ref: "t." + pgx.Identifier{r[0]}.Sanitize(), notNull: r[1] == "t", own: map[bool]string{true: "C"}[r[2] == "t"], unique: r[3] == "t",
		})
	}
	return f, s.types(ctx, &f)
}

// table finds the table and what the role may do to it.
func (s *postgresSnapshot) table(ctx context.Context, o Options, f *found) (oid string, err error) {
	const kinds = `c.relkind IN ('r', 'v', 'm', 'p', 'f')`
	rows, err := s.texts(ctx, `SELECT c.oid, n.nspname, c.relname,
			(SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user),
			pg_catalog.pg_has_role(c.relowner, 'USAGE'),
			pg_catalog.has_table_privilege(c.oid, 'DELETE, TRUNCATE') OR pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE'),
			pg_catalog.has_schema_privilege(n.oid, 'USAGE'), current_user, pg_catalog.current_setting('server_encoding')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE `+kinds+` AND c.relname = $1 AND CASE WHEN $2 = '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2 END`,
		o.Table, o.Schema)
	if err != nil {
		return "", err
	}
	if len(rows) == 0 {
		there, err := s.texts(ctx, `SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || ' . ' || c.relname END
			FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE `+kinds+` AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg^_%' ESCAPE '^'
				AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
			ORDER BY 1 LIMIT 100`)
		if err != nil {
			return "", err
		}
		var names []string
		for _, r := range there {
			names = append(names, r[0])
		}
		return "", fmt.Errorf("%w: %q; role %q may read %s", ErrTable, registry.ShortName(o.Table), s.db.role, registry.NameList(names))
	}
	r := rows[0]
	if r[6] != "t" {
		return "", fmt.Errorf("%w: role %q may not look into the schema; its owner allows it with GRANT USAGE ON SCHEMA %s TO %s",
			ErrRight, s.db.role, pgx.Identifier{r[1]}.Sanitize(), pgx.Identifier{r[7]}.Sanitize())
	}
	f.utf8 = r[8] == "UTF8"
	f.from = pgx.Identifier{r[1], r[2]}.Sanitize() + " AS t"
	switch {
	case r[3] == "t":
		f.warnings = append(f.warnings, fmt.Sprintf("role %q is a superuser: use one that may only read this table", s.db.role))
	case r[4] == "t":
		f.warnings = append(f.warnings, fmt.Sprintf("role %q owns %q and can change it: use one that may only read it", s.db.role, registry.ShortName(o.Table)))
	case r[5] == "t":
		f.warnings = append(f.warnings, fmt.Sprintf("role %q may write to %q: it needs nothing but SELECT", s.db.role, registry.ShortName(o.Table)))
	}
	return r[0], nil
}

// typeKinds are the types that we read, by PostgreSQL's numbers for them.
var typeKinds = map[uint32]kind{
	16: boolean, 20: whole, 21: whole, 23: whole, 18: asItStands, 19: asItStands, 25: asItStands, 114: asItStands, 700: float, 701: float, 1042: padded,
	1043: asItStands, 1082: asItStands, 1083: asItStands, 1114: timestamp, 1184: zoned, 1700: asItStands, 2950: asItStands, 3802: asItStands,
}

// types finds out what the columns hold, domains resolved.
func (s *postgresSnapshot) types(ctx context.Context, f *found) error {
	refs := make([]string, len(f.columns))
	for i, c := range f.columns {
		refs[i] = c.ref
	}
	r := s.conn.Conn().PgConn().ExecParams(ctx, "SELECT "+strings.Join(refs, ", ")+" FROM "+f.from+" LIMIT 0", nil, nil, nil, nil)
	r.NextRow()
	fields := slices.Clone(r.FieldDescriptions())
	if _, err := r.Close(); err != nil {
		return cmpErr(ctx.Err(), s.db.fail("read columns", err))
	}
	if len(fields) != len(f.columns) {
		return ErrChanged
	}
	other := map[string]bool{}
	for _, d := range fields {
		if _, ok := typeKinds[d.DataTypeOID]; !ok {
			other[strconv.FormatUint(uint64(d.DataTypeOID), 10)] = true
		}
	}
	named := map[string][]string{}
	for oid := range other {
		rows, err := s.texts(ctx, `SELECT typtype, typname FROM pg_catalog.pg_type WHERE oid = $1::pg_catalog.oid`, oid)
		if err != nil {
			return err
		}
		if len(rows) == 1 {
			named[oid] = rows[0]
		}
	}
	for i, d := range fields {
		f.columns[i].setType(d, named[strconv.FormatUint(uint64(d.DataTypeOID), 10)])
	}
	return nil
}

// setType says how a column is read and compared.
func (c *column) setType(d pgconn.FieldDescription, other []string) {
	deterministic := c.own
	c.own = ""
	if other != nil {
		switch {
		case other[0] == "e": // an enumeration
		case other[1] == "citext":
			c.unbound = true
		default:
			c.refused = other[1]
		}
		return
	}
	c.kind = typeKinds[d.DataTypeOID]
	// A length in characters: the type modifier without its own four bytes.
	short := d.TypeModifier > 4 && d.TypeModifier-4 <= 1024
	switch d.DataTypeOID {
	case 20, 21, 23:
		c.cast = "bigint"
	case 25, 1043:
		c.cast, c.own, c.unbound = "text", "C", !short || d.DataTypeOID == 25
	case 1042:
		c.cast, c.own, c.unbound = "character", "C", !short
	case 1700:
		// With decimals allowed, 1 and 1.0 would be two ids that are equal.
		if d.TypeModifier >= 4 && (d.TypeModifier-4)&0x7ff == 0 {
			c.cast = "numeric"
		}
	case 2950:
		c.cast = "uuid"
	case 114, 3802:
		c.unbound = true
	}
	if c.own != "" && deterministic == "" {
		c.cast = ""
	}
}

// length is the expression for how long a value is, or 0 if that need not be
// asked.
func (c *column) length() string {
	switch {
	case !c.unbound:
		return "0"
	case c.own != "":
		return "coalesce(pg_catalog.octet_length(" + c.ref + "), 0)"
	}
	return "coalesce(pg_catalog.octet_length(" + c.ref + "::pg_catalog.text), 0)"
}

func (d *postgresDB) shape(f found, id, changed int) (shape, error) {
	c := f.columns[id]
	if c.cast == "" {
		return shape{}, fmt.Errorf("%w: %q cannot serve as id: it must be text with an ordinary collation, a whole number or a uuid; a view can cast it to text",
			ErrColumn, registry.ShortName(c.name))
	}
	s := shape{columns: f.columns, id: id, changed: changed, keys: c.keys}
	good := c.ref + " IS NOT NULL"
	if c.own != "" {
		good = fmt.Sprintf("pg_catalog.octet_length(%s) BETWEEN 1 AND %d", c.ref, maxID)
	}
	var inner, outer, lengths []string
	tie := ""
	for i, c := range f.columns {
		inner = append(inner, fmt.Sprintf("%s AS c%d", c.ref, i))
		outer = append(outer, fmt.Sprintf("CASE WHEN s.z = 0 THEN s.c%d END", i))
		lengths = append(lengths, c.length())
		if i == id || f.columns[id].unique {
			continue
		}
		switch {
		case c.own != "":
			tie += ", " + c.ref + ` COLLATE "C"`
		case c.unbound: // json has no order
			tie += ", " + c.ref + `::pg_catalog.text COLLATE "C"`
		default:
			tie += ", " + c.ref
		}
	}
	text := c.ref + "::pg_catalog.text"
	arg := func(n int) string {
		return fmt.Sprintf("CAST($%d::pg_catalog.text AS pg_catalog.%s)", n, castNames[c.cast])
	}
	from := " FROM " + f.from + " WHERE " + good
	// The inner query orders and measures, the outer one leaves out what is too
	// long: OFFSET 0 keeps them apart.
	record := func(rest, limit string) statement {
		return statement{"SELECT " + strings.Join(outer, ", ") + ", s.z FROM (SELECT " + strings.Join(inner, ", ") + ", " + tooLong(lengths) + " AS z" +
			from + rest + limit + " OFFSET 0) AS s", kinds(f.columns)}
	}
	ids := func(rest string) statement { return statement{sql: "SELECT " + text + from + rest} }
	own := " ORDER BY " + c.ref
	bytes := " ORDER BY " + text + ` COLLATE "C"`
	if !f.utf8 { // it would be the order of other bytes than we see
		bytes = " ORDER BY pg_catalog.convert_to(" + text + ", 'UTF8')"
	}
	between, upTo := fmt.Sprintf(" AND %s >= %s AND %s <= %s", c.ref, arg(1), c.ref, arg(2)), fmt.Sprintf(" AND %s <= %s", c.ref, arg(1))
	one := fmt.Sprintf(" AND %s = %s AND %s = $1::pg_catalog.text", c.ref, arg(1), text)
	s.records, s.byID = record(own+tie, ""), record(bytes+tie, "")
	s.lookup, s.first = record(one, " LIMIT 2"), record(one+own+tie, " LIMIT 1")
	s.between, s.upTo = record(between+own+tie, ""), record(upTo+own+tie, "")
	s.ids, s.idsIn, s.idsUpTo = ids(own), ids(between+own), ids(upTo+own)
	if changed >= 0 {
		v := f.columns[changed]
		s.versions = statement{"SELECT " + text + fmt.Sprintf(", CASE WHEN %s <= %d THEN %s END", v.length(), maxValue, v.ref) + from + bytes + tie,
			[]kind{asItStands, v.kind}}
	}
	if !c.notNull || c.own != "" {
		tooLong := "false"
		if c.own != "" {
			tooLong = fmt.Sprintf("pg_catalog.octet_length(%s) > %d", c.ref, maxID)
		}
		s.tail.sql = fmt.Sprintf("SELECT count(*) FILTER (WHERE (%[1]s) IS NOT TRUE), count(*) FILTER (WHERE %[1]s), 0 FROM %[2]s WHERE (%[3]s) IS NOT TRUE", tooLong, f.from, good)
	}
	return s, nil
}

// castNames are the names of types in the catalogue.
var castNames = map[string]string{"bigint": "int8", "text": "text", "character": "bpchar", "numeric": "numeric", "uuid": "uuid"}

// keys tells whether a text can be an id of the column at all: the server would
// refuse the statement, in words that quote it.
func (c *column) keys(id string) ([]key, bool) {
	ok := id != "" && len(id) <= maxID && isText(id)
	switch c.cast {
	case "bigint":
		ok = ok && isInteger(id)
	case "numeric":
		digits := strings.TrimPrefix(id, "-")
		ok = ok && digits != "" && strings.Trim(digits, "0123456789") == "" && (digits[0] != '0' || id == "0")
	case "uuid":
		ok = ok && isUUID(id)
	}
	return []key{{textual, id}}, ok
}

// isUUID is whether a text is a UUID as PostgreSQL writes it.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}
