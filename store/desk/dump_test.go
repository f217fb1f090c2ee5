package desk_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/copytext"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/work"
)

// dump is a dump that can be read again and again.
type dump struct {
	schema int
	tables []desk.Table
	rows   map[string][]byte
}

func dumpOf(t *testing.T, db *desk.DB) dump {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	must(t, err)
	d := dump{s.Schema, s.Tables, map[string][]byte{}}
	for _, table := range s.Tables {
		var b bytes.Buffer
		_, err := s.Copy(t.Context(), table.Name, &b)
		must(t, err)
		d.rows[table.Name] = b.Bytes()
	}
	if _, err := s.Copy(t.Context(), "session", io.Discard); err == nil {
		t.Error("sessions were dumped")
	}
	must(t, s.Close())
	return d
}

func (d dump) dump() desk.Dump {
	i := -1
	return desk.Dump{Schema: d.schema, Next: func() (desk.Table, io.Reader, error) {
		if i++; i == len(d.tables) {
			return desk.Table{}, nil, io.EOF
		}
		return d.tables[i], bytes.NewReader(d.rows[d.tables[i].Name]), nil
	}}
}

// busyDesk fills a desk with people and work in every state.
func busyDesk(t *testing.T, db *desk.DB) (clerk, gone staff.Operator) {
	t.Helper()
	ctx := t.Context()
	offices(t, db)
	clerk = person(t, db, "north", staff.Clerk)
	head := person(t, db, "north", staff.Head)
	gone = person(t, db, "south", staff.Clerk)
	must(t, db.Invite(ctx, staff.Operator{ID: "op-new", Name: "নতুন one", Office: "south", Roles: []staff.Role{staff.Clerk}, Made: now}, link("new", staff.InviteLink)))
	must(t, db.SetStanding(ctx, gone.ID, staff.Left))
	card(t, db, head)
	must(t, db.CommitCtx(ctx, "token", []byte("session"), now.Add(time.Hour)))
	for _, agreed := range []bool{false, true} {
		p, err := staff.Propose(staff.Issue, "wi-1", []byte{0, 1, 0xff}, clerk, now)
		must(t, err)
		must(t, db.SaveProposal(ctx, p))
		if agreed {
			_, err := db.Approve(ctx, p.ID, p.Digest, head, now)
			must(t, err)
		}
	}
	for i, state := range work.States() {
		for _, kind := range []work.Kind{work.Issue, work.Revoke} {
			item := work.Item{
				ID: "wk-" + string(kind) + "-" + string(state), Kind: kind, Office: "north", Programme: "births", Record: string(rune('a'+i)) + string(kind), State: state,
				Credential: "", Requester: clerk.ID, Opened: now, Changed: now, Due: now.Add(time.Minute), Rev: 1,
			}
			if state == work.Agreed || state == work.Signed {
				item.Approver, item.Made = head.ID, "01KA"+string(kind)
			}
			must(t, db.AddItem(ctx, item, work.Event{Item: item.ID, At: now, Deed: work.DeedTaken, Actor: clerk.ID, Comment: "line one\nশেষ"}))
		}
	}
	for _, state := range batchwork.States() {
		j := batchwork.Job{ID: "b-" + string(state), Office: "north", Programme: "births", State: state, Made: now, Changed: now}
		must(t, db.AddJob(ctx, j))
	}
	return clerk, gone
}

// TestDumpAndLoad: what is dumped of one database stands in the other afterwards, but
// for what must not come back.
func TestDumpAndLoad(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		from := open(t, location)
		clerk, gone := busyDesk(t, from)
		d := dumpOf(t, from)
		later := now.Add(time.Hour)
		t.Run("into a file", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "desk.db")
			must(t, desk.Load(t.Context(), path, desk.Options{}, d.dump(), later))
			loaded(t, open(t, path), from, clerk, gone)
			if err := desk.Load(t.Context(), path, desk.Options{}, d.dump(), later); !errors.Is(err, desk.ErrExists) {
				t.Errorf("loaded over people who work here: %v", err)
			}
		})
		t.Run("into PostgreSQL", func(t *testing.T) {
			owner, service := pgtest.New(t)
			c, err := pgx.ParseConfig(service)
			must(t, err)
			o := desk.Options{ServiceRole: c.User}
			must(t, desk.Prepare(t.Context(), owner, o)) // nobody works here yet
			if err := desk.Load(t.Context(), service, o, d.dump(), later); err == nil {
				t.Error("the role of the service loaded a dump")
			}
			must(t, desk.Load(t.Context(), owner, o, d.dump(), later))
			loaded(t, open(t, service), from, clerk, gone)
			if err := desk.Load(t.Context(), owner, o, d.dump(), later); !errors.Is(err, desk.ErrExists) {
				t.Errorf("loaded over people who work here: %v", err)
			}
		})
	})
}

// loaded looks at what came back.
func loaded(t *testing.T, db, from *desk.DB, clerk, gone staff.Operator) {
	t.Helper()
	ctx := t.Context()
	if bytes.Equal(db.Secret(), from.Secret()) {
		t.Error("the secret of the old database came back")
	}
	got, err := db.Operator(ctx, clerk.ID)
	if err != nil || got.Name != clerk.Name || got.Standing != staff.Active || got.Epoch != clerk.Epoch+1 {
		t.Errorf("the clerk: %+v, %v; was epoch %d", got, err, clerk.Epoch)
	}
	if keys, err := db.Passkeys(ctx, clerk.ID); err != nil || len(keys) != 1 || !bytes.Equal(keys[0].Data, []byte("1")) {
		t.Errorf("passkeys of the clerk: %d, %v", len(keys), err)
	}
	if got, err := db.Operator(ctx, gone.ID); err != nil || got.Standing != staff.Left {
		t.Errorf("who left: %v, %v", got.Standing, err)
	}
	if got, err := db.Operator(ctx, "op-new"); err != nil || got.Name != "নতুন one" {
		t.Errorf("a name with signs: %q, %v", got.Name, err)
	}
	if _, found, err := db.FindCtx(ctx, "token"); found || err != nil {
		t.Errorf("a session came back: %v", err)
	}
	if _, _, err := db.Invitation(ctx, link("new", staff.InviteLink).Digest, now); !errors.Is(err, desk.ErrNone) {
		t.Errorf("a link came back: %v", err)
	}
	if cards, holders, err := db.RestoreCards(ctx, 1); err != nil || len(cards) != 1 || holders[0].Roles[0] != staff.Head {
		t.Errorf("the card of the head: %v %v, %v", cards, holders, err)
	}
	open, err := db.Proposals(ctx, "", []staff.State{staff.Proposed, staff.Approved})
	if err != nil || len(open) != 0 {
		t.Errorf("%d proposals are open, %v", len(open), err)
	}
	for _, tt := range []struct {
		kind     work.Kind
		was, now work.State
		problem  string
	}{
		{work.Issue, work.Checking, work.Checking, ""}, {work.Issue, work.Waiting, work.Checking, ""},
		{work.Issue, work.Agreed, work.Failed, work.ProblemRestored}, {work.Issue, work.Signed, work.Failed, work.ProblemRestored},
		{work.Issue, work.Done, work.Done, ""}, {work.Revoke, work.Agreed, work.Failed, work.ProblemRestored},
		{work.Revoke, work.Waiting, work.Failed, work.ProblemRestored}, {work.Revoke, work.Closed, work.Closed, ""},
	} {
		i, err := db.Item(ctx, "north", "wk-"+string(tt.kind)+"-"+string(tt.was))
		if err != nil || i.State != tt.now || i.Problem != tt.problem {
			t.Errorf("%s that was %s: %s %q, %v; want %s %q", tt.kind, tt.was, i.State, i.Problem, err, tt.now, tt.problem)
		}
	}
	if due, err := db.DueItems(ctx, now.AddDate(1, 0, 0), 10); err != nil || len(due) != 0 {
		t.Errorf("%d things would be done by themselves, %v", len(due), err)
	}
	events, err := db.ItemEvents(ctx, work.EventQuery{Item: "wk-issue-done"})
	if err != nil || len(events) != 1 || events[0].Comment != "line one\nশেষ" {
		t.Errorf("events: %+v, %v", events, err)
	}
	// Numbers go on behind those that came.
	must(t, db.AddItem(ctx, work.Item{ID: "wk-more", Kind: work.Issue, Office: "north", Programme: "births", Record: "more", State: work.Checking, Requester: clerk.ID, Opened: now, Changed: now, Rev: 1},
		work.Event{Item: "wk-more", At: now, Deed: work.DeedTaken, Actor: clerk.ID}))
	for _, was := range batchwork.States() {
		want := was
		if !was.Over() {
			want = batchwork.Cancelled
		}
		j, err := db.Job(ctx, "b-"+string(was))
		if err != nil || j.State != want {
			t.Errorf("a batch that was %s is %s, %v; want %s", was, j.State, err, want)
		}
	}
	if n, err := db.SuspendAll(ctx, []string{clerk.ID, gone.ID, "op-nobody"}, false); err != nil || n != 1 {
		t.Errorf("suspended %d, %v; want the clerk alone", n, err)
	}
	if n, err := db.SuspendAll(ctx, nil, true); err != nil || n != 1 {
		t.Errorf("suspended %d, %v; want the head", n, err)
	}
	if bad, err := db.Check(ctx); bad != "" || err != nil {
		t.Errorf("the database is damaged: %s %v", bad, err)
	}
}

// TestLoadRefuses: a dump that is not whole leaves nothing behind.
func TestLoadRefuses(t *testing.T) {
	from := open(t, filepath.Join(t.TempDir(), "desk.db"))
	busyDesk(t, from)
	good := dumpOf(t, from)
	for _, tt := range []struct {
		name  string
		spoil func(d *dump)
		want  error
	}{
		{"of a newer program", func(d *dump) { d.schema = 1000 }, desk.ErrNewer},
		{"of no version", func(d *dump) { d.schema = 0 }, desk.ErrNewer},
		{"a row cut short", func(d *dump) { d.rows["operator"] = d.rows["operator"][:9] }, copytext.ErrMalformed},
		{"a table that is none", func(d *dump) { d.tables[0].Name = "session" }, copytext.ErrMalformed},
		{"another column", func(d *dump) { d.tables[0].Columns = []string{"id"} }, copytext.ErrMalformed},
		{"a person of no office", func(d *dump) { d.rows["office"] = nil }, nil},
		{"text for a number", func(d *dump) {
			d.rows["tally_position"] = []byte("1\tlog\tmany\n")
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := dump{good.schema, append([]desk.Table(nil), good.tables...), map[string][]byte{}}
			for k, v := range good.rows {
				d.rows[k] = v
			}
			tt.spoil(&d)
			path := filepath.Join(t.TempDir(), "desk.db")
			err := desk.Load(t.Context(), path, desk.Options{}, d.dump(), now)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("Load: %v, want %v", err, tt.want)
			}
			if people, err := open(t, path).Operators(t.Context(), ""); err != nil || len(people) != 0 {
				t.Errorf("%d people are left of it, %v", len(people), err)
			}
		})
	}
}
