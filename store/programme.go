package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/issuance"
)

// SaveProgramme implements [issuance.Tx].
func (t *tx) SaveProgramme(p issuance.ProgrammeRow) error {
	switch {
	case p.ID == "" || len(p.ID) > 128:
		return t.lose(errors.New("store: a programme needs an id of at most 128 bytes"))
	case p.Digest != sha256.Sum256(p.Text):
		return t.lose(fmt.Errorf("store: programme %.40q: the digest is not that of the text", p.ID))
	}
	no, known, err := t.programmeNo(p.ID)
	if err != nil {
		return err
	}
	if !known {
		if _, err := t.row(insertProgramme, []any{p.ID}, &no); err != nil {
			return fmt.Errorf("save programme: %w", err)
		}
	}
	var stored int
	if _, err := t.row(selectVersionNo, []any{no}, &stored); err != nil {
		return fmt.Errorf("save programme: %w", err)
	}
	if p.Version <= stored {
		return t.lose(fmt.Errorf("programme %.40q has version %d: %w", p.ID, stored, issuance.ErrMoved))
	}
	text := p.Text
	if text == nil {
		text = []byte{}
	}
	if err := t.run(insertVersion, no, p.Version, text, p.Digest[:], fromTime(p.Added)); err != nil {
		return fmt.Errorf("save programme: %w", err)
	}
	return nil
}

// Programmes implements [issuance.Store].
func (db *DB) Programmes(ctx context.Context) ([]issuance.ProgrammeRow, error) {
	var all []issuance.ProgrammeRow
	err := db.read(ctx, selectProgrammes, nil, func(scan func(...any) error) error {
		var p issuance.ProgrammeRow
		var digest []byte
		var added int64
		if err := scan(&p.ID, &p.Version, &p.Text, &digest, &added); err != nil {
			return storeError(err)
		}
		copy(p.Digest[:], digest)
		p.Added = toTime(added)
		all = append(all, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("programmes: %w", err)
	}
	return all, nil
}

// programmeNo returns the number of a programme, and whether it is stored.
func (t *tx) programmeNo(id string) (int64, bool, error) {
	if no, ok := t.db.names.programmes[id]; ok {
		return no, true, nil
	}
	var no int64
	ok, err := t.row(selectProgrammeNo, []any{id}, &no)
	if err != nil || !ok {
		return 0, false, err
	}
	if t.db.names.programmes == nil {
		t.db.names.programmes = map[string]int64{}
	}
	t.db.names.programmes[id] = no
	return no, true, nil
}

// versionNo returns the number of a programme of which this version is stored.
func (t *tx) versionNo(id string, version int) (int64, error) {
	no, known, err := t.programmeNo(id)
	if err != nil {
		return 0, err
	}
	key := [2]int64{no, int64(version)}
	if known && !t.db.names.versions[key] {
		var n int
		if _, err := t.row(existsVersion, []any{no, version}, &n); err != nil {
			return 0, err
		}
		known = n == 1
	}
	if !known {
		return 0, fmt.Errorf("store: no programme %.40q version %d", id, version)
	}
	if t.db.names.versions == nil {
		t.db.names.versions = map[[2]int64]bool{}
	}
	t.db.names.versions[key] = true
	return no, nil
}
