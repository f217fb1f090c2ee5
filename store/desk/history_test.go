package desk_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/work"
)

// paperLog is an audit log of blocks of ten entries.
type paperLog struct {
	lines [][]byte
	read  int
}

func (l *paperLog) AuditSize(context.Context) (int64, error) { return int64(len(l.lines)), nil }

func (l *paperLog) AuditSizeFrom(_ context.Context, n int64) (int64, error) {
	return min((n+9)/10*10, int64(len(l.lines))), nil
}

func (l *paperLog) AuditEntriesFrom(_ context.Context, first, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if first%10 != 0 {
			yield(nil, errors.New("no block begins there"))
			return
		}
		for _, line := range l.lines[first:size] {
			l.read++
			if !yield(line, nil) {
				return
			}
		}
	}
}

// grow adds entries; every 601st changes a credential.
func (l *paperLog) grow(t *testing.T, n int) {
	t.Helper()
	for range n {
		at := int64(len(l.lines))
		e := audit.Event{Time: now, Kind: audit.CredentialSigned, Actor: "op-1", Credential: fmt.Sprint("C", at%5)}
		if at%601 == 0 {
			e.Kind, e.Reason = audit.CredentialRevoked, "lost"
		}
		line, err := e.Marshal(at)
		must(t, err)
		l.lines = append(l.lines, line)
	}
}

// TestHistory: changes of credentials are found by id, each entry is read once, and
// another log begins anew.
func TestHistory(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		log := &paperLog{}
		log.grow(t, 60_000) // more than one step
		must(t, work.FollowHistory(ctx, log, "office 1", db))
		log.grow(t, 100)
		must(t, work.FollowHistory(ctx, log, "office 1", open(t, location)))
		must(t, work.FollowHistory(ctx, log, "office 1", db))
		if log.read != len(log.lines) {
			t.Errorf("%d entries were read of %d", log.read, len(log.lines))
		}
		check := func() {
			t.Helper()
			var want []int64
			for n := range int64(len(log.lines)) {
				if n%601 == 0 && (n%5 == 1 || n%5 == 3) {
					want = append(want, n)
				}
			}
			got, err := db.HistoryOf(ctx, []string{"C1", "C3", "C9"})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d entries, want %d: %v", len(got), len(want), err)
			}
		}
		check()
		if got, err := db.HistoryOf(ctx, nil); err != nil || len(got) != 0 {
			t.Errorf("of no credential: %v, %v", got, err)
		}
		// Of two that read the same step one is told.
		if err := db.AddHistory(ctx, work.HistoryStep{Log: "office 1", From: 60_000, To: 60_100}); !errors.Is(err, work.ErrMoved) {
			t.Errorf("a step that was made: %v", err)
		}
		if err := db.AddHistory(ctx, work.HistoryStep{Log: "office 2", From: 60_100, To: 60_200}); !errors.Is(err, work.ErrMoved) {
			t.Errorf("a step of another log: %v", err)
		}
		check()
		// After a restore without journal the log is another one, and shorter.
		log.lines = log.lines[:50]
		must(t, work.FollowHistory(ctx, log, "office 2", db))
		check()
		if name, position, err := db.HistoryPosition(ctx); err != nil || name != "office 2" || position != 50 {
			t.Errorf("at %q %d, %v", name, position, err)
		}
	})
}
