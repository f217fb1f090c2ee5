package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/staff"
)

func (c *Console) peopleRoutes() []route {
	return []route{
		get("people", "/people", staff.ViewPeople, c.people).in("staff.nav.people"),
		get("person_new", "/people/new", staff.ProposePerson, c.newPerson),
		post("person_propose", "/people/new", staff.ProposePerson, c.proposePerson),
		get("person", "/people/{operator}", staff.ViewPeople, c.person),
		post("person_roles", "/people/{operator}/roles", staff.ProposePerson, c.proposeRoles),
		post("person_recover", "/people/{operator}/recover", staff.ProposePerson, c.proposeFor(changeRecover, staff.Active, staff.Invited)),
		post("person_resume", "/people/{operator}/resume", staff.ProposePerson, c.proposeFor(changeResume, staff.Suspended)),
		post("person_suspend", "/people/{operator}/suspend", staff.SuspendPerson, c.keepOut(staff.Suspended)),
		post("person_leave", "/people/{operator}/leave", staff.SuspendPerson, c.keepOut(staff.Left)),
		get("person_proposal", "/people/proposals/{proposal}", staff.ViewPeople, c.proposalPage(staff.ChangePerson)),
		post("person_approve", "/people/proposals/{proposal}/approve", staff.ApprovePerson, c.agreeProposal(staff.ChangePerson)),
		post("person_refuse", "/people/proposals/{proposal}/refuse", staff.ProposePerson, c.refuseProposal(staff.ChangePerson)),
		post("person_change", "/people/proposals/{proposal}/use", staff.ChangePerson, c.changePerson),
		get("offices", "/offices", staff.ViewOffices, c.offices).in("staff.nav.offices"),
		get("office_new", "/offices/new", staff.ProposeOffice, c.officeForm),
		post("office_propose", "/offices/new", staff.ProposeOffice, c.proposeOffice),
		get("office_proposal", "/offices/proposals/{proposal}", staff.ViewOffices, c.proposalPage(staff.ChangeOffice)),
		post("office_approve", "/offices/proposals/{proposal}/approve", staff.ApproveOffice, c.agreeProposal(staff.ChangeOffice)),
		post("office_refuse", "/offices/proposals/{proposal}/refuse", staff.ProposeOffice, c.refuseProposal(staff.ChangeOffice)),
		post("office_change", "/offices/proposals/{proposal}/use", staff.ChangeOffice, c.changeOffice),
	}
}

// What a proposal about a person would do.
const (
	changeInvite  = "invite"
	changeRoles   = "roles"
	changeRecover = "recover"
	changeResume  = "resume"
)

// A personChange is the payload of a proposal about a person: all of it is shown.
type personChange struct {
	Kind     string       `json:"kind"`
	Operator string       `json:"operator"`
	Name     string       `json:"name"`
	Office   string       `json:"office"`
	Roles    []staff.Role `json:"roles"`
}

// sees reports whether an operator looks after the people of an office.
func sees(op staff.Operator, office string) bool {
	return op.Is(staff.Administrator) || op.Office == office
}

// mayGrant reports whether an operator can have a part in giving somebody these roles:
// those beyond one office are given by administrators.
func mayGrant(op staff.Operator, roles []staff.Role) bool {
	return op.Is(staff.Administrator) || !slices.Contains(roles, staff.Administrator) && !slices.Contains(roles, staff.Auditor)
}

// people lists who works here, and what waits for a second person.
func (c *Console) people(w http.ResponseWriter, r *request) error {
	office := r.Operator.Office
	if r.Operator.Is(staff.Administrator) {
		office = ""
	}
	all, err := c.cfg.Desk.Operators(r.Context(), office)
	if err != nil {
		return away("people", err)
	}
	waiting, err := c.waiting(r, office, staff.ChangePerson)
	if err != nil {
		return err
	}
	offices, err := c.cfg.Desk.Offices(r.Context())
	if err != nil {
		return away("people", err)
	}
	rows := make([]personRow, len(all))
	for i, op := range all {
		rows[i] = personRow{op, officeNamed(offices, op.Office)}
	}
	return c.render(w, r, http.StatusOK, "people", struct {
		People  []personRow
		Waiting []shown
	}{rows, waiting})
}

// personRow is somebody in the list of people.
type personRow struct {
	staff.Operator
	OfficeName string
}

// shown is a proposal as a page shows it.
type shown struct {
	staff.Proposal
	Person    personChange
	Office    staff.Office
	Requester string // the name
	// OfficeName is that of the person's office.
	OfficeName string
	Path       string
	Hash       string
}

// show reads a proposal's payload and finds the name of who asked.
func (c *Console) show(ctx context.Context, p staff.Proposal) (shown, error) {
	s := shown{Proposal: p, Hash: hex.EncodeToString(p.Digest[:]), Path: Base + "/people/proposals/" + p.ID}
	into := any(&s.Person)
	if p.Action == staff.ChangeOffice {
		into, s.Path = &s.Office, Base+"/offices/proposals/"+p.ID
	}
	if err := json.Unmarshal(p.Payload, into); err != nil {
		return s, fmt.Errorf("console: the payload of proposal %s is damaged", p.ID)
	}
	who, err := c.cfg.Desk.Operator(ctx, p.Requester)
	if errors.Is(err, staff.ErrNoOperator) {
		who.Name, err = p.Requester, nil
	}
	s.Requester = who.Name
	if err != nil || s.Person.Office == "" {
		return s, away("people", err)
	}
	offices, err := c.cfg.Desk.Offices(ctx)
	s.OfficeName = officeNamed(offices, s.Person.Office)
	return s, away("people", err)
}

// waiting are the proposals of a kind that are not carried out yet.
func (c *Console) waiting(r *request, office string, a staff.Action) ([]shown, error) {
	all, err := c.cfg.Desk.Proposals(r.Context(), office, []staff.State{staff.Proposed, staff.Approved}, a)
	if err != nil {
		return nil, away("people", err)
	}
	var out []shown
	for _, p := range all {
		if !c.now().Before(p.Expires) {
			continue
		}
		s, err := c.show(r.Context(), p)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (c *Console) newPerson(w http.ResponseWriter, r *request) error {
	return c.personForm(w, r, blank("office", r.Operator.Office))
}

// personForm draws the form for somebody new.
func (c *Console) personForm(w http.ResponseWriter, r *request, f *form) error {
	offices, err := c.cfg.Desk.Offices(r.Context())
	if err != nil {
		return away("people", err)
	}
	var choices []option
	for _, o := range offices {
		if sees(r.Operator, o.ID) {
			choices = append(choices, option{Value: o.ID, Label: o.Name})
		}
	}
	return c.renderForm(w, r, http.StatusOK, "person_new", f, struct{ Offices, Roles []option }{choices, roleOptions(r)})
}

// roleOptions are the roles that the operator can propose.
func roleOptions(r *request) []option {
	var all []option
	for _, role := range staff.Roles() {
		if mayGrant(r.Operator, []staff.Role{role}) {
			key := "staff.role." + string(role)
			all = append(all, option{Value: string(role), Label: r.Lang.Text(key, nil), Hint: r.Lang.Text(key+".hint", nil)})
		}
	}
	return all
}

// readRoles reads the boxes.
func readRoles(r *request, f *form) []staff.Role {
	var roles []staff.Role
	for _, v := range f.All("roles") {
		roles = append(roles, staff.Role(v))
	}
	roles, err := staff.CheckRoles(roles)
	if err != nil || !mayGrant(r.Operator, roles) {
		f.fail("roles", "staff.form.roles")
		return nil
	}
	return roles
}

// proposePerson proposes to invite somebody.
func (c *Console) proposePerson(w http.ResponseWriter, r *request) error {
	f, err := r.readForm()
	if err != nil {
		return err
	}
	change := personChange{Kind: changeInvite, Operator: staff.NewID("op"), Name: f.text("name", staff.MaxName), Office: f.Get("office"), Roles: readRoles(r, f)}
	if change.Name, err = staff.CheckName(change.Name); err != nil && f.mistake("name") == nil {
		f.fail("name", "staff.form.name")
	}
	if _, err := c.cfg.Desk.Office(r.Context(), change.Office); err != nil || !sees(r.Operator, change.Office) {
		f.fail("office", "console.form.choose")
	}
	if !f.OK() {
		return c.personForm(w, r, f)
	}
	return c.proposeChange(w, r, change)
}

// proposeChange stores a proposal about a person.
func (c *Console) proposeChange(w http.ResponseWriter, r *request, change personChange) error {
	payload, err := json.Marshal(change)
	if err != nil {
		return err
	}
	return c.propose(w, r, staff.ChangePerson, change.Operator, change.Office, payload)
}

// propose stores a proposal and shows it.
func (c *Console) propose(w http.ResponseWriter, r *request, a staff.Action, subject, office string, payload []byte) error {
	p, err := staff.Propose(a, subject, payload, r.Operator, c.now())
	if err != nil {
		return err
	}
	p.Office = office
	err = c.act(r, deed{Action: r.route.Action, Subject: p.ID, Digest: p.Digest}, func(ctx context.Context) error {
		return away("people", c.cfg.Desk.SaveProposal(ctx, p))
	})
	if err != nil {
		return err
	}
	part := "/people"
	if a == staff.ChangeOffice {
		part = "/offices"
	}
	return c.seeOther(w, r, part+"/proposals/"+p.ID, "staff.proposal.made")
}

// subject is the operator that a request is about, of an office that the operator
// looks after.
func (c *Console) subject(r *request) (staff.Operator, error) {
	op, err := c.cfg.Desk.Operator(r.Context(), r.PathValue("operator"))
	if errors.Is(err, staff.ErrNoOperator) || err == nil && !sees(r.Operator, op.Office) {
		return op, errNotFound
	}
	return op, away("people", err)
}

func (c *Console) person(w http.ResponseWriter, r *request) error {
	op, err := c.subject(r)
	if err != nil {
		return err
	}
	roles := blank("office", op.Office)
	for _, role := range op.Roles {
		roles.values.Add("roles", string(role))
	}
	return c.personPage(w, r, op, roles)
}

func (c *Console) personPage(w http.ResponseWriter, r *request, op staff.Operator, f *form) error {
	office, err := c.cfg.Desk.Office(r.Context(), op.Office)
	if err != nil {
		return away("people", err)
	}
	keys, err := c.cfg.Desk.Passkeys(r.Context(), op.ID)
	if err != nil {
		return away("people", err)
	}
	return c.renderForm(w, r, http.StatusOK, "person", f, struct {
		Person   staff.Operator
		Office   staff.Office
		Roles    []option
		Passkeys int
		Self     bool
	}{op, office, roleOptions(r), len(keys), op.ID == r.Operator.ID})
}

// proposeRoles proposes other roles for somebody.
func (c *Console) proposeRoles(w http.ResponseWriter, r *request) error {
	op, err := c.subject(r)
	if err != nil {
		return err
	}
	f, err := r.readForm()
	if err != nil {
		return err
	}
	roles := readRoles(r, f)
	if !f.OK() {
		return c.personPage(w, r, op, f)
	}
	if op.Standing == staff.Left || !mayGrant(r.Operator, op.Roles) {
		return staff.ErrMayNot
	}
	return c.proposeChange(w, r, personChange{Kind: changeRoles, Operator: op.ID, Name: op.Name, Office: op.Office, Roles: roles})
}

// proposeFor proposes a change of somebody with one of these standings that is not
// about roles.
func (c *Console) proposeFor(kind string, standings ...staff.Standing) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		op, err := c.subject(r)
		if err != nil {
			return err
		}
		// Nobody asks to be recovered: who can sign in needs it not.
		if !slices.Contains(standings, op.Standing) || !mayGrant(r.Operator, op.Roles) || op.ID == r.Operator.ID {
			return staff.ErrMayNot
		}
		return c.proposeChange(w, r, personChange{Kind: kind, Operator: op.ID, Name: op.Name, Office: op.Office, Roles: op.Roles})
	}
}

// keepOut suspends somebody, or for good. It only takes away, so one is enough.
func (c *Console) keepOut(to staff.Standing) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		op, err := c.subject(r)
		if err != nil {
			return err
		}
		if op.ID == r.Operator.ID || !mayGrant(r.Operator, op.Roles) {
			return staff.ErrMayNot
		}
		err = c.act(r, deed{Action: staff.SuspendPerson, Subject: op.ID}, func(ctx context.Context) error {
			return c.cfg.Desk.SetStanding(ctx, op.ID, to)
		})
		if err != nil {
			return err
		}
		return c.seeOther(w, r, "/people/"+op.ID, "staff.person.kept_out")
	}
}

// proposal finds the proposal of a request, if it is of this kind and the operator
// looks after its office.
func (c *Console) proposal(r *request, a staff.Action) (shown, error) {
	p, err := c.cfg.Desk.Proposal(r.Context(), r.PathValue("proposal"))
	if errors.Is(err, staff.ErrNoProposal) || err == nil && (p.Action != a || !sees(r.Operator, p.Office)) {
		return shown{}, staff.ErrNoProposal
	}
	if err != nil {
		return shown{}, away("people", err)
	}
	return c.show(r.Context(), p)
}

func (c *Console) proposalPage(a staff.Action) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		s, err := c.proposal(r, a)
		if err != nil {
			return err
		}
		return c.render(w, r, http.StatusOK, "proposal", c.proposalView(r, s))
	}
}

// proposalView is what the page of a proposal shows.
type proposalView struct {
	shown
	Was               staff.Operator // the person as they are
	MayApprove, MayDo bool
	MayClose, TooLate bool
	Own               bool
	Link              string
	Until             staff.Invitation
}

func (c *Console) proposalView(r *request, s shown) proposalView {
	v := proposalView{shown: s, Own: s.Proposal.Requester == r.Operator.ID, TooLate: !c.now().Before(s.Expires)}
	if s.Action == staff.ChangePerson {
		if op, err := c.cfg.Desk.Operator(r.Context(), s.Person.Operator); err == nil {
			v.Was = op
		}
	}
	grant := s.Action != staff.ChangePerson || mayGrant(r.Operator, s.Person.Roles)
	v.MayApprove = grant && s.CheckApprove(r.Operator, s.Digest, c.now()) == nil
	v.MayDo = grant && s.CheckUse(r.Operator, s.Action, s.Digest, c.now()) == nil
	v.MayClose = s.CheckClose(r.Operator) == nil && !v.TooLate
	return v
}

// agreeProposal is the agreement of a second person with exactly what was shown.
func (c *Console) agreeProposal(a staff.Action) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		s, err := c.proposal(r, a)
		if err != nil {
			return err
		}
		f, err := r.readForm()
		if err != nil {
			return err
		}
		var digest [sha256.Size]byte
		if b, err := hex.DecodeString(f.Get("shown")); err == nil && len(b) == len(digest) {
			copy(digest[:], b)
		}
		if a == staff.ChangePerson && !mayGrant(r.Operator, s.Person.Roles) {
			return staff.ErrMayNot
		}
		if err := s.CheckApprove(r.Operator, digest, c.now()); err != nil {
			return err
		}
		err = c.act(r, deed{Action: r.route.Action, Subject: s.ID, Digest: digest}, func(ctx context.Context) error {
			_, err := c.cfg.Desk.Approve(ctx, s.ID, digest, r.Operator, c.now())
			return err
		})
		if err != nil {
			return err
		}
		return c.seeOther(w, r, strings.TrimPrefix(s.Path, Base), "staff.proposal.agreed")
	}
}

// refuseProposal ends a proposal.
func (c *Console) refuseProposal(a staff.Action) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		s, err := c.proposal(r, a)
		if err != nil {
			return err
		}
		err = c.act(r, deed{Action: r.route.Action, Subject: s.ID}, func(ctx context.Context) error {
			return c.cfg.Desk.CloseProposal(ctx, s.ID, r.Operator, c.now())
		})
		if err != nil {
			return err
		}
		return c.seeOther(w, r, strings.TrimPrefix(s.Path, Base), "staff.proposal.closed")
	}
}

// use takes an approved proposal and does it.
func (c *Console) use(r *request, s shown, do func(ctx context.Context) error) error {
	if s.Action == staff.ChangePerson && !mayGrant(r.Operator, s.Person.Roles) {
		return staff.ErrMayNot
	}
	if err := s.CheckUse(r.Operator, s.Action, s.Digest, c.now()); err != nil {
		return err
	}
	subject := s.ID
	if s.Action == staff.ChangePerson { // a restore has to know who it was, and the proposal may be lost
		subject += "/" + s.Person.Operator
	}
	return c.act(r, deed{Action: s.Action, Subject: subject, Digest: s.Digest}, func(ctx context.Context) error {
		if _, err := c.cfg.Desk.UseProposal(ctx, s.ID, s.Action, s.Digest, r.Operator, c.now()); err != nil {
			return err
		}
		return do(ctx)
	})
}

// changePerson carries a proposal about a person out. A link is shown once.
func (c *Console) changePerson(w http.ResponseWriter, r *request) error {
	s, err := c.proposal(r, staff.ChangePerson)
	if err != nil {
		return err
	}
	change := s.Person
	kind := staff.InviteLink
	if change.Kind == changeRecover {
		op, err := c.cfg.Desk.Operator(r.Context(), change.Operator)
		if err != nil {
			return away("people", err)
		}
		if op.Standing == staff.Active {
			kind = staff.RecoverLink
		}
	}
	secret, link := staff.NewInvitation(kind, c.now())
	err = c.use(r, s, func(ctx context.Context) error {
		switch change.Kind {
		case changeInvite:
			op := staff.Operator{ID: change.Operator, Name: change.Name, Office: change.Office, Roles: change.Roles, Made: c.now()}
			return c.cfg.Desk.Invite(ctx, op, link)
		case changeRecover:
			return c.cfg.Desk.Relink(ctx, change.Operator, link)
		case changeRoles:
			return c.cfg.Desk.SetRoles(ctx, change.Operator, change.Office, change.Roles)
		case changeResume:
			return c.cfg.Desk.SetStanding(ctx, change.Operator, staff.Active)
		}
		return fmt.Errorf("console: a proposal of kind %.20q", change.Kind)
	})
	if err != nil {
		return err
	}
	if change.Kind != changeInvite && change.Kind != changeRecover {
		return c.seeOther(w, r, "/people/"+change.Operator, "staff.proposal.done")
	}
	s.State = staff.Done
	v := c.proposalView(r, s)
	v.Link, v.Until = c.cfg.Origin+Base+"/invitation/"+secret, link
	return c.render(w, r, http.StatusOK, "proposal", v)
}
