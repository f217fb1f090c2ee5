package work

import (
	"context"
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// A Log is the issuer's audit log as a timeline needs it; optional for an [Issuer].
type Log interface {
	// History returns what the audit log says of these credentials, in order. It looks
	// where it knows them to stand, and says what it does not know.
	History(ctx context.Context, credentials []issuance.Credential) (History, error)
}

// A History is what an audit log says of credentials.
type History struct {
	// Events are about the credentials, in the order of the log.
	Events []audit.Event
	// Behind says that the newest entries were not read yet.
	Behind bool
}

// Lines of a timeline that stand for what is not known.
const (
	// Unfound: that a credential was issued is known, and who did so was not found.
	Unfound = "credential.unfound"
	// Behind: the newest entries of the audit log were not read yet.
	Behind = "behind"
)

// Timeline is who did what and why about a record: the work of this office on it, and
// what became of its credentials, whoever did that.
func (d *Desk) Timeline(ctx context.Context, by staff.Operator, c *Case) ([]Line, error) {
	events, err := d.cfg.Store.ItemEvents(ctx, EventQuery{Office: by.Office, Programme: c.Programme.ID, Record: c.Record.ID})
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	var lines []Line
	for _, e := range events {
		lines = append(lines, Line{At: e.At, Actor: e.Actor, Deed: string(e.Deed), Reason: e.Reason, Comment: e.Comment, Item: e.Item})
	}
	told, err := d.history(ctx, c)
	if err != nil {
		return nil, err
	}
	lines = append(lines, told...)
	slices.SortStableFunc(lines, func(a, b Line) int { return a.At.Compare(b.At) })
	return lines, nil
}

// history is what became of the credentials of a case, from the audit log or, where the
// issuer does not tell that, from what is kept of them.
func (d *Desk) history(ctx context.Context, c *Case) ([]Line, error) {
	var lines []Line
	if log, ok := d.cfg.Issuer.(Log); ok {
		told, err := log.History(ctx, c.Credentials)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		signed := map[string]bool{}
		for _, e := range told.Events {
			if e.Kind == audit.CredentialIntended {
				continue
			}
			signed[e.Credential] = signed[e.Credential] || e.Kind == audit.CredentialSigned
			lines = append(lines, Line{At: e.Time, Actor: e.Actor, Deed: string(e.Kind), Reason: e.Reason, Credential: e.Credential, Batch: e.Batch})
		}
		for _, k := range c.Credentials {
			if !signed[k.ID] && k.State != issuance.Intended && k.Reason != issuance.Leftover {
				lines = append(lines, Line{At: k.IssuedAt, Deed: Unfound, Credential: k.ID})
			}
		}
		if told.Behind {
			lines = append(lines, Line{At: d.now(), Deed: Behind})
		}
		return lines, nil
	}
	for _, k := range c.Credentials {
		lines = append(lines, Line{At: k.IssuedAt, Deed: string(audit.CredentialSigned), Credential: k.ID})
		if k.Reason != "" {
			lines = append(lines, Line{At: k.Changed, Deed: "credential." + string(k.State), Reason: string(k.Reason), Credential: k.ID})
		}
	}
	return lines, nil
}
