// Package figures counts what an office does, without anything about a person: how many
// certificates were issued, revoked and so on, by day, office and programme.
//
// The numbers come from the audit log of the issuer, so that whatever was done counts,
// by whatever program. Start with [Follow], which reads what is new in the log and adds
// it up in a [Store], each entry once; [Sum] puts counts together for a page. A count
// has no more than day, office, programme and what it counts: names of columns, never
// ids of records, credentials or operators.
//
// Left to others: where counts are kept (store/desk), how they are shown (web/console).
package figures

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// ErrMoved: somebody else counted the same entries meanwhile.
var ErrMoved = errors.New("figures: counted by somebody else meanwhile")

// What is counted. A revocation counts as [Revoked] and, with its reason behind a dot,
// once more: revoked.lost.
const (
	Issued    = "issued"    // certificates, signed and released
	Wallet    = "wallet"    // deliveries to wallets
	Replaced  = "replaced"  // certificates that gave way to another
	Revoked   = "revoked"   // for good
	Suspended = "suspended" // for a while
	Resumed   = "resumed"
	Failed    = "failed"  // begun and never released
	Batches   = "batches" // that were finished
)

// A Count is a number of one day. Day is YYYY-MM-DD in UTC; Office is empty for what
// nobody of an office did, such as the command line.
type Count struct {
	Day, Office, Programme, What string
	N                            int64
}

// An Open is a credential that is begun and not signed: what it counts as, once it is.
type Open struct {
	Credential, Office, Programme, Kind string
	Begun                               time.Time
}

// A Step is what a part of the log adds.
type Step struct {
	// Log names the log; From and To are how many of its entries were counted before and
	// are now.
	Log      string
	From, To int64
	Counts   []Count
	Opened   []Open
	Closed   []string // credentials that are not open any more
}

// A Store keeps counts.
type Store interface {
	// TallyPosition returns which log was counted and how many of its entries; "" and 0
	// if none was.
	TallyPosition(ctx context.Context) (log string, position int64, err error)
	// TallyOpen returns those of these credentials that are open.
	TallyOpen(ctx context.Context, credentials []string) (map[string]Open, error)
	// AddTally adds a step in one transaction, or returns ErrMoved if the position is not
	// From, or another log's. From 0 begins anew: all counts of another log go first.
	AddTally(ctx context.Context, s Step) error
	// Tally returns the counts of these days, both included.
	Tally(ctx context.Context, from, to string) ([]Count, error)
}

// A Log is the audit log.
type Log interface {
	AuditSize(ctx context.Context) (int64, error)
	AuditEntriesFrom(ctx context.Context, first, size int64) iter.Seq2[[]byte, error]
}

// Whose says which office an operator or a batch belongs to, "" if none.
type Whose func(ctx context.Context, actor, batch string) (office string, err error)

// Follow counts what is new in a log of this name. It may run in several processes.
func Follow(ctx context.Context, log Log, name string, s Store, whose Whose) error {
	for {
		known, from, err := s.TallyPosition(ctx)
		if err != nil {
			return fmt.Errorf("figures: %w", err)
		}
		size, err := log.AuditSize(ctx)
		if err != nil {
			return fmt.Errorf("figures: %w", err)
		}
		if known != name || size < from { // another issuer, or an older state of this one
			from = 0
		} else if size == from {
			return nil
		}
		t := tally{step: Step{Log: name, From: from, To: size}, counts: map[Count]int64{}, open: map[string]Open{}, whose: whose, offices: map[[2]string]string{}}
		if err := t.read(ctx, log, s); err != nil {
			return fmt.Errorf("figures: %w", err)
		}
		if err := s.AddTally(ctx, t.step); err != nil && !errors.Is(err, ErrMoved) {
			return fmt.Errorf("figures: %w", err)
		}
	}
}

// A tally is one step under way.
type tally struct {
	step    Step
	counts  map[Count]int64
	open    map[string]Open
	late    []late // signed or given up, begun in an earlier step
	last    audit.Event
	whose   Whose
	offices map[[2]string]string
}

// A late entry ends what an earlier step began.
type late struct {
	day, credential string
	signed          bool
}

func (t *tally) read(ctx context.Context, log Log, s Store) error {
	for line, err := range log.AuditEntriesFrom(ctx, t.step.From, t.step.To) {
		if err != nil {
			return err
		}
		_, e, err := audit.ParseEntry(line)
		if err != nil {
			return err
		}
		if err := t.entry(ctx, e); err != nil {
			return err
		}
	}
	if err := t.lateOnes(ctx, s); err != nil {
		return err
	}
	for c, n := range t.counts {
		c.N = n
		t.step.Counts = append(t.step.Counts, c)
	}
	for _, o := range t.open {
		t.step.Opened = append(t.step.Opened, o)
	}
	return nil
}

func (t *tally) office(ctx context.Context, actor, batch string) (string, error) {
	k := [2]string{actor, batch}
	if o, ok := t.offices[k]; ok {
		return o, nil
	}
	o, err := t.whose(ctx, actor, batch)
	if err == nil {
		t.offices[k] = o
	}
	return o, err
}

func (t *tally) add(day, office, programme, what string) {
	t.counts[Count{Day: day, Office: office, Programme: programme, What: what}]++
}

// entry counts one entry of the log.
func (t *tally) entry(ctx context.Context, e audit.Event) error {
	day := e.Time.UTC().Format(time.DateOnly)
	switch e.Kind {
	case audit.CredentialSigned, audit.CredentialLeftover:
		o, ok := t.open[e.Credential]
		if !ok {
			t.late = append(t.late, late{day, e.Credential, e.Kind == audit.CredentialSigned})
			return nil
		}
		delete(t.open, e.Credential)
		t.end(day, o, e.Kind == audit.CredentialSigned)
		return nil
	}
	what := map[audit.Kind]string{
		audit.CredentialIntended: Issued, audit.CredentialRevoked: Revoked, audit.CredentialSuspended: Suspended,
		audit.CredentialResumed: Resumed, audit.CredentialSuperseded: Replaced, audit.BatchFinished: Batches,
	}[e.Kind]
	if what == "" {
		return nil
	}
	office, err := t.office(ctx, e.Actor, e.Batch)
	if err != nil {
		return err
	}
	// A credential and its parts change in one transaction, one entry after the other:
	// the parts share its fate, and count as one with it.
	before := t.last
	t.last = e
	same := e.Record != "" && before.Kind == e.Kind && before.Record == e.Record && before.Programme == e.Programme && before.Time.Equal(e.Time)
	switch {
	case e.Kind == audit.CredentialIntended:
		if strings.HasPrefix(e.Detail, issuance.BelongsTo) {
			what = Wallet
		}
		t.open[e.Credential] = Open{Credential: e.Credential, Office: office, Programme: e.Programme, Kind: what, Begun: e.Time}
	case same:
	default:
		t.add(day, office, e.Programme, what)
		if e.Kind == audit.CredentialRevoked && e.Reason != "" {
			t.add(day, office, e.Programme, Revoked+"."+e.Reason)
		}
	}
	return nil
}

// end counts what became of something that was begun.
func (t *tally) end(day string, o Open, signed bool) {
	if signed {
		t.add(day, o.Office, o.Programme, o.Kind)
	} else {
		t.add(day, o.Office, o.Programme, Failed)
	}
}

// lateOnes ends what earlier steps began.
func (t *tally) lateOnes(ctx context.Context, s Store) error {
	if len(t.late) == 0 || t.step.From == 0 {
		return nil
	}
	ids := make([]string, len(t.late))
	for i, l := range t.late {
		ids[i] = l.credential
	}
	open, err := s.TallyOpen(ctx, ids)
	if err != nil {
		return err
	}
	for _, l := range t.late {
		if o, ok := open[l.credential]; ok {
			t.end(l.day, o, l.signed)
			t.step.Closed = append(t.step.Closed, l.credential)
			delete(open, l.credential)
		}
	}
	return nil
}

// A Key selects counts of a [Sum]; an empty field stands for all.
type Key struct{ Day, Office, Programme, What string }

// Sum puts counts together: by key with every choice of fields left out, so that a
// total is Sum[Key{What: Issued}].
func Sum(counts []Count) map[Key]int64 {
	sum := map[Key]int64{}
	for _, c := range counts {
		for mask := range 8 {
			k := Key{What: c.What}
			if mask&1 != 0 {
				k.Day = c.Day
			}
			if mask&2 != 0 {
				k.Office = c.Office
			}
			if mask&4 != 0 {
				k.Programme = c.Programme
			}
			// A count without an office is of the field that is empty; the total is the
			// same key, and must not get it twice.
			if mask&2 != 0 && c.Office == "" || mask&4 != 0 && c.Programme == "" {
				continue
			}
			sum[k] += c.N
		}
	}
	return sum
}
