package staff

import "slices"

// A Role is what a person is there for. Nobody has a right but through a role.
type Role string

// The roles.
const (
	// Clerk prepares: finds records, checks them, asks for approval, prints.
	Clerk Role = "clerk"
	// Approver is the second person for what clerks ask.
	Approver Role = "approver"
	// Head leads an office: approves, and sees its overview and its people.
	Head Role = "head"
	// Auditor reads everything of an office and changes nothing.
	Auditor Role = "auditor"
	// Administrator looks after people, programmes, trust and keys, and sees no records.
	Administrator Role = "administrator"
)

// Roles are all roles, in the order in which pages list them.
func Roles() []Role { return []Role{Clerk, Approver, Head, Auditor, Administrator} }

// A State is that of the subject of an action.
type State string

// The states.
const (
	// None is the state of what has none, such as a page.
	None State = ""
	// Open: made, and nobody has decided anything.
	Open State = "open"
	// Proposed: waits for a second person.
	Proposed State = "proposed"
	// Approved: a second person agreed; it can be carried out once.
	Approved State = "approved"
	// Waiting: carried out soon, and can be undone until then.
	Waiting State = "waiting"
	// Running: being carried out.
	Running State = "running"
	// Done: carried out.
	Done State = "done"
	// Closed: refused, withdrawn, undone or too late.
	Closed State = "closed"
)

// States are all states.
func States() []State { return []State{None, Open, Proposed, Approved, Waiting, Running, Done, Closed} }

// An Action is what an operator may or may not do. Each route of the console names one.
type Action string

// Actions of everybody.
const (
	// Visit is for whoever comes: signing in, using an invitation, static files.
	Visit Action = "visit"
	// Account is an operator's own: passkeys, language, signing out, the first page.
	Account Action = "account"
)

// Actions on records and certificates.
const (
	ViewQueue    Action = "queue.view"
	Search       Action = "record.search"
	ViewRecord   Action = "record.view"
	CheckRecord  Action = "record.check"
	ProposeIssue Action = "issue.propose"
	ApproveIssue Action = "issue.approve"
	Issue        Action = "issue"
	Print        Action = "print"
	Offer        Action = "offer"
	Revoke       Action = "revoke"
	Suspend      Action = "suspend"
	Resume       Action = "resume"
	Supersede    Action = "supersede"
	// UndoChange takes back a change that waits.
	UndoChange Action = "change.undo"
	// ChangeNow does not let it wait.
	ChangeNow      Action = "change.now"
	ProposeRevokes Action = "revoke_many.propose"
	ApproveRevokes Action = "revoke_many.approve"
	RevokeMany     Action = "revoke_many"
	SolveProblem   Action = "problem.solve"
)

// Actions on batches.
const (
	ViewBatch     Action = "batch.view"
	ProposeBatch  Action = "batch.propose"
	ApproveBatch  Action = "batch.approve"
	RunBatch      Action = "batch.run"
	DownloadBatch Action = "batch.download"
)

// Actions on what an office works with.
const (
	ViewProgramme    Action = "programme.view"
	ProposeProgramme Action = "programme.propose"
	ApproveProgramme Action = "programme.approve"
	ChangeProgramme  Action = "programme.change"
	ViewSource       Action = "source.view"
	CheckSource      Action = "source.check"
	ViewTrust        Action = "trust.view"
	PublishTrust     Action = "trust.publish"
	ViewKeys         Action = "keys.view"
	ProposeKeys      Action = "keys.propose"
	ApproveKeys      Action = "keys.approve"
	ChangeKeys       Action = "keys.change"
	ProposeRestore   Action = "restore.propose"
	ApproveRestore   Action = "restore.approve"
	Restore          Action = "restore"
	// HoldCard is to have a card by which one agrees to a restore.
	HoldCard      Action = "restore.card"
	ViewOverview  Action = "overview.view"
	ExportFigures Action = "overview.export"
	ViewAudit     Action = "audit.view"
)

// Actions on people.
const (
	ViewPeople    Action = "people.view"
	ProposePerson Action = "people.propose"
	ApprovePerson Action = "people.approve"
	ChangePerson  Action = "people.change"
	// SuspendPerson is done by one person alone: it only takes away.
	SuspendPerson Action = "people.suspend"
	ViewOffices   Action = "offices.view"
	// ProposeOffice and the next change what an office sees.
	ProposeOffice Action = "offices.propose"
	ApproveOffice Action = "offices.approve"
	ChangeOffice  Action = "offices.change"
)

// A Rule is one row of the table.
type Rule struct {
	Action Action
	// Roles that may. Without one everybody who is signed in may, and for [Visit]
	// everybody.
	Roles []Role
	// States of the subject in which it can be done. Without one only [None].
	States []State
	// Fresh needs the passkey anew: signing, revoking, key work, people.
	Fresh bool
	// Second names the action of the second person that must have agreed, "" if one
	// person is enough. Programmes may ask for less where [Rule.Optional] is set.
	Second Action
	// Optional: settings or the programme say whether a second person is needed.
	Optional bool
	// Changes something, so it stands in the audit log before it is done.
	Changes bool
}

var (
	deskRoles = []Role{Clerk, Approver, Head}
	seeing    = []Role{Clerk, Approver, Head, Auditor}
	deciding  = []Role{Approver, Head}
	office    = []Role{Head, Administrator}
	setting   = []Role{Head, Auditor, Administrator}
	admin     = []Role{Administrator}
	anyState  = States()
)

// rules is the table. There is no other place that says who may do what.
var rules = []Rule{
	{Action: Visit},
	{Action: Account},

	{Action: ViewQueue, Roles: seeing, States: anyState},
	{Action: Search, Roles: seeing},
	{Action: ViewRecord, Roles: seeing, States: anyState},
	{Action: CheckRecord, Roles: deskRoles, States: []State{Open}, Changes: true},
	{Action: ProposeIssue, Roles: deskRoles, States: []State{None, Open}, Changes: true},
	{Action: ApproveIssue, Roles: deciding, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: Issue, Roles: deskRoles, States: []State{Open, Approved}, Fresh: true, Second: ApproveIssue, Optional: true, Changes: true},
	{Action: Print, Roles: deskRoles, States: []State{Done}, Changes: true},
	{Action: Offer, Roles: deskRoles, States: []State{Done}, Changes: true},
	{Action: Revoke, Roles: deskRoles, States: []State{Done}, Fresh: true, Changes: true},
	{Action: Suspend, Roles: deskRoles, States: []State{Done}, Fresh: true, Changes: true},
	{Action: Resume, Roles: deciding, States: []State{Done}, Fresh: true, Changes: true},
	{Action: Supersede, Roles: deskRoles, States: []State{Open, Approved, Done}, Fresh: true, Second: ApproveIssue, Optional: true, Changes: true},
	{Action: UndoChange, Roles: deskRoles, States: []State{Waiting}, Changes: true},
	{Action: ChangeNow, Roles: deciding, States: []State{Waiting}, Fresh: true, Changes: true},
	{Action: ProposeRevokes, Roles: deskRoles, States: []State{None, Open}, Fresh: true, Changes: true},
	{Action: ApproveRevokes, Roles: deciding, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: RevokeMany, Roles: deskRoles, States: []State{Approved}, Fresh: true, Second: ApproveRevokes, Changes: true},
	{Action: SolveProblem, Roles: deskRoles, States: []State{Open}, Changes: true},

	{Action: ViewBatch, Roles: seeing, States: anyState},
	{Action: ProposeBatch, Roles: deskRoles, States: []State{None, Open}, Changes: true},
	{Action: ApproveBatch, Roles: deciding, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: RunBatch, Roles: deskRoles, States: []State{Open, Approved, Running}, Fresh: true, Second: ApproveBatch, Optional: true, Changes: true},
	{Action: DownloadBatch, Roles: deskRoles, States: []State{Open, Proposed, Approved, Running, Done}, Changes: true},

	{Action: ViewProgramme, Roles: Roles(), States: anyState},
	{Action: ProposeProgramme, Roles: admin, States: []State{None, Open}, Changes: true},
	{Action: ApproveProgramme, Roles: office, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: ChangeProgramme, Roles: admin, States: []State{Approved}, Fresh: true, Second: ApproveProgramme, Changes: true},
	{Action: ViewSource, Roles: setting, States: anyState},
	{Action: CheckSource, Roles: office, Changes: true},
	{Action: ViewTrust, Roles: setting, States: anyState},
	{Action: PublishTrust, Roles: admin, Fresh: true, Changes: true},
	{Action: ViewKeys, Roles: setting, States: anyState},
	{Action: ProposeKeys, Roles: admin, States: []State{None, Open}, Fresh: true, Changes: true},
	{Action: ApproveKeys, Roles: office, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: ChangeKeys, Roles: admin, States: []State{Approved}, Fresh: true, Second: ApproveKeys, Changes: true},
	{Action: ProposeRestore, Roles: admin, States: []State{None, Open}, Fresh: true, Changes: true},
	{Action: ApproveRestore, Roles: office, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: Restore, Roles: admin, States: []State{Approved}, Fresh: true, Second: ApproveRestore, Changes: true},
	{Action: HoldCard, Roles: office, Fresh: true, Changes: true},
	{Action: ViewOverview, Roles: setting},
	{Action: ExportFigures, Roles: setting, Changes: true},
	{Action: ViewAudit, Roles: setting, States: anyState},

	{Action: ViewPeople, Roles: setting, States: anyState},
	{Action: ProposePerson, Roles: office, States: []State{None, Open, Done}, Fresh: true, Changes: true},
	{Action: ApprovePerson, Roles: office, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: ChangePerson, Roles: office, States: []State{Approved}, Fresh: true, Second: ApprovePerson, Changes: true},
	{Action: SuspendPerson, Roles: office, States: []State{Open, Done}, Fresh: true, Changes: true},
	{Action: ViewOffices, Roles: setting, States: anyState},
	{Action: ProposeOffice, Roles: admin, States: []State{None, Open, Done}, Fresh: true, Changes: true},
	{Action: ApproveOffice, Roles: office, States: []State{Proposed}, Fresh: true, Changes: true},
	{Action: ChangeOffice, Roles: admin, States: []State{Approved}, Fresh: true, Second: ApproveOffice, Changes: true},
}

// Rules are the table, a copy of it.
func Rules() []Rule {
	all := slices.Clone(rules)
	for i := range all {
		all[i].Roles, all[i].States = slices.Clone(all[i].Roles), slices.Clone(all[i].States)
	}
	return all
}

// RuleFor returns the row of an action. It is false for what is not in the table, which
// nobody may do.
func RuleFor(a Action) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Action == a })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// in reports whether the action can be done to something in this state.
func (r Rule) in(s State) bool {
	if len(r.States) == 0 {
		return s == None
	}
	return slices.Contains(r.States, s)
}

// by reports whether one of the roles may.
func (r Rule) by(roles []Role) bool {
	return len(r.Roles) == 0 || slices.ContainsFunc(roles, func(role Role) bool { return slices.Contains(r.Roles, role) })
}
