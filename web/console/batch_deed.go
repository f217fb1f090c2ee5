package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/staff"
)

// move does a deed to a job, if it is still where it was when the right to the deed was
// looked at.
func (c *Console) move(r *request, j batchwork.Job, action staff.Action, d batchwork.Deed, operator string) error {
	err := c.act(r, deed{Action: action, Subject: j.ID}, func(ctx context.Context) error {
		_, err := batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			if c.stateOf(now) != c.stateOf(j) {
				return now, batchwork.ErrState
			}
			return now.Do(d, operator, c.now())
		})
		return err
	})
	c.cfg.Manage.Batches.Kick()
	return err
}

// batchDeed does one that needs nothing but the right to it.
func (c *Console) batchDeed(d batchwork.Deed) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		j, err := c.job(r)
		if err != nil {
			return err
		}
		if err := r.must(c.stateOf(j)); err != nil {
			return err
		}
		if err := c.move(r, j, r.route.Action, d, r.Operator.ID); err != nil {
			return err
		}
		return c.seeOther(w, r, homes[j.Kind]+j.ID, doneKey(j, d))
	}
}

// proposeBatch asks a second person.
func (c *Console) proposeBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(c.stateOf(j)); err != nil {
		return err
	}
	p, err := staff.Propose(jobRules[j.Kind].Run, j.ID, j.Terms().Bytes(), r.Operator, c.now())
	if err != nil {
		return err
	}
	err = c.act(r, deed{jobRules[j.Kind].Propose, j.ID, p.Digest}, func(ctx context.Context) error {
		if err := c.cfg.Desk.SaveProposal(ctx, p); err != nil {
			return away("proposals", err)
		}
		_, err := batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			if sha256.Sum256(now.Terms().Bytes()) != p.Digest {
				return now, batchwork.ErrTerms
			}
			next, err := now.Do(batchwork.Propose, r.Operator.ID, c.now())
			next.Proposal = p.ID
			return next, err
		})
		if errors.Is(err, batchwork.ErrState) || errors.Is(err, batchwork.ErrTerms) || errors.Is(err, batchwork.ErrMoved) {
			err = errors.Join(err, c.cfg.Desk.CloseProposal(ctx, p.ID, r.Operator, c.now())) // somebody else was faster, and nobody is asked twice
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.seeOther(w, r, homes[j.Kind]+j.ID, doneKey(j, batchwork.Propose))
}

// issueBatch starts a batch by the decision of one person, where that is enough. It is
// bound to what was shown, as an agreement is.
func (c *Console) issueBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(c.stateOf(j)); err != nil {
		return err
	}
	_, all, err := c.labels(r)
	if err != nil {
		return err
	}
	if c.needsTwo(all, j) {
		return staff.ErrNotApproved
	}
	shown, err := shownDigest(r)
	if err != nil {
		return err
	}
	err = c.act(r, deed{staff.RunBatch, j.ID, shown}, func(ctx context.Context) error {
		_, err := batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			if sha256.Sum256(now.Terms().Bytes()) != shown {
				return now, batchwork.ErrTerms
			}
			return now.Do(batchwork.Alone, r.Operator.ID, c.now())
		})
		return err
	})
	if err != nil {
		return err
	}
	c.cfg.Manage.Batches.Kick()
	return c.seeOther(w, r, "/batches/"+j.ID, doneKey(j, batchwork.Approve))
}

// declineBatch takes a proposal back, or says no to it.
func (c *Console) declineBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if j.Requester != r.Operator.ID && !r.May(jobRules[j.Kind].Approve, c.stateOf(j)) {
		return staff.ErrMayNot
	}
	err = c.act(r, deed{Action: jobRules[j.Kind].Propose, Subject: j.ID}, func(ctx context.Context) error {
		err := c.cfg.Desk.CloseProposal(ctx, j.Proposal, r.Operator, c.now())
		if err != nil && !errors.Is(err, staff.ErrProposalOver) && !errors.Is(err, staff.ErrNoProposal) {
			return err
		}
		_, err = batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			return now.Do(batchwork.Decline, r.Operator.ID, c.now())
		})
		return err
	})
	if err != nil {
		return err
	}
	return c.seeOther(w, r, homes[j.Kind]+j.ID, doneKey(j, batchwork.Decline))
}

// approveBatch is the agreement of the second person, upon which the batch runs.
func (c *Console) approveBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(c.stateOf(j)); err != nil {
		return err
	}
	f, err := r.readForm()
	if err != nil {
		return err
	}
	var shown [32]byte
	if b, err := hex.DecodeString(f.Get("digest")); err != nil || copy(shown[:], b) != len(shown) {
		return staff.ErrChangedPayload
	}
	err = c.act(r, deed{jobRules[j.Kind].Approve, j.ID, shown}, func(ctx context.Context) error { return c.agree(ctx, r, j, shown) })
	if err != nil {
		return err
	}
	c.cfg.Manage.Batches.Kick()
	return c.seeOther(w, r, homes[j.Kind]+j.ID, doneKey(j, batchwork.Approve))
}

// agree approves the proposal and starts the batch, which happens once: a job leaves
// Proposed once. A crash between the two leaves an approved proposal, and whoever
// presses the button again starts it.
func (c *Console) agree(ctx context.Context, r *request, j batchwork.Job, shown [32]byte) error {
	p, err := c.cfg.Desk.Approve(ctx, j.Proposal, shown, r.Operator, c.now())
	if errors.Is(err, staff.ErrProposalOver) {
		if p, err = c.cfg.Desk.Proposal(ctx, j.Proposal); err == nil {
			err = p.CheckUse(r.Operator, jobRules[j.Kind].Run, shown, c.now())
		}
	}
	if err != nil {
		return err
	}
	_, err = batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
		if now.Proposal != p.ID || sha256.Sum256(now.Terms().Bytes()) != p.Digest {
			return now, batchwork.ErrTerms
		}
		return now.Do(batchwork.Approve, p.Approver, c.now())
	})
	if err != nil {
		return err
	}
	_, err = c.cfg.Desk.UseProposal(ctx, p.ID, jobRules[j.Kind].Run, shown, r.Operator, c.now())
	if err != nil { // it runs; the approval expires by itself
		c.cfg.Log.WarnContext(ctx, "an approval is not marked as used", "job", j.ID, "err", err)
	}
	return nil
}
