package console_test

import (
	"net/http"
	"testing"

	"github.com/sanad-id/sanad/staff"
)

// TestPagesOfPeopleInBrowser judges the pages about people and offices.
func TestPagesOfPeopleInBrowser(t *testing.T) {
	b := newBrowserBed(t)
	clerk := b.person("north", staff.Clerk)
	p, o := b.proposal("north", staff.ChangePerson), b.proposal("north", staff.ChangeOffice)
	page := b.page(staff.Administrator)
	b.judge(page, "people", "/people", http.StatusOK)
	b.judge(page, "invite somebody", "/people/new", http.StatusOK)
	b.judge(page, "a person", "/people/"+clerk.ID, http.StatusOK)
	b.judge(page, "a proposal about a person", "/people/proposals/"+p.ID, http.StatusOK)
	b.judge(page, "offices", "/offices", http.StatusOK)
	b.judge(page, "an office", "/offices/new?office=north", http.StatusOK)
	b.judge(page, "a proposal about an office", "/offices/proposals/"+o.ID, http.StatusOK)
}
