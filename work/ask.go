package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// act notes a deed in the audit log, then moves an item on and stores it. If the log
// cannot be written nothing is done.
func (d *Desk) act(ctx context.Context, i Item, e Event, also func(*Change)) (Item, error) {
	to, err := i.next(e.Deed)
	if err != nil {
		return Item{}, err
	}
	fresh := i.Rev == 0
	if fresh {
		i.ID = staff.NewID("wk")
	}
	if err := d.note(ctx, &i, e); err != nil {
		return Item{}, err
	}
	d.cfg.Crash(PointNoted)
	i.State, i.Changed = to, d.now()
	e.At = i.Changed
	if fresh {
		i.Rev, i.Opened = 1, i.Changed
	}
	e.Item = i.ID
	if fresh {
		err = d.cfg.Store.AddItem(ctx, i, e)
	} else {
		c := Change{Item: i, Event: e}
		if also != nil {
			also(&c)
		}
		err = d.cfg.Store.SaveItem(ctx, c)
		i.Rev++
	}
	d.ended(ctx, &i, e, err)
	return i, err
}

// ended notes how a deed ended. If that cannot be written the log says that it was
// intended, which is so; the item says the rest.
func (d *Desk) ended(ctx context.Context, i *Item, e Event, err error) {
	phase := Ended
	if err != nil {
		phase = Broken
	}
	_ = d.notePhase(context.WithoutCancel(ctx), i, e, phase)
}

// note writes into the audit log what is about to be done.
func (d *Desk) note(ctx context.Context, i *Item, e Event) error {
	return d.notePhase(ctx, i, e, Intended)
}

func (d *Desk) notePhase(ctx context.Context, i *Item, e Event, phase Phase) error {
	sum, err := d.cfg.Issuer.Pseudonym(ctx, i.Programme, i.Record)
	if err != nil {
		return err
	}
	n := Note{
		Phase: phase, Deed: e.Deed, Item: i.ID, Actor: e.Actor, Programme: i.Programme, Credential: i.Credential, Record: sum, Reason: e.Reason,
	}
	if i.Kind.Signs() {
		n.Digest = i.Shown
	}
	if i.Made != "" {
		n.Credential = i.Made
	}
	if err := d.cfg.Issuer.Note(ctx, n); err != nil {
		return fmt.Errorf("note %s: %w", e.Deed, err)
	}
	return nil
}

// item returns an item that the operator's office has, if they may do this to it.
func (d *Desk) item(ctx context.Context, by staff.Operator, id string, a staff.Action) (Item, error) {
	if !by.MayEver(a) {
		return Item{}, staff.ErrMayNot
	}
	i, err := d.cfg.Store.Item(ctx, by.Office, id)
	if err != nil {
		return Item{}, err
	}
	if !by.May(a, i.Staff()) {
		return Item{}, ErrState
	}
	return i, nil
}

// Item returns an item of the operator's office.
func (d *Desk) Item(ctx context.Context, by staff.Operator, id string) (Item, error) {
	if !by.MayEver(staff.ViewQueue) || by.Office == "" {
		return Item{}, staff.ErrMayNot
	}
	return d.cfg.Store.Item(ctx, by.Office, id)
}

// Page is a page of a queue.
type Page struct {
	Items []Item
	// Next continues behind it; nil at the end.
	Next *Item
}

// Queue returns a page of a queue of the operator's office, what waits longest first.
func (d *Desk) Queue(ctx context.Context, by staff.Operator, q Queue, after *Item) (Page, error) {
	if !by.MayEver(staff.ViewQueue) || by.Office == "" {
		return Page{}, staff.ErrMayNot
	}
	if !slices.Contains(Queues(), q) {
		return Page{}, ErrNoItem
	}
	items, err := d.cfg.Store.Items(ctx, ItemQuery{Office: by.Office, Queue: q, After: after, Limit: pageSize + 1})
	if err != nil {
		return Page{}, err
	}
	if len(items) > pageSize {
		return Page{Items: items[:pageSize], Next: &items[pageSize-1]}, nil
	}
	return Page{Items: items}, nil
}

// Counts returns how many items wait in each queue of the operator's office.
func (d *Desk) Counts(ctx context.Context, by staff.Operator) (map[Queue]int, error) {
	if !by.MayEver(staff.ViewQueue) || by.Office == "" {
		return nil, staff.ErrMayNot
	}
	return d.cfg.Store.CountItems(ctx, by.Office)
}

// Take puts a record among those to be checked.
func (d *Desk) Take(ctx context.Context, by staff.Operator, ref string) (Item, error) {
	if !by.May(staff.ProposeIssue, staff.None) {
		return Item{}, staff.ErrMayNot
	}
	c, err := d.Case(ctx, by, ref)
	if err != nil {
		return Item{}, err
	}
	if c.Open != nil {
		return Item{}, ErrBusy
	}
	kind, held := Issue, ""
	if h := c.Held(); h != nil && !c.Programme.AllowMany {
		kind, held = Replace, h.ID
	}
	i := Item{Kind: kind, Office: by.Office, Programme: c.Programme.ID, Record: c.Record.ID, Credential: held, Requester: by.ID}
	return d.act(ctx, i, Event{Deed: DeedTaken, Actor: by.ID}, nil)
}

// An Ask asks for a credential of a record.
type Ask struct {
	// Ref names the record, Shown is the [Sheet.Shown] of what was looked at.
	Ref   string
	Shown [32]byte
	// Reason is why the credential that the record holds is replaced; none if it holds
	// none.
	Reason issuance.Reason
}

// Ask asks a second person to agree, or agrees at once where one is enough. What is
// agreed to is what was shown: [ErrChanged] if the record says something else now.
func (d *Desk) Ask(ctx context.Context, by staff.Operator, a Ask) (Item, error) {
	c, err := d.Case(ctx, by, a.Ref)
	if err != nil {
		return Item{}, err
	}
	i := Item{Kind: Issue, Office: by.Office, Programme: c.Programme.ID, Record: c.Record.ID}
	if c.Open != nil {
		i = *c.Open
		if !i.Kind.Signs() || i.State != Checking {
			return Item{}, ErrBusy
		}
	}
	if i.Kind, i.Credential, i.Reason = Issue, "", a.Reason; !c.Programme.AllowMany {
		if h := c.Held(); h != nil {
			i.Kind, i.Credential = Replace, h.ID
		}
	}
	if (i.Kind == Replace) != (a.Reason != issuance.NoReason) || a.Reason != issuance.NoReason && !slices.Contains(issuance.Reasons(), a.Reason) {
		return Item{}, ErrReason
	}
	// Who may not issue alone may still ask.
	right, deed := staff.ProposeIssue, DeedAsked
	if !c.TwoPersons {
		right, deed = staff.Issue, DeedAlone
	}
	if !by.May(right, staff.Open) {
		return Item{}, staff.ErrMayNot
	}
	s, err := d.sheet(ctx, c.Programme, c.Record, i.Kind, i.Credential, "")
	if err != nil {
		return Item{}, err
	}
	if s.Shown != a.Shown {
		return Item{}, ErrChanged
	}
	s.Reason = a.Reason
	if i.Shown, err = s.digest(c.Record); err != nil {
		return Item{}, err
	}
	now := d.now()
	i.Requester, i.Approver, i.Problem, i.Expires, i.Due = by.ID, "", "", now.Add(d.agreed), now
	return d.act(ctx, i, Event{Deed: deed, Actor: by.ID, Reason: string(a.Reason)}, nil)
}

// Sheet is what an item would make of its record as it is now. It is what a second
// person is shown, and Shown of it what they agree to. The item's own Shown is another
// one if the record was changed since somebody asked.
func (d *Desk) Sheet(ctx context.Context, by staff.Operator, i *Item) (*Sheet, error) {
	r, p, err := d.lookup(ctx, by.Office, i.Programme, i.Record)
	if err != nil {
		return nil, err
	}
	return d.sheet(ctx, p, r, i.Kind, i.Credential, i.Reason)
}

// Approve agrees to an item. Shown is the [Sheet.Shown] of what this operator looked at:
// if it is not what was asked for, or no longer what the record says, the item goes back
// to be checked and the error is [ErrChanged]. It is then done by [Desk.Run].
func (d *Desk) Approve(ctx context.Context, by staff.Operator, id string, shown [32]byte) (Item, error) {
	i, err := d.second(ctx, by, id)
	if err != nil {
		return Item{}, err
	}
	if !d.now().Before(i.Expires) {
		_, err := d.act(ctx, i, Event{Deed: DeedVoided, Actor: System, Reason: ProblemLate}, nil)
		return Item{}, errors.Join(ErrTooLate, err)
	}
	s, err := d.Sheet(ctx, by, &i)
	_, refused := errors.AsType[*issuance.RecordError](err)
	switch {
	case err != nil && !refused && !errors.Is(err, ErrNoRecord):
		return Item{}, err
	case err != nil, s.Shown != i.Shown:
		i.Problem = ProblemChanged
		_, err := d.act(ctx, i, Event{Deed: DeedVoided, Actor: System, Reason: ProblemChanged}, nil)
		return Item{}, errors.Join(ErrChanged, err)
	case shown != i.Shown:
		return Item{}, ErrChanged // another page than this one
	}
	now := d.now()
	i.Approver, i.Due, i.Expires, i.Problem = by.ID, now, now.Add(d.agreed), ""
	return d.act(ctx, i, Event{Deed: DeedApproved, Actor: by.ID}, nil)
}

// second returns an item that this operator may decide about: not their own.
func (d *Desk) second(ctx context.Context, by staff.Operator, id string) (Item, error) {
	if !by.MayEver(staff.ApproveIssue) {
		return Item{}, staff.ErrMayNot
	}
	i, err := d.cfg.Store.Item(ctx, by.Office, id)
	switch {
	case err != nil:
		return Item{}, err
	case i.State != Waiting || !i.Kind.Signs():
		return Item{}, ErrState
	case i.Requester == by.ID:
		// The try is noted, too.
		if err := d.note(ctx, &i, Event{Deed: DeedRefused, Actor: by.ID, Reason: "own_request"}); err != nil {
			return Item{}, err
		}
		return Item{}, ErrOwn
	case !by.May(staff.ApproveIssue, staff.Proposed):
		return Item{}, staff.ErrMayNot
	}
	return i, nil
}

// Return sends an item back to be checked, with a comment for whoever asked. Refuse
// ends it.
func (d *Desk) Return(ctx context.Context, by staff.Operator, id, comment string) (Item, error) {
	return d.decline(ctx, by, id, comment, DeedReturned)
}

// Refuse ends an item that somebody asked for.
func (d *Desk) Refuse(ctx context.Context, by staff.Operator, id, comment string) (Item, error) {
	return d.decline(ctx, by, id, comment, DeedRefused)
}

func (d *Desk) decline(ctx context.Context, by staff.Operator, id, comment string, deed Deed) (Item, error) {
	comment, err := checkComment(comment)
	if err != nil {
		return Item{}, err
	}
	i, err := d.second(ctx, by, id)
	if err != nil {
		return Item{}, err
	}
	i.Expires = time.Time{}
	return d.act(ctx, i, Event{Deed: deed, Actor: by.ID, Comment: comment}, nil)
}

// checkComment is a comment without spaces around it. It must not be empty: whoever
// gets something back has to know why.
func checkComment(s string) (string, error) {
	s = strings.TrimSpace(s)
	hidden := func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\u200c' && r != '\u200d'
	}
	if s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > MaxComment || strings.ContainsFunc(s, hidden) {
		return "", ErrComment
	}
	return s, nil
}

// Withdraw takes back an item that was not agreed to yet, or that has failed.
func (d *Desk) Withdraw(ctx context.Context, by staff.Operator, id string) (Item, error) {
	i, err := d.Item(ctx, by, id)
	switch {
	case err != nil:
		return Item{}, err
	case !by.MayEver(staff.ProposeIssue):
		return Item{}, staff.ErrMayNot
	case i.State == Waiting && i.Requester != by.ID:
		return Item{}, staff.ErrMayNot // it is for the second person to refuse it
	}
	return d.act(ctx, i, Event{Deed: DeedWithdrawn, Actor: by.ID}, func(c *Change) { c.ErasePrint = true })
}

// Recheck puts an item that has failed among those to be checked. A change of a
// credential is not checked again but ordered anew; its item ends.
func (d *Desk) Recheck(ctx context.Context, by staff.Operator, id string) (Item, error) {
	i, err := d.item(ctx, by, id, staff.SolveProblem)
	if err != nil {
		return Item{}, err
	}
	if !i.Kind.Signs() {
		return d.act(ctx, i, Event{Deed: DeedWithdrawn, Actor: by.ID}, nil)
	}
	i.Worker, i.Until, i.Attempt, i.Due, i.Expires = "", time.Time{}, 0, time.Time{}, time.Time{}
	return d.act(ctx, i, Event{Deed: DeedTaken, Actor: by.ID, Reason: i.Problem}, nil)
}

// An Order asks to change a credential.
type Order struct {
	Ref, Credential string
	Kind            Kind
	// Reason is required but to resume.
	Reason issuance.Reason
}

// order rights by kind.
var orderRights = map[Kind]staff.Action{Revoke: staff.Revoke, Suspend: staff.Suspend, Resume: staff.Resume}

// Order orders a change of a credential. It is made by [Desk.Run] when the time in which
// it can be undone is over.
func (d *Desk) Order(ctx context.Context, by staff.Operator, o Order) (Item, error) {
	right, ok := orderRights[o.Kind]
	if !ok {
		return Item{}, ErrState
	}
	if !by.May(right, staff.Done) {
		return Item{}, staff.ErrMayNot
	}
	if (o.Kind == Resume) != (o.Reason == issuance.NoReason) || o.Kind != Resume && !slices.Contains(issuance.Reasons(), o.Reason) {
		return Item{}, ErrReason
	}
	c, err := d.Case(ctx, by, o.Ref)
	if err != nil {
		return Item{}, err
	}
	k := slices.IndexFunc(c.Credentials, func(k issuance.Credential) bool { return k.ID == o.Credential && k.PartOf == "" })
	switch {
	case k < 0:
		return Item{}, ErrNoItem
	case c.Open != nil:
		return Item{}, ErrBusy
	case !o.Kind.startsFrom(c.Credentials[k].State):
		return Item{}, ErrState
	}
	if o.Kind == Suspend {
		p, err := d.cfg.Issuer.Programme(ctx, c.Programme.ID, c.Credentials[k].Version)
		if err != nil {
			return Item{}, err
		}
		if !p.Status.Suspend {
			return Item{}, ErrNotAllowed
		}
	}
	i := Item{
		Kind: o.Kind, Office: by.Office, Programme: c.Programme.ID, Record: c.Record.ID, Credential: o.Credential, Reason: o.Reason, Requester: by.ID, Due: d.now().Add(d.undo),
	}
	return d.act(ctx, i, Event{Deed: DeedOrdered, Actor: by.ID, Reason: string(o.Reason)}, nil)
}

// startsFrom reports whether a change is possible in this state of its credential.
func (k Kind) startsFrom(s issuance.State) bool {
	switch k {
	case Revoke:
		return s == issuance.Active || s == issuance.Suspended
	case Suspend:
		return s == issuance.Active
	case Resume:
		return s == issuance.Suspended
	}
	return false
}

// leadsTo is the state of a credential after a change.
func (k Kind) leadsTo() issuance.State {
	switch k {
	case Revoke:
		return issuance.Revoked
	case Suspend:
		return issuance.Suspended
	}
	return issuance.Active
}

// Undo takes back a change that nobody has begun to make. Whoever of the office may
// order one may undo one: a mistake is found by whoever sees it first.
func (d *Desk) Undo(ctx context.Context, by staff.Operator, id string) (Item, error) {
	i, err := d.waiting(ctx, by, id, staff.UndoChange)
	if err != nil {
		return Item{}, err
	}
	return d.act(ctx, i, Event{Deed: DeedUndone, Actor: by.ID}, nil)
}

// Hurry lets a change be made now.
func (d *Desk) Hurry(ctx context.Context, by staff.Operator, id string) (Item, error) {
	i, err := d.waiting(ctx, by, id, staff.ChangeNow)
	if err != nil {
		return Item{}, err
	}
	i.Due = d.now()
	return d.act(ctx, i, Event{Deed: DeedHurried, Actor: by.ID}, nil)
}

// waiting returns a change that waits.
func (d *Desk) waiting(ctx context.Context, by staff.Operator, id string, a staff.Action) (Item, error) {
	if !by.MayEver(a) {
		return Item{}, staff.ErrMayNot
	}
	i, err := d.cfg.Store.Item(ctx, by.Office, id)
	switch {
	case err != nil:
		return Item{}, err
	case i.State != Agreed || i.Kind.Signs():
		return Item{}, ErrState
	case i.Attempt > 0, !d.now().Before(i.Due):
		return Item{}, ErrTooLate
	case !by.May(a, staff.Waiting):
		return Item{}, staff.ErrMayNot
	}
	return i, nil
}
