package desk

import (
	"context"
	"time"

	"github.com/sanad-id/sanad/staff"
)

const selectProposal = `SELECT id, action, subject, office, payload, digest, requester, approver, made, decided, expires, state FROM proposal`

func scanProposal(scan func(...any) error) (p staff.Proposal, err error) {
	var digest []byte
	var made, decided, expires int64
	err = scan(&p.ID, &p.Action, &p.Subject, &p.Office, &p.Payload, &digest, &p.Requester, &p.Approver, &made, &decided, &expires, &p.State)
	copy(p.Digest[:], digest)
	p.Made, p.Decided, p.Expires = moment(made), moment(decided), moment(expires)
	return p, err
}

func (t tx) proposal(id string) (p staff.Proposal, err error) {
	err = staff.ErrNoProposal
	e := t.each(selectProposal+` WHERE id = $1`, []any{id}, func(scan func(...any) error) (e error) {
		p, e = scanProposal(scan)
		err = nil
		return e
	})
	if e != nil {
		return staff.Proposal{}, e
	}
	return p, err
}

// SaveProposal stores a new proposal; see [staff.Propose].
func (db *DB) SaveProposal(ctx context.Context, p staff.Proposal) error {
	return db.write(ctx, func(t tx) error { return t.saveProposal(p) })
}

func (t tx) saveProposal(p staff.Proposal) error {
	payload := append([]byte{}, p.Payload...) // empty, not NULL
	_, err := t.exec(`INSERT INTO proposal (id, action, subject, office, payload, digest, requester, approver, made, decided, expires, state)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, 0, $9, 'proposed')`,
		p.ID, string(p.Action), p.Subject, p.Office, payload, p.Digest[:], p.Requester, milli(p.Made), milli(p.Expires))
	return err
}

// Proposal returns a proposal, or [staff.ErrNoProposal].
func (db *DB) Proposal(ctx context.Context, id string) (p staff.Proposal, err error) {
	err = db.read(ctx, func(t tx) (err error) {
		p, err = t.proposal(id)
		return err
	})
	return p, err
}

// Proposals returns the newest of an office, or of all if it is empty, in one of these
// states: those of the actions, or all if there are none. At most 200.
func (db *DB) Proposals(ctx context.Context, office string, states []staff.State, actions ...staff.Action) (all []staff.Proposal, err error) {
	query, args := selectProposal+` WHERE ($1 = '' OR office = $1)`, []any{office}
	if len(states) > 0 {
		query += ` AND state IN (` + marks(len(args)+1, len(states)) + `)`
		for _, s := range states {
			args = append(args, string(s))
		}
	}
	if len(actions) > 0 {
		query += ` AND action IN (` + marks(len(args)+1, len(actions)) + `)`
		for _, a := range actions {
			args = append(args, string(a))
		}
	}
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(query+` ORDER BY made DESC, id LIMIT 200`, args, func(scan func(...any) error) error {
			p, err := scanProposal(scan)
			all = append(all, p)
			return err
		})
	})
	return all, err
}

// Approve is the agreement of a second person, who was shown what has this digest. Its
// refusals are those of [staff.Proposal.CheckApprove]. Of two that agree at once one
// does.
func (db *DB) Approve(ctx context.Context, id string, shown [32]byte, by staff.Operator, now time.Time) (p staff.Proposal, err error) {
	err = db.write(ctx, func(t tx) error {
		if p, err = t.proposal(id); err != nil {
			return err
		}
		// What the operator may do now, not when the page was made.
		if by, err = t.operator(by.ID); err != nil {
			return err
		}
		if err := p.CheckApprove(by, shown, now); err != nil {
			return err
		}
		p.State, p.Approver, p.Decided = staff.Approved, by.ID, now
		_, err := t.exec(`UPDATE proposal SET state = 'approved', approver = $2, decided = $3 WHERE id = $1`, id, by.ID, milli(now))
		return err
	})
	return p, err
}

// UseProposal takes an approved proposal to carry it out, for what has this digest: it
// is given to one caller, once. Its refusals are those of [staff.Proposal.CheckUse].
func (db *DB) UseProposal(ctx context.Context, id string, a staff.Action, digest [32]byte, by staff.Operator, now time.Time) (p staff.Proposal, err error) {
	err = db.write(ctx, func(t tx) (err error) {
		p, err = t.useProposal(id, a, digest, by, now)
		return err
	})
	return p, err
}

// useProposal is [DB.UseProposal] in a transaction that does more.
func (t tx) useProposal(id string, a staff.Action, digest [32]byte, by staff.Operator, now time.Time) (staff.Proposal, error) {
	p, err := t.proposal(id)
	if err != nil {
		return p, err
	}
	if by, err = t.operator(by.ID); err != nil {
		return p, err
	}
	if err := p.CheckUse(by, a, digest, now); err != nil {
		return p, err
	}
	p.State = staff.Done
	_, err = t.exec(`UPDATE proposal SET state = 'done' WHERE id = $1`, id)
	return p, err
}

// CloseProposal ends a proposal that is not carried out: its maker withdraws it, or a
// second person says no.
func (db *DB) CloseProposal(ctx context.Context, id string, by staff.Operator, now time.Time) error {
	return db.write(ctx, func(t tx) error {
		p, err := t.proposal(id)
		if err != nil {
			return err
		}
		if by, err = t.operator(by.ID); err != nil {
			return err
		}
		if err := p.CheckClose(by); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE proposal SET state = 'closed', decided = $2 WHERE id = $1`, id, milli(now))
		return err
	})
}
