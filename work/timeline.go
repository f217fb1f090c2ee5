package work

import (
	"context"
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/staff"
)

// A Log is the issuer's audit log as a timeline needs it; optional for an [Issuer].
type Log interface {
	// History returns what the audit log says of these credentials, in order.
	History(ctx context.Context, credentials []string) ([]audit.Event, error)
}

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
		ids := make([]string, len(c.Credentials))
		for i := range c.Credentials {
			ids[i] = c.Credentials[i].ID
		}
		events, err := log.History(ctx, ids)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		for _, e := range events {
			if e.Kind != audit.CredentialIntended && slices.Contains(ids, e.Credential) {
				lines = append(lines, Line{At: e.Time, Actor: e.Actor, Deed: string(e.Kind), Reason: e.Reason, Credential: e.Credential})
			}
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
