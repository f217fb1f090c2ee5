package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/backup"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/trust"
)

// count returns how often to do something: on every change, and every night.
func count(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/10, 1)
	}
	return change
}

// identity opens the backups of these tests.
var identity = sync.OnceValue(func() *age.X25519Identity {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return id
})

// take takes a backup of an office.
func take(t testing.TB, o *officetest.Office) []byte {
	t.Helper()
	keystore, err := os.ReadFile(o.Keys.Path())
	if err != nil {
		t.Fatal(err)
	}
	people, err := desk.Open(context.Background(), filepath.Join(t.TempDir(), "desk.db"), desk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer people.Close()
	if err := people.SaveOffice(context.Background(), staff.Office{ID: "main", Name: "Main"}); err != nil {
		t.Fatal(err)
	}
	_, link := staff.NewInvitation(staff.InviteLink, o.Clock.Now())
	if err := people.Invite(context.Background(), staff.Operator{ID: staff.NewID("op"), Name: "Amina", Office: "main", Roles: []staff.Role{staff.Clerk}, Made: o.Clock.Now()}, link); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_, err = backup.Take(context.Background(), &b, []backup.Lock{identity().Recipient()}, o.Signer(keys.Backup), backup.Office{
		DB: o.DB, Settings: []byte("issuer: {}\n"), Keystore: keystore, Program: "test", Now: o.Clock.Now,
		Chains: []backup.File{{Name: "roots.pem", Content: []byte("certificates\n")}}, Logos: []backup.File{{Name: "card.svg", Content: []byte("<svg/>")}}, Desk: people,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// restore restores a backup of an office to a location and opens it fenced.
func restore(t testing.TB, o *officetest.Office, file []byte, location string) *officetest.Office {
	t.Helper()
	if err := tryRestore(o, file, location); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	db, err := store.Open(ctx, location, store.Options{Instance: o.Instance(), Now: o.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(ctx, func(issuance.Tx) error { return nil })
	if !errors.Is(err, store.ErrFenced) {
		t.Errorf("a restored database takes work: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = store.Open(ctx, location, store.Options{Instance: o.Instance(), WhileFenced: true, Now: o.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return o.At(t, db)
}

func tryRestore(o *officetest.Office, file []byte, location string) error {
	r, err := backup.NewReader(bytes.NewReader(file), identity())
	if err != nil {
		return err
	}
	defer r.Close()
	ctx := context.Background()
	_, err = backup.Restore(r, backup.Target{
		Open: func(_, _ []byte) (string, []keys.Key, error) {
			known, err := o.Keys.Keys(ctx)
			return o.Instance(), known, err
		},
		Load: func(instance string, d store.Dump) error {
			return store.Load(ctx, location, store.Options{Instance: instance, Now: o.Clock.Now}, d)
		},
	})
	return err
}

// replay does the journal again in a restored office and confirms it.
func replay(t testing.TB, o *officetest.Office, folder string, texts ...string) issuance.Survey {
	t.Helper()
	ctx := context.Background()
	j, err := audit.OpenJournal(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	s := survey(t, o, j)
	byDigest := map[[32]byte][]byte{}
	for _, text := range texts {
		byDigest[sha256.Sum256([]byte(text))] = []byte(text)
	}
	if err := o.Service.Replay(ctx, j, s.From, byDigest, nil); err != nil {
		t.Fatal(err)
	}
	confirm(t, o)
	return s
}

func survey(t testing.TB, o *officetest.Office, j issuance.Journal) issuance.Survey {
	t.Helper()
	ctx := context.Background()
	snap, err := o.DB.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	f, err := snap.Facts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s, err := issuance.SurveyJournal(ctx, j, f.Head.Size, func(n int64) (audit.Head, error) { return snap.HeadAt(ctx, n) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func confirm(t testing.TB, o *officetest.Office, also ...func(issuance.Tx) error) {
	t.Helper()
	err := o.DB.Confirm(context.Background(), o.Clock.Now(), func(tx issuance.Tx) error {
		for _, f := range also {
			if err := f(tx); err != nil {
				return err
			}
		}
		return tx.Append([]audit.Event{{Time: o.Clock.Now(), Kind: audit.IssuerRestored, Actor: "tester"}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// all are all credentials of an office by id.
func all(t testing.TB, o *officetest.Office) map[string]issuance.Credential {
	t.Helper()
	found := map[string]issuance.Credential{}
	for c, err := range o.DB.Find(context.Background(), issuance.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		found[c.ID] = c
	}
	return found
}

// work does one random thing in an office.
func work(o *officetest.Office, rnd *rand.Rand, n int, active *[]string) {
	o.Clock.Add(time.Duration(rnd.IntN(90)) * time.Second)
	ctx := context.Background()
	pick := func() string {
		i := rnd.IntN(len(*active))
		id := (*active)[i]
		*active = append((*active)[:i], (*active)[i+1:]...)
		return id
	}
	switch k := rnd.IntN(15); {
	case k < 6 || len(*active) < 3:
		*active = append(*active, o.Issue("farmer-card", n).ID)
	case k < 7:
		o.Issue("receipt", n)
	case k < 8:
		id := pick()
		if _, err := o.Service.Suspend(ctx, id, issuance.Investigation, "tester"); err != nil {
			o.Fatal(err)
		}
		if rnd.IntN(2) == 0 {
			if _, err := o.Service.Resume(ctx, id, "tester"); err != nil {
				o.Fatal(err)
			}
			*active = append(*active, id)
		} else if rnd.IntN(2) == 0 {
			o.Revoke(id)
		}
	case k < 10:
		o.Revoke(pick())
	case k < 11:
		o.Publish()
	case k < 12:
		o.Checkpoint()
	default: // for paper or for nobody yet
		_, err := o.Deliver(rnd.IntN(n+1), 1+rnd.IntN(3))
		if e, ok := errors.AsType[*issuance.RecordError](err); err != nil && (!ok || e.Code() != issuance.CodeSuspended) {
			o.Fatal(err)
		}
	}
}

// TestP27 takes backups at random moments of an office at work, restores each, and
// brings it up to date from the journal. Nothing may be used again, nothing revoked
// come back, nothing issued since be unknown, and fsck must find nothing.
func TestP27(t *testing.T) {
	sqlite := func(t *testing.T) string { return filepath.Join(t.TempDir(), "issuer.db") }
	postgres := func(t *testing.T) string {
		owner, _ := pgtest.New(t)
		return owner
	}
	for _, tt := range []struct {
		name          string
		from, to      func(*testing.T) string
		change, night int
	}{
		{"SQLite to SQLite", sqlite, sqlite, 20, 200},
		{"SQLite to PostgreSQL", sqlite, postgres, 2, 200},
		{"PostgreSQL to SQLite", postgres, sqlite, 2, 200},
		{"PostgreSQL to PostgreSQL", postgres, postgres, 2, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := officetest.New(t, officetest.Options{Location: tt.from(t), Journal: true, ListSize: 64})
			backups := count(tt.change, tt.night)
			files := underLoad(t, o, backups)
			violations, entries := 0, int64(0)
			for i, file := range files {
				// Each is closed before the next: a server has room for a hundred connections.
				t.Run(strconv.Itoa(i+1), func(t *testing.T) {
					n, again := checkRestored(t, o, restore(t, o, file, tt.to(t)))
					violations, entries = violations+n, entries+again
				})
			}
			if entries < int64(len(files)) {
				t.Errorf("%d entries were done again: the office did not work", entries)
			}
			t.Logf("%d restores, %d entries done again, %d violations", len(files), entries, violations)
		})
	}
}

// underLoad lets an office work and takes so many backups meanwhile.
func underLoad(t *testing.T, o *officetest.Office, backups int) [][]byte {
	rnd := rand.New(rand.NewPCG(27, uint64(backups)))
	o.Publish() // as issuer init does: of a bundle that no backup has nothing can follow
	var wg sync.WaitGroup
	stop := make(chan struct{})
	steps := make(chan struct{}, 1<<16)
	wg.Go(func() {
		var active []string
		for n := 0; ; n++ {
			work(o, rnd, n, &active)
			if n == 40 {
				if _, err := o.Service.AddProgramme(context.Background(), []byte(officetest.CardTwo()), "tester"); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-stop:
				if n > 80 {
					return
				}
			case steps <- struct{}{}:
			}
		}
	})
	var files [][]byte
	pause := rand.New(rand.NewPCG(72, 27))
	for range backups {
		for range 1 + pause.IntN(8) {
			<-steps
		}
		files = append(files, take(t, o))
	}
	close(stop)
	wg.Wait()
	return files
}

// checkRestored brings a restored office up to date and compares it with the one
// that it was.
func checkRestored(t *testing.T, was, is *officetest.Office) (violations int, again int64) {
	t.Helper()
	bad := func(format string, args ...any) {
		violations++
		t.Errorf(format, args...)
	}
	ctx := context.Background()
	s := replay(t, is, was.Folder, officetest.CardTwo())
	before, after := all(t, was), all(t, is)
	used := map[issuance.Slot]bool{}
	for id, c := range before {
		got, ok := after[id]
		if !ok {
			bad("%s, issued since, is unknown", id)
			continue
		}
		for _, f := range c.Forms {
			used[f.Slot] = true
		}
		c.Changed, got.Changed = time.Time{}, time.Time{} // to the millisecond of the entry
		if !equal(c, got) {
			bad("%s is\n%+v, was\n%+v", id, got, c)
		}
	}
	parts := 0
	for _, c := range after {
		if c.PartOf != "" {
			parts++
		}
	}
	if parts == 0 {
		bad("no credential has a part")
	}
	if len(after) != len(before) {
		bad("%d credentials, there were %d", len(after), len(before))
	}
	numbers := map[string]issuance.Publication{}
	lists, err := was.DB.Lists(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{issuance.TrustName} {
		if numbers[name], err = was.DB.Publication(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	old := map[string]bool{}
	for _, l := range lists {
		old[l.URI] = true
		if numbers[l.URI], err = was.DB.Publication(ctx, l.URI); err != nil {
			t.Fatal(err)
		}
	}
	is.Clean()
	// What is made now must be new.
	is.Clock.Add(time.Minute)
	for n := range 4 {
		c := is.Issue("farmer-card", 100_000+n)
		if _, there := before[c.ID]; there {
			bad("id %s is used again", c.ID)
		}
		for _, f := range c.Forms {
			if used[f.Slot] {
				bad("slot %v is used again", f.Slot)
			}
			if old[f.Slot.List] {
				bad("list %s gives out slots after the restore", f.Slot.List)
			}
		}
	}
	bundle := is.Publish()
	// A verifier that has the last bundle of before takes the new one.
	if last := numbers[issuance.TrustName]; last.Number > 0 {
		st, _, err := trust.Accept(trust.State{}, last.Content, func(*trust.Bundle) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		next, err := is.DB.Publication(ctx, issuance.TrustName)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := trust.Accept(st, next.Content, nil); err != nil {
			bad("a verifier with bundle %d refuses the next: %v", last.Number, err)
		}
	}
	for name, p := range numbers {
		now, err := is.DB.Publication(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if now.Number <= p.Number || now.IssuedAt.Before(p.IssuedAt) {
			bad("%s has number %d of %s after %d of %s", name, now.Number, now.IssuedAt, p.Number, p.IssuedAt)
		}
		if name == issuance.TrustName && bundle.Version <= p.Number {
			bad("bundle version %d after %d", bundle.Version, p.Number)
		}
	}
	for id, c := range before {
		if c.State != issuance.Revoked {
			continue
		}
		for _, f := range c.Forms {
			l, _, ok := bundle.StatusList(f.Slot.List)
			if !ok {
				bad("the bundle lacks list %s", f.Slot.List)
				continue
			}
			if v, err := l.Get(f.Slot.Index); err != nil || v != 1 {
				bad("%s was revoked and its slot says %d, %v", id, v, err)
			}
		}
	}
	wantEntry := s.To
	for e, err := range is.DB.AuditEntries(ctx, s.To+1) {
		if err != nil {
			t.Fatal(err)
		}
		if n, ev, err := audit.ParseEntry(e); err != nil || n == wantEntry && ev.Kind != audit.IssuerRestored {
			bad("entry %d behind the journal is %s, %v", n, ev.Kind, err)
		}
	}
	is.Clean()
	return violations, s.To - s.From
}

func equal(a, b issuance.Credential) bool {
	if len(a.Forms) != len(b.Forms) {
		return false
	}
	for i := range a.Forms {
		if a.Forms[i] != b.Forms[i] {
			return false
		}
	}
	a.Forms, b.Forms = nil, nil
	return a.ID == b.ID && a.Programme == b.Programme && a.Version == b.Version && a.Record == b.Record && a.State == b.State &&
		a.Reason == b.Reason && a.IssuedAt.Equal(b.IssuedAt) && a.Expires.Equal(b.Expires) && a.Changed.Equal(b.Changed) && a.Batch == b.Batch &&
		a.Row == b.Row && a.Supersedes == b.Supersedes && a.Idempotency == b.Idempotency && a.Many == b.Many && a.PartOf == b.PartOf
}
