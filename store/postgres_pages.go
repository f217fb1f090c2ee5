package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// damageCodes are what the server reports when it cannot read what it has stored: a page
// or an index that is not in order, a block that the disk does not give, a file that is gone.
var damageCodes = []string{"XX001", "XX002", "58030", "58P01"}

// blockFiles are the sources of the server whose reports are about files and blocks and so
// hold no values of rows. Their names stand beside a report in whatever language it is.
var blockFiles = []string{"bufmgr.c", "bufpage.c", "md.c", "fd.c", "smgr.c"}

// damaged reports whether an error means that the server cannot read what it has stored.
func damaged(err error) bool { return slices.Contains(damageCodes, codeOf(err)) }

// aboutBlocks is what a report says, if it is about blocks of a file only.
func aboutBlocks(f *pgconn.PgError) string {
	if slices.Contains(damageCodes, f.Code) && slices.Contains(blockFiles, f.File) {
		return f.Message
	}
	return ""
}

// refuseDamaged is the refusal of a database whose pages the server cannot read.
func refuseDamaged(location string, err error) error {
	if f, ok := errors.AsType[*postgresFault](postgresError(err)); ok {
		return refuse(ErrCorrupt, location, "%s", f.short())
	}
	return refuse(ErrCorrupt, location, "")
}

// A damage is what the server could not read.
type damage struct {
	said string
	// index is the index that it is a page of, with its schema, empty if it is of none. The
	// server reads the first page of every index of a table before it reads the table.
	index string
}

// attempt runs f behind a savepoint that it goes back to in any case, settings of f
// included, so that what the server cannot read does not end the moment. It returns nil if
// f came to its end.
func (m postgresMoment) attempt(ctx context.Context, f func() error) (*damage, error) {
	if _, err := m.conn.Exec(ctx, "SAVEPOINT attempt"); err != nil {
		return nil, m.failed(ctx, err)
	}
	err := f()
	if err != nil && !damaged(err) {
		return nil, m.failed(ctx, err)
	}
	if _, err := m.conn.Exec(ctx, "ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt"); err != nil {
		return nil, m.failed(ctx, err)
	}
	if err == nil {
		return nil, nil
	}
	return m.name(ctx, err)
}

// fileOfRelation is the file that a report names, with its table space if that is another
// than the one of the database.
var fileOfRelation = regexp.MustCompile(`(?:base/[0-9]+|pg_tblspc/([0-9]+)/[^/ ]+/[0-9]+)/([0-9]+)`)

// name says of what the page is that a report is about.
func (m postgresMoment) name(ctx context.Context, err error) (*damage, error) {
	d := &damage{said: err.Error()}
	if fault, ok := errors.AsType[*postgresFault](postgresError(err)); ok {
		d.said = fault.short()
	}
	file := fileOfRelation.FindStringSubmatch(d.said)
	if file == nil {
		return d, nil
	}
	var name string
	var index bool
	found, err := m.row(ctx, `SELECT n.nspname || '.' || c.relname, c.relkind = 'i' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = pg_filenode_relation($1::text::oid, $2::text::oid)`, []any{cmp.Or(file[1], "0"), file[2]}, &name, &index)
	if err != nil || !found {
		return d, err
	}
	d.said += ", which is " + name
	if index {
		d.index = name
	}
	return d, nil
}

// only makes the planner read tables from their first page to their last, or by their
// indexes, until the end of the savepoint.
const (
	onlyTables = `SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off;
		SET LOCAL enable_tidscan = off`
	onlyIndexes = `SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; SET LOCAL enable_bitmapscan = off;
		SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on`
)

// besides are the schemas beside our own that this issuer may have in the same database: the
// queue, what the console keeps, and values that work once. The service may read them.
var besides = []string{queueSchema, "sanad_desk", "sanad_once"}

// ours is a condition on the table c of the schema n: that it is one of [besides] or of our own
// schema, $1 and $2. What is lost with a crash anyhow is left out, since a standby cannot read it.
const ours = `c.relkind = 'r' AND c.relpersistence = 'p' AND (n.nspname = $2 OR n.nspname = ANY($1)
	AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))`

// A tableName is the name of a table in its schema.
type tableName struct{ Schema, Table string }

// String leaves our own schema out.
func (n tableName) String() string {
	if n.Schema == schemaName {
		return n.Table
	}
	return n.Schema + "." + n.Table
}

// quoted is the name in a statement.
func (n tableName) quoted() string { return pgx.Identifier{n.Schema, n.Table}.Sanitize() }

// pages implements moment: every page of every table is read, and what rows keep outside
// of them. The server compares a page with its checksum when it comes from the disk, if it
// keeps checksums (see [About]); otherwise only what no page can look like shows.
func (m postgresMoment) pages(ctx context.Context) ([]string, error) {
	rows, err := m.conn.Query(ctx, `SELECT n.nspname::text, c.relname::text, coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) > 0
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE `+ours+` ORDER BY 1, 2`, besides, schemaName)
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	type table struct {
		tableName
		Apart bool // some of its values lie in pages of their own
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	var found []string
	for _, t := range all {
		look := "SELECT count(*) FROM " + t.quoted()
		if t.Apart {
			look = "SELECT sum(length(t::text)) FROM " + t.quoted() + " t"
		}
		d, err := m.attempt(ctx, func() error {
			_, err := m.conn.Exec(ctx, onlyTables+"; "+look)
			return err
		})
		if err != nil {
			return nil, err
		}
		if d != nil && d.index == "" { // indexes reports the others
			found = append(found, "table "+t.String()+": "+d.said)
		}
	}
	return found, nil
}

// selectAstray counts credentials that the tables which stand for an index on their
// state do not name, and names of credentials that are in another state.
const selectAstray = `SELECT
	(SELECT count(*) FROM credential c WHERE c.state = 'intended'
		AND NOT EXISTS (SELECT FROM credential_intended i WHERE c.credential_no BETWEEN i.first_no AND i.last_no))
	+ (SELECT count(*) FROM credential c WHERE (c.state = 'suspended' OR c.state = 'revoked')
		AND NOT EXISTS (SELECT FROM credential_not_valid n WHERE n.state = c.state AND n.credential_id = c.credential_id)),
	(SELECT count(*) FROM credential_intended i
		WHERE NOT EXISTS (SELECT FROM credential c WHERE c.credential_no BETWEEN i.first_no AND i.last_no AND c.state = 'intended'))
	+ (SELECT count(*) FROM credential_not_valid n
		WHERE NOT EXISTS (SELECT FROM credential c WHERE c.credential_id = n.credential_id AND c.state = n.state))`

// derived implements moment. What cannot be read is reported by pages and indexes.
func (m postgresMoment) derived(ctx context.Context) ([]string, error) {
	var missing, more int64
	_, err := m.attempt(ctx, func() error { return m.conn.QueryRow(ctx, selectAstray).Scan(&missing, &more) })
	if err != nil || missing+more == 0 {
		return nil, err
	}
	return []string{fmt.Sprintf("credential_intended and credential_not_valid leave out %d credentials and have %d rows too many", missing, more)}, nil
}

// An indexOf is an index with the columns that it orders by, "" as its condition if it
// has every row.
type indexOf struct {
	tableName
	Name, Columns, Condition string
}

// content is an expression of how many rows there are, and of a sum that is the same for
// the same rows whatever their order; the condition is that of the index.
func (x indexOf) content(filter string) string {
	return "ARRAY[count(*)" + filter + ", coalesce(sum(hashtextextended(ROW(" + x.Columns + ")::text, 0)::numeric)" + filter + ", 0)]::text"
}

// inOrder is the statement that reads the content in the order of the index, and so from it.
func (x indexOf) inOrder() string {
	where := ""
	if x.Condition != "" {
		where = " WHERE " + x.Condition
	}
	return "SELECT " + x.content("") + " FROM (SELECT " + x.Columns + " FROM " + x.quoted() + where + " ORDER BY " + x.Columns + ") x"
}

// indexes implements moment: each index is read from its first entry to its last and
// compared with its table. Those of a table that cannot be read are left out.
func (m postgresMoment) indexes(ctx context.Context) ([]string, error) {
	all, err := m.everyIndex(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(x indexOf) bool { return x.tableName != all[0].tableName })
		if n < 0 {
			n = len(all)
		}
		of, err := m.indexesOf(ctx, all[:n])
		if err != nil {
			return nil, err
		}
		found, all = append(found, of...), all[n:]
	}
	return found, nil
}

// everyIndex returns the indexes, those of a table beside each other.
func (m postgresMoment) everyIndex(ctx context.Context) ([]indexOf, error) {
	rows, err := m.conn.Query(ctx, `SELECT n.nspname::text, c.relname::text, i.relname::text,
			(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) FROM unnest(x.indkey) WITH ORDINALITY AS k (number, place)
			 JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number),
			coalesce(pg_get_expr(x.indpred, x.indrelid), '')
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE `+ours+` AND x.indexprs IS NULL AND i.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') ORDER BY 1, 2, 3`, besides, schemaName)
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[indexOf])
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	return all, nil
}

// indexesOf is indexes for those of one table, which is read once.
func (m postgresMoment) indexesOf(ctx context.Context, all []indexOf) ([]string, error) {
	want, got := make([]string, len(all)), make([]string, len(all))
	dest, columns := make([]any, len(all)), make([]string, len(all))
	for i, x := range all {
		filter := ""
		if x.Condition != "" {
			filter = " FILTER (WHERE " + x.Condition + ")"
		}
		dest[i], columns[i] = &want[i], x.content(filter)
	}
	d, err := m.attempt(ctx, func() error {
		if _, err := m.conn.Exec(ctx, onlyTables); err != nil {
			return err
		}
		return m.conn.QueryRow(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+all[0].quoted()).Scan(dest...)
	})
	switch {
	case err != nil || d != nil && d.index == "": // pages reports the table
		return nil, err
	case d != nil:
		return []string{d.index + ": " + d.said}, nil
	}
	var found []string
	for i, x := range all {
		d, err := m.attempt(ctx, func() error {
			if _, err := m.conn.Exec(ctx, onlyIndexes); err != nil {
				return err
			}
			return m.conn.QueryRow(ctx, x.inOrder()).Scan(&got[i])
		})
		switch {
		case err != nil:
			return nil, err
		case d != nil:
			found = append(found, x.Schema+"."+x.Name+": "+d.said)
		case got[i] != want[i]:
			found = append(found, x.Schema+"."+x.Name+": it has other rows than its table "+x.tableName.String())
		}
	}
	return found, nil
}
