package batchwork_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/store"
)

// revoker is the issuer of a test, with its store.
type revoker struct {
	*issuance.Service
	db *store.DB
	// before is called before each revocation; optional.
	before func(id string) error
}

func (r revoker) Find(ctx context.Context, q issuance.Query) iter.Seq2[issuance.Credential, error] {
	return r.db.Find(ctx, q)
}

func (r revoker) Revoke(ctx context.Context, id string, why issuance.Reason, actor string) (issuance.Credential, error) {
	if r.before != nil {
		if err := r.before(id); err != nil {
			return issuance.Credential{}, err
		}
	}
	return r.Service.Revoke(ctx, id, why, actor)
}

// revokes lets a runner revoke, by the clock of the office.
func (b *bed) revokes(before func(id string) error) func(*batchwork.Config) {
	return func(c *batchwork.Config) {
		c.Now = b.office.Clock.Now
		c.Revoker = func(_ context.Context, do func(batchwork.Revoker) error) error {
			return do(revoker{b.office.Service, b.office.DB, before})
		}
	}
}

// revocation makes a job of one, with a list if there is one.
func (b *bed) revocation(what batchwork.Revocation, list string) batchwork.Job {
	b.Helper()
	o := batchwork.Order{Office: "north", Programme: "farmer-card", Requester: "op-1"}
	if what.List {
		o.Name = "lost.csv"
	}
	j, err := batchwork.NewRevocation(o, what, b.office.Clock.Now())
	b.must(err)
	if what.List {
		j, err = b.folder.Receive(j, strings.NewReader(list), 1<<20)
		b.must(err)
	}
	b.must(b.store.AddJob(b.Context(), j))
	return j
}

// states counts credentials by state and reason.
func (b *bed) states() map[string]int {
	b.Helper()
	all := map[string]int{}
	for c, err := range b.office.DB.Find(b.Context(), issuance.Query{}) {
		b.must(err)
		all[strings.TrimSpace(string(c.State)+" "+string(c.Reason))]++
	}
	return all
}

// issued are the ids of what is issued, in order.
func (b *bed) issued() (ids []string) {
	b.Helper()
	for c, err := range b.office.DB.Find(b.Context(), issuance.Query{}) {
		b.must(err)
		ids = append(ids, c.ID)
	}
	return ids
}

// TestRevokeMany goes the whole way: a list with faults, agreement, ten minutes, and the
// revocations, each once and announced in the audit log, over a server that stops in
// between.
func TestRevokeMany(t *testing.T) {
	b := newBed(t, newMemory())
	b.finished(40)
	ids := b.issued()
	_, err := b.office.Service.Revoke(t.Context(), ids[3], issuance.Death, "op-9")
	b.must(err)
	list := "credential_id;why\n" + strings.Join([]string{
		ids[0] + ";lost", strings.ToLower(ids[1]), "", ids[0], issuance.DocumentNumber(ids[2]), "1234", "01ARZ3NDEKTSV4RRFFQ69G5FAV", ids[3], "=cmd|' /C calc'!A0",
	}, "\r\n")
	j := b.revocation(batchwork.Revocation{Reason: issuance.Lost, List: true}, list)
	stop := b.start(b.runner("one", b.revokes(nil)))
	j = b.awaitState(j.ID, batchwork.Checked)
	if want := (batchwork.Counts{Records: 8, Good: 3, Faulty: 3, Skipped: 2}); j.Dry != want || j.Fingerprint == "" {
		t.Fatalf("the list: %+v, want %+v", j.Dry, want)
	}
	var faults []string
	b.must(b.folder.Faults(j.ID, func(l batchwork.FaultLine) error {
		faults = append(faults, fmt.Sprint(l.Row, " ", l.Code, " ", l.Skipped))
		return nil
	}))
	if want := []string{"3 twice true", "5 no_number false", "6 not_found false", "7 already_revoked true", "8 no_number false"}; !slices.Equal(faults, want) {
		t.Errorf("faults %q, want %q", faults, want)
	}
	var affected []string
	b.must(b.folder.Affected(j.ID, func(id, number, issued, state string) error {
		if number != issuance.DocumentNumber(id) || issued == "" || state != "active" {
			t.Errorf("affected: %s %s %s %s", id, number, issued, state)
		}
		affected = append(affected, id)
		return nil
	}))
	if want := ids[:3]; !slices.Equal(affected, want) {
		t.Errorf("affected %q, want %q", affected, want)
	}

	// Who asked does not agree, and what was agreed waits.
	j = b.do(j.ID, batchwork.Propose, "op-1")
	if _, err := j.Do(batchwork.Approve, "op-1", b.office.Clock.Now()); !errors.Is(err, batchwork.ErrOwn) {
		t.Errorf("who asked agrees: %v", err)
	}
	j = b.do(j.ID, batchwork.Approve, "op-2")
	if !j.Waits(b.office.Clock.Now()) || !j.Due.Equal(b.office.Clock.Now().Add(10*time.Minute)) {
		t.Fatalf("it does not wait: due %v", j.Due)
	}
	b.office.Clock.Add(10*time.Minute - time.Millisecond)
	time.Sleep(100 * time.Millisecond) // the runner looks five times
	if got := b.states()["revoked lost"]; got != 0 {
		t.Fatalf("%d are revoked before their time", got)
	}
	b.office.Clock.Add(time.Millisecond)
	j = b.awaitState(j.ID, batchwork.Finished)
	stop()
	if want := (batchwork.Counts{Records: 3, Good: 3}); j.Done != want || j.Began.IsZero() {
		t.Errorf("done %+v, want %+v", j.Done, want)
	}
	if got := b.states(); got["revoked lost"] != 3 || got["revoked death"] != 1 || got["active"] != 36 {
		t.Errorf("states: %v", got)
	}
	b.announced(j.ID, 3)
}

// announced looks whether the audit log announces a revocation before what it revokes.
func (b *bed) announced(job string, want int) {
	b.Helper()
	size, err := b.office.DB.AuditSize(b.Context())
	b.must(err)
	said, revoked := false, 0
	for line, err := range b.office.DB.AuditEntries(b.Context(), size) {
		b.must(err)
		_, e, err := audit.ParseEntry(line)
		b.must(err)
		switch {
		case e.Kind == audit.OperatorIntended && e.Reason == "revoke_many" && e.Detail == job && e.Actor == "op-1" && e.Digest != "":
			said = true
		case e.Kind == audit.CredentialRevoked && e.Actor == "op-1":
			if revoked++; !said {
				b.Errorf("P08: %s is revoked before it is announced", e.Credential)
			}
		}
	}
	if revoked != want {
		b.Errorf("the log has %d revocations, want %d", revoked, want)
	}
}

// TestRevokeGoesOn: a process that stops in the middle is followed by another, which
// revokes the rest and nothing twice; what somebody else revoked meanwhile is not counted.
func TestRevokeGoesOn(t *testing.T) {
	b := newBed(t, newMemory())
	issuedBy := b.finished(30).Batch
	ids := b.issued()
	j := b.revocation(batchwork.Revocation{Reason: issuance.IssuedInError, Batch: issuedBy}, "")
	stop := b.start(b.runner("first", b.revokes(nil)))
	b.awaitState(j.ID, batchwork.Checked)
	stop()
	b.do(j.ID, batchwork.Propose, "op-1")
	b.do(j.ID, batchwork.Approve, "op-2")
	_, err := b.office.Service.Revoke(t.Context(), ids[2], issuance.Lost, "op-9")
	b.must(err)
	b.office.Clock.Add(time.Hour)
	n := 0
	stop = b.start(b.runner("stops", b.revokes(func(string) error {
		if n++; n > 10 {
			return errors.New("the database is away")
		}
		return nil
	})))
	b.await(j.ID, "trouble", func(j batchwork.Job) bool { return j.Why == batchwork.Away })
	stop()
	stop = b.start(b.runner("second", b.revokes(nil)))
	j = b.awaitState(j.ID, batchwork.Finished)
	stop()
	if want := (batchwork.Counts{Records: 30, Good: 29, Skipped: 1}); j.Done != want {
		t.Errorf("done %+v, want %+v", j.Done, want)
	}
	if got := b.states(); got["revoked issued_in_error"] != 29 || got["revoked lost"] != 1 {
		t.Errorf("states: %v", got)
	}
	b.announced(j.ID, 29)
}

// TestRevokeUndone: within the ten minutes it can be taken back, and nothing is revoked;
// a list that was changed on the disk is not what was agreed to.
func TestRevokeUndone(t *testing.T) {
	b := newBed(t, newMemory())
	batch := b.finished(5).Batch
	stop := b.start(b.runner("one", b.revokes(nil)))
	agreed := func() batchwork.Job {
		j := b.revocation(batchwork.Revocation{Reason: issuance.Other, Batch: batch}, "")
		b.awaitState(j.ID, batchwork.Checked)
		b.do(j.ID, batchwork.Propose, "op-1")
		return b.do(j.ID, batchwork.Approve, "op-2")
	}
	j := agreed()
	b.do(j.ID, batchwork.Cancel, "op-3")
	spoiled := agreed()
	path := filepath.Join(b.path, spoiled.ID, "affected.csv")
	text, err := os.ReadFile(path)
	b.must(err)
	b.must(os.WriteFile(path, text[:len(text)/2], 0o600))
	b.office.Clock.Add(time.Hour)
	if j := b.awaitState(spoiled.ID, batchwork.Failed); j.Why != batchwork.FilesGone {
		t.Errorf("why: %q", j.Why)
	}
	hurried := agreed()
	_, err = batchwork.Change(t.Context(), b.store, hurried.ID, func(j batchwork.Job) (batchwork.Job, error) {
		if got := b.states(); got["active"] != 5 {
			t.Errorf("before anything was due: %v", got)
		}
		return j.Hurry(b.office.Clock.Now())
	})
	b.must(err)
	b.awaitState(hurried.ID, batchwork.Finished)
	stop()
	if _, err := j.Hurry(b.office.Clock.Now()); !errors.Is(err, batchwork.ErrState) {
		t.Errorf("what was undone is hurried: %v", err)
	}
	if got := b.states(); got["revoked other"] != 5 {
		t.Errorf("states: %v", got)
	}
}

// TestRevokeOwnOnly: IDOR. What is about records of another office is not in the list,
// and is told from nothing that does not exist.
func TestRevokeOwnOnly(t *testing.T) {
	b := newBed(t, newMemory())
	j := b.finished(20)
	ids := b.issued()
	source := b.folder.Upload(j.ID)
	opened := 0
	north := func(c *batchwork.Config) {
		c.Share = func(context.Context, batchwork.Job) (batchwork.Share, error) {
			return batchwork.Share{Name: "even", Sees: func(r registry.Record) bool {
				return strings.ContainsAny(r.ID[len(r.ID)-1:], "02468")
			}}, nil
		}
		c.Registry = func(context.Context, batchwork.Job) (registry.Source, func(), error) {
			opened++
			src, err := csvfile.Open(source, csvfile.Options{IDColumn: "id"})
			return src, func() {}, err
		}
	}
	stop := b.start(b.runner("one", b.revokes(nil), north))
	defer stop()
	all := b.revocation(batchwork.Revocation{Reason: issuance.Lost}, "")
	if j := b.awaitState(all.ID, batchwork.Checked); j.Dry != (batchwork.Counts{Records: 10, Good: 10}) {
		t.Errorf("of all of the programme: %+v", j.Dry)
	}
	never := "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	listed := b.revocation(batchwork.Revocation{Reason: issuance.Lost, List: true}, strings.Join(append(slices.Clone(ids), never), "\n"))
	j = b.awaitState(listed.ID, batchwork.Checked)
	if j.Dry != (batchwork.Counts{Records: 21, Good: 10, Faulty: 11}) {
		t.Errorf("of a list: %+v", j.Dry)
	}
	b.must(b.folder.Faults(j.ID, func(l batchwork.FaultLine) error {
		if l.Code != batchwork.NotFound {
			t.Errorf("row %d: %s tells that it exists", l.Row, l.Code)
		}
		return nil
	}))
	if opened != 2 {
		t.Errorf("the registry was opened %d times, want 2", opened)
	}
	tomorrow := b.revocation(batchwork.Revocation{Reason: issuance.Lost, From: b.office.Clock.Now().Add(24 * time.Hour)}, "")
	if j := b.await(tomorrow.ID, "an end", func(j batchwork.Job) bool { return j.State != batchwork.Checking }); j.State != batchwork.Unusable || j.Why != batchwork.NothingToDo {
		t.Errorf("of tomorrow: %s %s", j.State, j.Why)
	}
}

// TestNewRevocationRefuses spoils one thing at a time.
func TestNewRevocationRefuses(t *testing.T) {
	order := batchwork.Order{Office: "north", Programme: "card", Requester: "op-1"}
	good := batchwork.Revocation{Reason: issuance.Lost, Batch: "b"}
	if _, err := batchwork.NewRevocation(order, good, time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*batchwork.Order, *batchwork.Revocation){
		"no office":          func(o *batchwork.Order, _ *batchwork.Revocation) { o.Office = "" },
		"no programme":       func(o *batchwork.Order, _ *batchwork.Revocation) { o.Programme = "" },
		"nobody":             func(o *batchwork.Order, _ *batchwork.Revocation) { o.Requester = "" },
		"no reason":          func(_ *batchwork.Order, r *batchwork.Revocation) { r.Reason = "" },
		"a reason of ours":   func(_ *batchwork.Order, r *batchwork.Revocation) { r.Reason = issuance.Leftover },
		"a list and no file": func(_ *batchwork.Order, r *batchwork.Revocation) { r.List, r.Batch = true, "" },
		"a file and no list": func(o *batchwork.Order, _ *batchwork.Revocation) { o.Name = "x" },
		"a batch and a list": func(o *batchwork.Order, r *batchwork.Revocation) { o.Name, r.List = "x", true },
	} {
		o, r := order, good
		spoil(&o, &r)
		if _, err := batchwork.NewRevocation(o, r, time.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
