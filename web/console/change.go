package console

import (
	"net/http"
	"slices"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// changeRoutes revoke, suspend and resume. Each is an address of its own, since each is
// another right.
func (c *Console) changeRoutes() []route {
	if c.cfg.Work == nil {
		return nil
	}
	var all []route
	for _, k := range []struct {
		kind   work.Kind
		action staff.Action
	}{{work.Revoke, staff.Revoke}, {work.Suspend, staff.Suspend}, {work.Resume, staff.Resume}} {
		pattern := "/records/{ref}/{credential}/" + string(k.kind)
		all = append(all,
			get("change_"+string(k.kind), pattern, k.action, func(w http.ResponseWriter, r *request) error { return c.change(w, r, k.kind, nil) }),
			post("order_"+string(k.kind), pattern, k.action, func(w http.ResponseWriter, r *request) error { return c.order(w, r, k.kind) }))
	}
	return all
}

// changePage is what page/change.html shows: what is changed, and what goes with it.
type changePage struct {
	Kind       work.Kind
	Case       *caseView
	Credential credentialView
	Forms      []string
	Parts      []issuance.Credential
	Reasons    []option
}

func (c *Console) change(w http.ResponseWriter, r *request, kind work.Kind, f *form) error {
	cs, err := c.cfg.Work.Case(r.Context(), r.Operator, r.PathValue("ref"))
	if err != nil {
		return workError(err)
	}
	v := c.caseView(r, cs)
	i := slices.IndexFunc(v.Credentials, func(k credentialView) bool { return k.ID == r.PathValue("credential") })
	if i < 0 {
		return errNotFound
	}
	data := changePage{Kind: kind, Case: v, Credential: v.Credentials[i], Parts: cs.Parts(v.Credentials[i].ID), Reasons: reasons(r)}
	for _, form := range data.Credential.Forms {
		data.Forms = append(data.Forms, formName(r.Lang, form.Form))
	}
	return c.renderForm(w, r, http.StatusOK, "change", f, data)
}

// order orders a change, which is made when it can no longer be undone.
func (c *Console) order(w http.ResponseWriter, r *request, kind work.Kind) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	reason := issuance.Reason(f.Get("reason"))
	if kind != work.Resume && !slices.Contains(issuance.Reasons(), reason) {
		f.fail("reason", "work.reason.missing")
		return c.change(w, r, kind, f)
	}
	if kind == work.Resume {
		reason = issuance.NoReason
	}
	i, err := c.cfg.Work.Order(r.Context(), r.Operator, work.Order{Ref: r.PathValue("ref"), Credential: r.PathValue("credential"), Kind: kind, Reason: reason})
	if err != nil {
		return workError(err)
	}
	return c.seeOther(w, r, "/items/"+i.ID, "work.notice.ordered")
}
