package main

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	people "github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/work"
)

var _ work.Log = (*workOffice)(nil)

// signedWithin is among how many blocks of the audit log, from the second of issue on, the
// signature of a credential is looked for. A batch writes a block for each chunk.
const signedWithin = 64

// History implements [work.Log]. Changes of credentials stand where the index of the
// console's database says; a signature follows the moment of issue.
func (o *workOffice) History(ctx context.Context, credentials []issuance.Credential) (h work.History, err error) {
	ids := make([]string, len(credentials))
	for i := range credentials {
		ids[i] = credentials[i].ID
	}
	err = o.do(func(a *app) error {
		h = work.History{}
		if err := o.catchUp(ctx, a); err != nil {
			return err
		}
		log, read, err := o.people.HistoryPosition(ctx)
		if err != nil {
			return err
		}
		size, err := a.store.AuditSize(ctx)
		if err != nil {
			return err
		}
		h.Behind = log != logName(a) || read < size
		var entries [][]byte
		for _, c := range credentials {
			found, err := a.store.AuditMentions(ctx, c.ID, c.IssuedAt, signedWithin)
			if err != nil {
				return err
			}
			entries = append(entries, found...)
		}
		if log == logName(a) {
			places, err := o.people.HistoryOf(ctx, ids)
			if err != nil {
				return err
			}
			for _, n := range places {
				entry, err := a.store.AuditEntry(ctx, n)
				if err != nil {
					return err
				}
				entries = append(entries, entry)
			}
		}
		h.Events, err = eventsOf(entries, ids)
		return err
	})
	return h, err
}

// catchUp reads what is new in the audit log, for as long as a person waits for a page.
// What is left is read in the background.
func (o *workOffice) catchUp(ctx context.Context, a *app) error {
	limited, cancel := context.WithTimeout(ctx, historyPatience)
	defer cancel()
	err := work.FollowHistory(limited, a.store, logName(a), o.people)
	if limited.Err() != nil {
		return ctx.Err()
	}
	return err
}

// eventsOf reads entries about credentials, each once and in the order of the log.
func eventsOf(entries [][]byte, ids []string) ([]audit.Event, error) {
	all := map[int64]audit.Event{}
	for _, entry := range entries {
		n, e, err := audit.ParseEntry(entry)
		if err != nil {
			return nil, err
		}
		if slices.Contains(ids, e.Credential) {
			all[n] = e
		}
	}
	events := make([]audit.Event, 0, len(all))
	for _, n := range sortedNumbers(all) {
		events = append(events, all[n])
	}
	return events, nil
}

func sortedNumbers(m map[int64]audit.Event) []int64 {
	all := make([]int64, 0, len(m))
	for n := range m {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// logName names the audit log of an issuer: another one after it had to begin anew.
func logName(a *app) string { return a.cfg.Issuer.ID + " " + strconv.FormatInt(a.store.LogNo(), 10) }

const (
	// historyPatience is how long a page waits for new entries of the audit log to be read.
	historyPatience = time.Second
	// historyEvery is how often that is done without a page. A database file is open so
	// long, and commands beside the server wait for it.
	historyEvery = time.Minute
)

// followHistory keeps the index of the audit log up to date until ctx ends.
func followHistory(ctx context.Context, d *desk, db *people.DB, log *slog.Logger) {
	for ctx.Err() == nil {
		err := d.with(readOnly, func(a *app) error { return work.FollowHistory(ctx, a.store, logName(a), db) })
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the timeline of records is behind the audit log", "err", err)
		}
		sleep(ctx, historyEvery)
	}
}
