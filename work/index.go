package work

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sanad-id/sanad/registry"
)

const (
	// indexPart is how many records go into one transaction, indexLease how long that
	// may take.
	indexPart  = 1000
	indexLease = 2 * time.Minute
	// maxMark is the longest mark of a source that is kept. A longer one, such as that
	// of a large file, is not worth it: reading the file again takes as long.
	maxMark = 1 << 20
)

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
