package issuance_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
)

// TestOutlook: what the next publication will tell verifiers is what they are told by
// it, credential by credential, and then there is nothing left to tell.
func TestOutlook(t *testing.T) {
	o := officetest.New(t, officetest.Options{})
	look := func(most int) issuance.Outlook {
		t.Helper()
		got, err := o.Service.Outlook(t.Context(), most)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := look(10); got.Version != 0 || len(got.Lists) != 0 || len(got.Changes) != 0 {
		t.Errorf("of a new office: %+v", got)
	}
	a, b, c := o.Issue("farmer-card", 1), o.Issue("farmer-card", 2), o.Issue("farmer-card", 3)
	suspend := func(id string) {
		if _, err := o.Service.Suspend(t.Context(), id, issuance.Investigation, "tester"); err != nil {
			t.Fatal(err)
		}
	}
	suspend(c.ID)
	bundle := o.Publish()
	if got := look(10); got.Version != bundle.Version || !got.IssuedAt.Equal(o.Clock.Now()) || len(got.Changes) != 0 || got.RefreshBy.IsZero() {
		t.Errorf("after a publication: %+v", got)
	}
	o.Revoke(a.ID)
	suspend(b.ID)
	if _, err := o.Service.Resume(t.Context(), c.ID, "tester"); err != nil {
		t.Fatal(err)
	}
	got := look(10)
	var said []string
	for _, x := range got.Changes {
		said = append(said, fmt.Sprint(x.Credential == a.ID, x.Credential == b.ID, x.Credential == c.ID, " ", x.Form, " ", x.Before, " ", x.After))
	}
	slices.Sort(said)
	want := []string{
		fmt.Sprint(true, false, false, " qr active revoked"), fmt.Sprint(true, false, false, " strip active revoked"),
		fmt.Sprint(false, true, false, " qr active suspended"), fmt.Sprint(false, true, false, " strip active suspended"),
		fmt.Sprint(false, false, true, " qr suspended active"), fmt.Sprint(false, false, true, " strip suspended active"),
	}
	slices.Sort(want)
	if !slices.Equal(said, want) {
		t.Errorf("the next publication says\n%q, want\n%q", said, want)
	}
	news := 0
	for _, l := range got.Lists {
		news += l.News
		if l.TokenNumber == 0 || l.TokenAt.IsZero() {
			t.Errorf("list %s: %+v", l.URI, l)
		}
	}
	if news != 6 {
		t.Errorf("%d news, want 6", news)
	}
	if few := look(2); len(few.Changes) != 2 || few.More != 4 {
		t.Errorf("two of them: %d and %d more", len(few.Changes), few.More)
	}
	o.Publish()
	if got := look(10); len(got.Changes) != 0 {
		t.Errorf("after the next publication there is still to be told: %+v", got.Changes)
	}
}

func TestProgrammeVersions(t *testing.T) {
	o := officetest.New(t, officetest.Options{})
	if _, err := o.Service.AddProgramme(t.Context(), []byte(officetest.CardTwo()), "tester"); err != nil {
		t.Fatal(err)
	}
	rows, err := o.Service.ProgrammeVersions(t.Context(), "farmer-card")
	if err != nil || len(rows) != 2 || rows[0].Version != 1 || rows[1].Version != 2 || string(rows[1].Text) != officetest.CardTwo() {
		t.Errorf("%+v, %v", rows, err)
	}
	if _, err := o.Service.ProgrammeVersions(t.Context(), "nothing"); !errors.Is(err, issuance.ErrNoProgramme) {
		t.Errorf("a programme that is not there: %v", err)
	}
}
