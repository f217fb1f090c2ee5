package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/issuance"
)

// SavePublication implements [issuance.PublicationTx].
func (t *tx) SavePublication(p issuance.Publication) error {
	switch {
	case p.Name == "" || len(p.Name) > 512:
		return t.lose(errors.New("store: a publication needs a name of at most 512 bytes"))
	case p.Digest != sha256.Sum256(p.Content):
		return t.lose(fmt.Errorf("store: publication %.80q: the digest is not that of the content", p.Name))
	}
	old, err := t.Publication(p.Name)
	if err != nil {
		return err
	}
	if p.Number != old.Number+1 || p.IssuedAt.Before(old.IssuedAt) {
		return t.lose(fmt.Errorf("publication %.80q number %d after %d: %w", p.Name, p.Number, old.Number, issuance.ErrMoved))
	}
	query := updatePublication
	if old.Number == 0 {
		query = insertPublication
	}
	content := p.Content
	if content == nil {
		content = []byte{}
	}
	if err := t.run(query, p.Name, int64(p.Number), fromTime(p.IssuedAt), p.Digest[:], content); err != nil {
		return fmt.Errorf("save publication: %w", err)
	}
	return nil
}

// Publication implements [issuance.PublicationTx].
func (t *tx) Publication(name string) (issuance.Publication, error) {
	p := issuance.Publication{Name: name}
	var issued int64
	var digest []byte
	ok, err := t.row(selectPublication, []any{name}, &p.Number, &issued, &digest, &p.Content)
	if err != nil {
		return issuance.Publication{}, fmt.Errorf("publication: %w", err)
	}
	if !ok {
		return issuance.Publication{}, nil
	}
	copy(p.Digest[:], digest)
	p.IssuedAt = toTime(issued)
	return p, nil
}

// Publication implements [issuance.Store].
func (db *DB) Publication(ctx context.Context, name string) (issuance.Publication, error) {
	var p issuance.Publication
	err := db.read(ctx, selectPublication, []any{name}, func(scan func(...any) error) error {
		var issued int64
		var digest []byte
		if err := scan(&p.Number, &issued, &digest, &p.Content); err != nil {
			return storeError(err)
		}
		copy(p.Digest[:], digest)
		p.Name, p.IssuedAt = name, toTime(issued)
		return nil
	})
	if err != nil {
		return issuance.Publication{}, fmt.Errorf("publication: %w", err)
	}
	return p, nil
}
