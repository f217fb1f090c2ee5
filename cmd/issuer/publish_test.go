package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/trust"
)

// published reads a published folder.
func (o *office) published(folder string) publishedIndex {
	o.Helper()
	b, err := os.ReadFile(filepath.Join(folder, indexName))
	var x publishedIndex
	if err == nil {
		err = json.Unmarshal(b, &x)
	}
	if err != nil {
		o.Fatal(err)
	}
	for _, f := range append(slices.Clone(x.Lists), *x.Trust) {
		content, err := os.ReadFile(filepath.Join(folder, f.File))
		if err != nil || digest(content) != f.SHA256 || len(content) != f.Bytes {
			o.Errorf("%s is not what the index says: %v", f.File, err)
		}
	}
	return x
}

func TestStatusPublish(t *testing.T) {
	o := newOffice(t)
	records := farmers(t, 2)
	dir, public := o.path("office"), o.path("public")
	publish := func() publishedIndex {
		o.Helper()
		o.must("status", "publish", "--dir", dir, "--out", public)
		return o.published(public)
	}
	id := strings.Fields(o.must(o.issue(records[0])...))[0]
	first := publish()
	if len(first.Lists) == 0 || first.Trust == nil {
		t.Fatalf("%+v", first)
	}
	// Nothing to say: nothing is signed.
	o.wait(time.Minute)
	o.must(o.issue(records[1])...)
	if again := publish(); again.Lists[0].Number != first.Lists[0].Number || again.Trust.Number != first.Trust.Number || !again.Checked.After(first.Checked) {
		t.Errorf("a list or bundle that says the same was made anew: %+v, %+v", first, again)
	}
	// P05: what was revoked is in the next list and bundle.
	o.wait(time.Minute)
	o.must("revoke", "--dir", dir, id, "--reason", "lost")
	next := publish()
	if next.Trust.Number != first.Trust.Number+1 {
		t.Errorf("bundle %d after %d", next.Trust.Number, first.Trust.Number)
	}
	revoked := 0
	for i, l := range next.Lists {
		b, err := os.ReadFile(filepath.Join(public, l.File))
		if err != nil {
			t.Fatal(err)
		}
		info, err := statuslist.ParseToken(b, 0)
		if err != nil || info.URI != l.URI || !info.IssuedAt.Equal(l.IssuedAt) {
			t.Fatalf("%+v: %v", l, err)
		}
		if l.Number == first.Lists[i].Number+1 {
			revoked++
		} else if l.Number != first.Lists[i].Number {
			t.Errorf("number %d after %d", l.Number, first.Lists[i].Number)
		}
	}
	if revoked == 0 {
		t.Error("no list shows the revocation")
	}
	// What says the same is dated anew twice a day.
	o.wait(13 * time.Hour)
	if later := publish(); later.Lists[0].Number <= next.Lists[0].Number || later.Trust.Number <= next.Trust.Number {
		t.Errorf("after 13 hours: %+v", later)
	}
}

// TestP07Folder: nothing in a folder is replaced by something older, and whoever
// tries is told.
func TestP07Folder(t *testing.T) {
	o := newOffice(t)
	o.settings("journal: journal", "journal: none") // which would notice the old database first
	records := farmers(t, 1)
	dir, public := o.path("office"), o.path("public")
	id := strings.Fields(o.must(o.issue(records[0])...))[0]
	o.must("status", "publish", "--dir", dir, "--out", public)
	old, err := os.ReadFile(o.path("office/issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	o.wait(time.Hour)
	o.must("revoke", "--dir", dir, id, "--reason", "lost")
	o.must("status", "publish", "--dir", dir, "--out", public)
	before := o.published(public)

	if err := os.WriteFile(o.path("office/issuer.db"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	o.refused(errOlder.Error(), "status", "publish", "--dir", dir, "--out", public)
	if after := o.published(public); fmt.Sprint(after.Lists) != fmt.Sprint(before.Lists) || *after.Trust != *before.Trust {
		t.Errorf("the folder changed: %+v, %+v", before, after)
	}
}

// TestP29 takes the database away: what is published stays as it is, for as long as
// it says, and publishing goes on when the database is back.
func TestP29(t *testing.T) {
	o := newOffice(t)
	dir, public := o.path("office"), o.path("public")
	o.must(o.issue(farmers(t, 1)[0])...)
	o.must("status", "publish", "--dir", dir, "--out", public)
	before := o.published(public)
	db := o.path("office/issuer.db")
	if err := os.Rename(db, db+".away"); err != nil {
		t.Fatal(err)
	}
	for range 24 {
		o.wait(time.Hour)
		if status, out := o.run("status", "publish", "--dir", dir, "--out", public); status == 0 {
			t.Fatal(out)
		}
		x := o.published(public)
		b, err := os.ReadFile(filepath.Join(public, x.Lists[0].File))
		if err != nil {
			t.Fatal(err)
		}
		info, err := statuslist.ParseToken(b, 0)
		if err != nil || !o.Now().Before(info.Expires) || !info.IssuedAt.Equal(before.Lists[0].IssuedAt) {
			t.Fatalf("%v, %v", info, err)
		}
		if b, err = os.ReadFile(filepath.Join(public, x.Trust.File)); err != nil {
			t.Fatal(err)
		}
		if _, err := trust.Open(b); err != nil {
			t.Fatal(err)
		}
		if !x.Checked.Equal(before.Checked) {
			t.Fatal("the folder says that it was compared with a database that is away")
		}
	}
	if err := os.Rename(db+".away", db); err != nil {
		t.Fatal(err)
	}
	o.must("status", "publish", "--dir", dir, "--out", public)
}

// TestSchedule plays a day of publishing on a clock of its own.
func TestSchedule(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	down := func(from, to time.Duration) bool {
		at := now.Sub(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))
		return at >= from && at < to
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var said []string
	rounds, after := 0, time.Duration(0)
	s := schedule{
		every: time.Minute, now: func() time.Time { return now },
		sleep: func(_ context.Context, d time.Duration) { now = now.Add(d) },
		say:   func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	}
	s.run(ctx, func(context.Context) error {
		rounds++
		if down(10*time.Minute, 40*time.Minute) {
			return errors.New("no database")
		}
		if after == 0 && down(40*time.Minute, time.Hour) {
			after = now.Sub(time.Date(2026, 11, 21, 8, 40, 0, 0, time.UTC))
		}
		if down(time.Hour, 24*time.Hour) {
			stop()
		}
		return nil
	})
	text := strings.Join(said, "\n")
	for _, want := range []string{"publishing failed: no database (again in 1s)", "(again in 32s)", "WARNING: what is published is 5m", "ALARM: what is published is 15m", "published again"} {
		if !strings.Contains(text, want) {
			t.Errorf("it did not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(said[0], "WARNING") || after > time.Minute || rounds < 50 || rounds > 100 {
		t.Errorf("%d rounds, the first after the end %s late:\n%s", rounds, after, text)
	}
}

// TestStatusPublishEvery runs the schedule as people do, beside other commands, and
// ends it as a service manager does.
func TestStatusPublishEvery(t *testing.T) {
	o := newOffice(t)
	dir, public := o.path("office"), o.path("public")
	id := strings.Fields(o.must(o.issue(farmers(t, 1)[0])...))[0]
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		var out strings.Builder
		p := program{Program: cli.Program{Name: "issuer", Now: o.Now}}
		ended <- p.Run(ctx, p.commands(), []string{"status", "publish", "--dir", dir, "--out", public, "--every", "1s"}, strings.NewReader(""), &out, &out)
	}()
	until := func(what string, ok func(publishedIndex) bool) publishedIndex {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			x, err := readIndex(public)
			if err == nil && ok(x) {
				return x
			}
			if time.Now().After(deadline) {
				t.Fatalf("not %s: %v", what, err)
			}
		}
	}
	first := until("published", func(x publishedIndex) bool { return x.Trust != nil })
	o.wait(time.Minute)
	for deadline := time.Now().Add(60 * time.Second); ; {
		status, out := o.run("revoke", "--dir", dir, id, "--reason", "lost")
		if status == 0 {
			break
		}
		if !strings.Contains(out, "in use") || time.Now().After(deadline) {
			t.Fatal(out)
		}
	}
	until("published the revocation", func(x publishedIndex) bool { return x.Trust != nil && x.Trust.Number > first.Trust.Number })
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("status %d after it was told to stop", status)
	}
	if status, out := o.run("status", "publish", "--dir", dir, "--out", public, "--every", "soon"); status != 2 {
		t.Errorf("--every soon: status %d, %s", status, out)
	}
}

// TestBundleIsKeptWhole lets several publishers keep the same bundle at the same
// time, as those of one office on PostgreSQL do who publish into different
// folders. None may fail, and no reader may see a part of it.
func TestBundleIsKeptWhole(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "trust")
	content := bytes.Repeat([]byte("bundle"), 100_000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				if err := keepBundle(t.Context(), folder, 7, content); err != nil {
					t.Error(err)
					return
				}
				got, err := os.ReadFile(filepath.Join(folder, "bundle-000007.trust"))
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("it holds %d bytes of %d: %v", len(got), len(content), err)
				}
			}
		})
	}
	wg.Wait()
}
