package console

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/staff"
)

const (
	changePath = Base + "/programme-changes/"
	// checkTime is how long a programme may be tried, checkRecords on how many records.
	checkTime    = 45 * time.Second
	checkRecords = 2000
)

// programmeRoutes are the pages of programmes.
func (c *Console) programmeRoutes() []route {
	if c.cfg.Manage.Programmes == nil {
		return nil
	}
	check := post("programme_check", "/programmes/{id}/check", staff.CheckSource, c.checkProgramme)
	check.Timeout = checkTime + 10*time.Second
	return []route{
		get("programmes", "/programmes", staff.ViewProgramme, c.programmes).in("manage.nav.programmes"),
		get("programme_new", "/programmes/new", staff.ProposeProgramme, c.newProgramme),
		get("programme", "/programmes/{id}", staff.ViewProgramme, c.programme),
		get("programme_change", "/programmes/{id}/change", staff.ProposeProgramme, c.changeProgramme),
		check,
		post("programme_propose", "/programmes/propose", staff.ProposeProgramme, c.proposeProgramme),
		get("programme_decision", "/programme-changes/{proposal}", staff.ViewProgramme, c.programmeDecision),
		post("programme_approve", "/programme-changes/{proposal}/approve", staff.ApproveProgramme, c.approveDecision(staff.ChangeProgramme, changePath)),
		post("programme_decline", "/programme-changes/{proposal}/decline", staff.ApproveProgramme, c.declineDecision(staff.ChangeProgramme, changePath)),
		post("programme_use", "/programme-changes/{proposal}/use", staff.ChangeProgramme, c.useProgramme),
	}
}

// A programmeRow is one in the list.
type programmeRow struct {
	*programme.Programme
	Label string
}

// programmes lists those in use.
func (c *Console) programmes(w http.ResponseWriter, r *request) error {
	labels, all, err := c.labels(r)
	if err != nil {
		return err
	}
	data := struct {
		Programmes []programmeRow
		Open       []decision
	}{}
	for _, p := range all {
		data.Programmes = append(data.Programmes, programmeRow{p, labels[p.ID]})
	}
	if data.Open, err = c.openDecisions(r, staff.ChangeProgramme, changePath); err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "programmes", data)
}

// A programmeView is one programme on its page.
type programmeView struct {
	*programme.Programme
	Label    string
	Labels   []option // by language
	Versions []issuance.ProgrammeRow
	Text     string
	Forms    []programme.FormReport
	Claims   []claimRow
	Sources  []option
	Report   *programme.Report
	Reasons  []faultCount
	Source   string
}

// A claimRow is one claim in the language of the page.
type claimRow struct {
	Name, Label, Column string
	Kind                string
	Required            bool
}

// A faultCount says how often something was wrong.
type faultCount struct {
	Reason string
	N      int
}

func (c *Console) programmeView(r *request) (v programmeView, err error) {
	v.Versions, err = c.cfg.Manage.Programmes.ProgrammeVersions(r.Context(), r.PathValue("id"))
	if errors.Is(err, issuance.ErrNoProgramme) {
		return v, errNotFound
	}
	if err != nil {
		return v, away("programmes", err)
	}
	newest := v.Versions[len(v.Versions)-1]
	if v.Programme, err = programme.Parse(newest.Text); err != nil {
		return v, err
	}
	v.Label, v.Text, v.Forms = r.Lang.Pick(v.Programme.Labels), string(newest.Text), v.Programme.FormReports()
	for _, tag := range sortedKeys(v.Programme.Labels) {
		v.Labels = append(v.Labels, option{Value: tag, Label: v.Programme.Labels[tag]})
	}
	for _, claim := range v.Programme.Claims {
		columns := claim.Columns()
		row := claimRow{Name: claim.Name, Label: r.Lang.Pick(claim.Labels), Kind: string(claim.Kind), Required: claim.Required}
		if len(columns) > 0 {
			row.Column = columns[0]
		}
		v.Claims = append(v.Claims, row)
	}
	slices.Reverse(v.Versions)
	if c.cfg.Manage.Sources != nil && r.May(staff.CheckSource, staff.None) {
		for _, s := range c.cfg.Manage.Sources.Sources() {
			v.Sources = append(v.Sources, option{Value: s.Name, Label: s.Name})
		}
	}
	return v, nil
}

// programme shows one.
func (c *Console) programme(w http.ResponseWriter, r *request) error {
	v, err := c.programmeView(r)
	if err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "programme", v)
}

// checkProgramme tries a programme on records of a source. It shows no value of them.
func (c *Console) checkProgramme(w http.ResponseWriter, r *request) error {
	v, err := c.programmeView(r)
	if err != nil {
		return err
	}
	f, err := r.readForm()
	if err != nil {
		return err
	}
	v.Source = f.Get("source")
	if !slices.ContainsFunc(v.Sources, func(o option) bool { return o.Value == v.Source }) {
		f.fail("source", "console.form.choose")
		return c.renderForm(w, r, http.StatusOK, "programme", f, v)
	}
	err = c.act(r, deed{Action: staff.CheckSource, Subject: v.Programme.ID}, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		defer cancel()
		src, err := c.cfg.Manage.Sources.OpenSource(ctx, v.Source, v.Programme)
		if err != nil {
			return away("source", err)
		}
		defer func() {
			if k, ok := src.(interface{ Close() error }); ok {
				_ = k.Close()
			}
		}()
		v.Report, err = v.Programme.Check(ctx, src.Records(ctx), programme.CheckOptions{
			Now: c.now(), Rand: rand.Reader, Records: checkRecords, Problems: 1, Issuer: "xx-issuer-name", StatusURI: c.cfg.Origin + "/status/XXXXXXXXXX",
		})
		return away("source", err)
	})
	if _, wrong := errors.AsType[*batchwork.SourceError](err); wrong {
		f.fail("source", "manage.why.wrong_source")
		return c.renderForm(w, r, http.StatusOK, "programme", f, v)
	}
	if err != nil {
		return err
	}
	v.Report.Sample, v.Report.Problems = nil, nil // personal data
	for _, code := range sortedKeys(v.Report.Fatal) {
		v.Reasons = append(v.Reasons, faultCount{reasonText(r.Lang, code), v.Report.Fatal[code]})
	}
	return c.render(w, r, http.StatusOK, "programme", v)
}

// newProgramme is the page on which another programme is written.
func (c *Console) newProgramme(w http.ResponseWriter, r *request) error {
	return c.renderForm(w, r, http.StatusOK, "programme_change", blank(), programmeChange{})
}

// A programmeChange is what the page of a change shows beside the text.
type programmeChange struct {
	Label  string
	ID     string
	Faults programme.Faults
}

// changeProgramme is the page on which a programme is rewritten, with its next version
// number.
func (c *Console) changeProgramme(w http.ResponseWriter, r *request) error {
	v, err := c.programmeView(r)
	if err != nil {
		return err
	}
	return c.renderForm(w, r, http.StatusOK, "programme_change", blank("text", v.Text), programmeChange{Label: v.Label, ID: v.Programme.ID})
}

// proposeProgramme checks a text and asks a second person.
func (c *Console) proposeProgramme(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	text := f.values.Get("text")
	data := programmeChange{}
	p, err := programme.Parse([]byte(text))
	var wrong programme.Faults
	switch {
	case errors.As(err, &wrong):
		data.Faults = wrong
		f.fail("text", "manage.programme.faulty")
		return c.renderForm(w, r, http.StatusOK, "programme_change", f, data)
	case err != nil:
		f.fail("text", "manage.programme.faulty")
		return c.renderForm(w, r, http.StatusOK, "programme_change", f, data)
	}
	data.ID, data.Label = p.ID, r.Lang.Pick(p.Labels)
	known, err := c.cfg.Manage.Programmes.ProgrammeVersions(r.Context(), p.ID)
	if err != nil && !errors.Is(err, issuance.ErrNoProgramme) {
		return away("programmes", err)
	}
	if len(known) > 0 && known[len(known)-1].Version >= p.Version {
		f.fail("text", "manage.programme.raise", "n", known[len(known)-1].Version+1)
		return c.renderForm(w, r, http.StatusOK, "programme_change", f, data)
	}
	return c.askSecond(w, r, staff.ChangeProgramme, changePath, "programme-"+p.ID, []byte(text))
}

// programmeDecision shows what would change.
func (c *Console) programmeDecision(w http.ResponseWriter, r *request) error {
	d, err := c.decide(r, staff.ChangeProgramme, changePath)
	if err != nil {
		return err
	}
	p, err := programme.Parse(d.Proposal.Payload)
	if err != nil {
		return err
	}
	var old []byte
	known, err := c.cfg.Manage.Programmes.ProgrammeVersions(r.Context(), p.ID)
	if err != nil && !errors.Is(err, issuance.ErrNoProgramme) {
		return away("programmes", err)
	}
	for _, row := range known {
		if row.Version < p.Version {
			old = row.Text
		}
	}
	d.Diff = diff(old, d.Proposal.Payload)
	return c.render(w, r, http.StatusOK, "programme_decision", struct {
		decision
		Programme *programme.Programme
		Label     string
	}{d, p, r.Lang.Pick(p.Labels)})
}

// useProgramme takes an agreed change into use.
func (c *Console) useProgramme(w http.ResponseWriter, r *request) error {
	return c.carryOut(w, r, staff.ChangeProgramme, changePath, func(ctx context.Context, payload []byte) error {
		_, err := c.cfg.Manage.Programmes.AddProgramme(ctx, payload, r.Operator.ID)
		return err
	})
}
