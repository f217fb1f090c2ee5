package issuance

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// ErrTooMany: the source has more records than the caller takes.
var ErrTooMany = errors.New("issuance: too many records")

// DryRunRequest asks what [Service.RunBatch] would do. Fields without "optional"
// must be set.
type DryRunRequest struct {
	Programme string
	Source    registry.Source
	// Kinds and Draw are those of [BatchRequest]. With pictures among them each is
	// drawn, which takes most of the time. Optional: nothing is drawn.
	Kinds []FileKind
	Draw  func(k FileKind, f programme.Form, text string) ([]byte, error)
	// Supersede is that of [BatchRequest].
	Supersede bool
	// MaxRecords ends the run with [ErrTooMany] at one more; optional, 0 is no bound.
	// 16 bytes are kept of each record.
	MaxRecords int64
	// Fault is called with every record that would get no credential, in the order
	// of the source; optional. Its error ends the run.
	Fault func(Fault) error
	// Notes is called with the values of a record that the programme lets be left
	// out or simplified, in the order of the source; optional. Its error ends the run.
	Notes func(row int64, record string, notes []programme.Problem) error
	// Total is that of [BatchRequest], Progress is called about twice a second and at
	// the end; both optional.
	Total    int64
	Progress func(Progress)
}

// A Fault is a record that would get no credential, and why. It never quotes a
// value.
type Fault struct {
	// Row counts the records of the source from 1, Line is where it stands in the
	// source, 0 if unknown.
	Row  int64
	Line int
	// Record is its id, empty if it could not be read.
	Record string
	// Problems are all that keep it from being issued for, at least one.
	Problems []programme.Problem
	// Skipped says that nothing is wrong with the record: it holds a credential, was
	// in the source before, or the programme is not about it.
	Skipped bool
}

// DryRun is what a batch would do.
type DryRun struct {
	Programme string
	// Version is that of the programme, Source the fingerprint of what was read.
	Version int
	Source  string
	// Records divides into Issuable, Failed and Skipped. Noted of the issuable ones
	// have notes.
	Records, Issuable, Failed, Skipped, Noted int64
	// Codes counts the first problems of the failed and skipped records by code.
	Codes map[string]int64
}

// dryChunk is how many records are tried between two looks at the context.
const dryChunk = 256

// DryRun tries a batch without storing, signing with a key of the issuer or
// releasing anything. Every record goes through the checks of [Service.RunBatch]:
// it is mapped, compared with what records hold, drafted with a slot of the
// greatest index, signed with a key that is thrown away, and drawn. What differs
// from the batch is chance alone: a code that is within two characters of its
// limit can fit once and not another time.
//
// It returns [ErrSourceChanged] if the source changed meanwhile.
func (s *Service) DryRun(ctx context.Context, r DryRunRequest) (DryRun, error) {
	switch {
	case r.Programme == "":
		return DryRun{}, errors.New("issuance: DryRunRequest.Programme is not set")
	case r.Source == nil:
		return DryRun{}, errors.New("issuance: DryRunRequest.Source is not set")
	}
	d, err := s.newDry(ctx, r)
	if err != nil {
		return DryRun{}, err
	}
	if d.result.Source, err = r.Source.Fingerprint(ctx); err != nil {
		return DryRun{}, fmt.Errorf("fingerprint of the source: %w", err)
	}
	if err := d.read(ctx); err != nil {
		return DryRun{}, err
	}
	after, err := r.Source.Fingerprint(ctx)
	if err != nil {
		return DryRun{}, fmt.Errorf("fingerprint of the source: %w", err)
	}
	if after != d.result.Source {
		return DryRun{}, fmt.Errorf("%w: while it was checked", ErrSourceChanged)
	}
	d.report()
	return d.result, nil
}

// A dry is one dry run.
type dry struct {
	s      *Service
	r      DryRunRequest
	order  *order
	list   string // what the URI of a status list looks like
	seen   map[[16]byte]bool
	result DryRun
	begun  time.Time
	last   time.Time
}

func (s *Service) newDry(ctx context.Context, r DryRunRequest) (*dry, error) {
	p, err := s.Programme(ctx, r.Programme, 0)
	if err != nil {
		return nil, err
	}
	now := s.now()
	all, err := s.cfg.Keys.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	like, err := keys.SigningKey(all, keys.Credential, now)
	if err != nil {
		return nil, err
	}
	key, signer, err := throwAway(s.cfg.Rand, like.Public.Algorithm(), now)
	if err != nil {
		return nil, err
	}
	name, err := newName(s.cfg.Rand, 6)
	if err != nil {
		return nil, err
	}
	if r.Progress == nil {
		r.Progress = func(Progress) {}
	}
	if r.Fault == nil {
		r.Fault = func(Fault) error { return nil }
	}
	if r.Notes == nil {
		r.Notes = func(int64, string, []programme.Problem) error { return nil }
	}
	return &dry{
		s: s, r: r, order: &order{programme: p, key: key, signer: signer}, list: s.cfg.StatusBase + name, seen: map[[16]byte]bool{},
		result: DryRun{Programme: p.ID, Version: p.Version, Codes: map[string]int64{}}, begun: now, last: now,
	}, nil
}

// throwAway makes a key that nobody will ever trust, for signatures as long as the
// real ones.
func throwAway(rnd io.Reader, alg keys.Algorithm, now time.Time) (keys.Key, keys.Signer, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case keys.EdDSA:
		_, private, err = ed25519.GenerateKey(rnd)
	case keys.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rnd)
	default:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rnd)
	}
	if err != nil {
		return keys.Key{}, nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	public, err := keys.NewPublicKey(alg, private.Public())
	if err != nil {
		return keys.Key{}, nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	from := now.Truncate(time.Second)
	key := keys.Key{
		Public: public, Purpose: keys.Credential, State: keys.Active, Created: from, Published: from, SignFrom: from,
		SignUntil: from.Add(24 * time.Hour),
	}
	signer, err := keys.NewSigner(key, private)
	if err != nil {
		return keys.Key{}, nil, fmt.Errorf("make a throw-away key: %w", err)
	}
	return key, signer, nil
}

// read takes the source through the checks, a chunk at a time.
func (d *dry) read(ctx context.Context) error {
	rows := make([]row, 0, dryChunk)
	for record, err := range d.r.Source.Records(ctx) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		broken, isRow := errors.AsType[*registry.RowError](err)
		if err != nil && !isRow {
			return fmt.Errorf("read the source after record %d: %w", d.result.Records+int64(len(rows)), err)
		}
		if most := d.r.MaxRecords; most > 0 && d.result.Records+int64(len(rows)) == most {
			return fmt.Errorf("%w: more than %d", ErrTooMany, most)
		}
		if rows = append(rows, row{record: record, broken: broken}); len(rows) == dryChunk {
			if err := d.chunk(ctx, rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return d.chunk(ctx, rows)
}

func (d *dry) chunk(ctx context.Context, rows []row) error {
	now := d.begun
	err := d.s.parallel(len(rows), func(i int) error {
		r := &rows[i]
		if r.broken != nil {
			return nil
		}
		r.candidate = d.s.candidate(d.order, r.record, now, codes)
		return d.screen(ctx, r.candidate)
	})
	if err != nil {
		return err
	}
	d.twins(rows)
	err = d.s.parallel(len(rows), func(i int) error {
		if c := rows[i].candidate; c != nil && c.refused == nil {
			return d.draw(&rows[i])
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range rows {
		if err := d.judge(&rows[i]); err != nil {
			return err
		}
	}
	if at := d.s.now(); at.Sub(d.last) >= 500*time.Millisecond {
		d.last = at
		d.report()
	}
	return nil
}

// screen refuses a record that holds a credential, as [Service.screen] does.
func (d *dry) screen(ctx context.Context, c *candidate) error {
	if c.refused != nil || d.r.Supersede || d.order.programme.AllowMany {
		return nil
	}
	for held, err := range d.s.cfg.Store.Find(ctx, Query{Programme: d.order.programme.ID, Record: c.record}) {
		switch {
		case err != nil:
			return fmt.Errorf("what the record holds: %w", err)
		case held.State == Revoked || held.Many:
		case held.State == Intended:
			c.refused = refuseHeld(c.line, CodeInProgress, held.ID, "somebody is issuing, or a crash left behind,", ErrActiveExists)
			return nil
		default:
			c.refused = refuseHeld(c.line, CodeAlreadyIssued, held.ID, "the record holds", ErrActiveExists)
			return nil
		}
	}
	return nil
}

// twins refuses records that were in the source before.
func (d *dry) twins(rows []row) {
	if d.order.programme.AllowMany {
		return
	}
	for i := range rows {
		c := rows[i].candidate
		if c == nil || c.refused != nil {
			continue
		}
		short := [16]byte(c.record[:16])
		if d.seen[short] {
			c.refused = refuse(c.line, CodeDuplicate, "the record is in this batch before")
		}
		d.seen[short] = true
	}
}

// draw makes the codes of a record and their pictures, or refuses it.
func (d *dry) draw(r *row) error {
	c := r.candidate
	c.cred = Credential{IssuedAt: d.begun.Truncate(time.Second), Expires: c.content.Expires(), Forms: make([]FormRecord, len(c.which))}
	for j, f := range c.which {
		c.cred.Forms[j] = FormRecord{Form: f.Name, Key: d.order.key.ID(), Slot: Slot{List: d.list, Index: d.s.cfg.ListSize - 1}}
	}
	if d.s.draft(d.order, c); c.refused != nil {
		return nil
	}
	if err := d.s.sign(d.order, c); err != nil {
		if c.refused != nil {
			return nil
		}
		return err
	}
	if d.r.Draw == nil {
		return nil
	}
	b := batchRun{r: BatchRequest{Kinds: d.r.Kinds, Draw: d.r.Draw}}
	b.draw(r)
	return nil
}

// judge counts a record and tells about it.
func (d *dry) judge(r *row) error {
	d.result.Records++
	c := r.candidate
	switch {
	case r.broken != nil:
		d.result.Failed++
		d.result.Codes[r.broken.Code]++
		problem := programme.Problem{Line: r.broken.Line, Code: r.broken.Code, Detail: r.broken.Detail, Fatal: true}
		return d.r.Fault(Fault{Row: d.result.Records, Line: r.broken.Line, Problems: []programme.Problem{problem}})
	case c.refused != nil:
		d.result.Codes[c.refused.Code()]++
		skipped := c.refused.skips()
		if skipped {
			d.result.Skipped++
		} else {
			d.result.Failed++
		}
		return d.r.Fault(Fault{
			Row: d.result.Records, Line: cmp.Or(c.refused.Line, c.line), Record: r.record.ID, Problems: c.refused.Problems, Skipped: skipped,
		})
	}
	d.result.Issuable++
	if len(c.notes) == 0 {
		return nil
	}
	d.result.Noted++
	return d.r.Notes(d.result.Records, r.record.ID, c.notes)
}

func (d *dry) report() {
	p := Progress{
		Done: d.result.Records, Total: d.r.Total, Issued: d.result.Issuable, Failed: d.result.Failed, Skipped: d.result.Skipped,
	}
	if spent := d.s.now().Sub(d.begun).Seconds(); spent > 0 {
		p.Rate = float64(p.Done) / spent
		if p.Rate > 0 && p.Total > p.Done {
			p.Remaining = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
		}
	}
	d.r.Progress(p)
}
