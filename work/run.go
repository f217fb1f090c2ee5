package work

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

const (
	// runPage is how many due items one round takes on.
	runPage = 50
	// retryFirst and retryLast are how long an item waits after a failure that may pass.
	retryFirst, retryLast = 5 * time.Second, 5 * time.Minute
)

// RunDue does what is due, and what a worker that is gone has left, and returns how many
// items that were. An item that could not be done does not stop the others. Any number
// of processes may call it at once.
func (d *Desk) RunDue(ctx context.Context) (int, error) {
	ids, err := d.cfg.Store.DueItems(ctx, d.now(), runPage)
	if err != nil {
		return 0, err
	}
	done := 0
	var errs []error
	for _, id := range ids {
		switch _, err := d.Run(ctx, id); {
		case errors.Is(err, ErrMoved), errors.Is(err, ErrState), errors.Is(err, ErrNoItem): // somebody else was faster
		case err != nil:
			errs = append(errs, err)
		default:
			done++
		}
		if ctx.Err() != nil {
			break
		}
	}
	return done, errors.Join(errs...)
}

// Run does one item that is due: it takes the item on, acts through issuance, and says
// in the item what came of it. However often and wherever it is called, and wherever it
// breaks off, a change is made once and a record gets one credential in force.
//
// It returns the item as it then is, also if issuance refused: [Item.State] is then
// Failed. [ErrState] means that it is not due, or somebody else is at it.
func (d *Desk) Run(ctx context.Context, id string) (Item, error) {
	i, err := d.cfg.Store.Item(ctx, "", id)
	if err != nil {
		return Item{}, err
	}
	now := d.now()
	if i.State != Agreed || now.Before(i.Due) || now.Before(i.Until) {
		return Item{}, ErrState
	}
	if i.Kind.Signs() {
		return d.runSigning(ctx, i)
	}
	return d.runChange(ctx, i)
}

// take takes an item on. Of several workers the store lets one.
func (d *Desk) take(ctx context.Context, i Item) (Item, error) {
	i.Worker, i.Until, i.Attempt = d.cfg.Worker, d.now().Add(d.lease), i.Attempt+1
	if err := d.cfg.Store.SaveItem(ctx, Change{Item: i}); err != nil {
		return Item{}, err
	}
	i.Rev++
	d.cfg.Crash(PointTaken)
	return i, nil
}

// settle stores what came of an item, and needs no entry in the audit log: issuance has
// written it.
func (d *Desk) settle(ctx context.Context, i Item, e Event, also func(*Change)) (Item, error) {
	to, err := i.next(e.Deed)
	if err != nil {
		return Item{}, err
	}
	i.State, i.Changed, i.Worker, i.Until = to, d.now(), "", time.Time{}
	e.Item, e.At = i.ID, i.Changed
	if e.Actor == "" {
		e.Actor = System
	}
	c := Change{Item: i, Event: e}
	if also != nil {
		also(&c)
	}
	// What was done is kept, whoever stopped waiting.
	err = d.cfg.Store.SaveItem(context.WithoutCancel(ctx), c)
	i.Rev++
	return i, err
}

// fail says that an item was not done and never will be by itself.
func (d *Desk) fail(ctx context.Context, i Item, problem string) (Item, error) {
	d.cfg.Crash(PointRefused)
	i.Problem = problem
	return d.settle(ctx, i, Event{Deed: DeedFailed, Reason: problem}, nil)
}

// later leaves an item for another try.
func (d *Desk) later(ctx context.Context, i Item, why error) (Item, error) {
	wait := retryLast
	if n := min(i.Attempt-1, 10); n >= 0 {
		wait = min(retryFirst<<n, retryLast)
	}
	i.Worker, i.Until, i.Due, i.Problem = "", time.Time{}, d.now().Add(wait), ProblemLater
	err := d.cfg.Store.SaveItem(context.WithoutCancel(ctx), Change{Item: i})
	return Item{}, errors.Join(why, err)
}

// actor is who an item is done for.
func (i *Item) actor() string {
	if i.Approver != "" {
		return i.Approver
	}
	return i.Requester
}

// runChange revokes, suspends or resumes.
func (d *Desk) runChange(ctx context.Context, i Item) (Item, error) {
	c, err := d.cfg.Issuer.Credential(ctx, i.Credential)
	if err != nil {
		return Item{}, err // nobody has taken it on
	}
	if i.Attempt == 0 {
		i.Seen = c.Changed
	}
	if i, err = d.take(ctx, i); err != nil {
		return Item{}, err
	}
	switch {
	case !c.Changed.Equal(i.Seen) && c.State == i.Kind.leadsTo() && i.Attempt > 1:
		// A worker that is gone has done it and did not come to say so.
		return d.settle(ctx, i, Event{Deed: DeedChanged, Actor: i.actor(), Reason: string(i.Reason)}, nil)
	case !c.Changed.Equal(i.Seen), !i.Kind.startsFrom(c.State):
		return d.fail(ctx, i, ProblemState)
	}
	if err := d.change(ctx, &i); err != nil {
		for _, e := range []error{issuance.ErrFinal, issuance.ErrState, issuance.ErrPart, issuance.ErrNoCredential} {
			if errors.Is(err, e) {
				return d.fail(ctx, i, ProblemState)
			}
		}
		if errors.Is(err, issuance.ErrNotAllowed) || errors.Is(err, issuance.ErrReason) {
			return d.fail(ctx, i, ProblemRefused)
		}
		return d.later(ctx, i, err)
	}
	d.cfg.Crash(PointActed)
	i.Problem = ""
	return d.settle(ctx, i, Event{Deed: DeedChanged, Actor: i.actor(), Reason: string(i.Reason)}, nil)
}

func (d *Desk) change(ctx context.Context, i *Item) error {
	var err error
	switch i.Kind {
	case Revoke:
		_, err = d.cfg.Issuer.Revoke(ctx, i.Credential, i.Reason, i.actor())
	case Suspend:
		_, err = d.cfg.Issuer.Suspend(ctx, i.Credential, i.Reason, i.actor())
	default:
		_, err = d.cfg.Issuer.Resume(ctx, i.Credential, i.actor())
	}
	return err
}

// runSigning issues or replaces.
func (d *Desk) runSigning(ctx context.Context, i Item) (Item, error) {
	i, err := d.take(ctx, i)
	if err != nil {
		return Item{}, err
	}
	if !d.now().Before(i.Expires) {
		return d.void(ctx, i, ProblemLate)
	}
	// What was agreed to is what is signed, or nothing is.
	r, p, err := d.lookup(ctx, i.Office, i.Programme, i.Record)
	switch {
	case errors.Is(err, ErrNoRecord):
		return d.fail(ctx, i, ProblemRecord)
	case err != nil:
		return d.later(ctx, i, err)
	}
	s, err := d.sheet(ctx, p, r, i.Kind, i.Credential, i.Reason)
	if e, ok := errors.AsType[*issuance.RecordError](err); ok {
		return d.fail(ctx, i, e.Code())
	}
	if err != nil {
		return d.later(ctx, i, err)
	}
	if s.Shown != i.Shown {
		return d.void(ctx, i, ProblemChanged)
	}
	if len(s.codes()) == 0 {
		// Wallets only: there is nothing to sign until a holder comes.
		i.Problem, i.Expires = "", d.now().Add(d.printing)
		return d.settle(ctx, i, Event{Deed: DeedSigned, Actor: i.actor()}, nil)
	}
	request := issuance.Request{Programme: i.Programme, Record: r, Actor: i.actor()}
	return d.sign(ctx, i, s, request)
}

// codes are the forms that are signed for paper.
func (s *Sheet) codes() []issuance.PreviewForm {
	var codes []issuance.PreviewForm
	for _, f := range s.Forms {
		if !f.Form.Wallet() {
			codes = append(codes, f)
		}
	}
	return codes
}

// sign climbs the ladder of issuance. A signature that was lost on its way to us, since
// it is kept nowhere, is replaced: nobody has it.
func (d *Desk) sign(ctx context.Context, i Item, s *Sheet, r issuance.Request) (Item, error) {
	for {
		instead, err := d.instead(ctx, &i)
		if err != nil {
			return d.later(ctx, i, err)
		}
		r.Idempotency = "desk/" + i.ID + "/" + strconv.Itoa(i.Lost)
		issued, err := d.issue(ctx, instead, r)
		if err == nil {
			d.cfg.Crash(PointActed)
			return d.signed(ctx, i, s, issued)
		}
		e, refused := errors.AsType[*issuance.RecordError](err)
		switch {
		case refused && e.Code() == issuance.CodeRepeated && i.Lost < maxLost:
		case refused:
			return d.fail(ctx, i, e.Code())
		case errors.Is(err, issuance.ErrFinal), errors.Is(err, issuance.ErrNoCredential), errors.Is(err, issuance.ErrState):
			return d.fail(ctx, i, ProblemState)
		default:
			return d.later(ctx, i, err)
		}
		c, err := d.cfg.Issuer.Credential(ctx, e.Credential)
		switch {
		case err != nil:
			return d.later(ctx, i, err)
		case c.State == issuance.Intended: // another worker is at it, or the sweeper has not come yet
			return d.later(ctx, i, e)
		case c.State == issuance.Active:
			i.Made = c.ID
		case c.State != issuance.Revoked || c.Reason != issuance.Leftover:
			return d.fail(ctx, i, ProblemState) // somebody has changed it meanwhile
		}
		// The next key is stored before it is used.
		i.Lost++
		if err := d.cfg.Store.SaveItem(ctx, Change{Item: i}); err != nil {
			return Item{}, err
		}
		i.Rev++
	}
}

// maxLost is how often a signature may be lost before a person has to look.
const maxLost = 20

// instead is the credential that the next one takes the place of: the one whose
// signature was lost, otherwise the one that was to be replaced, unless an earlier try
// has ended it.
func (d *Desk) instead(ctx context.Context, i *Item) (string, error) {
	if i.Made != "" || i.Credential == "" || i.Lost == 0 {
		return cmp.Or(i.Made, i.Credential), nil
	}
	c, err := d.cfg.Issuer.Credential(ctx, i.Credential)
	if err != nil {
		return "", err
	}
	if c.State == issuance.Revoked && c.Reason == issuance.Superseded {
		return "", nil
	}
	return i.Credential, nil
}

func (d *Desk) issue(ctx context.Context, instead string, r issuance.Request) (issuance.Issued, error) {
	if instead != "" {
		return d.cfg.Issuer.Supersede(ctx, instead, r)
	}
	return d.cfg.Issuer.Issue(ctx, r)
}

// signed keeps what was signed until it is printed.
func (d *Desk) signed(ctx context.Context, i Item, s *Sheet, issued issuance.Issued) (Item, error) {
	print, err := d.seal(i.ID, issued)
	if err != nil {
		return Item{}, err
	}
	i.Made, i.Problem, i.Expires = issued.Credential.ID, "", d.now().Add(d.printing)
	return d.settle(ctx, i, Event{Deed: DeedSigned, Actor: i.actor(), Reason: string(i.Reason)}, func(c *Change) { c.Print = print })
}

// void sends an item back to be checked: what was agreed to is no longer so.
func (d *Desk) void(ctx context.Context, i Item, why string) (Item, error) {
	d.cfg.Crash(PointRefused)
	i.Problem, i.Attempt, i.Due, i.Expires = why, 0, time.Time{}, time.Time{}
	return d.settle(ctx, i, Event{Deed: DeedVoided, Reason: why}, nil)
}

// Printout is what is printed and handed over: the signed codes. It is kept sealed until
// it is printed, at most a day, and then nowhere.
type Printout struct {
	Programme string
	Version   int
	// Credential is the id, Issued the date of issue, Expires the last moment; zero for
	// none.
	Credential      string
	Issued, Expires time.Time
	Forms           []issuance.SignedForm
}

// String shows nothing of it.
func (p Printout) String() string { return "printout of " + p.Credential }

// GoString is String.
func (p Printout) GoString() string { return p.String() }

// seal makes the sealed print of an item.
func (d *Desk) seal(item string, issued issuance.Issued) ([]byte, error) {
	c := issued.Credential
	b, err := json.Marshal(Printout{c.Programme, c.Version, c.ID, c.IssuedAt, c.Expires, issued.Forms})
	if err != nil {
		return nil, fmt.Errorf("seal a print: %v", err)
	}
	nonce := make([]byte, d.prints.NonceSize())
	if _, err := d.cfg.Rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal a print: %w", err)
	}
	return d.prints.Seal(nonce, nonce, b, []byte(item)), nil
}

// Print opens the print of an item, and notes that it was opened. It can be opened again
// until [Desk.Printed] says that the paper is good.
func (d *Desk) Print(ctx context.Context, by staff.Operator, id string) (Printout, error) {
	i, err := d.printable(ctx, by, id)
	if err != nil {
		return Printout{}, err
	}
	sealed, err := d.cfg.Store.Print(ctx, i.ID)
	if err != nil {
		return Printout{}, err
	}
	n := d.prints.NonceSize()
	if len(sealed) < n {
		return Printout{}, ErrNoPrint
	}
	b, err := d.prints.Open(nil, sealed[:n], sealed[n:], []byte(i.ID))
	if err != nil {
		return Printout{}, fmt.Errorf("open the print of %s: it was not sealed here", i.ID)
	}
	var p Printout
	if err := json.Unmarshal(b, &p); err != nil {
		return Printout{}, fmt.Errorf("open the print of %s: %v", i.ID, err)
	}
	if _, err := d.act(ctx, i, Event{Deed: DeedOpened, Actor: by.ID}, nil); err != nil {
		return Printout{}, err
	}
	return p, nil
}

// printable returns an item whose print or offer can be handed over.
func (d *Desk) printable(ctx context.Context, by staff.Operator, id string) (Item, error) {
	if !by.May(staff.Print, staff.Done) {
		return Item{}, staff.ErrMayNot
	}
	i, err := d.cfg.Store.Item(ctx, by.Office, id)
	switch {
	case err != nil:
		return Item{}, err
	case i.State != Signed:
		return Item{}, ErrState
	case !d.now().Before(i.Expires):
		return Item{}, ErrTooLate
	}
	return i, nil
}

// Printed ends an item: the paper is good, or the wallet has what it needs. The print is
// erased; another one takes the place of the credential ([Replace]).
func (d *Desk) Printed(ctx context.Context, by staff.Operator, id string) (Item, error) {
	i, err := d.printable(ctx, by, id)
	if err != nil {
		return Item{}, err
	}
	i.Expires = time.Time{}
	return d.act(ctx, i, Event{Deed: DeedPrinted, Actor: by.ID}, func(c *Change) { c.ErasePrint = true })
}

// Offer makes an offer for the wallet of an item's holder.
func (d *Desk) Offer(ctx context.Context, by staff.Operator, id, form string, code bool) (Offer, error) {
	if d.cfg.Offers == nil {
		return Offer{}, ErrNotAllowed
	}
	if !by.May(staff.Offer, staff.Done) {
		return Offer{}, staff.ErrMayNot
	}
	i, err := d.printable(ctx, by, id)
	if err != nil {
		return Offer{}, err
	}
	if i, err = d.act(ctx, i, Event{Deed: DeedOffered, Actor: by.ID}, nil); err != nil {
		return Offer{}, err
	}
	return d.cfg.Offers.Offer(ctx, OfferRequest{Programme: i.Programme, Form: form, Record: i.Record, Code: code, Actor: by.ID})
}

// OfferFor makes an offer for the wallet of somebody who holds an active credential.
func (d *Desk) OfferFor(ctx context.Context, by staff.Operator, ref, form string, code bool) (Offer, error) {
	if d.cfg.Offers == nil {
		return Offer{}, ErrNotAllowed
	}
	if !by.May(staff.Offer, staff.Done) {
		return Offer{}, staff.ErrMayNot
	}
	c, err := d.Case(ctx, by, ref)
	if err != nil {
		return Offer{}, err
	}
	held := c.Held()
	switch {
	case held == nil || held.State != issuance.Active:
		return Offer{}, ErrState
	case c.Open != nil && c.Open.State != Signed:
		return Offer{}, ErrBusy
	}
	i := Item{Kind: Issue, Programme: c.Programme.ID, Record: c.Record.ID, Credential: held.ID}
	e := Event{Deed: DeedOffered, Actor: by.ID}
	if err := d.note(ctx, &i, e); err != nil {
		return Offer{}, err
	}
	o, err := d.cfg.Offers.Offer(ctx, OfferRequest{Programme: i.Programme, Form: form, Record: i.Record, Code: code, Actor: by.ID})
	d.ended(ctx, &i, e, err)
	return o, err
}

// Sweep erases prints that nobody printed in time and items that are long over, and
// returns how many prints that were.
func (d *Desk) Sweep(ctx context.Context) (int, error) {
	now := d.now()
	lost, err := d.cfg.Store.SweepItems(ctx, now, now.Add(-d.keep))
	if err != nil {
		return 0, err
	}
	for _, id := range lost {
		i, err := d.cfg.Store.Item(ctx, "", id)
		if err != nil {
			return 0, err
		}
		i.Problem = ProblemPrint
		if _, err := d.settle(ctx, i, Event{Deed: DeedLapsed, Reason: ProblemPrint}, nil); err != nil && !errors.Is(err, ErrMoved) && !errors.Is(err, ErrState) {
			return 0, err
		}
	}
	return len(lost), nil
}
