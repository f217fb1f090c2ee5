package staff_test

import (
	"slices"
	"testing"

	"github.com/sanad-id/sanad/staff"
)

// TestTable: what the table says holds together.
func TestTable(t *testing.T) {
	seen := map[staff.Action]bool{}
	for _, r := range staff.Rules() {
		if seen[r.Action] {
			t.Errorf("%s stands twice in the table", r.Action)
		}
		seen[r.Action] = true
		for _, role := range r.Roles {
			if !slices.Contains(staff.Roles(), role) {
				t.Errorf("%s: no role %q", r.Action, role)
			}
		}
		if len(r.Roles) == 0 && r.Action != staff.Visit && r.Action != staff.Account {
			t.Errorf("%s is open to everybody", r.Action)
		}
		if r.Second == "" {
			continue
		}
		second, ok := staff.RuleFor(r.Second)
		switch {
		case !ok:
			t.Errorf("%s needs %s, which nobody may", r.Action, r.Second)
		case !slices.Equal(second.States, []staff.State{staff.Proposed}) || !second.Fresh || !second.Changes:
			t.Errorf("%s: to agree is possible once, with the passkey, and noted", r.Second)
		case !r.Fresh || !r.Changes || !slices.Contains(r.States, staff.Approved):
			t.Errorf("%s: what needs two people needs the passkey, is noted and follows their agreement", r.Action)
		case !r.Optional && !slices.Equal(r.States, []staff.State{staff.Approved}):
			t.Errorf("P24 %s can be done without a second person, in %v", r.Action, r.States)
		}
	}
}

// TestDenyByDefault: what nobody wrote down nobody may do.
func TestDenyByDefault(t *testing.T) {
	everything := staff.Operator{ID: "op-a", Standing: staff.Active, Roles: staff.Roles()}
	for _, a := range []staff.Action{"", "issue.", "people", "ISSUE"} {
		if everything.MayEver(a) {
			t.Errorf("somebody may %q", a)
		}
	}
	for _, standing := range []staff.Standing{"", staff.Invited, staff.Suspended, staff.Left} {
		op := everything
		op.Standing = standing
		for _, r := range staff.Rules() {
			if r.Action != staff.Visit && op.MayEver(r.Action) {
				t.Errorf("somebody who is %q may %s", standing, r.Action)
			}
		}
	}
	nobody := staff.Operator{ID: "op-b", Standing: staff.Active}
	for _, r := range staff.Rules() {
		if len(r.Roles) > 0 && nobody.MayEver(r.Action) {
			t.Errorf("somebody without a role may %s", r.Action)
		}
	}
}

// TestRolesStayApart: those who look after people and keys see no records, and those
// who audit change nothing.
func TestRolesStayApart(t *testing.T) {
	administrator := staff.Operator{ID: "op-a", Standing: staff.Active, Roles: []staff.Role{staff.Administrator}}
	for _, a := range []staff.Action{staff.Search, staff.ViewRecord, staff.ViewQueue, staff.Issue, staff.ApproveIssue, staff.Print, staff.ViewBatch, staff.Revoke} {
		if administrator.MayEver(a) {
			t.Errorf("an administrator may %s", a)
		}
	}
	auditor := staff.Operator{ID: "op-b", Standing: staff.Active, Roles: []staff.Role{staff.Auditor}}
	for _, r := range staff.Rules() {
		if r.Changes && r.Action != staff.ExportFigures && auditor.MayEver(r.Action) {
			t.Errorf("an auditor may %s", r.Action)
		}
	}
	for _, bad := range [][]staff.Role{nil, {"king"}, {staff.Administrator, staff.Clerk}, {staff.Auditor, staff.Head}, {staff.Clerk, staff.Clerk}} {
		if _, err := staff.CheckRoles(bad); err == nil {
			t.Errorf("the roles %v go together", bad)
		}
	}
	got, err := staff.CheckRoles([]staff.Role{staff.Head, staff.Clerk})
	if err != nil || !slices.Equal(got, []staff.Role{staff.Clerk, staff.Head}) {
		t.Errorf("CheckRoles: %v, %v", got, err)
	}
}
