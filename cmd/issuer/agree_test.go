package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/staff"
	people "github.com/sanad-id/sanad/store/desk"
)

// cardOf makes a person of the console with a restore card and returns its code.
func cardOf(t *testing.T, office, name string, role staff.Role) (id, code string) {
	t.Helper()
	id = enrolledAs(t, office, name, role)
	return id, newCard(t, office, id)
}

// newCard makes a restore card as the console does, but for its line in the audit log.
func newCard(t *testing.T, office, id string) (code string) {
	t.Helper()
	db, err := people.Open(t.Context(), filepath.Join(office, deskName), people.Options{})
	if err != nil {
		t.Fatal(err)
	}
	code, card := staff.NewRestoreCard(id, time.Now())
	if err := errors.Join(db.SaveRestoreCard(t.Context(), card), db.Close()); err != nil {
		t.Fatal(err)
	}
	return code
}

// noteOf writes a deed into the audit log of an office as the console does.
func noteOf(t *testing.T, office string, action staff.Action, subject string) {
	t.Helper()
	p := program{Program: cli.Program{Name: "issuer", Now: clock}, dir: office}
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	err := p.withPeople(cmd, func(_ Config, a *app, _ *people.DB) error {
		return a.deed(t.Context(), action, subject, func() error { return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCardWarning: whoever keeps the computer is told while no two people could confirm a
// restore, and no longer.
func TestCardWarning(t *testing.T) {
	office := filepath.Join(t.TempDir(), "office")
	issuer := commands(t)
	issuer(0, "init", office, "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	said := func(want string) {
		t.Helper()
		const cards = "good restore card"
		check, _ := issuer(0, "config", "check", "--dir", office)
		show, _ := issuer(0, "status", "show", "--dir", office)
		for name, out := range map[string]string{"config check": check, "status show": show} {
			if !strings.Contains(out, want) || want == "" && strings.Contains(out, cards) {
				t.Errorf("%s says\n%s\nwant %q about cards", name, out, want)
			}
		}
	}
	admin := enrolledAs(t, office, "Nasrin", staff.Administrator)
	said("") // nobody uses a console
	settings := filepath.Join(office, "issuer.yaml")
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	write(t, settings, string(text)+"\nconsole: {enabled: true}\n")
	said("fewer than two people have a good restore card")
	cardOf(t, office, "Badru", staff.Head)
	said("fewer than two people have a good restore card")
	head, _ := cardOf(t, office, "Chen", staff.Head)
	said("no administrator has a good restore card")
	newCard(t, office, admin)
	said("")
	issuer(0, "staff", "suspend", "--dir", office, head)
	said("")
}

// TestRestoreNeedsTwo: P24. A restore is confirmed with the cards of two people; each row
// spoils one thing and opens nothing. Then it is done, and the cards are used up: for good,
// also where the same backup is restored once more.
func TestRestoreNeedsTwo(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	issuer := commands(t)
	office := in("office")
	issuer(0, "init", office, "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	admin, adminCard := cardOf(t, office, "Nasrin", staff.Administrator)
	head, headCard := cardOf(t, office, "Badru", staff.Head)
	_, secondHead := cardOf(t, office, "Chen", staff.Head)
	gone, goneCard := cardOf(t, office, "Karim", staff.Head)
	changed, changedCard := cardOf(t, office, "Dina", staff.Head)
	renewed, renewedCard := cardOf(t, office, "Esra", staff.Head)
	recovered, recoveredCard := cardOf(t, office, "Femi", staff.Head)
	another := in("another")
	if err := os.Mkdir(another, 0o700); err != nil {
		t.Fatal(err)
	}
	_, strange := cardOf(t, another, "Nobody", staff.Head)
	write(t, in("pass"), "correct horse battery staple\n")
	issuer(0, "backup", "--dir", office, "--out", in("monday.backup"), "--passphrase-file", in("pass"))
	issuer(0, "staff", "suspend", "--dir", office, gone)
	noteOf(t, office, staff.ChangePerson, "pr-aaaaaaaaaaaaaaaa/"+changed)
	noteOf(t, office, "account.enrolled", recovered)
	noteOf(t, office, "account.passkey_added", admin) // which says nothing against anybody
	noteOf(t, office, staff.HoldCard, renewed)
	if err := os.Rename(office, in("gone")); err != nil {
		t.Fatal(err)
	}
	restored := func(to string) {
		issuer(0, "restore", in("monday.backup"), "--dir", to, "--passphrase-file", in("pass"), "--key-passphrase-file", filepath.Join(in("gone"), "secrets", "passphrase"))
	}
	files := 0
	file := func(code string) string {
		files++
		path := in(fmt.Sprint("code", files))
		write(t, path, code+"\n")
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	restored(office)
	confirm := []string{"restore", "confirm", "--dir", office, "--journal", filepath.Join(in("gone"), "journal")}
	shown, _ := issuer(0, append(confirm, "--check")...)
	digest := regexp.MustCompile(`--digest: ([0-9a-f]{64})`).FindStringSubmatch(shown)
	if digest == nil || !strings.Contains(shown, "root ") {
		t.Fatalf("--check: %s", shown)
	}
	wrong := []byte(strings.ReplaceAll(headCard, "-", ""))
	for _, last := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" { // the next code of this card that is well formed
		copy(wrong[4:], "77777777777777777777")
		wrong[24] = byte(last)
		if _, err := staff.ParseCardCode(string(wrong)); err == nil {
			break
		}
	}
	open := file(adminCard)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	with := func(digest string, codes ...string) (args []string) {
		for _, c := range codes {
			args = append(args, "--approval", file(c))
		}
		return append(args, "--digest", digest)
	}
	typed := adminCard[:7] + map[bool]string{true: "X", false: "Y"}[adminCard[7] == 'Y'] + adminCard[8:]
	for _, row := range []struct {
		name string
		args []string
		exit int
		say  string
	}{
		{"nobody", nil, 1, "no terminal to ask"},
		{"malformed", with(digest[1], typed, headCard), 1, "a character of it is wrong"},
		{"wrong code", with(digest[1], adminCard, string(wrong)), 1, "no card that is good here"},
		{"of another issuer", with(digest[1], adminCard, strange), 1, "no card that is good here"},
		{"WA-14 the same card twice", with(digest[1], adminCard, adminCard), 1, "of the same person"},
		{"two heads", with(digest[1], headCard, secondHead), 1, "has to be an administrator"},
		{"suspended since", with(digest[1], adminCard, goneCard), 1, "since the backup"},
		{"other rights since", with(digest[1], adminCard, changedCard), 1, "since the backup"},
		{"recovered since", with(digest[1], adminCard, recoveredCard), 1, "since the backup"},
		{"another card since", with(digest[1], adminCard, renewedCard), 1, "since the backup"},
		{"WA-14 something else was shown", with(strings.Repeat("0", 64), adminCard, headCard), 1, "not what these people were shown"},
		{"a file for all", []string{"--approval", open, "--approval", file(headCard), "--digest", digest[1]}, 1, "others may read"},
		{"one of two", with(digest[1], adminCard), 2, "two people, and what they were shown"},
		{"three", with(digest[1], adminCard, headCard, secondHead), 2, "two people, and what they were shown"},
		{"nothing was shown", with(digest[1], adminCard, headCard)[:4], 2, "two people, and what they were shown"},
		{"alone and two", append(with(digest[1], adminCard, headCard), "--alone", "--reason", "rehearsal"), 2, "one person or two"},
		{"a reason and not alone", []string{"--reason", "rehearsal"}, 2, "one person or two"},
		{"alone for any reason", []string{"--alone", "--reason", "hurry"}, 2, "why alone"},
		{"alone without a console", []string{"--alone", "--reason", "no-console"}, 1, "is not so"},
		{"alone without cards", []string{"--alone", "--reason", "no-cards"}, 1, "is not so"},
	} {
		out, talk := issuer(row.exit, append(append([]string{}, confirm...), row.args...)...)
		if !strings.Contains(talk, row.say) {
			t.Errorf("%s: %s%s", row.name, out, talk)
		}
		for _, code := range []string{adminCard, headCard, strange, typed} {
			if strings.Contains(out+talk, code) {
				t.Errorf("%s: P22 the code is in what is said: %s%s", row.name, out, talk)
			}
		}
	}
	if out, _ := issuer(0, "fsck", "--dir", office); !strings.Contains(out, "takes no work") || !strings.Contains(out, "nothing is wrong") {
		t.Fatalf("something that was refused opened the issuer: %s", out)
	}

	out, _ := issuer(0, append(confirm, with(digest[1], headCard, strings.ToLower(adminCard))...)...)
	if !strings.Contains(out, "confirmed by "+head+" and "+admin) || !strings.Contains(out, "open for work in epoch 2") {
		t.Errorf("confirm: %s", out)
	}
	issuer(0, "audit", "export", "--dir", office, "--out", in("log"))
	log, err := filepath.Glob(in("log") + "/*")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`"digest":"%s","reason":"two_people","detail":"from a backup of `, digest[1])
	if !contain(t, log, want) || !contain(t, log, fmt.Sprintf("agreed by %s/%s %s/%s", head, headCard[:4], admin, adminCard[:4])) {
		t.Error("the audit log does not say who confirmed it, or what")
	}
	db, err := people.Open(t.Context(), filepath.Join(office, deskName), people.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.RestoreCard(t.Context(), renewed); !errors.Is(err, people.ErrNone) {
		t.Errorf("a card that was replaced since is back: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	// The same backup again: its database knows nothing of the cards that were given.
	if err := os.Rename(office, in("gone2")); err != nil {
		t.Fatal(err)
	}
	restored(office)
	confirm[len(confirm)-1] = filepath.Join(in("gone2"), "journal")
	shown, talk := issuer(0, append(confirm, "--check")...)
	digest = regexp.MustCompile(`--digest: ([0-9a-f]{64})`).FindStringSubmatch(shown)
	if digest == nil {
		t.Fatalf("--check: %s%s", shown, talk)
	}
	if out, talk := issuer(1, append(confirm, with(digest[1], adminCard, headCard)...)...); !strings.Contains(talk, "no two of them have cards") {
		t.Errorf("WA-14 cards that were given are taken again: %s%s", out, talk)
	}
	if out, _ := issuer(0, append(confirm, "--alone", "--reason", "no-cards")...); !strings.Contains(out, "confirmed by one person alone: no-cards") {
		t.Errorf("alone: %s", out)
	}
}

// cards makes people with restore cards for a script: cards office NAME:ROLE… writes
// NAME.card.
func cards(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: cards OFFICE NAME:ROLE...")
	}
	db, err := people.Open(context.Background(), filepath.Join(ts.MkAbs(args[0]), deskName), people.Options{})
	ts.Check(err)
	for _, arg := range args[1:] {
		name, role, _ := strings.Cut(arg, ":")
		op, err := enrol(context.Background(), db, name, staff.Role(role))
		ts.Check(err)
		code, card := staff.NewRestoreCard(op.ID, time.Now())
		ts.Check(db.SaveRestoreCard(context.Background(), card))
		ts.Check(os.WriteFile(ts.MkAbs(name+".card"), []byte(code+"\n"), 0o600))
	}
	ts.Check(db.Close())
}

// typed puts what several people type into one file: typed FILE CARD… adds a line of
// each card, and one that is not there as it is.
func typed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: typed FILE CARD...")
	}
	var all strings.Builder
	for _, arg := range args[1:] {
		if line, err := os.ReadFile(ts.MkAbs(arg)); err == nil {
			arg = strings.TrimSpace(string(line))
		}
		all.WriteString(arg + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(all.String()), 0o600))
}
