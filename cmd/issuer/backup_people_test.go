package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/staff"
	people "github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/work"
)

// commands returns what runs a command of the program and wants this exit status of it.
func commands(t *testing.T) func(want int, args ...string) (stdout, stderr string) {
	return func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, talk bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &talk); code != want {
			t.Fatalf("issuer %v: exit status %d, want %d\n%s%s", args, code, want, &out, &talk)
		}
		return out.String(), talk.String()
	}
}

// TestRestoreBringsNobodyBack restores a backup that knows people who were kept out of
// the console since. With the journal they stay out; without it nobody comes in before
// somebody has looked. The certificates of the keys are back, and the log has the backup.
func TestRestoreBringsNobodyBack(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	issuer := commands(t)
	office := in("office")
	issuer(0, "init", office, "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	issuer(0, "keys", "root", in("national"), "--name", "Republic of Xanadu", "--country", "XA")
	issuer(0, "keys", "certify", "--dir", office, "--root", in("national"))
	stays, leaves := enrolled(t, office, "Nasrin"), enrolled(t, office, "Karim")
	write(t, in("pass"), "correct horse battery staple\n")
	issuer(0, "backup", "--dir", office, "--out", in("monday.backup"), "--passphrase-file", in("pass"))
	if out, _ := issuer(0, "backup", "show", in("monday.backup"), "--passphrase-file", in("pass"), "--dir", office); !strings.Contains(out, "the console: 2 people") {
		t.Errorf("backup show: %s", out)
	}
	issuer(0, "staff", "leave", "--dir", office, leaves)
	issuer(0, "audit", "export", "--dir", office, "--out", in("log"))
	if found, _ := filepath.Glob(in("log") + "/*"); !contain(t, found, `"kind":"backup.made"`) {
		t.Error("the audit log does not have the backup")
	}
	if err := os.Rename(office, in("gone")); err != nil {
		t.Fatal(err)
	}
	standing := func(office string) map[string]staff.Standing {
		t.Helper()
		db, err := people.Open(t.Context(), filepath.Join(office, deskName), people.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		all, err := db.Operators(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]staff.Standing{}
		for _, op := range all {
			got[op.ID] = op.Standing
		}
		return got
	}
	restore := func(to string, confirm ...string) string {
		t.Helper()
		issuer(0, "restore", in("monday.backup"), "--dir", to, "--passphrase-file", in("pass"), "--key-passphrase-file", filepath.Join(in("gone"), "secrets", "passphrase"))
		if got := standing(to); got[stays] != staff.Active || got[leaves] != staff.Active {
			t.Errorf("before it is confirmed: %v", got)
		}
		out, _ := issuer(0, append([]string{"restore", "confirm", "--dir", to, "--alone", "--reason", "no-cards"}, confirm...)...)
		if !strings.Contains(out, "people of the console are suspended") {
			t.Errorf("confirm does not say it: %s", out)
		}
		return out
	}
	restore(office, "--journal", filepath.Join(in("gone"), "journal"))
	if got := standing(office); got[stays] != staff.Active || got[leaves] != staff.Suspended {
		t.Errorf("with the journal: %v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(office, "desk-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	for _, name := range []string{"roots.pem"} {
		was, err := os.ReadFile(filepath.Join(in("gone"), chainsName, name))
		if err != nil {
			t.Fatal(err)
		}
		if is, err := os.ReadFile(filepath.Join(office, chainsName, name)); err != nil || !bytes.Equal(is, was) {
			t.Errorf("%s: %v", name, err)
		}
	}
	issuer(0, "fsck", "--dir", office)
	// What fsck says of these files.
	db, err := people.Open(t.Context(), filepath.Join(office, deskName), people.Options{})
	if err != nil {
		t.Fatal(err)
	}
	item := work.Item{ID: "wk-1", Kind: work.Issue, Office: "main", Programme: "births", Record: "1", State: work.Done, Made: "01KAF3ZJ9Q4V8M2T6R0XWYB5CD", Requester: stays, Opened: time.Now(), Changed: time.Now(), Rev: 1}
	if err := errors.Join(db.AddItem(t.Context(), item, work.Event{Item: item.ID, At: time.Now(), Deed: work.DeedTaken, Actor: stays}), db.Close()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(office, chainsName, "0011223344556677.pem"), "nothing")
	out, _ := issuer(exitPartial, "fsck", "--dir", office)
	for _, want := range []string{"desk_credential: wk-1: ", "chain: 0011223344556677.pem: "} {
		if !strings.Contains(out, want) {
			t.Errorf("fsck does not find %s: %s", want, out)
		}
	}
	write(t, filepath.Join(office, deskName), "no database")
	if out, _ := issuer(exitPartial, "fsck", "--dir", office); !strings.Contains(out, "desk: ") {
		t.Errorf("fsck does not find the damaged file: %s", out)
	}
	lost := in("lost")
	restore(lost, "--without-journal", "--nothing-published")
	if got := standing(lost); got[stays] != staff.Suspended || got[leaves] != staff.Suspended {
		t.Errorf("without a journal: %v", got)
	}
	issuer(0, "staff", "resume", "--dir", lost, stays)
	if out, _ := issuer(0, "staff", "recover", "--dir", lost, stays); !strings.Contains(out, "/console/invitation/") {
		t.Errorf("recover: %s", out)
	}
}

// enrolled invites an administrator and gives them a passkey, as the console does.
func enrolled(t *testing.T, office, name string) string {
	t.Helper()
	return enrolledAs(t, office, name, staff.Administrator)
}

func enrolledAs(t *testing.T, office, name string, role staff.Role) string {
	t.Helper()
	db, err := people.Open(t.Context(), filepath.Join(office, deskName), people.Options{})
	if err != nil {
		t.Fatal(err)
	}
	op, err := enrol(t.Context(), db, name, role)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return op.ID
}

func enrol(ctx context.Context, db *people.DB, name string, role staff.Role) (op staff.Operator, err error) {
	now := time.Now()
	if err := db.SaveOffice(ctx, staff.Office{ID: "main", Name: "Main"}); err != nil {
		return op, err
	}
	secret, link := staff.NewInvitation(staff.InviteLink, now)
	op = staff.Operator{ID: staff.NewID("op"), Name: name, Office: "main", Roles: []staff.Role{role}, Made: now}
	if err := db.Invite(ctx, op, link); err != nil {
		return op, err
	}
	return db.Enrol(ctx, sha256.Sum256([]byte(secret)), staff.Passkey{ID: []byte("key of " + name), Name: "phone", Data: []byte("1")}, now)
}

// contain reports whether one of these files has a text.
func contain(t *testing.T, files []string, text string) bool {
	t.Helper()
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}
