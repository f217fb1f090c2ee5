package issuance

import (
	"context"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/trust"
)

// An Outlook says what verifiers know, and what the next publication will tell them.
type Outlook struct {
	// Version, IssuedAt, RefreshBy and OldAfter are those of the last trust bundle; zero
	// if there is none.
	Version             uint64
	IssuedAt            time.Time
	RefreshBy, OldAfter time.Time
	// Lists are the status lists, in the order in which they were opened.
	Lists []ListOutlook
	// Changes are what the next bundle says otherwise of single credentials, at most as
	// many as were asked for; More counts the others.
	Changes []ChangeOutlook
	More    int
}

// A ListOutlook is one status list.
type ListOutlook struct {
	List
	// TokenNumber and TokenAt are those of its last token, zero if there is none.
	TokenNumber uint64
	TokenAt     time.Time
	// Revoked and Suspended count its slots that say so now.
	Revoked, Suspended int
	// News counts the slots that the next bundle says otherwise.
	News int
}

// Taken is how many of its entries are given out, Places how many it has.
func (l ListOutlook) Taken() int  { return int(l.Next) } //nolint:gosec // a list is small
func (l ListOutlook) Places() int { return int(l.Size) } //nolint:gosec // a list is small

// A ChangeOutlook is one credential form of which verifiers will say something else.
type ChangeOutlook struct {
	Credential, Programme, Form string
	// Before is what the last bundle says and After what the next one will: valid,
	// revoked or suspended.
	Before, After State
}

// maxOutlook is how large an opened snapshot may be.
const maxOutlook = 64 << 20

// stateOfSlot is what the value of a slot means: [Active], [Revoked] or [Suspended].
func stateOfSlot(value byte) State {
	switch value {
	case 0:
		return Active
	case 1:
		return Revoked
	}
	return Suspended
}

// Outlook compares the issuer's store with the last trust bundle. It names at most so
// many credentials.
func (s *Service) Outlook(ctx context.Context, most int) (Outlook, error) {
	var o Outlook
	last, err := s.cfg.Store.Publication(ctx, TrustName)
	if err != nil {
		return o, fmt.Errorf("read the last bundle: %w", err)
	}
	told := map[string]status.Snapshot{}
	if last.Number > 0 {
		b, err := trust.Open(last.Content)
		if err != nil {
			return o, fmt.Errorf("the last bundle: %w", err)
		}
		o.Version, o.IssuedAt, o.RefreshBy, o.OldAfter = b.Version, last.IssuedAt, b.RefreshBy, b.OldAfter
		for _, snapshot := range b.Status {
			told[snapshot.URI] = snapshot
		}
	}
	lists, err := s.cfg.Store.Lists(ctx)
	if err != nil {
		return o, fmt.Errorf("list status lists: %w", err)
	}
	for _, l := range lists {
		list, changed, err := s.listOutlook(ctx, l, told)
		if err != nil {
			return o, fmt.Errorf("status list %s: %w", l.URI, err)
		}
		o.Lists = append(o.Lists, list)
		room := min(most-len(o.Changes), len(changed))
		o.More += len(changed) - room
		if err := s.nameChanges(ctx, &o, l, changed, room); err != nil {
			return o, err
		}
	}
	return o, nil
}

// listOutlook compares one list with what the bundle says of it. What changed is by slot:
// before and after.
func (s *Service) listOutlook(ctx context.Context, l List, told map[string]status.Snapshot) (ListOutlook, map[uint64][2]byte, error) {
	out := ListOutlook{List: l}
	p, err := s.cfg.Store.Publication(ctx, l.URI)
	if err != nil {
		return out, nil, err
	}
	out.TokenNumber, out.TokenAt = p.Number, p.IssuedAt
	before := map[uint64]byte{}
	if snapshot, ok := told[l.URI]; ok {
		known, err := snapshot.Open(maxOutlook)
		if err != nil {
			return out, nil, err
		}
		for i := range known.Size() {
			v, err := known.Get(i)
			if err != nil {
				return out, nil, err
			}
			if v != 0 {
				before[i] = v
			}
		}
	}
	changed := map[uint64][2]byte{}
	err = s.cfg.Store.Write(ctx, func(tx Tx) error { // which reads what a publication would
		clear(changed)
		out.Revoked, out.Suspended = 0, 0
		still := map[uint64]bool{}
		for slot, err := range tx.SlotStates(l.URI) {
			if err != nil {
				return err
			}
			if stateOfSlot(slot.Value) == Revoked {
				out.Revoked++
			} else {
				out.Suspended++
			}
			still[slot.Index] = true
			if before[slot.Index] != slot.Value {
				changed[slot.Index] = [2]byte{before[slot.Index], slot.Value}
			}
		}
		for i, v := range before {
			if !still[i] {
				changed[i] = [2]byte{v, 0}
			}
		}
		return nil
	})
	out.News = len(changed)
	return out, changed, err
}

// nameChanges finds the credentials of changed slots, as far as there is room.
func (s *Service) nameChanges(ctx context.Context, o *Outlook, l List, changed map[uint64][2]byte, room int) error {
	for _, state := range []State{Revoked, Suspended, Active} {
		if room <= 0 || len(changed) == 0 {
			return nil
		}
		for c, err := range s.cfg.Store.Find(ctx, Query{List: l.URI, State: state}) {
			if err != nil {
				return fmt.Errorf("find what changed: %w", err)
			}
			for _, f := range c.Forms {
				values, ok := changed[f.Slot.Index]
				if f.Slot.List != l.URI || !ok || room <= 0 {
					continue
				}
				delete(changed, f.Slot.Index)
				room--
				o.Changes = append(o.Changes, ChangeOutlook{c.ID, c.Programme, f.Form, stateOfSlot(values[0]), stateOfSlot(values[1])})
			}
			if room <= 0 || len(changed) == 0 {
				break
			}
		}
	}
	return nil
}

// ProgrammeVersions returns the versions of a programme in use, the oldest first, or
// [ErrNoProgramme].
func (s *Service) ProgrammeVersions(ctx context.Context, id string) ([]ProgrammeRow, error) {
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read programmes: %w", err)
	}
	var all []ProgrammeRow
	for _, r := range rows {
		if r.ID == id {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoProgramme, clip(id))
	}
	return all, nil
}
