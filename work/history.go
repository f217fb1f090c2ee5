package work

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/sanad-id/sanad/audit"
)

// A HistoryStore keeps where the audit log speaks of changes of credentials: numbers of
// entries, none of what they say. It can be erased at any time and is filled again.
type HistoryStore interface {
	// HistoryPosition returns which log was read and how many of its entries; "" and 0 if
	// none was.
	HistoryPosition(ctx context.Context) (log string, position int64, err error)
	// AddHistory adds a step in one transaction, or returns [ErrMoved] if the position is
	// not From, or another log's. From 0 begins anew.
	AddHistory(ctx context.Context, s HistoryStep) error
	// HistoryOf returns the numbers of entries about these credentials, in order.
	HistoryOf(ctx context.Context, credentials []string) ([]int64, error)
}

// A HistoryStep is what a part of the log adds.
type HistoryStep struct {
	Log      string
	From, To int64
	Entries  []Mention
}

// A Mention is an entry that changes a credential.
type Mention struct {
	Credential string
	Entry      int64
}

// An AuditLog is the issuer's audit log as a history reads it.
type AuditLog interface {
	AuditSize(ctx context.Context) (int64, error)
	AuditEntriesFrom(ctx context.Context, first, size int64) iter.Seq2[[]byte, error]
	// AuditSizeFrom is the least size from n on that the log once had.
	AuditSizeFrom(ctx context.Context, n int64) (int64, error)
}

// historyStep is how many entries are read before the position is kept.
const historyStep = 50_000

// changing are the kinds that are kept. What signs a credential is found by the time of
// its issue, so that an index of a whole country holds its changes only.
var changing = []audit.Kind{
	audit.CredentialRevoked, audit.CredentialSuspended, audit.CredentialResumed, audit.CredentialSuperseded, audit.CredentialLeftover,
}

// FollowHistory reads what is new in a log of this name. It may run in several
// processes; whoever is slower has read for nothing.
func FollowHistory(ctx context.Context, log AuditLog, name string, s HistoryStore) error {
	for {
		known, from, err := s.HistoryPosition(ctx)
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
		size, err := log.AuditSize(ctx)
		if err != nil {
			return fmt.Errorf("history: %w", err)
		}
		if known != name || size < from { // another log, or an older state of this one
			from = 0
		} else if size == from {
			return nil
		}
		to := size
		if size-from > historyStep {
			if to, err = log.AuditSizeFrom(ctx, from+historyStep); err != nil {
				return fmt.Errorf("history: %w", err)
			}
		}
		step := HistoryStep{Log: name, From: from, To: to}
		if err := step.read(ctx, log); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		if err := s.AddHistory(ctx, step); err != nil && !errors.Is(err, ErrMoved) {
			return fmt.Errorf("history: %w", err)
		}
	}
}

// read notes the changes of a step.
func (s *HistoryStep) read(ctx context.Context, log AuditLog) error {
	n := s.From
	for line, err := range log.AuditEntriesFrom(ctx, s.From, s.To) {
		if err != nil {
			return err
		}
		_, e, err := audit.ParseEntry(line)
		if err != nil {
			return err
		}
		if slices.Contains(changing, e.Kind) {
			s.Entries = append(s.Entries, Mention{e.Credential, n})
		}
		n++
	}
	return nil
}
