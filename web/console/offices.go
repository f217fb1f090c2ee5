package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

// offices lists them, and what waits for a second person.
func (c *Console) offices(w http.ResponseWriter, r *request) error {
	all, err := c.cfg.Desk.Offices(r.Context())
	if err != nil {
		return away("people", err)
	}
	if !r.Operator.Is(staff.Administrator) {
		all = slices.DeleteFunc(all, func(o staff.Office) bool { return o.ID != r.Operator.Office })
	}
	office := r.Operator.Office
	if r.Operator.Is(staff.Administrator) {
		office = ""
	}
	waiting, err := c.waiting(r, office, staff.ChangeOffice)
	if err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "offices", struct {
		Offices []staff.Office
		Waiting []shown
	}{all, waiting})
}

// officeForm is the form for an office, new or one that is there.
func (c *Console) officeForm(w http.ResponseWriter, r *request) error {
	id, err := r.query("office")
	if err != nil {
		return err
	}
	f := blank()
	if id != "" {
		o, err := c.cfg.Desk.Office(r.Context(), id)
		if err != nil {
			return err
		}
		f = blank("id", o.ID, "name", o.Name, "column", o.Column, "values", strings.Join(o.Values, "\n"), "programmes", strings.Join(o.Programmes, "\n"))
	}
	return c.renderForm(w, r, http.StatusOK, "office_new", f, nil)
}

// lines are those of a text that are not empty.
func lines(text string) []string {
	var all []string
	for l := range strings.SplitSeq(text, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			all = append(all, l)
		}
	}
	return all
}

// proposeOffice proposes an office as it shall be.
func (c *Console) proposeOffice(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	o := staff.Office{
		ID: f.text("id", 40), Name: f.text("name", staff.MaxName), Column: f.Get("column"), Values: lines(f.Get("values")), Programmes: lines(f.Get("programmes")),
	}
	if err := o.Check(); err != nil && f.OK() {
		f.fail("id", "staff.form.office")
	}
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "office_new", f, nil)
	}
	payload, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return c.propose(w, r, staff.ChangeOffice, "office:"+o.ID, o.ID, payload)
}

// changeOffice carries a proposal about an office out.
func (c *Console) changeOffice(w http.ResponseWriter, r *request) error {
	s, err := c.proposal(r, staff.ChangeOffice)
	if err != nil {
		return err
	}
	err = c.use(r, s, func(ctx context.Context) error { return c.cfg.Desk.SaveOffice(ctx, s.Office) })
	if errors.Is(err, desk.ErrNone) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	return c.seeOther(w, r, "/offices", "staff.proposal.done")
}

// officeNamed is the name of an office, or its id if there is no such office.
func officeNamed(all []staff.Office, id string) string {
	i := slices.IndexFunc(all, func(o staff.Office) bool { return o.ID == id })
	if i < 0 {
		return id
	}
	return all[i].Name
}
