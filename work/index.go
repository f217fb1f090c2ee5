package work

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
)

const (
	// indexRules is raised whenever the same record gives other keys than before.
	indexRules = "1"
	// indexPart is how many records go into one transaction, indexLease how long that
	// may take.
	indexPart  = 1000
	indexLease = 2 * time.Minute
	// maxMark is the longest mark of a source that is kept. A longer one, such as that
	// of a large file, is not worth it: reading the file again takes as long.
	maxMark = 1 << 20
	// maxOffices is how many offices one record belongs to at most.
	maxOffices = 32
)

// nameAttributes are the attributes of Claim 169 by which people are searched for.
var nameAttributes = []string{"fullName", "firstName", "middleName", "lastName", "secondaryFullName"}

// A reader makes index entries of the records of one programme.
type reader struct {
	d         *Desk
	programme *programme.Programme
	offices   []staff.Office
	names     []string // columns
	birth     []string // columns
	// named and born are the claims that lists show.
	named, born []*programme.Claim
}

// newReader finds out where names stand in a programme's records. A programme that is
// not about persons has the first required text in place of a name.
func (d *Desk) newReader(p *programme.Programme, offices []staff.Office) *reader {
	r := &reader{d: d, programme: p, offices: offices}
	for i := range p.Claims {
		c := &p.Claims[i]
		switch name := cwt.PersonName(c.Key); {
		case c.Person && slices.Contains(nameAttributes, name):
			r.names, r.named = appendNew(r.names, c.Columns()), append(r.named, c)
		case c.Person && name == "dateOfBirth":
			r.birth, r.born = appendNew(r.birth, c.Columns()), append(r.born, c)
		}
	}
	for i := range p.Claims {
		if c := &p.Claims[i]; len(r.names) == 0 && c.Kind == programme.KindText && c.Required && !slices.Contains(c.Columns(), p.Records.IDColumn) {
			r.names, r.named = appendNew(r.names, c.Columns()), append(r.named, c)
		}
	}
	return r
}

func appendNew(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// made says what entries depend on beside the records.
func (r *reader) made() string {
	b, err := json.Marshal(struct {
		Rules, Programme string
		IDColumn         string
		OnlyIf           []programme.Condition
		Names, Birth     []string
		Offices          []staff.Office
	}{indexRules, r.programme.ID, r.programme.Records.IDColumn, r.programme.Records.OnlyIf, r.names, r.birth, r.offices})
	if err != nil {
		panic("work: internal error: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// entry is the index entry of a record; false for one that is no office's, or that the
// programme is not about.
func (r *reader) entry(ctx context.Context, rec registry.Record) (Entry, bool, error) {
	e := Entry{Record: rec.ID}
	if rec.ID == "" || len(rec.ID) > 200 {
		return e, false, nil
	}
	for _, c := range r.programme.Records.OnlyIf {
		if v, ok := rec.Value(c.Column); !ok || !slices.Contains(c.Values, v) {
			return e, false, nil
		}
	}
	for i := range r.offices {
		if r.offices[i].Sees(r.programme.ID, rec.Value) && len(e.Offices) < maxOffices {
			e.Offices = append(e.Offices, r.offices[i].ID)
		}
	}
	if len(e.Offices) == 0 {
		return e, false, nil
	}
	sum, err := r.d.cfg.Issuer.Pseudonym(ctx, r.programme.ID, rec.ID)
	if err != nil {
		return e, false, err
	}
	e.Keys = append(e.Keys, r.d.idKey(rec.ID), pseudonymKey(sum))
	for _, w := range Skeletons(r.name(rec)) {
		for _, s := range w {
			e.Keys = append(e.Keys, r.d.nameKey(s))
		}
	}
	if k, ok := r.twinKey(rec); ok {
		e.Keys = append(e.Keys, k)
	}
	slices.Sort(e.Keys)
	e.Keys = slices.Compact(e.Keys)
	return e, true, nil
}

// name is every name of a record, in all scripts.
func (r *reader) name(rec registry.Record) string {
	var all []string
	for _, c := range r.names {
		if v, ok := rec.Value(c); ok && v != "" {
			all = append(all, v)
		}
	}
	return strings.Join(all, " ")
}

// twinKey is the same for two records with the same name, however written, and the
// same date of birth.
func (r *reader) twinKey(rec registry.Record) (int64, bool) {
	var born []string
	for _, c := range r.birth {
		if v, ok := rec.Value(c); ok && v != "" {
			born = append(born, v)
		}
	}
	var words []string
	for _, c := range r.names {
		v, _ := rec.Value(c)
		for _, w := range Skeletons(v) {
			words = appendNew(words, w[:1])
		}
	}
	if len(born) == 0 || len(words) == 0 {
		return 0, false
	}
	slices.Sort(words)
	return r.d.key("twin", append(words, born...)...), true
}

// key is 64 bits of a keyed hash.
func (d *Desk) key(kind string, parts ...string) int64 {
	return int64(binary.BigEndian.Uint64(keyed(d.words, append([]string{kind}, parts...)...)))
}

func (d *Desk) nameKey(skeleton string) int64 { return d.key("name", skeleton) }

// idKey is that of a record's id, whatever people write between its parts.
func (d *Desk) idKey(id string) int64 { return d.key("id", plain(id)) }

// plain is a number as people compare numbers: its letters and digits.
func plain(s string) string {
	return strings.Join(Fold(s), "")
}

// pseudonymKey finds the record of a credential.
func pseudonymKey(p issuance.Pseudonym) int64 { return int64(binary.BigEndian.Uint64(p[:8])) }

// Progress says how far an index is.
type Progress struct {
	Programme string
	Records   int64
	Done      bool
}

// Refresh brings the index of a programme up to date: it follows the changes of the
// source where the source can tell them briefly, otherwise it reads all records again
// beside the index that is searched meanwhile. Memory does not grow with their number.
// Told is called every thousand records; optional. It returns [ErrBusy] while another
// process does the same.
func (d *Desk) Refresh(ctx context.Context, programmeID string, told func(Progress)) error {
	if told == nil {
		told = func(Progress) {}
	}
	p, err := d.cfg.Issuer.Programme(ctx, programmeID, 0)
	if err != nil {
		return err
	}
	offices, err := d.cfg.Offices(ctx)
	if err != nil {
		return fmt.Errorf("offices: %w", err)
	}
	src, done, err := d.cfg.Source(ctx, programmeID)
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	defer done()
	print, err := src.Fingerprint(ctx)
	if err != nil {
		return fmt.Errorf("fingerprint: %w", err)
	}
	r := d.newReader(p, offices)
	old, err := d.cfg.Index.IndexState(ctx, programmeID)
	if err != nil {
		return err
	}
	b := &build{d: d, r: r, told: told, state: IndexState{Made: r.made() + " " + print}}
	if old.Generation > 0 && old.Made == b.state.Made {
		return nil
	}
	rules, _, _ := strings.Cut(old.Made, " ")
	if old.Generation > 0 && rules == r.made() && old.Mark != nil {
		err := b.follow(ctx, src, old)
		if !errors.Is(err, registry.ErrMark) {
			return err
		}
	}
	return b.all(ctx, src)
}

// A build is one index in the making.
type build struct {
	d     *Desk
	r     *reader
	told  func(Progress)
	state IndexState
	part  IndexPart
}

// all reads every record into a new generation.
func (b *build) all(ctx context.Context, src registry.Source) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	// What changes while we read is found by the next call, since the mark and the
	// fingerprint are of before.
	mark, err := src.Mark(ctx)
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	if len(mark) <= maxMark {
		b.state.Mark = mark
	}
	for rec, err := range src.Records(ctx) {
		if err := b.add(ctx, rec, err); err != nil {
			return err
		}
	}
	return b.finish(ctx)
}

// follow applies what changed since the old index.
func (b *build) follow(ctx context.Context, src registry.Source, old IndexState) error {
	begun := false
	for c, err := range src.Changes(ctx, old.Mark) {
		if errors.Is(err, registry.ErrMark) {
			return err
		}
		if !begun {
			if err := b.begin(ctx); err != nil {
				return err
			}
			b.part.Generation, begun = old.Generation, true
			b.state.Records = old.Records
		}
		switch {
		case err != nil:
			if err := b.add(ctx, registry.Record{}, err); err != nil {
				return err
			}
		case c.Kind == registry.Reached:
			if b.state.Mark = c.Mark; len(c.Mark) > maxMark {
				b.state.Mark = nil
			}
		case c.Kind == registry.Removed:
			b.part.Remove = append(b.part.Remove, c.ID)
		default:
			b.part.Remove = append(b.part.Remove, c.ID)
			if err := b.add(ctx, c.Record, nil); err != nil {
				return err
			}
		}
		if len(b.part.Remove) >= indexPart {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
	}
	return b.finish(ctx)
}

func (b *build) begin(ctx context.Context) error {
	now := b.d.now()
	turn, err := b.d.cfg.Index.BeginIndex(ctx, b.r.programme.ID, b.d.cfg.Worker, now, now.Add(indexLease))
	b.part = IndexPart{Programme: b.r.programme.ID, Turn: turn, Generation: turn}
	return err
}

func (b *build) add(ctx context.Context, rec registry.Record, err error) error {
	if _, broken := errors.AsType[*registry.RowError](err); broken {
		b.state.Skipped++
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the registry: %w", err)
	}
	e, ours, err := b.r.entry(ctx, rec)
	if err != nil {
		return err
	}
	if !ours {
		return nil
	}
	b.state.Records++
	if b.part.Put = append(b.part.Put, e); len(b.part.Put) >= indexPart {
		return b.flush(ctx)
	}
	return nil
}

func (b *build) flush(ctx context.Context) error {
	if len(b.part.Put) == 0 && len(b.part.Remove) == 0 {
		return nil
	}
	b.part.Until, b.part.Records = b.d.now().Add(indexLease), b.state.Records
	if err := b.d.cfg.Index.PutIndex(ctx, b.part); err != nil {
		return err
	}
	b.part.Put, b.part.Remove = nil, nil
	b.told(Progress{Programme: b.r.programme.ID, Records: b.state.Records})
	return nil
}

func (b *build) finish(ctx context.Context) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	b.state.Built, b.state.Generation = b.d.now(), b.part.Generation
	if err := b.d.cfg.Index.FinishIndex(ctx, b.r.programme.ID, b.part.Turn, b.state); err != nil {
		return err
	}
	b.told(Progress{Programme: b.r.programme.ID, Records: b.state.Records, Done: true})
	return nil
}

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
	if s.Text == "" || len(s.Text) > maxSearch || len(Skeletons(s.Text)) == 0 {
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

// ErrNoSource: the programme has no registry here.
var ErrNoSource = errors.New("work: the programme has no registry here")

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
	for _, w := range Skeletons(text) {
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
	want := Fold(text)
	alike := func(f Found) int {
		var names []string
		for _, n := range f.Names {
			names = append(names, n.Text)
		}
		have, n := Fold(strings.Join(names, " ")), 0
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
