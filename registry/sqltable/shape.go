package sqltable

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A database is one of the two kinds of them.
type database interface {
	// find looks the table up.
	find(ctx context.Context, o Options) (found, error)
	// shape makes the statements that read it.
	shape(f found, id, changed int) (shape, error)
	// begin returns a snapshot: one state of the database, to be read only.
	begin(ctx context.Context) (snapshot, error)
	close()
}

// A snapshot is one state of a database, for one goroutine. Rows are good until
// the function that gets them returns; it says whether it wants more.
type snapshot interface {
	// query reads few rows.
	query(ctx context.Context, s statement, args []key, each func([]cell) bool) error
	// stream reads any number of rows in constant memory. Between rows, every
	// pauseEvery or so and at the end, it calls pause, if there is one, which may
	// use query.
	stream(ctx context.Context, s statement, args []key, each func([]cell) bool, pause func() error) error
	end()
}

const pauseEvery = 256

// A statement is SQL and the kinds of the columns that it yields first; others
// are text or small numbers.
type statement struct {
	sql   string
	kinds []kind
}

// A cell is one value of a row as text.
type cell struct {
	text  string
	class byte // what a key to find it by must be
	bytes bool // not text at all
}

// A key is a value to compare ids with. Its class says which of SQLite's types
// it has: integer or text. In PostgreSQL all are text and cast to the column's.
type key struct {
	class byte
	text  string
}

const (
	integer byte = 'i'
	textual byte = 't'
)

// found is what a database says about a table.
type found struct {
	from     string // the quoted name
	columns  []column
	warnings []string
	utf8     bool // PostgreSQL keeps text as UTF-8
}

// A column is one column of a table.
type column struct {
	name    string
	ref     string // quoted, as a column of t
	kind    kind
	cast    string // what its keys are cast to in PostgreSQL
	own     string // collation that orders by bytes, if it is text
	unbound bool   // a value can be longer than maxValue
	notNull bool
	unique  bool
	refused string // the type, if we do not read it
}

// A kind is how a value of a column becomes text.
type kind int

const (
	asItStands kind = iota
	whole
	boolean
	float
	padded
	timestamp
	zoned
)

// A shape is the statements that read one table. Those that yield records have
// its columns, and then what is too long: 0, the number of a column, or -1 for
// the record as a whole.
type shape struct {
	columns []column
	id      int
	changed int                           // -1: none
	keys    func(id string) ([]key, bool) // to look an id up; false if it can be none

	records  statement // all with an id, in the order of the table
	byID     statement // the same in the order of the ids' bytes
	lookup   statement // by one id: up to two
	first    statement // by one id: the first in the order of the table
	versions statement // id and changed column, in the order of the ids' bytes
	between  statement // from one id to another, in the order of the table
	upTo     statement // up to an id
	ids      statement // ids in the order of the table
	idsIn    statement // the same, from one id to another
	idsUpTo  statement // the same, up to an id
	tail     statement // how many have no id; empty if none can
}

// kinds are those of columns.
func kinds(columns []column) []kind {
	list := make([]kind, len(columns))
	for i, c := range columns {
		list[i] = c.kind
	}
	return list
}

// isText is whether a value is UTF-8 without NULs.
func isText(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

// floatText is a number with as few digits as tell it from others.
func floatText(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// timestampText makes RFC 3339 of how PostgreSQL writes a timestamp in ISO style
// and UTC. What RFC 3339 cannot say (infinity, years before Christ) stays as it
// stands.
func timestampText(s string, zone bool) string {
	day, clock, ok := strings.Cut(s, " ")
	if !ok || strings.Contains(clock, " ") {
		return s
	}
	if zone {
		if clock, ok = strings.CutSuffix(clock, "+00"); !ok {
			return s
		}
		clock += "Z"
	}
	return day + "T" + clock
}

// isInteger is whether a text is a whole number as databases write it.
func isInteger(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == s
}
