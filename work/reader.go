package work

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
)

const (
	// indexRules is raised whenever the same record gives other keys than before.
	indexRules = "1"
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
	for _, w := range skeletons(r.name(rec)) {
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
		for _, w := range skeletons(v) {
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
	return strings.Join(fold(s), "")
}

// pseudonymKey finds the record of a credential.
func pseudonymKey(p issuance.Pseudonym) int64 { return int64(binary.BigEndian.Uint64(p[:8])) }
