package console_test

import (
	"errors"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

// TestLackingCards: heads and administrators see on the first page and on the overview
// that no two people could confirm a restore, and what to do; others do not, and nobody
// once there are cards enough.
func TestLackingCards(t *testing.T) {
	b := newManaged(t).s.bed
	clerk, head, other, admin := b.as("north", staff.Clerk), b.as("north", staff.Head), b.as("south", staff.Head), b.as("north", staff.Administrator)
	en := i18n.For("en")
	shows := func(w *browser, name string, keys ...string) {
		t.Helper()
		for _, path := range []string{"/", "/overview"} {
			if path == "/overview" && w == clerk {
				continue // not a clerk's page
			}
			body := html.UnescapeString(w.get(path).body)
			for _, key := range []string{"lack", "lack_administrator", "ask", "make", "backup"} {
				key = "staff.card." + key
				if got, want := strings.Contains(body, en.Text(key, nil)), slices.Contains(keys, key); got != want {
					t.Errorf("%s, %s: %s is shown %t, want %t", name, path, key, got, want)
				}
			}
		}
	}
	const lack, administrator, ask, make, backup = "staff.card.lack", "staff.card.lack_administrator", "staff.card.ask", "staff.card.make", "staff.card.backup"
	shows(clerk, "a clerk")
	shows(head, "a head without a card", lack, make, backup)
	head.post("/account/restore-card")
	shows(head, "a head with the only card", lack, ask, backup)
	shows(admin, "an administrator without one", lack, make, backup)
	other.post("/account/restore-card")
	shows(other, "two heads with cards", administrator, ask, backup)
	shows(admin, "an administrator who lacks", administrator, make, backup)
	admin.post("/account/restore-card")
	shows(admin, "cards enough")
	shows(head, "cards enough")
	admin.post("/account/restore-card/end")
	shows(head, "a card that was ended", administrator, ask, backup)
}

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
