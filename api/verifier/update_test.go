package verifier_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/trust"
)

// A shelf is a web server with trust bundles, which a test may spoil.
type shelf struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   []string // path, and the tag that came with it
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path+" "+r.Header.Get("If-None-Match"))
		h := s.answers[r.URL.Path]
		s.mu.Unlock()
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// put has a file there, with a tag.
func (s *shelf) put(path, tag string, file []byte) {
	s.set(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	})
}

func (s *shelf) set(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = h
}

// questions are those since the last call.
func (s *shelf) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.asked
	s.asked = nil
	return all
}

// versions are the first three bundles of a country, as files.
func versions(t *testing.T, c *country) (files [][]byte) {
	t.Helper()
	files = append(files, c.file(t))
	for i := 1; i < 3; i++ {
		b, err := trust.Open(files[i-1])
		if err != nil {
			t.Fatal(err)
		}
		c.content = b.Next(asOf.Add(time.Duration(i) * time.Hour))
		files = append(files, c.file(t))
	}
	return files
}

// newUpdater is one on a folder that trusts the first bundle.
func newUpdater(t *testing.T, first []byte, sources ...string) *verifier.Updater {
	t.Helper()
	u := &verifier.Updater{
		Dir: filepath.Join(t.TempDir(), "trust"), Sources: sources, Every: 6 * time.Hour, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
		Fetch: fetch.New(fetch.Config{LocalHosts: []string{"127.0.0.1"}, Timeout: 5 * time.Second}),
	}
	if first != nil {
		st, _, err := trust.Accept(trust.State{}, first, func(*trust.Bundle) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		if err := trust.NewDirMemory(u.Dir).Save(st); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func round(t *testing.T, u *verifier.Updater) (outcomes []string) {
	t.Helper()
	all, err := u.Round(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		outcomes = append(outcomes, s.Outcome)
	}
	return outcomes
}

// inUse is the version of the bundle in use.
func inUse(t *testing.T, u *verifier.Updater) uint64 {
	t.Helper()
	st, err := trust.NewDirMemory(u.Dir).Load()
	if err != nil {
		t.Fatal(err)
	}
	b, err := st.Open()
	if err != nil {
		t.Fatal(err)
	}
	return b.Version
}

// TestUpdate: what is newer is taken once, from whoever has it, and is not sent again.
func TestUpdate(t *testing.T) {
	shelf := newShelf(t)
	files := versions(t, newCountry(t))
	u := newUpdater(t, files[0], shelf.URL+"/a", shelf.URL+"/b")
	shelf.put("/a", `"one"`, files[0])
	shelf.put("/b", `"two"`, files[1])
	expect := func(version uint64, questions []string, outcomes ...string) {
		t.Helper()
		if got := round(t, u); !slices.Equal(got, outcomes) || inUse(t, u) != version {
			t.Errorf("%v with version %d, want %v with %d", got, inUse(t, u), outcomes, version)
		}
		if got := shelf.questions(); !slices.Equal(got, questions) {
			t.Errorf("asked %q, want %q", got, questions)
		}
	}
	expect(2, []string{"/a ", "/b "}, "unchanged", "updated")
	expect(2, []string{`/a "one"`, `/b "two"`}, "unchanged", "unchanged") // by their tags
	shelf.put("/a", `"three"`, files[2])
	expect(3, []string{`/a "one"`, `/b "two"`}, "updated", "unchanged")
	shelf.put("/a", `"old"`, files[0])
	expect(3, []string{`/a "three"`, `/b "two"`}, "older", "unchanged")
	expect(3, []string{`/a "old"`, `/b "two"`}, "older", "unchanged")

	// A folder that lost its bundle, or went back to an older state, asks for all of it.
	shelf.put("/a", `"three"`, files[2])
	expect(3, []string{`/a "old"`, `/b "two"`}, "unchanged", "unchanged")
	all, err := filepath.Glob(filepath.Join(u.Dir, "bundle-*"))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if err := os.WriteFile(all[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(3, []string{`/a `, `/b "two"`}, "updated", "unchanged")
	back := newUpdater(t, files[0]).Dir
	for _, f := range must(filepath.Glob(filepath.Join(u.Dir, "*")))(t) {
		if filepath.Base(f) != verifier.UpdatesFile {
			_ = os.Remove(f)
		}
	}
	for _, f := range must(filepath.Glob(filepath.Join(back, "*")))(t) {
		if err := os.Rename(f, filepath.Join(u.Dir, filepath.Base(f))); err != nil {
			t.Fatal(err)
		}
	}
	expect(3, []string{`/a `, `/b "two"`}, "updated", "unchanged")
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestUpdateRefuses spoils one thing of a source at a time: its outcome says what, the
// last good bundle stays, and a source beside it does its work.
func TestUpdateRefuses(t *testing.T) {
	c := newCountry(t)
	files := versions(t, c)
	edited := bytes.Clone(files[2])
	edited[len(edited)/2] ^= 1
	give := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	again := versions(t, &country{bundleKey: c.bundleKey, content: func() trust.Content {
		b, err := trust.Open(files[0])
		if err != nil {
			t.Fatal(err)
		}
		next := b.Next(asOf.Add(90 * time.Minute))
		next.Jurisdiction = "XA-other"
		return next
	}()})
	early, err := trust.Open(files[1])
	if err != nil {
		t.Fatal(err)
	}
	backwards := early.Next(asOf.Add(-time.Hour))
	backwards.Status = nil
	for _, tt := range []struct {
		name, want string
		answer     http.HandlerFunc
	}{
		{"OFF-09 an edited file", "malformed", give(edited)},
		{"no trust file", "malformed", give([]byte("<html>sign in</html>"))},
		{"an empty file", "malformed", give(nil)},
		{"OFF-09 more than 4 MiB", "too_large", give(make([]byte, trust.MaxFile+1))},
		{"OFF-06 an older version", "older", give(files[0])},
		{"another authority's", "other_root", give(newCountry(t).file(t))},
		{"another content under the version in use", "mixed", give(again[0])},
		{"a newer version with an earlier date", "backwards", give(must(backwards.Sign(rand.Reader, []keys.Signer{c.bundleKey}, backwards.AsOf))(t))},
		{"nothing there", "no_file", status(http.StatusNotFound)},
		{"a server that fails", "no_file", status(http.StatusServiceUnavailable)},
		{"304 that nobody asked for", "no_file", status(http.StatusNotModified)},
		{"an answer that breaks off", "no_answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(files[2][:100])
		}},
		{"a redirect to another host", "redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/x", http.StatusFound)
		}},
		{"a compressed answer", "storage", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(files[2])
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shelf := newShelf(t)
			shelf.set("/bad", tt.answer)
			shelf.put("/good", `"two"`, files[1])
			u := newUpdater(t, files[1], shelf.URL+"/bad")
			if got := round(t, u); got[0] != tt.want || inUse(t, u) != 2 {
				t.Errorf("%v with version %d, want %s with 2", got, inUse(t, u), tt.want)
			}
			if !slices.Contains(verifier.UpdateOutcomes(), tt.want) {
				t.Errorf("%s is none of the words", tt.want)
			}
			u = newUpdater(t, files[0], shelf.URL+"/good", shelf.URL+"/bad")
			if got := round(t, u); got[0] != "updated" || got[1] != tt.want || inUse(t, u) != 2 {
				t.Errorf("beside it: %v with version %d", got, inUse(t, u))
			}
		})
	}
	for name, address := range map[string]string{"no_answer": "http://127.0.0.1:1/x", "forbidden": "https://10.0.0.1/x", "address": "http://mirror.example/x"} {
		u := newUpdater(t, files[1], address)
		if got := round(t, u); got[0] != name || inUse(t, u) != 2 {
			t.Errorf("%s: %v, want %s", address, got, name)
		}
	}
	// The first bundle needs somebody who compared the fingerprint.
	shelf := newShelf(t)
	shelf.put("/a", `"one"`, files[0])
	u := newUpdater(t, nil, shelf.URL+"/a")
	if got := round(t, u); got[0] != "not_confirmed" {
		t.Errorf("first trust: %v", got)
	}
	b, err := trust.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	u.First = trust.Pinned(b.Fingerprint())
	if got := round(t, u); got[0] != "updated" || inUse(t, u) != 1 {
		t.Errorf("first trust with its fingerprint: %v", got)
	}
}

// TestUpdateRemembers: how updates went survives a restart, and a file that is damaged or
// of other sources costs nothing but a download.
func TestUpdateRemembers(t *testing.T) {
	shelf := newShelf(t)
	files := versions(t, newCountry(t))
	shelf.put("/a", `"one"`, files[0])
	u := newUpdater(t, files[0], shelf.URL+"/a")
	round(t, u)
	got := verifier.ReadUpdates(u.Dir, []string{shelf.URL + "/new", shelf.URL + "/a"})
	if len(got) != 2 || got[0].Outcome != "" || got[1].Outcome != "unchanged" || !got[1].Succeeded.Equal(now) || got[1].ETag != `"one"` {
		t.Errorf("%+v", got)
	}
	path := filepath.Join(u.Dir, verifier.UpdatesFile)
	for _, text := range []string{"", "{", `{"sources": 7}`, `{"sources":[{"address":"x"}],"failures":-5}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		shelf.questions()
		if got := round(t, u); got[0] != "unchanged" || !slices.Equal(shelf.questions(), []string{"/a "}) {
			t.Errorf("after the file %q: %v", text, got)
		}
	}
	// Failures are counted until one source does well, and the time in between grows.
	shelf.set("/a", nil)
	for range 3 {
		round(t, u)
	}
	var kept struct{ Failures int }
	if err := json.Unmarshal(must(os.ReadFile(path))(t), &kept); err != nil || kept.Failures != 3 {
		t.Errorf("%d failures, %v, want 3", kept.Failures, err)
	}
	if s := verifier.ReadUpdates(u.Dir, u.Sources)[0]; s.Outcome != "no_file" || !s.Succeeded.Equal(now) {
		t.Errorf("the last success is forgotten: %+v", s)
	}
	shelf.put("/a", `"one"`, files[0])
	round(t, u)
	kept.Failures = 0
	if err := json.Unmarshal(must(os.ReadFile(path))(t), &kept); err != nil || kept.Failures != 0 {
		t.Errorf("%d failures after a success", kept.Failures)
	}
	if err := os.Chmod(u.Dir, 0o500); err != nil || os.Geteuid() == 0 {
		return // root may write anywhere
	}
	if _, err := u.Round(t.Context()); err == nil {
		t.Error("a folder that cannot be written to is no error")
	}
}

// TestUpdatePause: it doubles after each round that brings nothing, up to the usual time,
// and two verifiers do not wait the same.
func TestUpdatePause(t *testing.T) {
	u := &verifier.Updater{Every: 6 * time.Hour}
	for failures, want := range map[int]time.Duration{0: 6 * time.Hour, 1: time.Minute, 2: 2 * time.Minute, 5: 16 * time.Minute, 9: 256 * time.Minute, 10: 6 * time.Hour, 1000: 6 * time.Hour} {
		seen := map[time.Duration]bool{}
		for range 20 {
			d, err := u.Pause(failures)
			if err != nil {
				t.Fatal(err)
			}
			if d < want*8/10 || d > want*12/10 {
				t.Errorf("after %d failures: %s, want about %s", failures, d, want)
			}
			seen[d] = true
		}
		if len(seen) < 2 {
			t.Errorf("after %d failures: always the same", failures)
		}
	}
}

// TestUpdateRun: a loop takes what appears, and ends when it is told to.
func TestUpdateRun(t *testing.T) {
	shelf := newShelf(t)
	files := versions(t, newCountry(t))
	shelf.put("/a", `"one"`, files[0])
	u := newUpdater(t, files[0], shelf.URL+"/a")
	u.Every = time.Millisecond
	done := make(chan struct{})
	ctx, cancel := newContext(t)
	go func() {
		u.Run(ctx)
		close(done)
	}()
	shelf.put("/a", `"three"`, files[2])
	for {
		st, err := trust.NewDirMemory(u.Dir).Load()
		if err != nil && !errors.Is(err, trust.ErrMemory) {
			t.Fatal(err)
		}
		if st.HighWater == 3 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if log := strings.Join(shelf.questions(), "\n"); !strings.Contains(log, "/a") {
		t.Error("nobody asked")
	}
}
