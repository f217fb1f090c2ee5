package backup_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// register has n persons from number from on; behind the one with the number stop it calls at.
type register struct {
	from, n, stop int
	at            func()
}

func (r register) Records(context.Context) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		for n := range r.n {
			if r.at != nil && n == r.stop {
				r.at()
			}
			if !yield(officetest.Person(r.from+n), nil) {
				return
			}
		}
	}
}

func (register) Lookup(context.Context, string) (registry.Record, error) {
	return registry.Record{}, registry.ErrNoRecord
}

func (r register) Fingerprint(context.Context) (string, error) { return "persons", nil }

func (register) Mark(context.Context) (registry.Mark, error) { return nil, nil }

func (register) Changes(context.Context, registry.Mark) iter.Seq2[registry.Change, error] {
	return func(func(registry.Change, error) bool) {}
}

// runBatch issues receipts in a folder for 40 persons; all of them, or until half of them are
// read.
func runBatch(t *testing.T, o *officetest.Office, folder string, whole bool) (issuance.Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	source := register{from: 500, n: 40}
	if !whole {
		source.stop, source.at = 20, cancel
	}
	return o.Service.RunBatch(ctx, issuance.BatchRequest{
		Programme: "receipt", Source: source, Folder: folder, Kinds: []issuance.FileKind{issuance.FileText}, Actor: "tester",
		Chunk: 10, Sync: func(string) error { return nil },
	})
}

// sharedBatch is a batch of 40 receipts that others can join, or has been.
func sharedBatch(t *testing.T, folder, join string) issuance.BatchRequest {
	t.Helper()
	text := "id,name,village\n"
	for n := range 40 {
		text += fmt.Sprintf("F%07d,Nurjahan,Jessore\n", n)
	}
	file := filepath.Join(t.TempDir(), "register.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := csvfile.Open(file, csvfile.Options{IDColumn: "id"})
	if err != nil {
		t.Fatal(err)
	}
	return issuance.BatchRequest{
		Programme: "receipt", Source: source, Folder: folder, Kinds: []issuance.FileKind{issuance.FileCSV}, Actor: "tester",
		Chunk: 10, Shared: join == "", Join: join, Sync: func(string) error { return nil },
	}
}

// TestBatchesSinceTheBackup: a batch that finished after the backup has finished, and its
// folder says so; one that was given up by an earlier restore was given up; one that was under
// way is. Log, store and fsck agree on each.
func TestBatchesSinceTheBackup(t *testing.T) {
	o, _ := small(t)
	folders := map[string]string{}
	run := func(name string, whole bool) string {
		t.Helper()
		if folders[name] == "" {
			folders[name] = t.TempDir()
		}
		result, err := runBatch(t, o, folders[name], whole)
		if err != nil || whole != (result.Outcome == issuance.Complete) || !whole && result.Batch.Issued == 0 {
			t.Fatalf("%s: %+v, %v", name, result, err)
		}
		return result.Batch.ID
	}
	resumed, under := run("finished after it was resumed", false), run("under way", false)
	before := run("finished before", true)
	file := take(t, o)
	run("finished after it was resumed", true)
	since := run("finished", true)
	lost := run("given up", false)
	given, err := o.DB.Batch(t.Context(), lost)
	if err != nil {
		t.Fatal(err)
	}
	given.GiveUp(given.Issued, o.Clock.Now())
	err = o.DB.Write(t.Context(), func(tx issuance.Tx) error {
		return errors.Join(tx.SaveBatch(given), tx.Append([]audit.Event{given.Event(audit.BatchGivenUp, "tester", o.Clock.Now())}))
	})
	if err != nil {
		t.Fatal(err)
	}

	parts := t.TempDir()
	shared, err := o.Service.RunBatch(t.Context(), sharedBatch(t, parts, ""))
	if err != nil || shared.Outcome != issuance.Complete || shared.Batch.Issued != 40 {
		t.Fatalf("shared: %+v, %v", shared, err)
	}

	is := restore(t, o, file, filepath.Join(t.TempDir(), "issuer.db"))
	replay(t, is, o.Folder)
	for name, want := range map[string]struct {
		id     string
		state  issuance.BatchState
		given  bool
		issued int64
	}{
		"finished before":               {before, issuance.BatchFinished, false, 40},
		"finished after it was resumed": {resumed, issuance.BatchFinished, false, 40},
		"finished":                      {since, issuance.BatchFinished, false, 40},
		"given up":                      {lost, issuance.BatchFinished, true, given.Issued},
		"under way":                     {under, issuance.BatchRunning, false, -1},
	} {
		b, err := is.DB.Batch(t.Context(), want.id)
		if err != nil || b.State != want.state || b.GivenUp() != want.given || want.issued >= 0 && (b.Issued != want.issued || b.Rows != want.issued) {
			t.Errorf("%s: %+v, %v; want %+v", name, b, err, want)
		}
		result, err := runBatch(t, is, folders[name], true)
		switch {
		case name == "under way": // until the restore gives it up
		case want.given != errors.Is(err, issuance.ErrGivenUp) || !want.given && (err != nil || !result.Already || result.Outcome != issuance.Complete):
			t.Errorf("%s, the same command: %+v, %v", name, result, err)
		}
	}
	for what, r := range map[string]issuance.BatchRequest{
		"the same command": sharedBatch(t, parts, ""), "joining with a folder that has a part": sharedBatch(t, parts, shared.Batch.ID),
		"joining": sharedBatch(t, t.TempDir(), shared.Batch.ID),
	} {
		result, err := is.Service.RunBatch(t.Context(), r)
		if err != nil || !result.Already || result.Outcome != issuance.Complete || result.Batch.Issued != 40 || result.Batch.Rows != 40 {
			t.Errorf("shared, %s: %+v, %v", what, result, err)
		}
	}
	is.Clean()
}
