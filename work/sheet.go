package work

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
)

// A Sheet is what is shown to whoever asks and to whoever agrees: everything that a
// record would become. It contains personal data.
type Sheet struct {
	issuance.Preview
	Kind Kind
	// Replaces is the credential that gives way, Reason why.
	Replaces string
	Reason   issuance.Reason
	// Shown is the SHA-256 of what is on it: programme, record, and the claims of every
	// form. An approval is bound to it.
	Shown [32]byte
}

// A Case is everything that is known of a record in a programme.
type Case struct {
	Programme *programme.Programme
	// Record is the record as its registry has it now.
	Record registry.Record
	// Ref names it in addresses.
	Ref string
	// Sheet is what it would become; nil if it cannot be issued for, and Refused says
	// why.
	Sheet   *Sheet
	Refused *issuance.RecordError
	// Credentials are those that it has or had, the oldest first, parts included.
	Credentials []issuance.Credential
	// Open is the work that is open on it in this office, nil if there is none.
	Open *Item
	// Twins are other records of this office with the same name and date of birth, by
	// reference, at most [maxTwins]; Elsewhere counts those of other offices, as far.
	Twins     []Found
	Elsewhere int
	// TwoPersons says that it takes two to issue.
	TwoPersons bool
}

// Held is the credential that the record holds: the newest that is active, suspended
// or on its way; nil if there is none.
func (c *Case) Held() *issuance.Credential {
	for i := len(c.Credentials) - 1; i >= 0; i-- {
		if h := &c.Credentials[i]; h.PartOf == "" && h.State != issuance.Revoked {
			return h
		}
	}
	return nil
}

// Parts are the parts of a credential that are in force: what a change of it takes
// along.
func (c *Case) Parts(id string) []issuance.Credential {
	var parts []issuance.Credential
	for _, p := range c.Credentials {
		if p.PartOf == id && p.State != issuance.Revoked {
			parts = append(parts, p)
		}
	}
	return parts
}

// Case returns everything about a record that an operator may see.
func (d *Desk) Case(ctx context.Context, by staff.Operator, ref string) (*Case, error) {
	programmeID, recordID, err := d.OpenRef(ref)
	if err != nil {
		return nil, err
	}
	return d.caseOf(ctx, by, programmeID, recordID)
}

func (d *Desk) caseOf(ctx context.Context, by staff.Operator, programmeID, recordID string) (*Case, error) {
	if !by.MayEver(staff.ViewRecord) {
		return nil, staff.ErrMayNot
	}
	r, p, err := d.lookup(ctx, by.Office, programmeID, recordID)
	if err != nil {
		return nil, err
	}
	c := &Case{Programme: p, Record: r, Ref: d.Ref(programmeID, recordID), TwoPersons: d.NeedsTwo(p)}
	if c.Credentials, err = d.cfg.Issuer.Credentials(ctx, programmeID, recordID); err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	items, err := d.cfg.Store.Items(ctx, ItemQuery{Office: by.Office, Programme: programmeID, Record: recordID, Limit: maxItems})
	if err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	for i := range items {
		if items[i].State.Open() {
			c.Open = &items[i]
		}
	}
	kind, held := Issue, ""
	var reason issuance.Reason
	if h := c.Held(); h != nil && !p.AllowMany {
		kind, held = Replace, h.ID
	}
	if c.Open != nil && c.Open.Kind.Signs() && c.Open.State != Checking {
		kind, held, reason = c.Open.Kind, c.Open.Credential, c.Open.Reason
	}
	if c.Sheet, err = d.sheet(ctx, p, r, kind, held, reason); err != nil {
		if c.Refused, err = refusal(err); err != nil {
			return nil, err
		}
	}
	return c, d.twins(ctx, by, c)
}

// maxItems is how many items of a record are looked at.
const maxItems = 200

// refusal is the refusal in an error, or the error.
func refusal(err error) (*issuance.RecordError, error) {
	if e, ok := errors.AsType[*issuance.RecordError](err); ok {
		return e, nil
	}
	return nil, err
}

// sheet makes the sheet of a record.
func (d *Desk) sheet(ctx context.Context, p *programme.Programme, r registry.Record, kind Kind, replaces string, reason issuance.Reason) (*Sheet, error) {
	preview, err := d.cfg.Issuer.Preview(ctx, p.ID, r)
	if err != nil {
		return nil, err
	}
	s := &Sheet{Preview: preview, Kind: kind, Replaces: replaces, Reason: reason}
	s.Shown, err = s.digest(r)
	return s, err
}

// shownClaim is a claim as it is hashed.
type shownClaim struct {
	Name  string `json:"name"`
	Key   int64  `json:"key"`
	Value any    `json:"value"`
}

// digest is the SHA-256 of what the sheet says. The moment of issue is not of it, since
// it is another one when it is approved; what follows from it and is a claim, such as
// an age, is.
func (s *Sheet) digest(r registry.Record) (sum [32]byte, err error) {
	type form struct {
		Name   string       `json:"name"`
		Claims []shownClaim `json:"claims"`
	}
	record := registry.NewDigester(r.Columns()).Record(r)
	what := struct {
		Version   int             `json:"v"`
		Kind      Kind            `json:"kind"`
		Programme string          `json:"programme"`
		Number    int             `json:"version"`
		File      []byte          `json:"file"`
		Replaces  string          `json:"replaces"`
		Reason    issuance.Reason `json:"reason"`
		RecordID  string          `json:"id"`
		Record    []byte          `json:"record"`
		Forms     []form          `json:"forms"`
	}{
		Version: 1, Kind: s.Kind, Programme: s.Programme.ID, Number: s.Programme.Version, File: s.Programme.Digest[:], Replaces: s.Replaces, Reason: s.Reason,
		RecordID: r.ID, Record: record[:],
	}
	for _, f := range s.Forms {
		own := form{Name: f.Form.Name}
		for _, c := range f.Claims {
			own.Claims = append(own.Claims, shownClaim{c.Name, c.Key, hashable(c.Value)})
		}
		what.Forms = append(what.Forms, own)
	}
	b, err := json.Marshal(what)
	if err != nil {
		return sum, fmt.Errorf("hash a sheet: %v", err)
	}
	return sha256.Sum256(b), nil
}

// hashable is a value that JSON takes: maps of CBOR may have numbers for keys.
func hashable(v any) any {
	switch v := v.(type) {
	case map[int64]any:
		m := map[string]any{}
		for k, e := range v {
			m[fmt.Sprint(k)] = hashable(e)
		}
		return m
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[fmt.Sprint(k)] = hashable(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = hashable(e)
		}
		return l
	}
	return v
}

// Claims are all claims of a sheet, each once, in the order of the programme: what is
// on the certificate, whichever form carries it.
func (s *Sheet) Claims() credential.Claims {
	var all credential.Claims
	for i := range s.Programme.Claims {
		name := s.Programme.Claims[i].Name
		if c, ok := s.claim(name); ok {
			all = append(all, c)
		}
	}
	return all
}

func (s *Sheet) claim(name string) (credential.Claim, bool) {
	for _, f := range s.Forms {
		for _, c := range f.Claims {
			if c.Name == name {
				return c, true
			}
		}
	}
	return credential.Claim{}, false
}

// A Line is one line of a timeline.
type Line struct {
	At    time.Time
	Actor string
	// Deed is an item's; for what happened to a credential without an item it is the
	// kind of the audit log, such as "credential.revoked".
	Deed    string
	Reason  string
	Comment string
	// Item and Credential say of what, Batch by which batch it was; each may be empty.
	Item, Credential, Batch string
}
