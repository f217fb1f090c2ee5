package csvfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// RecodeRange decodes the mark of a range of a file with this one column, and
// encodes it again.
func RecodeRange(m registry.Mark, idColumn string) (registry.Mark, error) {
	r := reading{source: &Source{options: Options{IDColumn: idColumn}}, layout: Layout{
		Encoding: utf8Name, Delimiter: ',', Quoted: true, LineEnding: "LF", Columns: []string{idColumn},
	}}
	p, err := decodePlace(m, r.writing())
	if err != nil {
		return nil, err
	}
	return p.encode(r.writing()), nil
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
	// Ranged is every element once more as its line and code, each range of
	// three begun at its own place; Straight is the same in one pass.
	Ranged, Straight []string
}

// Scan reads the content of a file once, and returns the number of records that can be read.
func Scan(content []byte, o Options) (int, error) {
	l, err := detect(bytes.NewReader(content), int64(len(content)), o)
	if err != nil {
		return 0, err
	}
	columns, err := registry.NewColumns(l.Columns)
	if err != nil {
		return 0, err
	}
	r, err := parse(content, l, columns, 0)
	for n := 0; err == nil; {
		_, err = r.record()
		if _, ok := errors.AsType[*registry.RowError](err); ok {
			err = nil
		} else if err == nil {
			n++
		}
		if err == io.EOF {
			return n, nil
		}
	}
	return 0, err
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
			return p, p.cut(content, columns, idColumn)
		}
		p.Straight = append(p.Straight, element(record, err))
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

func element(r registry.Record, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(r.Line, r.ID)
}

// cut fills Ranged.
func (p *Parsed) cut(content []byte, columns *registry.Columns, idColumn int) error {
	r, err := parse(content, p.Layout, columns, idColumn)
	if err != nil {
		return err
	}
	for {
		c, err := r.cut(context.Background(), 3)
		if err != nil || c.n == 0 {
			return err
		}
		again, err := parse(content, p.Layout, columns, idColumn)
		if err != nil {
			return err
		}
		again.at(c.off, c.line)
		for range c.n {
			p.Ranged = append(p.Ranged, element(again.record()))
		}
		if at, end := again.position(), c.off+c.length; at != end || end > int64(len(content)) {
			return fmt.Errorf("the records of the range end at %d, not at %d", at, end)
		}
	}
}

func parse(content []byte, l Layout, columns *registry.Columns, idColumn int) (*reading, error) {
	t, err := newTexts(l.Encoding)
	r := &reading{
		scanner: newScanner(bytes.NewReader(content), l, 64), texts: t,
		layout: l, size: int64(len(content)),
		source: &Source{columns: columns, id: idColumn % columns.Len()},
	}
	r.at(l.start, l.line)
	return r, err
}
