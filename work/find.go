package work

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
)

// Found is a record in a list.
type Found struct {
	Programme *programme.Programme
	Ref       string
	Record    registry.Record
	// Names are those of the person or thing, one for each script that the registry has.
	Names []Name
	// Born is the date of birth as far as it is known: 1962-04-18, 1962-04 or 1962; as it
	// stands in the registry if it is no date.
	Born string
	n    int64
}

// A Name is a name as it is written in one script.
type Name struct {
	Text string
	// Language is its language tag where the record tells, else empty.
	Language string
}

// A Search says what somebody looks for.
type Search struct {
	// Programme is where; all that the office works with if empty.
	Programme string
	// Text is a name, a registration number, a credential's id or a document code.
	Text string
	// After continues behind a page.
	After int64
}

// Results are a page of what was found.
type Results struct {
	Found []Found
	// More says that there are more, behind After, in the programme In.
	More  bool
	In    string
	After int64
	// Building are programmes whose index is not complete yet, so that only whole
	// registration numbers are found there.
	Building []Progress
}

const (
	// pageSize is how many are on a page.
	pageSize = 20
	// maxSearch is how long the text of a search can be, maxTwins how many records of
	// the same name and date of birth are named.
	maxSearch = 200
	maxTwins  = 5
)

// ErrSearch: nothing that could be looked for.
var ErrSearch = errors.New("work: nothing to look for")

// Find returns the records of the operator's office that match.
func (d *Desk) Find(ctx context.Context, by staff.Operator, s Search) (*Results, error) {
	if !by.MayEver(staff.Search) {
		return nil, staff.ErrMayNot
	}
	s.Text = strings.TrimSpace(s.Text)
	if s.Text == "" || len(s.Text) > maxSearch || len(skeletons(s.Text)) == 0 {
		return nil, ErrSearch
	}
	office, err := d.cfg.Office(ctx, by.Office)
	if err != nil {
		return nil, fmt.Errorf("office: %w", err)
	}
	all, err := d.cfg.Issuer.Programmes(ctx)
	if err != nil {
		return nil, err
	}
	var r Results
	for _, p := range all {
		if !office.Works(p.ID) || s.Programme != "" && s.Programme != p.ID {
			continue
		}
		if err := d.findIn(ctx, office, p, s, &r); err != nil {
			return nil, err
		}
	}
	return &r, nil
}

// findIn looks in one programme.
func (d *Desk) findIn(ctx context.Context, office staff.Office, p *programme.Programme, s Search, out *Results) error {
	src, done, err := d.cfg.Source(ctx, p.ID)
	if errors.Is(err, ErrNoSource) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	defer done()
	r := d.newReader(p, nil)
	seen := map[string]bool{}
	show := func(id string, n int64) (bool, error) {
		if seen[id] {
			return false, nil
		}
		seen[id] = true
		rec, err := src.Lookup(ctx, id)
		if errors.Is(err, registry.ErrNoRecord) || errors.Is(err, registry.ErrAmbiguous) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look a record up: %w", err)
		}
		// The index may be older than the record or the office.
		if !office.Sees(p.ID, rec.Value) {
			return false, nil
		}
		out.Found = append(out.Found, r.found(rec, n))
		return true, nil
	}
	if s.After == 0 {
		if _, err := show(s.Text, 0); err != nil {
			return err
		}
	}
	state, err := d.cfg.Index.IndexState(ctx, p.ID)
	if err != nil {
		return err
	}
	if state.Generation == 0 {
		out.Building = append(out.Building, Progress{Programme: p.ID, Records: state.Building})
		return nil
	}
	for _, words := range d.queries(ctx, p, s) {
		hits, err := d.cfg.Index.FindRecords(ctx, FindQuery{Programme: p.ID, Office: office.ID, Words: words, After: s.After, Limit: pageSize + 1})
		if err != nil {
			return err
		}
		for i, h := range hits {
			if i == pageSize {
				out.More, out.In, out.After = true, p.ID, hits[i-1].N
				break
			}
			if _, err := show(h.Record, h.N); err != nil {
				return err
			}
		}
	}
	r.rank(out.Found, s.Text)
	return nil
}

// Numbers finds credentials by the number on their paper; optional for an [Issuer].
type Numbers interface {
	// WithNumber returns the credentials of a programme with a document number (see
	// [issuance.DocumentNumber]), mostly one. It may read through all of them.
	WithNumber(ctx context.Context, programmeID, number string) ([]issuance.Credential, error)
}

// queries are the ways to read what somebody typed.
func (d *Desk) queries(ctx context.Context, p *programme.Programme, s Search) [][][]int64 {
	if id := strings.ToUpper(s.Text); issuance.ValidID(id) {
		if c, err := d.cfg.Issuer.Credential(ctx, id); err == nil && c.Programme == p.ID {
			return [][][]int64{{{pseudonymKey(c.Record)}}}
		}
		return nil
	}
	if number, ok := issuance.ParseDocumentNumber(s.Text); ok && s.After == 0 {
		if by, has := d.cfg.Issuer.(Numbers); has {
			var found [][][]int64
			list, err := by.WithNumber(ctx, p.ID, number)
			for _, c := range list {
				found = append(found, [][]int64{{pseudonymKey(c.Record)}})
			}
			if err == nil && len(found) > 0 {
				return found
			}
		}
	}
	if s.After == 0 && strings.ContainsFunc(s.Text, func(r rune) bool { return r >= '0' && r <= '9' }) {
		return [][][]int64{{{d.idKey(s.Text)}}, d.nameWords(s.Text)}
	}
	return [][][]int64{d.nameWords(s.Text)}
}

func (d *Desk) nameWords(text string) [][]int64 {
	var words [][]int64
	for _, w := range skeletons(text) {
		var own []int64
		for _, s := range w {
			own = append(own, d.nameKey(s))
		}
		words = append(words, own)
	}
	return words
}

func (r *reader) found(rec registry.Record, n int64) Found {
	f := Found{Programme: r.programme, Ref: r.d.Ref(r.programme.ID, rec.ID), Record: rec, n: n}
	given := -1 // the name that is in parts
	for _, c := range r.named {
		text := r.programme.Glance(rec, c)
		if text == "" || slices.ContainsFunc(f.Names, func(n Name) bool { return n.Text == text }) {
			continue
		}
		n, attribute := Name{Text: text}, ""
		if c.Person {
			attribute = cwt.PersonName(c.Key)
		}
		switch attribute {
		case "firstName", "middleName", "lastName":
			if given >= 0 {
				f.Names[given].Text += " " + text
				continue
			}
			given = len(f.Names)
		case "secondaryFullName":
			n.Language = r.language(rec)
		}
		f.Names = append(f.Names, n)
	}
	for _, c := range r.born {
		if f.Born == "" {
			f.Born = r.programme.Glance(rec, c)
		}
	}
	return f
}

// language is the tag of the language of a person's name in a second script, "" if the
// record does not say it.
func (r *reader) language(rec registry.Record) string {
	for i := range r.programme.Claims {
		if c := &r.programme.Claims[i]; c.Person && cwt.PersonName(c.Key) == "secondaryLanguage" {
			if tag, err := language.Parse(r.programme.Glance(rec, c)); err == nil {
				return tag.String()
			}
		}
	}
	return ""
}

// Describe returns the record of an item, to show whom it is about. It returns
// [ErrNoRecord] if the registry has it no more, or not for this office.
func (d *Desk) Describe(ctx context.Context, by staff.Operator, i *Item) (Found, error) {
	rec, p, err := d.lookup(ctx, by.Office, i.Programme, i.Record)
	if err != nil {
		return Found{}, err
	}
	return d.newReader(p, nil).found(rec, 0), nil
}

// Describe returns what a list says of the record of a case.
func (c *Case) Describe(d *Desk) Found { return d.newReader(c.Programme, nil).found(c.Record, 0) }

// rank puts what is written as it was typed before what only sounds like it.
func (r *reader) rank(found []Found, text string) {
	want := fold(text)
	alike := func(f Found) int {
		var names []string
		for _, n := range f.Names {
			names = append(names, n.Text)
		}
		have, n := fold(strings.Join(names, " ")), 0
		for _, w := range want {
			if slices.Contains(have, w) {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(found, func(a, b Found) int { return cmp.Compare(alike(b), alike(a)) })
}

// twins finds records with the same name and date of birth.
func (d *Desk) twins(ctx context.Context, by staff.Operator, c *Case) error {
	r := d.newReader(c.Programme, nil)
	key, ok := r.twinKey(c.Record)
	if !ok {
		return nil
	}
	q := FindQuery{Programme: c.Programme.ID, Office: by.Office, Words: [][]int64{{key}}, Limit: maxTwins + 1}
	own, err := d.cfg.Index.FindRecords(ctx, q)
	if err != nil {
		return err
	}
	q.Others = true
	others, err := d.cfg.Index.FindRecords(ctx, q)
	if err != nil {
		return err
	}
	c.Elsewhere = len(others)
	for _, h := range own {
		if h.Record == c.Record.ID || len(c.Twins) == maxTwins {
			continue
		}
		// Hashes of 64 bits may meet: the record itself says whether it is so.
		rec, _, err := d.lookup(ctx, by.Office, c.Programme.ID, h.Record)
		if errors.Is(err, ErrNoRecord) {
			continue
		}
		if err != nil {
			return err
		}
		if k, ok := r.twinKey(rec); ok && k == key {
			c.Twins = append(c.Twins, r.found(rec, h.N))
		}
	}
	return nil
}
