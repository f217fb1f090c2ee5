package issuance

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/audit"
)

// A Journal is a copy of the audit log; [audit.Journal] is one.
type Journal interface {
	// Entries yields the entries from number first on, without line breaks. An
	// error ends the sequence.
	Entries(ctx context.Context, first int64) iter.Seq2[[]byte, error]
}

// A Survey says what a journal holds beyond the log of a store.
type Survey struct {
	// From is the size of the log, To that of the journal with the root Head.
	From, To int64
	Head     audit.Head
	// Last is the time of the journal's last entry.
	Last time.Time
	// Kinds counts what is to be done again by kind.
	Kinds map[audit.Kind]int64
	// Programmes are the programme versions that were added since, whose text the
	// log does not have.
	Programmes []ProgrammeRow
	// Keys are the changes of keys since.
	Keys []KeyChange
}

// A KeyChange is what the log says about a key.
type KeyChange struct {
	Kind audit.Kind
	Key  string
	// Purpose and, of a compromise, Since are as in the log.
	Purpose string
	Since   time.Time
	At      time.Time
}

// SurveyJournal reads a journal through and compares it with the log of the store, which
// has size entries; at tells the head that it had with fewer or as many. It returns
// [ErrJournalForked] or [ErrJournalShort] if it is not to be used.
func SurveyJournal(ctx context.Context, j Journal, size int64, at func(size int64) (audit.Head, error)) (Survey, error) {
	s := Survey{From: size, Kinds: map[audit.Kind]int64{}}
	var tree audit.Tree
	agreed := false
	agree := func() error {
		want, err := at(tree.Head().Size)
		if err != nil {
			return err
		}
		if want != tree.Head() {
			return fmt.Errorf("%w: the first %d entries differ", ErrJournalForked, want.Size)
		}
		agreed = true
		return nil
	}
	n := int64(0)
	for line, err := range j.Entries(ctx, 0) {
		if err != nil {
			return s, fmt.Errorf("read the journal: %w", err)
		}
		if n == size {
			if err := agree(); err != nil {
				return s, err
			}
		}
		if n >= size {
			if err := s.note(n, line); err != nil {
				return s, err
			}
		}
		tree.Add(line)
		n++
	}
	s.To, s.Head = n, tree.Head()
	if !agreed {
		if err := agree(); err != nil {
			return s, err
		}
	}
	if n < size {
		return s, fmt.Errorf("%w: it has %d entries, the log %d", ErrJournalShort, n, size)
	}
	return s, nil
}

// note takes one entry into a survey.
func (s *Survey) note(n int64, line []byte) error {
	at, e, err := audit.ParseEntry(line)
	if err != nil || at != n {
		return fmt.Errorf("%w: entry %d: %w", ErrReplay, n, errors.Join(err, notItsPlace(at, n)))
	}
	s.Last = e.Time
	s.Kinds[e.Kind]++
	switch e.Kind {
	case audit.CredentialIntended:
		if !complete(e) {
			return fmt.Errorf("%w: entry %d does not say all that was intended", ErrReplay, n)
		}
	case audit.ProgrammeAdded:
		digest, err := hex.DecodeString(e.Digest)
		if err != nil || len(digest) != 32 {
			return fmt.Errorf("%w: entry %d: a programme without its digest", ErrReplay, n)
		}
		p := ProgrammeRow{ID: e.Programme, Digest: [32]byte(digest), Added: e.Time}
		_, _ = fmt.Sscanf(e.Detail, "version %d", &p.Version) // else 0, for people only
		s.Programmes = append(s.Programmes, p)
	case audit.KeyGenerated, audit.KeyActivated, audit.KeyRetired, audit.KeyCompromised:
		if e.Key == "" || strings.HasSuffix(e.Detail, "status lists sealed") {
			break
		}
		purpose, _, _ := strings.Cut(e.Detail, ":")
		c := KeyChange{Kind: e.Kind, Key: e.Key, Purpose: purpose, At: e.Time}
		if _, since, ok := strings.Cut(e.Detail, sinceMark); ok && e.Kind == audit.KeyCompromised {
			c.Since, _ = time.Parse(time.RFC3339, since) // else zero
		}
		// The log names each change twice, as requested and as done.
		if i := slices.IndexFunc(s.Keys, func(o KeyChange) bool { return o.Kind == c.Kind && o.Key == c.Key && o.Since.Equal(c.Since) }); i < 0 {
			s.Keys = append(s.Keys, c)
		}
	}
	return nil
}

func notItsPlace(at, n int64) error {
	if at == n {
		return nil
	}
	return fmt.Errorf("it says that it is number %d", at)
}

// complete reports whether the entry of an intent says all that its row does.
func complete(e audit.Event) bool {
	if e.Version == 0 || len(e.Slots) == 0 {
		return false
	}
	for _, s := range e.Slots {
		if s.Form == "" || s.Size == 0 || s.Digest == "" && len(e.Slots) > 1 {
			return false
		}
	}
	return true
}
