package batchwork

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"github.com/sanad-id/sanad/registry"
)

// OtherOffice is the code of a record of an uploaded file that belongs to another
// office than the one that uploaded it.
const OtherOffice = "other_office"

// A Share says which records of a source an office works on.
type Share struct {
	// Sees reports whether a record is the office's.
	Sees func(registry.Record) bool
	// Name says the same of two shares that are the same: the office's column and values.
	Name string
}

// only is a file in which records of other offices are refused.
type only struct {
	registry.Ranger
	table Table
	share Share
}

func (o only) Columns() *registry.Columns { return o.table.Columns() }

func (o only) judge(records iter.Seq2[registry.Record, error]) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		for r, err := range records {
			if err == nil && !o.share.Sees(r) {
				r, err = registry.Record{}, &registry.RowError{Line: r.Line, Code: OtherOffice, Detail: "the record belongs to another office"}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (o only) Records(ctx context.Context) iter.Seq2[registry.Record, error] {
	return o.judge(o.Ranger.Records(ctx))
}

func (o only) Range(ctx context.Context, r registry.Range) iter.Seq2[registry.Record, error] {
	return o.judge(o.Ranger.Range(ctx, r))
}

func (o only) Fingerprint(ctx context.Context) (string, error) { return shared(ctx, o.Ranger, o.share) }

func (o only) Close() error { return closeTable(o.table) }

// part is a source of the settings of which the office's records alone are there. It
// cannot be cut into ranges, whose numbers would not be those of the source.
type part struct {
	registry.Source
	table Table
	share Share
}

func (p part) Columns() *registry.Columns { return p.table.Columns() }

func (p part) Records(ctx context.Context) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		for r, err := range p.Source.Records(ctx) {
			if _, broken := errors.AsType[*registry.RowError](err); broken {
				continue // nobody knows whose it is; the keeper of the source sees it
			}
			if err == nil && !p.share.Sees(r) {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (p part) Fingerprint(ctx context.Context) (string, error) { return shared(ctx, p.Source, p.share) }

func (p part) Close() error { return closeTable(p.table) }

// shared is the fingerprint of a share of a source.
func shared(ctx context.Context, s registry.Source, share Share) (string, error) {
	whole, err := s.Fingerprint(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(share.Name))
	return whole + " office:" + hex.EncodeToString(sum[:8]), nil
}

func closeTable(t Table) error {
	if c, ok := t.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// limit returns the table as an office may read it.
func limit(t Table, j Job, s Share) (Table, error) {
	if s.Sees == nil {
		return t, nil
	}
	if j.Source != "" {
		return part{t, t, s}, nil
	}
	r, ok := t.(registry.Ranger)
	if !ok {
		return nil, fmt.Errorf("batchwork: internal error: a %T has no ranges", t)
	}
	return only{r, t, s}, nil
}
