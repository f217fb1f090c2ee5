package console

import (
	"context"
	"time"

	"github.com/sanad-id/sanad/staff"
)

// A Witnessing says how the audit log of the issuer stands with its witnesses.
type Witnessing struct {
	// Without says that the settings let the office issue without a witness.
	Without bool
	// None says that the settings name no witness.
	None bool
	// Since is when the oldest thing was done that no witnesses have co-signed, zero if
	// there is none; Until is when issuing stops because of it, whatever Without says.
	Since, Until time.Time
	// Contradicted says that a witness has seen another audit log of this issuer, so that
	// nothing is issued.
	Contradicted bool
}

// Watch knows how the audit log stands with its witnesses.
type Watch interface {
	// Witnessing returns that as it is now.
	Witnessing(ctx context.Context) (Witnessing, error)
}

// A witnessKind says which warning about witnesses a page shows.
type witnessKind string

const (
	witnessForked  witnessKind = "forked"  // a witness has seen another log
	witnessUnknown witnessKind = "unknown" // it cannot be seen how the log stands
	witnessStopped witnessKind = "stopped" // nothing is issued any more
	witnessWithout witnessKind = "without" // the settings say to go on without
	witnessLate    witnessKind = "late"    // nothing will be issued soon
)

// witnessView is a warning about the witnesses.
type witnessView struct {
	Kind witnessKind
	Witnessing
}

// Sentence is the key of what it says.
func (v *witnessView) Sentence() string { return "manage.witness." + string(v.Kind) }

// lackingWitness says what is wrong with the witnesses, to whoever answers for an office
// or the issuer; nil if nothing is. Not knowing is wrong, too, but no reason to show no page.
func (c *Console) lackingWitness(r *request) *witnessView {
	if c.cfg.Manage.Watch == nil || !r.Operator.May(staff.ViewOverview, staff.None) {
		return nil
	}
	w, err := c.cfg.Manage.Watch.Witnessing(r.Context())
	if err != nil {
		c.cfg.Log.WarnContext(r.Context(), "nobody knows how the audit log stands with its witnesses", "err", err)
		return &witnessView{Kind: witnessUnknown}
	}
	age, limit := c.now().Sub(w.Since), w.Until.Sub(w.Since)
	switch {
	case w.Contradicted:
		return &witnessView{witnessForked, w}
	case w.Without:
		return &witnessView{witnessWithout, w}
	case w.Since.IsZero():
		return nil
	case age > limit:
		return &witnessView{witnessStopped, w}
	case w.None, age > limit/2:
		return &witnessView{witnessLate, w}
	}
	return nil
}
