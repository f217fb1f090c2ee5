package csvfile

import (
	"bytes"
	"errors"
	"io"

	"github.com/sanad-id/sanad/registry"
)

// RecodeMark decodes a mark and encodes it again.
func RecodeMark(m registry.Mark, idColumn string) (registry.Mark, error) {
	s, err := decodeMark(m, idColumn)
	if err != nil {
		return nil, err
	}
	return s.encode(idColumn), nil
}

// SetMaxIndex makes Lookup read files with more than n records each time, and
// returns a function that undoes it.
func SetMaxIndex(n int) (undo func()) {
	before := maxIndex
	maxIndex = n
	return func() { maxIndex = before }
}

// A Parsed is what is in a file, read without one.
type Parsed struct {
	Layout  Layout
	Records []registry.Record
	Broken  []*registry.RowError
	// Again are the records once more, each read by its position alone as
	// Lookup does.
	Again []registry.Record
}

// Parse reads the content of a file in small pieces. The id column
// is counted from 0, over and over.
func Parse(content []byte, o Options, idColumn int) (Parsed, error) {
	l, err := detect(bytes.NewReader(content), int64(len(content)), o)
	if err != nil {
		return Parsed{}, err
	}
	columns, err := registry.NewColumns(l.Columns)
	if err != nil {
		return Parsed{}, err
	}
	p := Parsed{Layout: l}
	r, err := parse(content, l, columns, idColumn)
	if err != nil {
		return Parsed{}, err
	}
	for {
		record, err := r.record()
		if err == io.EOF {
			return p, nil
		}
		if row, ok := errors.AsType[*registry.RowError](err); ok {
			p.Broken = append(p.Broken, row)
			continue
		}
		if err != nil {
			return p, err
		}
		p.Records = append(p.Records, record)
		again, err := parse(content, l, columns, idColumn)
		if err != nil {
			return p, err
		}
		again.at(r.scanner.record.off, record.Line)
		record, err = again.record()
		if err != nil {
			return p, err
		}
		p.Again = append(p.Again, record)
	}
}

func parse(content []byte, l Layout, columns *registry.Columns, idColumn int) (*reading, error) {
	t, err := newTexts(l.Encoding)
	r := &reading{
		scanner: newScanner(bytes.NewReader(content), l, 64), texts: t,
		source: &Source{columns: columns, id: idColumn % columns.Len()},
	}
	r.at(l.start, l.line)
	return r, err
}
