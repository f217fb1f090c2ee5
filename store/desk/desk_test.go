package desk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/sqldb"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
)

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// engines runs f on an empty desk in a file and on PostgreSQL, where the owner has
// prepared it and f has the role of the service.
func engines(t *testing.T, f func(t *testing.T, location string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "desk.db")) })
	t.Run("postgres", func(t *testing.T) {
		owner, service := pgtest.New(t)
		c, err := pgx.ParseConfig(service)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time it is there already
			if err := desk.Prepare(t.Context(), owner, desk.Options{ServiceRole: c.User}); err != nil {
				t.Fatalf("Prepare: %v", err)
			}
		}
		f(t, service)
	})
}

func open(t *testing.T, location string) *desk.DB {
	t.Helper()
	db, err := desk.Open(t.Context(), location, desk.Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func link(secret string, kind staff.InvitationKind) staff.Invitation {
	return staff.Invitation{Digest: sha256.Sum256([]byte(secret)), Kind: kind, Made: now, Expires: now.Add(kind.Lifetime())}
}

// person invites somebody and has them enrol.
func person(t *testing.T, db *desk.DB, office string, roles ...staff.Role) staff.Operator {
	t.Helper()
	op := staff.Operator{ID: staff.NewID("op"), Name: "Amina", Office: office, Roles: roles, Made: now}
	must(t, db.Invite(t.Context(), op, link(op.ID, staff.InviteLink)))
	op, err := db.Enrol(t.Context(), sha256.Sum256([]byte(op.ID)), staff.Passkey{ID: []byte("key of " + op.ID), Name: "phone", Data: []byte("1")}, now)
	must(t, err)
	return op
}

func offices(t *testing.T, db *desk.DB) {
	t.Helper()
	must(t, db.SaveOffice(t.Context(), staff.Office{ID: "north", Name: "North", Column: "district", Values: []string{"N1"}}))
	must(t, db.SaveOffice(t.Context(), staff.Office{ID: "south", Name: "South", Programmes: []string{"birth"}}))
}

func TestOfficesAndPeople(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		offices(t, db)
		all, err := db.Offices(ctx)
		if err != nil || len(all) != 2 || all[0].Column != "district" || !slices.Equal(all[1].Programmes, []string{"birth"}) {
			t.Errorf("Offices: %+v, %v", all, err)
		}
		must(t, db.SaveOffice(ctx, staff.Office{ID: "north", Name: "North office"}))
		if o, err := db.Office(ctx, "north"); err != nil || o.Name != "North office" || o.Column != "" {
			t.Errorf("Office: %+v, %v", o, err)
		}
		if _, err := db.Office(ctx, "west"); !errors.Is(err, staff.ErrNoOffice) {
			t.Errorf("no office: %v", err)
		}
		op := person(t, db, "north", staff.Clerk, staff.Approver)
		person(t, db, "south", staff.Head)
		// Another process sees the same.
		other := open(t, location)
		got, err := other.Operator(ctx, op.ID)
		if err != nil || got.Name != "Amina" || got.Standing != staff.Active || !slices.Equal(got.Roles, op.Roles) || got.Epoch != 2 || !got.Seen.Equal(now) {
			t.Errorf("Operator: %#v %+v, %v", got, got.Roles, err)
		}
		if _, err := db.Operator(ctx, "op-nobody"); !errors.Is(err, staff.ErrNoOperator) {
			t.Errorf("no operator: %v", err)
		}
		if here, err := db.Operators(ctx, "north"); err != nil || len(here) != 1 {
			t.Errorf("Operators of an office: %v, %v", here, err)
		}
		if here, err := db.Operators(ctx, ""); err != nil || len(here) != 2 {
			t.Errorf("all Operators: %v, %v", here, err)
		}
		if !bytes.Equal(db.Secret(), other.Secret()) || len(db.Secret()) != 32 {
			t.Error("two processes share no secret")
		}
	})
}

// TestLinksWorkOnce: WA-09, an invitation that is used again, late or of somebody else.
func TestLinksWorkOnce(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, db *desk.DB, op staff.Operator) (secret string, key []byte, at time.Time)
		want  error
	}{
		{"good", func(_ *testing.T, _ *desk.DB, op staff.Operator) (string, []byte, time.Time) {
			return op.ID, []byte("new of " + op.ID), now
		}, nil},
		{"WA-09 used again", func(t *testing.T, db *desk.DB, op staff.Operator) (string, []byte, time.Time) {
			_, err := db.Enrol(t.Context(), sha256.Sum256([]byte(op.ID)), staff.Passkey{ID: []byte("first of " + op.ID), Data: []byte("1")}, now)
			must(t, err)
			return op.ID, []byte("new of " + op.ID), now
		}, desk.ErrNone},
		{"WA-09 at its last moment", func(_ *testing.T, _ *desk.DB, op staff.Operator) (string, []byte, time.Time) {
			return op.ID, []byte("new of " + op.ID), now.Add(staff.InviteLink.Lifetime())
		}, desk.ErrNone},
		{"WA-09 guessed", func(*testing.T, *desk.DB, staff.Operator) (string, []byte, time.Time) {
			return "guess", []byte("new"), now
		}, desk.ErrNone},
		{"WA-09 replaced by a newer one", func(t *testing.T, db *desk.DB, op staff.Operator) (string, []byte, time.Time) {
			must(t, db.Relink(t.Context(), op.ID, link("newer", staff.InviteLink)))
			return op.ID, []byte("new of " + op.ID), now
		}, desk.ErrNone},
		{"of somebody who was suspended", func(t *testing.T, db *desk.DB, op staff.Operator) (string, []byte, time.Time) {
			must(t, db.SetStanding(t.Context(), op.ID, staff.Suspended))
			return op.ID, []byte("new of " + op.ID), now
		}, desk.ErrNone},
		{"WA-07 with a passkey of somebody else", func(t *testing.T, db *desk.DB, op staff.Operator) (string, []byte, time.Time) {
			other := person(t, db, "north", staff.Clerk)
			return op.ID, []byte("key of " + other.ID), now
		}, desk.ErrExists},
	}
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		offices(t, db)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				op := staff.Operator{ID: staff.NewID("op"), Name: "Badru", Office: "north", Roles: []staff.Role{staff.Clerk}, Made: now}
				must(t, db.Invite(t.Context(), op, link(op.ID, staff.InviteLink)))
				secret, key, at := tt.spoil(t, db, op)
				before, err := db.Operator(t.Context(), op.ID)
				must(t, err)
				got, err := db.Enrol(t.Context(), sha256.Sum256([]byte(secret)), staff.Passkey{ID: key, Data: []byte("1")}, at)
				if !errors.Is(err, tt.want) {
					t.Fatalf("Enrol: %v, want %v", err, tt.want)
				}
				after, e := db.Operator(t.Context(), op.ID)
				must(t, e)
				if tt.want != nil && after.Epoch != before.Epoch {
					t.Error("a refused link changed something")
				}
				if tt.want == nil && (got.ID != op.ID || after.Standing != staff.Active) {
					t.Errorf("enrolled %v, %s", got, after.Standing)
				}
			})
		}
	})
}

// TestOneOfManyWins: what works once is given to one of many callers.
func TestOneOfManyWins(t *testing.T) {
	tests := []struct {
		name string
		// prepare returns what many then do at once.
		prepare func(t *testing.T, db *desk.DB) func(i int) error
		refusal error
	}{
		{"WA-03 a ceremony", func(t *testing.T, db *desk.DB) func(int) error {
			must(t, db.SaveCeremony(t.Context(), "secret", desk.Ceremony{Kind: "login", Data: []byte("d"), Expires: now.Add(time.Minute)}))
			return func(int) error { _, err := db.TakeCeremony(context.Background(), "secret", "login", now); return err }
		}, desk.ErrNone},
		{"WA-09 an invitation", func(t *testing.T, db *desk.DB) func(int) error {
			op := staff.Operator{ID: staff.NewID("op"), Name: "Badru", Office: "north", Roles: []staff.Role{staff.Clerk}, Made: now}
			must(t, db.Invite(t.Context(), op, link("once", staff.InviteLink)))
			return func(i int) error {
				_, err := db.Enrol(context.Background(), sha256.Sum256([]byte("once")), staff.Passkey{ID: []byte{9, byte(i)}, Data: []byte{1}}, now)
				return err
			}
		}, desk.ErrNone},
		{"WA-14 an approval", func(t *testing.T, db *desk.DB) func(int) error {
			clerk, head := person(t, db, "north", staff.Clerk), person(t, db, "north", staff.Approver)
			p, err := staff.Propose(staff.Issue, "wi-1", []byte("exactly this"), clerk, now)
			must(t, err)
			must(t, db.SaveProposal(t.Context(), p))
			_, err = db.Approve(t.Context(), p.ID, p.Digest, head, now)
			must(t, err)
			return func(int) error {
				_, err := db.UseProposal(context.Background(), p.ID, staff.Issue, p.Digest, clerk, now)
				return err
			}
		}, staff.ErrProposalOver},
		{"WA-06 one passkey at two places", func(t *testing.T, db *desk.DB) func(int) error {
			op := person(t, db, "north", staff.Clerk)
			keys, err := db.Passkeys(t.Context(), op.ID)
			must(t, err)
			k := keys[0]
			k.Data = []byte("2")
			return func(int) error { return db.UsedPasskey(context.Background(), k, []byte("1"), now) }
		}, desk.ErrNone},
	}
	engines(t, func(t *testing.T, location string) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				db := open(t, location)
				offices(t, db)
				do := tt.prepare(t, db)
				var won atomic.Int32
				var wg sync.WaitGroup
				for i := range 12 {
					wg.Go(func() {
						switch err := do(i); {
						case err == nil:
							won.Add(1)
						case !errors.Is(err, tt.refusal):
							t.Errorf("%v, want %v", err, tt.refusal)
						}
					})
				}
				wg.Wait()
				if won.Load() != 1 {
					t.Errorf("%d of 12 got it, want 1", won.Load())
				}
			})
		}
	})
}

func TestCeremoniesAndSessions(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		save := func(secret string, expires time.Duration) {
			must(t, db.SaveCeremony(ctx, secret, desk.Ceremony{Kind: "login", Operator: "op-a", Data: []byte("d"), Expires: now.Add(expires)}))
		}
		save("a", time.Minute)
		if c, err := db.TakeCeremony(ctx, "a", "login", now); err != nil || c.Operator != "op-a" || string(c.Data) != "d" {
			t.Errorf("TakeCeremony: %+v, %v", c, err)
		}
		for name, take := range map[string]func() error{
			"WA-03 used":            func() error { _, err := db.TakeCeremony(ctx, "a", "login", now); return err },
			"WA-03 of another kind": func() error { save("b", time.Minute); _, err := db.TakeCeremony(ctx, "b", "fresh", now); return err },
			"WA-03 too late": func() error {
				save("c", time.Minute)
				_, err := db.TakeCeremony(ctx, "c", "login", now.Add(time.Minute))
				return err
			},
			"WA-03 never made": func() error { _, err := db.TakeCeremony(ctx, "d", "login", now); return err },
		} {
			if err := take(); !errors.Is(err, desk.ErrNone) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := db.TakeCeremony(ctx, "b", "login", now); !errors.Is(err, desk.ErrNone) {
			t.Errorf("WA-03 taken as another kind, then as the right one: %v", err)
		}

		soon, past := time.Now().Add(time.Minute), time.Now().Add(-time.Minute)
		must(t, db.CommitCtx(ctx, "t1", []byte("one"), soon))
		must(t, db.CommitCtx(ctx, "t1", []byte("two"), soon))
		must(t, db.CommitCtx(ctx, "t2", []byte("late"), past))
		if b, ok, err := db.FindCtx(ctx, "t1"); err != nil || !ok || string(b) != "two" {
			t.Errorf("FindCtx: %q, %v, %v", b, ok, err)
		}
		if _, ok, err := db.FindCtx(ctx, "t2"); err != nil || ok {
			t.Errorf("a session that has expired: %v, %v", ok, err)
		}
		must(t, db.DeleteCtx(ctx, "t1"))
		if _, ok, err := db.FindCtx(ctx, "t1"); err != nil || ok {
			t.Errorf("a deleted session: %v, %v", ok, err)
		}
		if n, err := db.Sweep(ctx, time.Now().Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("Sweep: %d, %v", n, err)
		}
	})
}

// TestAttempts: WA-19, attempts are counted for what they are about.
func TestAttempts(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		try := func(what string, at time.Time) bool {
			ok, err := db.Attempt(ctx, []byte(what), 3, time.Hour, at)
			must(t, err)
			return ok
		}
		for i, want := range []bool{true, true, true, false, false} {
			if got := try("a", now.Add(time.Duration(i)*time.Minute)); got != want {
				t.Errorf("attempt %d: %v", i+1, got)
			}
		}
		if !try("b", now) {
			t.Error("attempts on one count for another")
		}
		if !try("a", now.Add(time.Hour)) {
			t.Error("the count never ends")
		}
		for range 5 {
			try("c", now)
		}
		must(t, db.Forgive(ctx, []byte("c")))
		if !try("c", now) {
			t.Error("forgiven and still refused")
		}
	})
}

// TestApproveRefuses: WA-14 and P24. Each row spoils one thing in an approval that is
// good otherwise.
func TestApproveRefuses(t *testing.T) {
	type fixture struct {
		p     staff.Proposal
		shown [32]byte
		by    staff.Operator
		at    time.Time
	}
	tests := []struct {
		name  string
		spoil func(t *testing.T, db *desk.DB, f *fixture)
		want  error
	}{
		{"good", func(*testing.T, *desk.DB, *fixture) {}, nil},
		{"WA-14 own request", func(t *testing.T, db *desk.DB, f *fixture) {
			op := person(t, db, "north", staff.Clerk, staff.Approver)
			p, err := staff.Propose(staff.Issue, "wi-2", f.p.Payload, op, now)
			must(t, err)
			must(t, db.SaveProposal(t.Context(), p))
			f.p, f.by = p, op
		}, staff.ErrOwnProposal},
		{"WA-14 about oneself", func(t *testing.T, db *desk.DB, f *fixture) {
			one, two := person(t, db, "north", staff.Head), person(t, db, "north", staff.Head)
			p, err := staff.Propose(staff.ChangePerson, two.ID, []byte("roles"), one, now)
			must(t, err)
			must(t, db.SaveProposal(t.Context(), p))
			f.p, f.shown, f.by = p, p.Digest, two
		}, staff.ErrOwnProposal},
		{"WA-14 something else was shown", func(_ *testing.T, _ *desk.DB, f *fixture) { f.shown[0] ^= 1 }, staff.ErrChangedPayload},
		{"WA-13 of another office", func(t *testing.T, db *desk.DB, f *fixture) { f.by = person(t, db, "south", staff.Approver) }, staff.ErrNoProposal},
		{"WA-13 no such proposal", func(_ *testing.T, _ *desk.DB, f *fixture) { f.p.ID = "pr-none" }, staff.ErrNoProposal},
		{"WA-13 without the right", func(t *testing.T, db *desk.DB, f *fixture) { f.by = person(t, db, "north", staff.Clerk) }, staff.ErrMayNot},
		{"WA-13 suspended meanwhile", func(t *testing.T, db *desk.DB, f *fixture) {
			must(t, db.SetStanding(t.Context(), f.by.ID, staff.Suspended))
		}, staff.ErrMayNot},
		{"too late", func(_ *testing.T, _ *desk.DB, f *fixture) { f.at = f.p.Expires }, staff.ErrProposalOver},
		{"WA-14 agreed already", func(t *testing.T, db *desk.DB, f *fixture) {
			_, err := db.Approve(t.Context(), f.p.ID, f.shown, f.by, now)
			must(t, err)
		}, staff.ErrProposalOver},
		{"withdrawn", func(t *testing.T, db *desk.DB, f *fixture) {
			must(t, db.CloseProposal(t.Context(), f.p.ID, f.by, now))
		}, staff.ErrProposalOver},
	}
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		offices(t, db)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				clerk := person(t, db, "north", staff.Clerk)
				p, err := staff.Propose(staff.Issue, "wi-1", []byte("exactly this"), clerk, now)
				must(t, err)
				must(t, db.SaveProposal(t.Context(), p))
				f := &fixture{p: p, shown: p.Digest, by: person(t, db, "north", staff.Approver), at: now}
				tt.spoil(t, db, f)
				got, err := db.Approve(t.Context(), f.p.ID, f.shown, f.by, f.at)
				if !errors.Is(err, tt.want) {
					t.Fatalf("Approve: %v, want %v", err, tt.want)
				}
				if tt.want == nil && (got.State != staff.Approved || got.Approver != f.by.ID) {
					t.Errorf("approved: %+v", got)
				}
			})
		}
	})
}

// TestUseRefuses: an approval is good for what was shown, once, for a day.
func TestUseRefuses(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db := open(t, location)
		offices(t, db)
		clerk, head, south := person(t, db, "north", staff.Clerk), person(t, db, "north", staff.Head), person(t, db, "south", staff.Clerk)
		ask := func() staff.Proposal {
			p, err := staff.Propose(staff.Issue, "wi-1", []byte("exactly this"), clerk, now)
			must(t, err)
			must(t, db.SaveProposal(t.Context(), p))
			return p
		}
		agreed := func() staff.Proposal {
			p := ask()
			_, err := db.Approve(t.Context(), p.ID, p.Digest, head, now)
			must(t, err)
			return p
		}
		tests := []struct {
			name string
			use  func() error
			want error
		}{
			{"good", func() error {
				p := agreed()
				_, err := db.UseProposal(t.Context(), p.ID, staff.Issue, p.Digest, clerk, now)
				return err
			}, nil},
			{"WA-14 nobody agreed", func() error {
				p := ask()
				_, err := db.UseProposal(t.Context(), p.ID, staff.Issue, p.Digest, clerk, now)
				return err
			}, staff.ErrNotApproved},
			{"P24 the payload changed after the agreement", func() error {
				p := agreed()
				_, err := db.UseProposal(t.Context(), p.ID, staff.Issue, sha256.Sum256([]byte("something else")), clerk, now)
				return err
			}, staff.ErrChangedPayload},
			{"WA-14 as another deed", func() error {
				p := agreed()
				_, err := db.UseProposal(t.Context(), p.ID, staff.Supersede, p.Digest, clerk, now)
				return err
			}, staff.ErrMayNot},
			{"too late", func() error {
				p := agreed()
				_, err := db.UseProposal(t.Context(), p.ID, staff.Issue, p.Digest, clerk, p.Expires)
				return err
			}, staff.ErrProposalOver},
			{"WA-13 of another office", func() error {
				p := agreed()
				_, err := db.UseProposal(t.Context(), p.ID, staff.Issue, p.Digest, south, now)
				return err
			}, staff.ErrNoProposal},
			{"P24 the stored payload is changed", func() error {
				return db.Direct(t.Context(), `UPDATE proposal SET payload = $1 WHERE id = $2`, []byte("else"), agreed().ID)
			}, desk.ErrDirect},
			{"P24 the stored approver is the requester", func() error {
				return db.Direct(t.Context(), `UPDATE proposal SET approver = requester WHERE id = $1`, ask().ID)
			}, desk.ErrDirect},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				if err := tt.use(); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			})
		}
	})
}

// TestPeopleRefuses: what would leave an office without somebody who can act.
func TestPeopleRefuses(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		offices(t, db)
		admin := person(t, db, "north", staff.Administrator)
		if err := db.SetStanding(ctx, admin.ID, staff.Suspended); !errors.Is(err, staff.ErrLastAdministrator) {
			t.Errorf("the last administrator was suspended: %v", err)
		}
		if err := db.SetRoles(ctx, admin.ID, "north", []staff.Role{staff.Clerk}); !errors.Is(err, staff.ErrLastAdministrator) {
			t.Errorf("the last administrator became a clerk: %v", err)
		}
		second := person(t, db, "south", staff.Administrator)
		must(t, db.SetStanding(ctx, admin.ID, staff.Suspended))
		if got, err := db.Operator(ctx, admin.ID); err != nil || got.Standing != staff.Suspended || got.Epoch == admin.Epoch {
			t.Errorf("suspended: %s, epoch %d, %v", got.Standing, got.Epoch, err)
		}
		must(t, db.SetStanding(ctx, admin.ID, staff.Active))
		must(t, db.SetStanding(ctx, second.ID, staff.Left))
		if err := db.SetStanding(ctx, second.ID, staff.Active); !errors.Is(err, staff.ErrMayNot) {
			t.Errorf("somebody who left came back: %v", err)
		}
		if err := db.SetRoles(ctx, admin.ID, "west", []staff.Role{staff.Administrator}); !errors.Is(err, staff.ErrNoOffice) {
			t.Errorf("an office that is not there: %v", err)
		}
		if err := db.RemovePasskey(ctx, admin.ID, []byte("key of "+admin.ID)); !errors.Is(err, staff.ErrLastPasskey) {
			t.Errorf("the last passkey was removed: %v", err)
		}
		must(t, db.AddPasskey(ctx, staff.Passkey{ID: []byte("second"), Operator: admin.ID, Data: []byte("1")}, now))
		if err := db.AddPasskey(ctx, staff.Passkey{ID: []byte("second"), Operator: admin.ID, Data: []byte("1")}, now); !errors.Is(err, desk.ErrExists) {
			t.Errorf("WA-07 the same passkey twice: %v", err)
		}
		before, err := db.Operator(ctx, admin.ID)
		must(t, err)
		must(t, db.RemovePasskey(ctx, admin.ID, []byte("key of "+admin.ID)))
		if after, err := db.Operator(ctx, admin.ID); err != nil || after.Epoch == before.Epoch {
			t.Errorf("sessions go on after a passkey was removed: %v", err)
		}
		// Recovery removes what was there.
		must(t, db.Relink(ctx, admin.ID, link("r", staff.RecoverLink)))
		_, err = db.Enrol(ctx, sha256.Sum256([]byte("r")), staff.Passkey{ID: []byte("third"), Data: []byte("1")}, now)
		must(t, err)
		if keys, err := db.Passkeys(ctx, admin.ID); err != nil || len(keys) != 1 || string(keys[0].ID) != "third" {
			t.Errorf("passkeys after a recovery: %d, %v", len(keys), err)
		}
		if err := db.Relink(ctx, admin.ID, link("i", staff.InviteLink)); !errors.Is(err, staff.ErrMayNot) {
			t.Errorf("an invitation for somebody who works: %v", err)
		}
		standings, links, err := db.People(ctx, now)
		if err != nil || standings[staff.Active] != 1 || standings[staff.Left] != 1 || links != 0 {
			t.Errorf("People: %v, %d, %v", standings, links, err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	must(t, os.WriteFile(foreign, bytes.Repeat([]byte("not a database\n"), 500), 0o600))
	if _, err := desk.Open(t.Context(), foreign, desk.Options{}); err == nil {
		t.Error("a file of something else was opened")
	}
	for _, location := range []string{"postgres://u@db.example/x", "postgres://u@db.example/x?sslmode=require"} {
		if _, err := desk.Open(t.Context(), location, desk.Options{}); err == nil {
			t.Errorf("%s was opened", location)
		}
	}
	path := filepath.Join(dir, "desk.db")
	db := open(t, path)
	must(t, db.Direct(t.Context(), `UPDATE meta SET version = version + 1`))
	if _, err := desk.Open(t.Context(), path, desk.Options{}); !errors.Is(err, desk.ErrNewer) {
		t.Errorf("a newer version: %v", err)
	}
}

// TestService: the role of a service may not change what it must not, and says what is
// to be done when the tables are missing.
func TestService(t *testing.T) {
	owner, service := pgtest.New(t)
	if _, err := desk.Open(t.Context(), service, desk.Options{}); !errors.Is(err, desk.ErrOlder) {
		t.Errorf("without tables: %v", err)
	}
	c, err := pgx.ParseConfig(service)
	must(t, err)
	must(t, desk.Prepare(t.Context(), owner, desk.Options{ServiceRole: c.User}))
	db := open(t, service)
	for _, statement := range []string{`UPDATE meta SET version = 9`, `DROP TABLE session`, `ALTER TABLE proposal DISABLE TRIGGER proposal_stays`} {
		if err := db.Direct(t.Context(), statement); !errors.Is(err, desk.ErrDirect) {
			t.Errorf("the service may: %s", statement)
		}
	}
}

// TestLate: a database whose server is out of reach when it is opened is opened by whoever
// needs it when the server is back, once, and not before what has to be checked is right.
func TestLate(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, _ := c.New(t)
	checks, wrong := 0, errors.New("not as it should be")
	options := desk.Options{Late: true, Check: func(ctx context.Context, db *desk.DB) error {
		if checks++; checks == 1 {
			return wrong
		}
		_, err := db.Offices(ctx)
		return err
	}}
	c.Stop(t)
	if _, err := desk.Open(t.Context(), owner, desk.Options{}); !errors.Is(err, sqldb.ErrUnreachable) {
		t.Errorf("Open without the server: %v", err)
	}
	db, err := desk.Open(t.Context(), owner, options)
	if db == nil || !errors.Is(err, sqldb.ErrUnreachable) {
		t.Fatalf("Open without the server, late: %v, %v", db, err)
	}
	defer db.Close() // only tried
	save := func() error { return db.SaveOffice(t.Context(), staff.Office{ID: "north", Name: "North"}) }
	if err := save(); !errors.Is(err, sqldb.ErrUnreachable) {
		t.Errorf("a change without the server: %v", err)
	}
	c.Restart(t)
	if err := save(); !errors.Is(err, wrong) {
		t.Errorf("a change while something is wrong: %v", err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := db.Offices(t.Context()); err != nil {
				t.Errorf("a look when all is right: %v", err)
			}
		})
	}
	wg.Wait()
	must(t, save())
	if checks != 2 {
		t.Errorf("it was checked %d times, want twice", checks)
	}
	if other, err := desk.Open(t.Context(), owner, desk.Options{Late: true, Check: func(context.Context, *desk.DB) error { return wrong }}); other != nil || !errors.Is(err, wrong) {
		t.Errorf("Open with something wrong: %v, %v", other, err)
	}
}

// TestEncoding: nothing is made in a database that could not store every name.
func TestEncoding(t *testing.T) {
	owner, service := pgtest.NewEncoded(t, "LATIN1")
	if err := desk.Prepare(t.Context(), owner, desk.Options{}); !errors.Is(err, sqldb.ErrEncoding) || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
		t.Errorf("Prepare in LATIN1: %v", err)
	}
	if _, err := desk.Open(t.Context(), service, desk.Options{}); !errors.Is(err, sqldb.ErrEncoding) {
		t.Errorf("Open in LATIN1: %v", err)
	}
}

// TestManyOpenAtOnce: processes that come at once make the tables once.
func TestManyOpenAtOnce(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { openMany(t, filepath.Join(t.TempDir(), "desk.db")) })
	t.Run("postgres", func(t *testing.T) {
		owner, _ := pgtest.New(t)
		openMany(t, owner)
	})
}

func openMany(t *testing.T, location string) {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			db, err := desk.Open(context.Background(), location, desk.Options{})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			if err := db.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
}
