// Package samplecountry makes the registries of a country that does not exist:
// Kestara, country code XA (user-assigned in ISO 3166-1). They serve as input
// for documents, demonstrations, tests and bulk runs.
//
// [Write] streams one registry as CSV and [WriteSQL] as SQL; [Registries] lists them with their
// columns. Everything follows from the seed and the number of a person, so a
// registry of ten million people needs no more memory than one of two hundred,
// and the same person has the same number, names, birth date, sex and place in
// each. How a registry writes these down differs on purpose, as it does between
// real ones: dates as 1987-05-12, 12-05-1987, 12/05/1987, 12.05.1987 or
// 19870512; sex as 1, Male, MALE, M or m.
//
// Seven scripts are in use beside Latin letters (Bengali, Devanagari, Arabic,
// Ethiopic, Cyrillic, Khmer, Lao); the district decides which. Any 200 people
// in a row that begin at a multiple of 200 include every [Oddity] but the ones
// that a programme must refuse; those come once in 10 000, beginning with the
// first 200.
//
// National numbers begin with the reserved digits 9990 and their check digit
// never fits, so that none can be mistaken for a real one. Names are common
// words of their languages, put together at random; no real person is meant.
//
// The output for a seed is part of what tests rely on: a change to it changes
// the digests in the tests of this package.
package samplecountry

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxPersons is the most people a country can have, so that numbers of eight
// digits stay unique, second registrations of a birth included.
const MaxPersons = 50_000_000

// DefaultDate is the date that registries are exported as of, if none is given.
var DefaultDate = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Config says which country to make and how to write it down.
type Config struct {
	// Seed decides everything about the people. The places are always the same.
	Seed uint64
	// Persons is how many people there are, from 1 to MaxPersons. Not every one
	// is in every registry, and births can have two rows for one person.
	Persons int
	// Date is the date of the export; DefaultDate if zero, and never before. What happened later
	// (a birth, a death, a correction) is not in it yet, so that exports of two
	// dates show changes; births and deaths after DefaultDate end in April 2026.
	// Trade licences and relief are those of the financial year and the quarter
	// of this date: who wants them to be valid today gives today's date.
	Date time.Time
	// Delimiter between cells; a comma if zero.
	Delimiter rune
	// Encoding of the file: "utf-8" (also if empty), "utf-8-bom", "utf-16le" or
	// "utf-16be", the last two with a byte order mark.
	Encoding string
}

func (c Config) check() error {
	switch {
	case c.Persons < 1 || c.Persons > MaxPersons:
		return fmt.Errorf("samplecountry: %d persons; there can be 1 to %d", c.Persons, MaxPersons)
	case !c.Date.IsZero() && (c.Date.Before(DefaultDate) || c.Date.Year() > 2099):
		return fmt.Errorf("samplecountry: date %s is not between %s and 2099", c.Date.Format(time.DateOnly), DefaultDate.Format(time.DateOnly))
	case c.Delimiter != 0 && !strings.ContainsRune(",;\t|", c.Delimiter):
		return fmt.Errorf("samplecountry: delimiter %q; it can be a comma, a semicolon, a tab or a bar", c.Delimiter)
	}
	_, err := c.encoder(io.Discard)
	return err
}

// encoder returns a writer that turns UTF-8 into the encoding asked for.
func (c Config) encoder(w io.Writer) (io.Writer, error) {
	switch c.Encoding {
	case "", "utf-8":
		return w, nil
	case "utf-8-bom":
		return &markWriter{w: w}, nil
	case "utf-16le":
		return &markWriter{w: w, order: binary.LittleEndian}, nil
	case "utf-16be":
		return &markWriter{w: w, order: binary.BigEndian}, nil
	}
	return nil, fmt.Errorf("samplecountry: encoding %q; it can be utf-8, utf-8-bom, utf-16le or utf-16be", c.Encoding)
}

// A markWriter begins with a byte order mark and turns valid UTF-8 into UTF-16,
// if it has an order.
type markWriter struct {
	w     io.Writer
	order binary.AppendByteOrder // nil: UTF-8
	began bool
	in    []byte // the beginning of a character whose rest has not come yet
	out   []byte
}

// Write implements [io.Writer].
func (w *markWriter) Write(p []byte) (int, error) {
	w.in = append(w.in, p...)
	w.out = w.out[:0]
	if !w.began {
		w.began = true
		w.add('\ufeff')
	}
	n := 0
	for utf8.FullRune(w.in[n:]) {
		r, size := utf8.DecodeRune(w.in[n:])
		w.add(r)
		n += size
	}
	w.in = w.in[:copy(w.in, w.in[n:])]
	if _, err := w.w.Write(w.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *markWriter) add(r rune) {
	if w.order == nil {
		w.out = utf8.AppendRune(w.out, r)
		return
	}
	for _, u := range utf16.AppendRune(nil, r) {
		w.out = w.order.AppendUint16(w.out, u)
	}
}

// A Registry is one of the country's registries.
type Registry struct {
	// Name is what Write is asked for, such as "births".
	Name string
	// Description says in a sentence who is in it.
	Description string
	// Columns in the order of the file. The first is the one that identifies a
	// record; no two records of a file have the same value in it.
	Columns []Column
	// Views are those that WriteSQL makes of it.
	Views []View
}

// A Column is one column of a registry.
type Column struct {
	Name string
	// Description says how values are written, as far as the name does not.
	Description string
}

// Header returns the names of the columns.
func (r Registry) Header() []string {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	return names
}

// Registries returns all registries.
func Registries() []Registry {
	list := make([]Registry, len(registries))
	for i, r := range registries {
		list[i] = Registry{Name: r.name, Description: r.description, Columns: slices.Clone(r.columns), Views: slices.Clone(views[r.name])}
	}
	return list
}

// A table is a registry and how to make its rows: of each household in turn, or
// all at once where they are places.
type table struct {
	name, description string
	columns           []Column
	household         func(*generator, *household)
	places            func(*generator)
}

// registries is filled by the files that define them.
var registries = []table{
	births, persons, deaths, farmers, tradeLicences, schoolCertificates, beneficiaries, vaccinations, offices, locations,
}

// ErrNoRegistry: the country has no registry of this name.
var ErrNoRegistry = errors.New("samplecountry: no such registry")

func find(name string) (table, error) {
	i := slices.IndexFunc(registries, func(t table) bool { return t.name == name })
	if i < 0 {
		var names []string
		for _, t := range registries {
			names = append(names, t.name)
		}
		return table{}, fmt.Errorf("%w: %q; there are %s", ErrNoRegistry, name, strings.Join(names, ", "))
	}
	return registries[i], nil
}

// Rows returns the rows of a registry without the header. A row is only good
// until the next one; its strings may be kept.
func Rows(c Config, registry string) (iter.Seq[[]string], error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t, err := find(registry)
	if err != nil {
		return nil, err
	}
	return func(yield func([]string) bool) {
		g := newGenerator(c)
		g.yield = yield
		if t.places != nil {
			t.places(g)
			return
		}
		for h := 0; h*householdSize < c.Persons && !g.stopped; h++ {
			t.household(g, g.makeHousehold(h))
		}
	}, nil
}

// Write writes a registry with its header line, quoted as RFC 4180 has it, with
// line feeds between rows.
func Write(ctx context.Context, c Config, registry string, w io.Writer) error {
	rows, err := Rows(c, registry)
	if err != nil {
		return err
	}
	encoded, err := c.encoder(w)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(encoded, 64<<10)
	out := csv.NewWriter(buffered)
	if c.Delimiter != 0 {
		out.Comma = c.Delimiter
	}
	t, err := find(registry)
	if err != nil {
		return err
	}
	if err := out.Write(Registry{Columns: t.columns}.Header()); err != nil {
		return fmt.Errorf("write %s: %w", registry, err)
	}
	for row := range rows {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("write %s: %w", registry, err)
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("write %s: %w", registry, err)
		}
	}
	out.Flush()
	if err := errors.Join(out.Error(), buffered.Flush()); err != nil {
		return fmt.Errorf("write %s: %w", registry, err)
	}
	return nil
}
