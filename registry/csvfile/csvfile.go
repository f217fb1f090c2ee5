// Package csvfile reads registry records from a file of delimited text, as
// registries and spreadsheets export it: CSV as RFC 4180 describes it, with any
// of four delimiters and in any of the usual encodings, and TSV without quotes.
//
// Start with [Open]; [Source.Layout] says how the file is written and which
// columns it has. What values mean is left to package programme: they are delivered as
// they stand in the file, decoded to UTF-8 and otherwise untouched.
//
// # How a file is understood
//
// The encoding is that of the byte order mark, else UTF-16 if NULs lie where
// they do in UTF-16, else UTF-8. Other encodings do not give themselves away
// and must be named ([Options].Encoding), since a wrong guess would put wrong
// names on certificates. The delimiter is the one of comma, semicolon, tab and
// bar that occurs most often in the header line. Quotes are read as RFC 4180
// has them; with a tab as delimiter they are ordinary characters. Lines end
// with LF, CRLF or CR. A first line "sep=;" is obeyed.
//
// Names in the header are trimmed; a column without a name is called col_N
// after its position. Empty cells beyond the last column are ignored. Lines
// that are blank or have only empty cells are not records.
//
// # What happens to broken lines
//
// A record that cannot be read becomes a [*registry.RowError] with the number
// of its first line, and reading goes on after it.
//
// A stray quotation mark must not swallow the rest of the file, and on the
// other hand the text inside a properly quoted value must never be taken for
// records: whoever wrote the value could forge them. So a line inside of quotes
// is read as a line of its own only if the quotes cannot be right: the value is
// not closed before the end of the file, or its closing quote is followed by
// something other than a delimiter or the end of the line. Reading then goes on
// with the line after the one on which the broken value began. A value or a
// record that is merely too long, or has too many cells, is passed over as a
// whole. Two stray quotes that face each other as RFC 4180 wants them do make
// one value of all between them, which is why a value may not have more than
// 256 lines. (If the file's writer does not double the quotes inside of values,
// nothing can tell values from records, in this package or elsewhere.)
//
// # Limits
//
// A value has at most 1 MiB (a photo as data URI) and 256 lines, a record 4 MiB,
// an id 1024 bytes, a file 1024 columns. Reading takes memory for one record, however long
// the file. Changes and Mark hold the ids of all records in memory, and Lookup
// an index of 24 bytes a record for up to 4 million records.
package csvfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/registry"
)

// Errors that callers tell apart.
var (
	// ErrChanged: the file was changed while it was read, so that what was
	// delivered may belong to two states of it.
	ErrChanged = errors.New("csvfile: the file changed while it was read")
	// ErrColumns: the file now has other columns than when it was opened.
	ErrColumns = errors.New("csvfile: the file's columns are not those it was opened with")
	// ErrIDColumn: Options.IDColumn is not set, or the file has no such column.
	ErrIDColumn = errors.New("csvfile: no id column")
	// ErrHeader: the names of the columns cannot be read.
	ErrHeader = errors.New("csvfile: bad header")
)

// An IDColumnError is the [ErrIDColumn] of Open.
type IDColumnError struct {
	// Path is the file, Column the one that was asked for, Has those that it has.
	Path   string
	Column string
	Has    []string
}

// Error names the column and those that there are.
func (e *IDColumnError) Error() string {
	return fmt.Sprintf("%v: %s; %s has %s", ErrIDColumn, registry.NoColumn(e.Column), e.Path, registry.NameList(e.Has))
}

// Unwrap returns [ErrIDColumn].
func (e *IDColumnError) Unwrap() error { return ErrIDColumn }

// A Quoting says what quotation marks mean.
type Quoting int

const (
	// QuotesDetected are those of RFC 4180, or ordinary characters if the
	// delimiter is a tab.
	QuotesDetected Quoting = iota
	// QuotesRFC4180 enclose values and are doubled inside of them.
	QuotesRFC4180
	// QuotesOrdinary mean nothing; a value cannot contain a delimiter or a line
	// break.
	QuotesOrdinary
)

// Options say how to read a file. The zero value detects everything but the id
// column.
type Options struct {
	// IDColumn is the name of the column that identifies a record. Required by
	// Open; its values are trimmed to make [registry.Record].ID.
	IDColumn string
	// Delimiter is a comma, semicolon, tab or bar; detected if zero.
	Delimiter rune
	// Encoding is a name such as "utf-8", "utf-16le" or "windows-1252"
	// ([Encodings] has all); detected if empty.
	Encoding string
	// Quotes says what quotation marks mean.
	Quotes Quoting
	// Columns are the names of the columns of a file without a header line. If
	// empty, the first line is the header.
	Columns []string
}

// A Layout is how a file is written.
type Layout struct {
	Encoding   string   // as in Options
	Delimiter  rune     // as in Options
	Quoted     bool     // quotation marks enclose values
	LineEnding string   // "LF", "CRLF" or "CR", as the first line has it
	Columns    []string // names as used in records

	start int64 // where the first record may begin, in bytes
	line  int   // the number of that line
}

// A Source is one file. It is read anew for each call, so that a file which has
// been replaced by a newer export of the same columns is seen as it is now.
type Source struct {
	path    string
	options Options
	opened  fs.FileInfo
	layout  Layout
	columns *registry.Columns
	id      int // index of the id column

	seed  maphash.Seed
	turn  chan struct{} // holds one token; whoever has it may use index
	index *index
}

var _ registry.Ranger = (*Source)(nil)

// Open finds out how the file is written and reads its header.
func Open(path string, o Options) (*Source, error) {
	f, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	layout, err := detect(f, info.Size(), o)
	if err != nil {
		return nil, fmt.Errorf("read header of %s: %w", path, err)
	}
	columns, err := registry.NewColumns(layout.Columns)
	if err != nil {
		return nil, fmt.Errorf("read header of %s: %w", path, err)
	}
	id, ok := columns.Index(o.IDColumn)
	if !ok {
		return nil, &IDColumnError{Path: path, Column: o.IDColumn, Has: layout.Columns}
	}
	s := &Source{
		path: path, options: o, opened: info, layout: layout, columns: columns, id: id,
		seed: maphash.MakeSeed(), turn: make(chan struct{}, 1),
	}
	s.turn <- struct{}{}
	return s, nil
}

func openFile(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("csvfile: %s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Layout returns how the file was written when it was opened.
func (s *Source) Layout() Layout {
	l := s.layout
	l.Columns = slices.Clone(l.Columns)
	return l
}

// Columns returns the columns of all records.
func (s *Source) Columns() *registry.Columns { return s.columns }

// A reading is one pass over the file.
type reading struct {
	*scanner
	source *Source
	file   *os.File
	before fs.FileInfo
	size   int64
	layout Layout
	texts  texts
}

// read begins a pass at the first record, reading about chunk bytes at once.
func (s *Source) read(chunk int) (*reading, error) {
	f, info, err := openFile(s.path)
	if err != nil {
		return nil, err
	}
	layout := s.layout
	if !same(info, s.opened) {
		layout, err = detect(f, info.Size(), s.options)
		if err == nil && !slices.Equal(layout.Columns, s.layout.Columns) {
			err = ErrColumns
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("read header of %s: %w", s.path, err)
		}
	}
	r := &reading{source: s, file: f, before: info, size: info.Size(), layout: layout, scanner: newScanner(f, layout, chunk)}
	r.texts, err = newTexts(layout.Encoding)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.at(layout.start, layout.line)
	return r, nil
}

// record returns the next record, a *registry.RowError, io.EOF, or what went
// wrong with the file.
func (r *reading) record() (registry.Record, error) {
	for {
		raw, err := r.next()
		if err != nil {
			return registry.Record{}, err
		}
		if raw.blank() {
			continue
		}
		return r.decode(raw)
	}
}

// decode turns the cells of one line into a record.
func (r *reading) decode(raw *rawRecord) (registry.Record, error) {
	columns := r.source.columns
	if err := raw.fit(columns.Len()); err != nil {
		return registry.Record{}, err
	}
	values, err := r.texts.values(raw, columns.Len())
	if err != nil {
		return registry.Record{}, err
	}
	id := strings.TrimSpace(values[r.source.id])
	switch {
	case id == "":
		return registry.Record{}, raw.fail(registry.RowNoID, "the column that identifies a record is empty")
	case len(id) > maxID:
		return registry.Record{}, raw.fail(registry.RowTooLong, "the id is longer than %d bytes", maxID)
	}
	return registry.NewRecord(id, raw.line, columns, values), nil
}

// finish reports whether the file stayed as it was during the pass.
func (r *reading) finish() error {
	after, err := r.file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(r.source.path)
	if err != nil {
		return err
	}
	if !same(r.before, after) || !same(after, named) {
		return fmt.Errorf("%w: %s", ErrChanged, r.source.path)
	}
	return nil
}

// same is whether two looks at a file saw the same one in the same state, as
// far as the file system can tell.
func same(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// Records implements [registry.Source].
func (s *Source) Records(ctx context.Context) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		r, err := s.read(wholeChunk)
		if err != nil {
			yield(registry.Record{}, err)
			return
		}
		defer r.file.Close()
		r.each(ctx, yield)
	}
}

// each yields all records of the pass, row errors as they come, and at the end
// what is wrong with the pass, if anything.
func (r *reading) each(ctx context.Context, yield func(registry.Record, error) bool) {
	for {
		if err := ctx.Err(); err != nil {
			yield(registry.Record{}, fmt.Errorf("read %s: %w", r.source.path, err))
			return
		}
		record, err := r.record()
		if err == io.EOF {
			if err := r.finish(); err != nil {
				yield(registry.Record{}, err)
			}
			return
		}
		if err = r.judge(err); !isRow(err) && err != nil {
			yield(registry.Record{}, err)
			return
		}
		if !yield(record, err) {
			return
		}
	}
}

// judge returns the error that a caller sees in place of one of record.
func (r *reading) judge(err error) error {
	if err == nil || isRow(err) {
		return err
	}
	return fmt.Errorf("read %s: %w", r.source.path, err)
}

// isRow is whether a sequence goes on after the error.
func isRow(err error) bool {
	_, ok := errors.AsType[*registry.RowError](err)
	return ok
}

// Fingerprint implements [registry.Source]: SHA-256 and length of the file.
func (s *Source) Fingerprint(ctx context.Context) (string, error) {
	r, err := s.read(wholeChunk)
	if err != nil {
		return "", err
	}
	defer r.file.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.file.Read(p)
	}))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", s.path, err)
	}
	if err := r.finish(); err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%s:%d", hex.EncodeToString(hash.Sum(nil)), n), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
