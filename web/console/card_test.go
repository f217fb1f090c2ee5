package console_test

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

var cardCode = regexp.MustCompile(`[0-9A-Z]{5}(-[0-9A-Z]{5}){4}`)

// TestRestoreCard makes, replaces and ends a restore card. Its code is shown once, and is
// nowhere else.
func TestRestoreCard(t *testing.T) {
	b := newBed(t)
	head := b.as("north", staff.Head)
	make := func() staff.CardCode {
		t.Helper()
		a := head.post("/account/restore-card")
		code, err := staff.ParseCardCode(cardCode.FindString(a.body))
		if a.status != http.StatusOK || err != nil || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("make a card: %d %q, %v", a.status, a.header.Get("Cache-Control"), err)
		}
		return code
	}
	check := func(code staff.CardCode) error {
		_, _, err := b.desk.CheckRestoreCard(t.Context(), code, 1)
		return err
	}
	if a := head.get("/account/restore-card"); a.status != http.StatusOK || strings.Contains(a.body, "/restore-card/end") {
		t.Errorf("without a card: %d", a.status)
	}
	first := make()
	if a := head.get("/account/restore-card"); cardCode.MatchString(a.body) || !strings.Contains(a.body, "/restore-card/end") {
		t.Error("the code is shown again, or the card cannot be ended")
	}
	second := make()
	if err := check(first); !errors.Is(err, staff.ErrCard) {
		t.Errorf("a card that was replaced: %v", err)
	}
	if err := check(second); err != nil {
		t.Errorf("the card: %v", err)
	}
	if a := head.post("/account/restore-card/end"); a.status != http.StatusSeeOther {
		t.Errorf("end the card: %d", a.status)
	}
	if err := check(second); !errors.Is(err, staff.ErrCard) {
		t.Errorf("a card that was ended: %v", err)
	}
	if a := head.post("/account/restore-card/end"); a.status != http.StatusNotFound {
		t.Errorf("end no card: %d", a.status)
	}
	b.audit.fail(errors.New("no audit log"))
	if a := head.post("/account/restore-card"); a.status != http.StatusServiceUnavailable {
		t.Errorf("P08 without audit log: %d", a.status)
	}
	if _, err := b.desk.RestoreCard(t.Context(), head.Operator.ID); !errors.Is(err, desk.ErrNone) {
		t.Errorf("P08 a card that is not in the audit log: %v", err)
	}
	var actions []string
	for _, n := range b.audit.all() {
		if n.Subject != head.Operator.ID {
			t.Errorf("a note about %s", n.Subject)
		}
		actions = append(actions, n.Action)
	}
	if got := strings.Join(actions, " "); got != "restore.card restore.card restore.card restore.card restore.card_ended restore.card_ended restore.card_ended restore.card_ended" {
		t.Errorf("the audit log has %s", got)
	}
	if cardCode.MatchString(b.log.String()) {
		t.Error("P22 a code in the log")
	}
}
