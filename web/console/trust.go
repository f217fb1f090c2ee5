package console

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/staff"
)

// trustRoutes are the pages of what verifiers are told.
func (c *Console) trustRoutes() []route {
	if c.cfg.Manage.Trust == nil {
		return nil
	}
	publish := post("trust_publish", "/trust/publish", staff.PublishTrust, c.publishTrust)
	publish.Timeout = 2 * time.Minute
	return []route{
		get("trust", "/trust", staff.ViewTrust, c.trust).in("manage.nav.trust"),
		publish,
	}
}

// shownChanges is how many credentials the page names.
const shownChanges = 100

// A trustView is the page of what verifiers know.
type trustView struct {
	issuance.Outlook
	// Age is how old the last bundle is, in words; Standing is fresh, due or stale.
	Age, Standing string
	Rules         []freshRule
	Witness       *witnessView
	labels        map[string]string
}

// LabelOf is the name of a programme, its id if it has none.
func (v trustView) LabelOf(programme string) string { return cmp.Or(v.labels[programme], programme) }

// Number is the version of the bundle, as pages write numbers.
func (v trustView) Number() int { return int(min(v.Version, 1<<53)) } //nolint:gosec // bounded

// A freshRule says what verifiers make of the age of a bundle for one programme.
type freshRule struct {
	Label              string
	FreshFor, OldAfter string
	// Now is the verdict for a good certificate: valid or check_needed.
	Now string
}

// trust shows what verifiers know and what they will be told next.
func (c *Console) trust(w http.ResponseWriter, r *request) error {
	o, err := c.cfg.Manage.Trust.Outlook(r.Context(), shownChanges)
	if err != nil {
		return away("trust", err)
	}
	v := trustView{Outlook: o, Witness: c.lackingWitness(r)}
	var all []*programme.Programme
	if c.cfg.Manage.Programmes != nil {
		if v.labels, all, err = c.labels(r); err != nil {
			return err
		}
	}
	if o.Version > 0 {
		now := c.now()
		age := now.Sub(o.IssuedAt)
		v.Age = r.Lang.Age(age)
		switch {
		case !o.OldAfter.IsZero() && now.After(o.OldAfter):
			v.Standing = "stale"
		case !o.RefreshBy.IsZero() && now.After(o.RefreshBy):
			v.Standing = "due"
		default:
			v.Standing = "fresh"
		}
		for _, p := range all {
			rule := freshRule{Label: v.labels[p.ID], FreshFor: r.Lang.Age(p.FreshFor), OldAfter: r.Lang.Age(p.OldAfter), Now: "valid"}
			if age > p.FreshFor {
				rule.Now = "check_needed"
			}
			v.Rules = append(v.Rules, rule)
		}
	}
	return c.render(w, r, http.StatusOK, "trust", v)
}

// publishTrust tells verifiers now.
func (c *Console) publishTrust(w http.ResponseWriter, r *request) error {
	err := c.act(r, deed{Action: staff.PublishTrust, Subject: "trust"}, func(ctx context.Context) error {
		return away("publication", c.cfg.Manage.Trust.Publish(ctx, r.Operator.ID))
	})
	if err != nil {
		return err
	}
	return c.seeOther(w, r, "/trust", "manage.trust.done")
}
