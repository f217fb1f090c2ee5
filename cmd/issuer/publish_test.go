package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/trust"
)

// published reads a published folder.
func (o *office) published(folder string) published.Index {
	o.Helper()
	x, err := published.Read(folder)
	if err != nil || x.Trust == nil || len(x.Next) > 0 {
		o.Fatalf("%+v, %v", x, err)
	}
	for _, f := range x.Files() {
		content, err := os.ReadFile(filepath.Join(folder, f.File))
		if err != nil || published.Digest(content) != f.SHA256 || len(content) != f.Bytes {
			o.Errorf("%s is not what the index says: %v", f.File, err)
		}
	}
	return x
}

func TestStatusPublish(t *testing.T) {
	o := newOffice(t)
	records := farmers(t, 2)
	dir, public := o.path("office"), o.path("public")
	publish := func() published.Index {
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

// rounds returns a publisher as serve and --every have one, what it says, and a round of
// it that must succeed.
func (o *office) rounds(public string) (f *publisher, said *[]string, round func()) {
	o.Helper()
	p := program{Program: cli.Program{Name: "issuer", Now: o.Now}}
	root := p.commands()
	cmd, _, err := root.Find([]string{"status", "publish"})
	if err == nil {
		err = root.PersistentFlags().Set("dir", o.path("office"))
	}
	if err != nil {
		o.Fatal(err)
	}
	cmd.SetContext(o.Context())
	said = &[]string{}
	f = &publisher{program: &p, cmd: cmd, out: public, say: func(format string, args ...any) { *said = append(*said, fmt.Sprintf(format, args...)) }}
	return f, said, func() {
		o.Helper()
		o.wait(time.Minute)
		*said = nil
		if _, err := f.round(o.Context()); err != nil {
			o.Fatal(err)
		}
		if x := o.published(public); !x.Checked.Equal(o.Now()) {
			o.Errorf("the folder was compared at %s, want %s", x.Checked, o.Now())
		}
	}
}

// TestPublishingMendsTheFolder spoils one thing of a folder between two rounds in which
// nothing else happens. The next round puts it right and says so.
func TestPublishingMendsTheFolder(t *testing.T) {
	o := newOffice(t)
	public := o.path("public")
	o.must(o.issue(farmers(t, 1)[0])...)
	_, said, round := o.rounds(public)
	for range 3 { // the second finds the first's entries in the log, the third nothing
		round()
	}
	if len(*said) > 0 {
		t.Errorf("a folder that is in order: %q", *said)
	}
	want := o.published(public)
	list, index := want.Lists[0].File, published.IndexName
	write := func(name, content string) func() error {
		return func() error { return os.WriteFile(filepath.Join(public, name), []byte(content), 0o600) }
	}
	remove := func(names ...string) func() error {
		return func() (err error) {
			for _, name := range names {
				err = errors.Join(err, os.Remove(filepath.Join(public, name)))
			}
			return err
		}
	}
	all := []string{index}
	for _, f := range want.Files() {
		all = append(all, f.File)
	}
	short := want
	short.Lists = short.Lists[1:]
	for _, tt := range []struct {
		name  string
		spoil func() error
		say   string // "": the index was whole, and of other files
	}{
		{"everything removed", remove(all...), index + " was missing"},
		{"a list removed", remove(list), list + " was missing"},
		{"the bundle removed", remove(want.Trust.File), want.Trust.File + " was missing"},
		{"a list damaged", write(list, "garbage"), list + " was damaged"},
		{"a list cut off", write(list, ""), list + " was damaged"},
		{"the index removed", remove(index), index + " was missing"},
		{"the index damaged", write(index, "garbage"), index + " was damaged"},
		{"the index emptied", write(index, "{}"), index + " was damaged"},
		{"an index of no lists", write(index, `{"lists": []}`), ""},
		{"an index without one list", func() error { return short.Write(public) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.spoil(); err != nil {
				t.Fatal(err)
			}
			round()
			if got := o.published(public); !got.Same(want) {
				t.Errorf("after the next round: %+v, want %+v", got, want)
			}
			if text := strings.Join(*said, "\n"); !strings.Contains(text, tt.say) || (tt.say == "") != (text == "") {
				t.Errorf("it said %q, want %q", text, tt.say)
			}
			if round(); len(*said) > 0 {
				t.Errorf("the round after it said %q", *said)
			}
		})
	}
}

// TestPublishingLooksAgain: what happens while a round is at work is in the next one, also
// if that one began with it in the log already.
func TestPublishingLooksAgain(t *testing.T) {
	o := newOffice(t)
	public := o.path("public")
	id := strings.Fields(o.must(o.issue(farmers(t, 1)[0])...))[0]
	f, _, round := o.rounds(public)
	revoked := false
	f.with = func(what access, do func(*app) error) error {
		a, err := f.open(f.cmd, what)
		if err != nil {
			return err
		}
		defer a.close()
		if what == readWrite {
			now := a.now
			a.now = func() time.Time { // called when the lists are made, and their file is not written
				if !revoked {
					revoked = true
					if _, err := a.service.Revoke(o.Context(), id, issuance.Lost, "tester"); err != nil {
						t.Error(err)
					}
				}
				return now()
			}
		}
		return do(a)
	}
	round()
	first := o.published(public)
	for range 2 {
		round()
	}
	if !revoked {
		t.Fatal("nothing was revoked")
	}
	for i, l := range o.published(public).Lists {
		if l.Number > first.Lists[i].Number {
			return
		}
	}
	t.Errorf("a revocation during a round is not in the lists of the next: %+v", first.Lists)
}

// TestP07FolderWithoutFiles: what the index says of a file counts when the file is gone.
func TestP07FolderWithoutFiles(t *testing.T) {
	folder := t.TempDir()
	known := published.Index{Lists: []published.File{{File: "a.cwt", Number: 4}}, Next: []published.File{{File: "b.cwt", Number: 4}}}
	for _, name := range []string{"a.cwt", "b.cwt"} {
		for number, want := range map[uint64]error{3: errOlder, 4: nil, 5: nil} {
			f := filling{out: folder, known: known}
			if _, err := f.add(published.File{File: name}, issuance.Publication{Number: number, Content: []byte("list")}, newerList); !errors.Is(err, want) {
				t.Errorf("%s: number %d after 4: %v, want %v", name, number, err, want)
			}
		}
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

// TestFolderWatch plays hours in which rounds hang, so that none of them fails.
func TestFolderWatch(t *testing.T) {
	folder := t.TempDir()
	start := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	now := start
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var said []string
	w := folderWatch{folder: folder, now: func() time.Time { return now }, say: func(format string, args ...any) {
		said = append(said, now.Sub(start).String()+" "+strings.SplitN(fmt.Sprintf(format, args...), ":", 2)[0])
	}}
	w.sleep = func(_ context.Context, d time.Duration) {
		now = now.Add(d)
		switch at := now.Sub(start); {
		case at <= 10*time.Minute || at > time.Hour && at <= 2*time.Hour: // rounds succeed
			if err := (published.Index{Checked: now}).Write(folder); err != nil {
				t.Fatal(err)
			}
		case at > 2*time.Hour+6*time.Minute:
			stop()
		}
	}
	w.run(ctx)
	want := []string{"15m30s WARNING", "25m30s ALARM", "41m0s ALARM", "56m30s ALARM", "2h5m30s WARNING"}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("it said %q, want %q", said, want)
	}
}

// TestSlowPublishing: an interval beyond the promise is told.
func TestSlowPublishing(t *testing.T) {
	for every, want := range map[time.Duration]string{0: "", time.Minute: "", 61 * time.Second: "within 1m0s", 5 * time.Minute: "within 1m0s", 301 * time.Second: "longer than 5m0s"} {
		if got := tooSlow("--every", every); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", every, got, want)
		}
	}
	o := newOffice(t)
	path := o.path("office/issuer.yaml")
	settings, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for every, warned := range map[string]bool{"60s": false, "10m": true} {
		write(t, path, string(settings)+"serve: {published: ../public, publish_every: "+every+"}\n")
		if out := o.must("config", "check", "--dir", o.path("office")); strings.Contains(out, "serve.publish_every is") != warned {
			t.Errorf("config check with publish_every %s: %s", every, out)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out strings.Builder
	p := program{Program: cli.Program{Name: "issuer", Now: o.Now}}
	p.Run(ctx, p.commands(), []string{"status", "publish", "--dir", o.path("office"), "--out", o.path("public"), "--every", "10m"}, strings.NewReader(""), &out, &out)
	if !strings.Contains(out.String(), "WARNING: --every is 10m0s") {
		t.Errorf("status publish --every 10m says %q", &out)
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
	until := func(what string, ok func(published.Index) bool) published.Index {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			x, err := published.Read(public)
			if err == nil && ok(x) {
				return x
			}
			if time.Now().After(deadline) {
				t.Fatalf("not %s: %v", what, err)
			}
		}
	}
	first := until("published", func(x published.Index) bool { return x.Trust != nil })
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
	until("published the revocation", func(x published.Index) bool { return x.Trust != nil && x.Trust.Number > first.Trust.Number })
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
