package staff_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/staff"
)

const cardLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// TestRestoreCard: a code is taken as people type it, and any one character that is wrong,
// and any two that changed places, are noticed before a card is looked for.
func TestRestoreCard(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 123456789, time.UTC)
	text, card := staff.NewRestoreCard("op-a", now)
	code, err := staff.ParseCardCode(text)
	if err != nil || !card.Matches(code) || code.ID() != card.ID || !strings.HasPrefix(text, card.ID) || !card.Made.Equal(now.Truncate(time.Millisecond)) {
		t.Fatalf("a new card: %v, %v", code, err)
	}
	plain := strings.ReplaceAll(text, "-", "")
	for _, typed := range []string{
		strings.ToLower(text), plain, " " + strings.ReplaceAll(text, "-", " – "), strings.NewReplacer("0", "o", "1", "l").Replace(text), strings.ReplaceAll(text, "1", "I"),
	} {
		if got, err := staff.ParseCardCode(typed); err != nil || got != code {
			t.Errorf("%q: %v, %v", typed, got, err)
		}
	}
	tries := 0
	refuse := func(b []byte) {
		tries++
		if _, err := staff.ParseCardCode(string(b)); !errors.Is(err, staff.ErrCardCode) {
			t.Errorf("%s is taken for %s", b, plain)
		}
	}
	for i := range plain {
		for _, l := range cardLetters {
			b := []byte(plain)
			if b[i] = byte(l); b[i] != plain[i] {
				refuse(b)
			}
		}
		for j := range i {
			b := []byte(plain)
			if b[i], b[j] = b[j], b[i]; b[i] != b[j] {
				refuse(b)
			}
		}
	}
	for _, bad := range []string{"", plain[1:], plain + "0", plain[:24], strings.Repeat("-", 200), strings.Replace(plain, plain[7:8], "U", 1), plain[:24] + "é", plain[:24] + "\x00"} {
		refuse([]byte(bad))
	}
	t.Logf("%d codes with a mistake refused", tries)

	_, other := staff.NewRestoreCard("op-a", now)
	if other.Matches(code) {
		t.Error("a card takes another's code")
	}
	other.ID = card.ID // another issuer's card that is found by the same id
	if other.Matches(code) || (staff.RestoreCard{}).Matches(staff.CardCode{}) {
		t.Error("a card takes another's code")
	}
	if _, err := json.Marshal(code); err == nil {
		t.Error("a code has a JSON form")
	}
	for _, shown := range []string{fmt.Sprint(code), fmt.Sprintf("%#v", code), code.String(), code.LogValue().String()} {
		if strings.Contains(shown, plain[4:]) || !strings.Contains(shown, card.ID) {
			t.Errorf("a code prints as %q", shown)
		}
	}
}

// TestCheckRestore: P24. Who may confirm a restore together; each row spoils one thing.
func TestCheckRestore(t *testing.T) {
	op := func(id string, role staff.Role) staff.Operator {
		return staff.Operator{ID: id, Standing: staff.Active, Roles: []staff.Role{role}}
	}
	suspended := op("op-b", staff.Head)
	suspended.Standing = staff.Suspended
	for _, row := range []struct {
		name string
		a, b staff.Operator
		want error
	}{
		{"two administrators", op("op-a", staff.Administrator), op("op-b", staff.Administrator), nil},
		{"an administrator and a head", op("op-a", staff.Administrator), op("op-b", staff.Head), nil},
		{"a head and an administrator", op("op-a", staff.Head), op("op-b", staff.Administrator), nil},
		{"WA-14 one person twice", op("op-a", staff.Administrator), op("op-a", staff.Administrator), staff.ErrSamePerson},
		{"two heads", op("op-a", staff.Head), op("op-b", staff.Head), staff.ErrNoRestorer},
		{"somebody who approves certificates", op("op-a", staff.Administrator), op("op-b", staff.Approver), staff.ErrMayNot},
		{"an auditor", op("op-a", staff.Auditor), op("op-b", staff.Administrator), staff.ErrMayNot},
		{"somebody suspended", op("op-a", staff.Administrator), suspended, staff.ErrMayNot},
	} {
		if err := staff.CheckRestore(row.a, row.b); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

// TestCheckRestorers: which cards are enough for the bad day.
func TestCheckRestorers(t *testing.T) {
	op := func(id string, role staff.Role) staff.Operator {
		return staff.Operator{ID: id, Standing: staff.Active, Roles: []staff.Role{role}}
	}
	head, other, admin := op("op-a", staff.Head), op("op-b", staff.Head), op("op-c", staff.Administrator)
	suspended := op("op-d", staff.Administrator)
	suspended.Standing = staff.Suspended
	for _, row := range []struct {
		name    string
		holders []staff.Operator
		want    error
	}{
		{"nobody", nil, staff.ErrFewCards},
		{"one administrator", []staff.Operator{admin}, staff.ErrFewCards},
		{"one administrator twice", []staff.Operator{admin, admin}, staff.ErrFewCards},
		{"an administrator, and one who was suspended", []staff.Operator{admin, suspended}, staff.ErrFewCards},
		{"an administrator and an auditor", []staff.Operator{admin, op("op-e", staff.Auditor)}, staff.ErrFewCards},
		{"two heads", []staff.Operator{head, other}, staff.ErrNoRestorer},
		{"two heads and one who was suspended", []staff.Operator{head, suspended, other}, staff.ErrNoRestorer},
		{"a head and an administrator", []staff.Operator{head, admin}, nil},
		{"two heads and an administrator", []staff.Operator{head, other, admin}, nil},
	} {
		if err := staff.CheckRestorers(row.holders); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

// FuzzCardCode: what is taken is 25 letters of a card, and is taken again.
func FuzzCardCode(f *testing.F) {
	text, _ := staff.NewRestoreCard("op-a", time.Unix(0, 0))
	for _, s := range []string{text, strings.ToLower(text), "", "ABCD", "\xff", strings.Repeat("0", 25)} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		code, err := staff.ParseCardCode(s)
		if err != nil {
			if !errors.Is(err, staff.ErrCardCode) || code != (staff.CardCode{}) {
				t.Fatalf("%q: %v, %v", s, code, err)
			}
			return
		}
		kept := strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(s))
		kept = strings.Map(func(r rune) rune {
			if r < 0x80 && strings.ContainsRune(cardLetters, r) {
				return r
			}
			return -1
		}, kept)
		if len(kept) != 25 || code.ID() != kept[:4] {
			t.Fatalf("%q is taken as %q", s, code.ID())
		}
		if again, err := staff.ParseCardCode(kept); err != nil || again != code {
			t.Fatalf("%q is not taken again: %v", kept, err)
		}
	})
}
