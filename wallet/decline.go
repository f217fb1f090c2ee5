//go:build !js

package wallet

import (
	"context"
	"errors"

	"github.com/sanad-id/sanad/oid4vp"
)

// Decline tells the verifier that it gets nothing: the same words whether the person
// did not want to or the wallet has nothing (OpenID4VP section 15.4.1, corpus VP-16).
func (a *Agent) Decline(ctx context.Context, q *Inquiry) (next string, err error) {
	e := Entry{Party: q.Verifier.ID, Name: a.cfg.Language.Pick(q.Verifier.Names), Anchor: q.Verifier.Anchor, Purpose: a.cfg.Language.Pick(q.Purpose)}
	return a.turnDown(ctx, q.request, &oid4vp.Error{Code: oid4vp.AccessDenied}, e)
}

// A Complaint is what the wallet has against a request of a verifier that is established,
// such as transaction data that it does not know: the verifier can be told (OpenID4VP
// section 8.5). It has nothing to do with what the wallet holds.
type Complaint struct {
	Verifier Party

	refusal *oid4vp.Error
}

// Complaint is what to tell the verifier about an error of [Agent.Inquire]; nil if it is
// not known whom to tell, or there is nothing to tell.
func (a *Agent) Complaint(err error) *Complaint {
	e, ok := errors.AsType[*oid4vp.Error](err)
	if !ok || e.Request == nil {
		return nil
	}
	who := a.verifier(e.Request)
	if nameless(who, e.Request) {
		return nil
	}
	return &Complaint{who, e}
}

// Complain tells the verifier, once the person agrees.
func (a *Agent) Complain(ctx context.Context, c *Complaint) (next string, err error) {
	return a.turnDown(ctx, c.refusal.Request, c.refusal, Entry{Party: c.Verifier.ID, Name: a.cfg.Language.Pick(c.Verifier.Names), Anchor: c.Verifier.Anchor})
}

// turnDown refuses a request, and writes the log first.
func (a *Agent) turnDown(ctx context.Context, r *oid4vp.Request, why *oid4vp.Error, e Entry) (next string, err error) {
	e.At, e.Deed = a.cfg.Now().UTC(), Refused
	if err := a.cfg.Wallet.Note(e); err != nil {
		return "", err
	}
	answer, err := a.send(ctx, Request{
		Address: r.ResponseURI, Type: oid4vp.FormMediaType, Accept: oid4vp.ReplyMediaType, Body: []byte(r.Refuse(why).Encode()), MaxBytes: oid4vp.MaxReply,
	})
	if err != nil {
		return "", err
	}
	return a.reply(answer)
}
