package console

import (
	"context"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// Audit is the issuer's audit log. [*issuance.Service] is one.
type Audit interface {
	// Note writes an operator's deed. After an error nothing was written.
	Note(ctx context.Context, n issuance.Note) error
}

// A deed is a change by an operator, which stands in the audit log before it is done
// (promise P08). Ids only.
type deed struct {
	Action  staff.Action
	Subject string
	// Digest is that of what was shown. Optional.
	Digest [32]byte
}

// act writes the deed to the audit log, does it, and writes how it ended. If the log
// cannot be written nothing is done: 503. What do refuses is its error; the log then
// says that it was not done.
func (c *Console) act(r *request, d deed, do func(ctx context.Context) error) error {
	return c.actAs(r.Context(), r.Operator.ID, d, do)
}

func (c *Console) actAs(ctx context.Context, actor string, d deed, do func(ctx context.Context) error) error {
	note := issuance.Note{Kind: audit.OperatorIntended, Actor: actor, Action: string(d.Action), Subject: d.Subject, Digest: d.Digest}
	limited, cancel := context.WithTimeout(ctx, notePatience)
	defer cancel()
	if err := c.cfg.Audit.Note(limited, note); err != nil {
		return away("audit log", err)
	}
	err := do(ctx)
	note.Kind = audit.OperatorDone
	if err != nil {
		note.Kind = audit.OperatorFailed
	}
	// The deed is done or not, whatever happens to this entry: who audits finds an
	// intention without an end.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), notePatience)
	defer cancel()
	if e := c.cfg.Audit.Note(after, note); e != nil {
		c.cfg.Log.WarnContext(ctx, "the end of a deed is not in the audit log", "action", d.Action, "err", e)
	}
	return err
}

// notePatience is how long the audit log may take.
var notePatience = 8 * time.Second
