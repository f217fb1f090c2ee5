package issuance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/programme"
)

// Programme returns a version of a programme in use; version 0 is the newest,
// which is the one that issues. It returns [ErrNoProgramme] if there is none.
func (s *Service) Programme(ctx context.Context, id string, version int) (*programme.Programme, error) {
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read programmes: %w", err)
	}
	for i := len(rows) - 1; i >= 0; i-- {
		if rows[i].ID == id && (version == 0 || rows[i].Version == version) {
			return s.parse(rows[i])
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNoProgramme, clip(id))
}

// recent is how long a delivery takes a programme to be the newest version without asking
// the store again.
const recent = time.Second

// recentProgramme is the newest version of a programme, or the one that was it a moment
// ago: what another process has taken into use meanwhile.
func (s *Service) recentProgramme(ctx context.Context, id string) (*programme.Programme, error) {
	s.mu.Lock()
	known, fresh := s.lately[id], time.Since(s.looked) < recent
	s.mu.Unlock()
	if known != nil && fresh {
		return known, nil
	}
	asked := time.Now()
	all, err := s.Programmes(ctx)
	if err != nil {
		return nil, err
	}
	lately := make(map[string]*programme.Programme, len(all))
	for _, p := range all {
		lately[p.ID] = p
	}
	s.mu.Lock()
	if asked.After(s.looked) {
		s.lately, s.looked = lately, asked
	}
	s.mu.Unlock()
	if lately[id] == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoProgramme, clip(id))
	}
	return lately[id], nil
}

// Programmes returns the newest version of every programme, by id.
func (s *Service) Programmes(ctx context.Context) ([]*programme.Programme, error) {
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read programmes: %w", err)
	}
	var all []*programme.Programme
	for i, r := range rows {
		if i+1 < len(rows) && rows[i+1].ID == r.ID {
			continue
		}
		p, err := s.parse(r)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// parse reads a stored programme, once.
func (s *Service) parse(r ProgrammeRow) (*programme.Programme, error) {
	if sha256.Sum256(r.Text) != r.Digest {
		return nil, fmt.Errorf("issuance: stored programme %q version %d is not what was stored", r.ID, r.Version)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.programmes[r.Digest]; p != nil {
		return p, nil
	}
	p, err := programme.Parse(r.Text)
	if err != nil {
		return nil, fmt.Errorf("stored programme %q version %d: %w", r.ID, r.Version, err)
	}
	s.programmes[r.Digest] = p
	return p, nil
}

// AddProgramme takes a programme file into use. A version that is in use
// already is no error if it is the same text; a changed one needs a higher
// version ([ErrMoved]).
func (s *Service) AddProgramme(ctx context.Context, text []byte, actor string) (*programme.Programme, error) {
	p, err := programme.Parse(text)
	if err != nil {
		return nil, err
	}
	row := ProgrammeRow{ID: p.ID, Version: p.Version, Text: text, Digest: sha256.Sum256(text), Added: s.now()}
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read programmes: %w", err)
	}
	if err := s.checkTypes(p, rows); err != nil {
		return nil, err
	}
	for _, r := range rows {
		switch {
		case r.ID != p.ID:
		case r.Version == p.Version && r.Digest == row.Digest:
			return p, nil
		case r.Version >= p.Version:
			return nil, fmt.Errorf("programme %q: version %d is in use, a changed file needs a higher one: %w", p.ID, r.Version, ErrMoved)
		}
	}
	err = s.cfg.Store.Write(ctx, func(tx Tx) error {
		if err := tx.SaveProgramme(row); err != nil {
			return err
		}
		return tx.Append([]audit.Event{{
			Time: row.Added, Kind: audit.ProgrammeAdded, Actor: actor, Programme: p.ID,
			Digest: hex.EncodeToString(row.Digest[:]), Detail: fmt.Sprintf("version %d", p.Version),
		}})
	})
	if err != nil {
		return nil, fmt.Errorf("add programme %q: %w", p.ID, err)
	}
	s.mu.Lock()
	s.lately, s.looked = nil, time.Now() // not what was asked before
	s.mu.Unlock()
	return p, nil
}

// checkTypes refuses a programme that describes a wallet type otherwise than before:
// credentials state the hash of the description that they were issued with, and
// there is one under each vct.
func (s *Service) checkTypes(p *programme.Programme, rows []ProgrammeRow) error {
	for _, f := range p.Forms {
		if f.Kind != programme.FormSDJWT {
			continue
		}
		own, err := p.TypeMetadata(f.Name)
		if err != nil {
			return err
		}
		known, err := s.typeMetadata(f.VCT, rows)
		if err != nil && !errors.Is(err, ErrNoForm) {
			return err
		}
		if err == nil && string(known) != string(own) {
			return fmt.Errorf("%w: form %q of programme %q, vct %q", ErrTypeChanged, f.Name, p.ID, f.VCT)
		}
	}
	return nil
}

func (s *Service) typeMetadata(vct string, rows []ProgrammeRow) ([]byte, error) {
	for _, row := range rows {
		p, err := s.parse(row)
		if err != nil {
			return nil, err
		}
		for _, f := range p.Forms {
			if f.Kind == programme.FormSDJWT && f.VCT == vct {
				return p.TypeMetadata(f.Name)
			}
		}
	}
	return nil, fmt.Errorf("%w: vct %q", ErrNoForm, clip(vct))
}
