package issuance

import (
	"errors"
	"fmt"
	"time"
)

// assign gives each candidate its id and each of its forms a slot.
func (s *Service) assign(tx Tx, o *order, at time.Time, live []*candidate) error {
	ids := make([]string, len(live))
	if err := newIDs(s.cfg.Rand, at, ids); err != nil {
		return err
	}
	p := o.programme
	for i, c := range live {
		c.cred = Credential{
			ID: ids[i], Programme: p.ID, Version: p.Version, Record: c.record, State: Intended,
			IssuedAt: at.Truncate(time.Second), Expires: c.content.Expires(), Changed: at, Batch: o.batch, Row: c.row, Supersedes: c.held,
			Idempotency: c.idempotency, Many: p.AllowMany, Forms: make([]FormRecord, len(c.which)),
		}
		if c.joins.ID != "" {
			c.cred.PartOf, c.cred.Many, c.cred.Expires = c.joins.ID, true, earlier(c.cred.Expires, c.joins.Expires)
		}
		for j, f := range c.which {
			c.cred.Forms[j] = FormRecord{Form: f.Name, Key: o.key.ID()}
		}
	}
	for _, f := range p.Forms {
		kind := ListKind{Programme: p.ID, Form: f.Name, Bits: p.Status.Bits}
		if err := s.assignSlots(tx, kind, at, live); err != nil {
			return err
		}
	}
	return nil
}

// assignSlots gives the form of this kind a slot in every candidate that has
// such a form.
func (s *Service) assignSlots(tx Tx, kind ListKind, at time.Time, live []*candidate) error {
	var forms []*FormRecord
	for _, c := range live {
		for j := range c.cred.Forms {
			if c.cred.Forms[j].Form == kind.Form {
				forms = append(forms, &c.cred.Forms[j])
			}
		}
	}
	for len(forms) > 0 {
		r, err := s.takeSlots(tx, kind, uint64(len(forms)), at)
		if err != nil {
			return err
		}
		for n := range r.N {
			if forms[n].Slot, err = s.slot(r.List, r.Size, r.First+n); err != nil {
				return err
			}
		}
		forms = forms[r.N:]
	}
	return nil
}

// takeSlots takes at least one and at most n slots, opening a list if need be.
func (s *Service) takeSlots(tx Tx, kind ListKind, n uint64, at time.Time) (Range, error) {
	for range 4 {
		r, err := tx.TakeSlots(kind, n)
		if err != nil || r.N > 0 {
			return r, err
		}
		name, err := newName(s.cfg.Rand, 6)
		if err != nil {
			return Range{}, err
		}
		l := List{URI: s.cfg.StatusBase + name, Kind: kind, Size: s.cfg.ListSize, Opened: at}
		if err := tx.OpenList(l); err != nil {
			return Range{}, fmt.Errorf("open a status list: %w", err)
		}
	}
	return Range{}, errors.New("issuance: internal error: an open status list gives no slot")
}
