package issuance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/keys"
)

// After a backup was restored the store lacks what was done since. The journal, the
// second copy of the audit log, says what that was: its entries are appended as they
// stand and what they record is done again in the store, without signing anything.

// Errors of [SurveyJournal] and [Service.Replay].
var (
	// ErrJournalForked: the journal does not continue the log of the store.
	ErrJournalForked = errors.New("issuance: the journal is of another log, or one of the two was changed")
	// ErrJournalShort: the journal ends before the log of the store.
	ErrJournalShort = errors.New("issuance: the journal ends before the log does")
	// ErrReplay: an entry of the journal cannot be done again.
	ErrReplay = errors.New("issuance: an entry of the journal cannot be done again")
)

// replayChunk is how many entries are done again in one transaction.
const replayChunk = 2000

// Replay does again in the store what a journal records from entry number from on,
// which must be the size of its log, and appends the entries to it. Texts are the
// texts of programmes that were added since, by their SHA-256. Each transaction is a
// run of entries with all they did, so after an interruption Replay goes on from the
// size that the log then has. Told is called after each with the number of entries
// that are done; optional.
//
// The store must take work although it is fenced.
func (s *Service) Replay(ctx context.Context, j Journal, from int64, texts map[[32]byte][]byte, told func(done int64)) error {
	r := &replay{s: s, texts: texts, batches: map[string]Batch{}}
	lists, err := s.cfg.Store.Lists(ctx)
	if err != nil {
		return fmt.Errorf("list status lists: %w", err)
	}
	for i := range lists {
		r.lists = append(r.lists, &lists[i])
	}
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return fmt.Errorf("read programmes: %w", err)
	}
	r.programmes = rows
	var events []audit.Event
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		if err := r.knowBatches(ctx, events); err != nil {
			return err
		}
		if err := s.cfg.Store.Write(ctx, func(tx Tx) error { return r.chunk(tx, events) }); err != nil {
			return fmt.Errorf("do entries %d to %d of the journal again: %w", from, from+int64(len(events))-1, err)
		}
		from += int64(len(events))
		events = events[:0]
		if told != nil {
			told(from)
		}
		return nil
	}
	n := from
	for line, err := range j.Entries(ctx, from) {
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		at, e, err := audit.ParseEntry(line)
		if err != nil || at != n {
			return fmt.Errorf("%w: entry %d: %w", ErrReplay, n, errors.Join(err, notItsPlace(at, n)))
		}
		events = append(events, e)
		if n++; len(events) == replayChunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// A replay does entries again.
type replay struct {
	s          *Service
	texts      map[[32]byte][]byte
	programmes []ProgrammeRow
	lists      []*List
	batches    map[string]Batch // that were begun or ended

	// Of the transaction that goes on:
	tx      Tx
	intents []Credential
	marks   []Mark
	marked  time.Time
	raise   []Publication
}

// chunk does a run of entries again and appends them.
func (r *replay) chunk(tx Tx, events []audit.Event) error {
	r.tx, r.intents, r.marks, r.raise = tx, nil, nil, nil
	if _, err := tx.Tick(events[len(events)-1].Time); err != nil {
		return err
	}
	for i := range events {
		if err := r.event(&events[i]); err != nil {
			return fmt.Errorf("%s of %q: %w", events[i].Kind, events[i].Credential, err)
		}
	}
	if err := r.settle(); err != nil {
		return err
	}
	for _, p := range r.raise {
		if err := raisePublication(tx, p); err != nil {
			return err
		}
	}
	return tx.Append(events)
}

func (r *replay) event(e *audit.Event) error {
	switch e.Kind {
	case audit.CredentialIntended:
		if err := r.settleMarks(); err != nil {
			return err
		}
		return r.intend(e)
	case audit.CredentialSigned:
		if err := r.settleIntents(); err != nil {
			return err
		}
		return r.signed(e)
	case audit.CredentialRevoked, audit.CredentialSuperseded, audit.CredentialLeftover:
		return r.change(e, Revoked)
	case audit.CredentialSuspended:
		return r.change(e, Suspended)
	case audit.CredentialResumed:
		return r.change(e, Active)
	case audit.ProgrammeAdded:
		return r.programme(e)
	case audit.BatchStarted:
		return r.batch(e)
	case audit.BatchFinished, audit.BatchGivenUp:
		return r.endBatch(e)
	case audit.TrustPublished, audit.StatusPublished:
		r.published(e)
	case audit.KeyCompromised:
		if strings.HasSuffix(e.Detail, "status lists sealed") {
			if err := r.settle(); err != nil {
				return err
			}
			return r.tx.SealLists(e.Time)
		}
	}
	return nil
}

func (r *replay) settle() error { return errors.Join(r.settleIntents(), r.settleMarks()) }

func (r *replay) settleIntents() error {
	if len(r.intents) == 0 {
		return nil
	}
	err := r.tx.Intend(r.intents)
	r.intents = nil
	return err
}

func (r *replay) settleMarks() error {
	if len(r.marks) == 0 {
		return nil
	}
	err := r.tx.Complete(r.marks, r.marked)
	r.marks = nil
	return err
}

func (r *replay) change(e *audit.Event, to State) error {
	if err := r.settle(); err != nil {
		return err
	}
	_, err := r.tx.Change(e.Credential, to, Reason(e.Reason), e.Time)
	return err
}

// signed notes that a credential was signed.
func (r *replay) signed(e *audit.Event) error {
	if len(r.marks) > 0 && !r.marked.Equal(e.Time) {
		if err := r.settleMarks(); err != nil {
			return err
		}
	}
	r.marked = e.Time
	m := Mark{ID: e.Credential}
	for i := range max(len(e.Slots), 1) {
		text := e.Digest
		if i < len(e.Slots) && e.Slots[i].Digest != "" {
			text = e.Slots[i].Digest
		}
		digest, err := hash(text)
		if err != nil {
			return err
		}
		m.Signed = append(m.Signed, digest)
	}
	r.marks = append(r.marks, m)
	return nil
}

func hash(text string) ([32]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		return [32]byte{}, fmt.Errorf("%w: no digest", ErrReplay)
	}
	return [32]byte(b), nil
}

// intend writes the row of a credential anew.
func (r *replay) intend(e *audit.Event) error {
	row, err := r.version(e)
	if err != nil {
		return err
	}
	p, err := r.s.parse(row)
	if err != nil {
		return err
	}
	record, err := hash(e.Record)
	if err != nil {
		return err
	}
	key, err := keys.ParseID(e.Key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReplay, err)
	}
	c := Credential{
		ID: e.Credential, Programme: row.ID, Version: row.Version, Record: record, State: Intended,
		IssuedAt: IssuedAt(e), Expires: e.Expires, Changed: e.Time, Batch: e.Batch, Row: e.Row,
		Many: p.AllowMany,
	}
	if old, ok := strings.CutPrefix(e.Detail, InPlaceOf); ok {
		c.Supersedes = old
	}
	if whole, ok := strings.CutPrefix(e.Detail, BelongsTo); ok {
		c.PartOf, c.Many = whole, true
		if err := r.settleIntents(); err != nil { // its credential is there first
			return err
		}
	}
	if e.Idempotency != "" {
		if c.Idempotency, err = hash(e.Idempotency); err != nil {
			return err
		}
	}
	for _, slot := range e.Slots {
		f := FormRecord{Form: slot.Form, Slot: Slot{List: slot.URI, Index: slot.Index}, Key: key}
		text := slot.Digest
		if text == "" { // of one form
			text = e.Digest
		}
		if f.ToBeSigned, err = hash(text); err != nil {
			return err
		}
		if err := r.take(slot, ListKind{Programme: p.ID, Form: f.Form, Bits: p.Status.Bits}, e.Time); err != nil {
			return err
		}
		c.Forms = append(c.Forms, f)
	}
	r.intents = append(r.intents, c)
	return nil
}

// IssuedAt is the date of issue that the entry of an intent tells: the id of its
// credential begins with the moment.
func IssuedAt(e *audit.Event) time.Time {
	at := e.Time
	if ValidID(e.Credential) {
		ms := int64(0)
		for _, c := range e.Credential[:10] {
			ms = ms<<5 | int64(strings.IndexRune(crockford, c))
		}
		at = time.UnixMilli(ms).UTC()
	}
	return at.Truncate(time.Second)
}

// version is the version of a programme that an entry names, or the newest.
func (r *replay) version(e *audit.Event) (ProgrammeRow, error) {
	for _, row := range slices.Backward(r.programmes) {
		if row.ID == e.Programme && (e.Version == 0 || row.Version == e.Version) {
			return row, nil
		}
	}
	return ProgrammeRow{}, fmt.Errorf("%w: %q version %d", ErrNoProgramme, clip(e.Programme), e.Version)
}

// take gives a slot out again: it moves the counter of its list past it, and opens
// the list if the store does not know it.
func (r *replay) take(slot audit.SlotRef, kind ListKind, at time.Time) error {
	l, err := r.list(slot, kind, at)
	if err != nil {
		return err
	}
	p, err := r.s.permutation(l.URI, l.Size)
	if err != nil {
		return err
	}
	if slot.Index >= l.Size {
		return fmt.Errorf("%w: slot %d of a list of %d", ErrReplay, slot.Index, l.Size)
	}
	if next := p.Counter(slot.Index) + 1; next > l.Next {
		return r.pass(l, next)
	}
	return nil
}

// pass moves the counter of a list to next. If the list gives out nothing any more
// the counter stays.
func (r *replay) pass(l *List, next uint64) error {
	if !l.Sealed.IsZero() || !l.Closed.IsZero() {
		return nil
	}
	got, err := r.tx.TakeSlots(l.Kind, next-l.Next)
	if err != nil {
		return err
	}
	if got.List != l.URI || got.First != l.Next || got.N != next-l.Next {
		return fmt.Errorf("%w: list %s does not stand where it should", ErrReplay, clip(l.URI))
	}
	l.Next = next
	return nil
}

// list returns a list of the store. One that was opened since is opened again; the
// one before it had no slots left.
func (r *replay) list(slot audit.SlotRef, kind ListKind, at time.Time) (*List, error) {
	for _, l := range r.lists {
		if l.URI == slot.URI {
			return l, nil
		}
	}
	for _, l := range r.lists {
		if l.Kind == kind && l.Next < l.Size {
			if err := r.pass(l, l.Size); err != nil {
				return nil, err
			}
		}
	}
	l := &List{URI: slot.URI, Kind: kind, Size: slot.Size, Opened: at}
	if _, err := status.NewList(kind.Bits, l.Size); err != nil {
		return nil, fmt.Errorf("%w: list %s: %w", ErrReplay, clip(l.URI), err)
	}
	if err := r.tx.OpenList(*l); err != nil {
		return nil, fmt.Errorf("open a status list: %w", err)
	}
	r.lists = append(r.lists, l)
	return l, nil
}

// programme stores a programme version again.
func (r *replay) programme(e *audit.Event) error {
	digest, err := hash(e.Digest)
	if err != nil {
		return err
	}
	text, ok := r.texts[digest]
	if !ok {
		return fmt.Errorf("%w: the text of programme %q with the SHA-256 %s is needed", ErrReplay, clip(e.Programme), e.Digest)
	}
	row := ProgrammeRow{ID: e.Programme, Text: text, Digest: digest, Added: e.Time}
	p, err := r.s.parse(row)
	if err != nil {
		return err
	}
	row.Version = p.Version
	r.programmes = append(r.programmes, row)
	return r.tx.SaveProgramme(row)
}

// batch stores a batch that was begun since, for its credentials to name. It is not
// to go on: where it stood nobody knows.
func (r *replay) batch(e *audit.Event) error {
	row, err := r.version(e)
	if err != nil {
		return err
	}
	b := Batch{
		ID: e.Batch, Programme: row.ID, Version: row.Version, Source: e.Digest, State: BatchRunning, Started: e.Time, Changed: e.Time,
	}
	r.batches[b.ID] = b
	return r.tx.SaveBatch(b)
}

// endBatch ends a batch as the log says.
func (r *replay) endBatch(e *audit.Event) error {
	b, ok := r.batches[e.Batch]
	switch {
	case !ok:
		return fmt.Errorf("%w: %s of %.40q, a batch that nobody began", ErrReplay, e.Kind, e.Batch)
	case b.State == BatchFinished: // by a restore of before there was an entry for that
		return nil
	}
	if err := r.settle(); err != nil {
		return err
	}
	if e.Kind == audit.BatchGivenUp {
		b.recount(e)
		b.GiveUp(b.Issued, e.Time)
	} else {
		b.finishAgain(e)
	}
	r.batches[b.ID] = b
	return r.tx.SaveBatch(b)
}

// knowBatches reads the batches of the store that these entries end.
func (r *replay) knowBatches(ctx context.Context, events []audit.Event) error {
	for _, e := range events {
		if e.Kind != audit.BatchFinished && e.Kind != audit.BatchGivenUp {
			continue
		}
		if _, ok := r.batches[e.Batch]; ok {
			continue
		}
		b, err := r.s.cfg.Store.Batch(ctx, e.Batch)
		if errors.Is(err, ErrNoBatch) {
			continue // begun by one of these entries
		}
		if err != nil {
			return fmt.Errorf("read batch %.40q: %w", e.Batch, err)
		}
		r.batches[b.ID] = b
	}
	return nil
}

// published notes how far publications had come.
func (r *replay) published(e *audit.Event) {
	number := uint64(e.Version)
	if number == 0 { // of an entry from before they had it
		for _, form := range []string{"version %d", "part %d", "number %d"} {
			if n, _ := fmt.Sscanf(e.Detail, form, &number); n == 1 {
				break
			}
		}
	}
	names := []string{TrustName}
	switch {
	case e.Kind == audit.StatusPublished:
		var text string
		_, text, _ = strings.Cut(e.Detail, " of ")
		names = nil
		for _, l := range r.lists { // a detail is cut off after 200 characters
			for _, name := range []string{l.URI, JWTName(l.URI)} {
				if name == text || len(text) >= 200 && strings.HasPrefix(name, text) {
					names = append(names, name)
				}
			}
		}
	case strings.HasPrefix(e.Detail, "part "):
		names = []string{PartName}
	}
	if e.Kind == audit.TrustPublished {
		// What is lost cannot be named as the one before the next bundle, and a verifier
		// that has it refuses another one right behind it. So one number is left out.
		number++
	}
	at := e.Time.Truncate(time.Second)
	if at.Before(e.Time) {
		at = at.Add(time.Second)
	}
	for _, name := range names {
		i := slices.IndexFunc(r.raise, func(p Publication) bool { return p.Name == name })
		if i < 0 {
			i = len(r.raise)
			r.raise = append(r.raise, Publication{Name: name})
		}
		r.raise[i].Number, r.raise[i].IssuedAt = max(r.raise[i].Number, number), later(r.raise[i].IssuedAt, at)
	}
}

// raisePublication brings number and date of a publication to at least these. Its
// content stays the one that is known: the next one begins from it.
func raisePublication(tx Tx, to Publication) error {
	old, err := tx.Publication(to.Name)
	if err != nil {
		return err
	}
	content := old.Content
	for n := old.Number + 1; n <= to.Number; n++ {
		p := Publication{Name: to.Name, Number: n, IssuedAt: later(old.IssuedAt, to.IssuedAt)}
		if n == to.Number {
			p.Content = content
		}
		p.Digest = sha256.Sum256(p.Content)
		if err := tx.SavePublication(p); err != nil {
			return err
		}
	}
	return nil
}
