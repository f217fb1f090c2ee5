// Package registry is the view that Sanad has of a registry: a [Record] and a
// [Source] that delivers records. Connectors are packages below this one
// (registry/csvfile first); each passes the contract test registry/registrytest.
//
// A source delivers text as the registry holds it. What it means is the business
// of package programme, and nothing here changes or checks a value.
//
// Values are personal data. Neither a [Record] nor a [RowError] prints one; the
// names of columns and the numbers of lines are what errors name.
package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
)

// Errors that callers tell apart.
var (
	// ErrNoRecord: the source has no record with this id.
	ErrNoRecord = errors.New("registry: no such record")
	// ErrAmbiguous: the source has several records with this id.
	ErrAmbiguous = errors.New("registry: several records with this id")
	// ErrMark: the mark is not one of this source, or what it stands for has
	// moved since.
	ErrMark = errors.New("registry: not a mark of this source")
)

// Columns are the names of a source's columns, in order. They are shared by all
// its records and must not be changed.
type Columns struct {
	names []string
	index map[string]int
}

// NewColumns returns the columns with these names. Of two columns with one name
// it reports an error, since a value could not be told from the other.
func NewColumns(names []string) (*Columns, error) {
	c := &Columns{names: slices.Clone(names), index: make(map[string]int, len(names))}
	for i, n := range names {
		if first, ok := c.index[n]; ok {
			return nil, fmt.Errorf("registry: columns %d and %d are both called %q", first+1, i+1, ShortName(n))
		}
		c.index[n] = i
	}
	return c, nil
}

// Names returns the names in order.
func (c *Columns) Names() []string { return slices.Clone(c.names) }

// Len returns how many columns there are.
func (c *Columns) Len() int { return len(c.names) }

// Index returns the place of a column from 0, and whether there is one of this
// name.
func (c *Columns) Index(name string) (int, bool) {
	i, ok := c.index[name]
	return i, ok
}

// A Record is one entry of a registry: text by column name. Its values are
// personal data; it prints and logs as its position only.
type Record struct {
	// ID identifies the record in its source.
	ID string
	// Line is where the record stands in its source, from 1; for a file the
	// number of its first line, for a table the number of the row. 0 if unknown.
	Line int

	columns *Columns
	values  []string
}

// NewRecord returns a record with one value a column. It keeps values.
func NewRecord(id string, line int, columns *Columns, values []string) Record {
	if len(values) != len(columns.names) {
		panic(fmt.Sprintf("registry: internal error: %d values for %d columns", len(values), len(columns.names)))
	}
	return Record{ID: id, Line: line, columns: columns, values: values}
}

// Value returns the text of a column, and whether the source has that column.
func (r Record) Value(column string) (string, bool) {
	if r.columns == nil {
		return "", false
	}
	i, ok := r.columns.index[column]
	if !ok {
		return "", false
	}
	return r.values[i], true
}

// At returns the text of the column at place i, from 0.
func (r Record) At(i int) string { return r.values[i] }

// Columns returns the columns of the record's source.
func (r Record) Columns() *Columns { return r.columns }

// String names the record by its position, never by its content.
func (r Record) String() string { return fmt.Sprintf("record at line %d", r.Line) }

// GoString is String, so that %#v shows no content either.
func (r Record) GoString() string { return r.String() }

// LogValue is String, so that slog shows no content either.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// A RowError reports one record that could not be read. The source goes on with
// the next one.
type RowError struct {
	// Line is the first line of the record, from 1.
	Line int
	// Code is one of the stable words below.
	Code string
	// Detail says what is wrong without quoting a value.
	Detail string
}

// Codes of a [RowError].
const (
	// RowColumns: the record has another number of values than the source has
	// columns.
	RowColumns = "columns"
	// RowQuote: quotation marks are not where they may be, so that it is not
	// certain where values end.
	RowQuote = "quote"
	// RowEncoding: the record contains bytes that mean nothing in the source's
	// encoding, or a NUL.
	RowEncoding = "encoding"
	// RowNoID: the record does not say which one it is.
	RowNoID = "no_id"
	// RowTooLong: the record or one of its values is longer than the source
	// takes.
	RowTooLong = "too_long"
	// RowDuplicateID: an earlier record has the same id.
	RowDuplicateID = "duplicate_id"
)

// Error names the line and what is wrong with it.
func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Detail) }

// A Mark is a point in the life of a source, in the source's own encoding. It
// may name record ids; keep it as safe as the registry's other files.
type Mark []byte

// A ChangeKind says what happened to a record.
type ChangeKind string

// What can happen to a record, and the word that ends the changes.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
	// Reached says that all changes have been delivered.
	Reached ChangeKind = "reached"
)

// A Change is what happened to one record since a mark.
type Change struct {
	Kind ChangeKind
	// ID is the record's; empty if Kind is [Reached].
	ID string
	// Record is the present record, if Kind is [Added] or [Changed].
	Record Record
	// Mark is the point up to which changes were delivered, if Kind is
	// [Reached]: what to pass to Changes the next time.
	Mark Mark
}

// A Source delivers the records of one registry. Its methods may be called at
// once from several goroutines.
type Source interface {
	// Lookup returns the record with this id. It returns ErrNoRecord if there is
	// none and ErrAmbiguous if there are several.
	Lookup(ctx context.Context, id string) (Record, error)

	// Records yields every record in the order of the source. A *RowError
	// stands for one record that could not be read; the sequence goes on. Any
	// other error ends it. Of several records with one id each is delivered. A
	// record may be kept after the next has been asked for. Memory does not grow
	// with the number of records.
	Records(ctx context.Context) iter.Seq2[Record, error]

	// Changes yields what changed since the mark, and at last a change of kind
	// Reached with the mark to keep; it is of the same reading as the changes,
	// so that nothing falls between two calls. A nil mark yields every record as
	// added. A *RowError is as for Records; in addition, each further record
	// with an id that occurred before is one, and the first record counts. While
	// there are records that cannot be read, none is reported as removed, since
	// it may be one of them; it is once all can be read again. A mark that is
	// not one of this source gives ErrMark.
	Changes(ctx context.Context, since Mark) iter.Seq2[Change, error]

	// Mark returns the present point in the life of the source, to follow it
	// from now on without having all records as added first.
	Mark(ctx context.Context) (Mark, error)

	// Fingerprint names the present content of the source, so that a batch
	// which is resumed can tell that it still reads the same.
	Fingerprint(ctx context.Context) (string, error)
}

// A Ranger is a [Source] that several processes can read in parts.
type Ranger interface {
	Source

	// Ranges cuts the source, as it is now, into runs of at most n records that
	// follow each other in the order of Records, and yields each without reading
	// what is in it. A record that cannot be read counts as one. An error ends
	// the sequence. Memory does not grow with the number of records.
	Ranges(ctx context.Context, n int) iter.Seq2[Range, error]

	// Range yields the records of one run, exactly those that Records would
	// yield there, row errors included, in any process that has the source. If
	// the source has changed in a way that moves them it yields ErrMark, and no
	// record; also if the range is not one of this source. Of changes elsewhere
	// in the source it knows nothing: who needs all ranges to be of one state
	// compares fingerprints.
	Range(ctx context.Context, r Range) iter.Seq2[Record, error]
}

// A Range is a run of records of a [Ranger].
type Range struct {
	// First is the number of its first record, from 1.
	First int64
	// N is how many records it has, those that cannot be read included; at
	// least 1.
	N int
	// Start says where it begins. It may name record ids, as every Mark may, and
	// goes with First and N: with others it is refused.
	Start Mark
}
