package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// A mirror serves one bundle, which a test replaces.
type mirror struct {
	*httptest.Server
	file []byte
}

func newMirror(t *testing.T, file []byte) *mirror {
	m := &mirror{file: file}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if m.file == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(m.file)
	}))
	t.Cleanup(m.Close)
	return m
}

// TestTrustUpdate runs the command as a scheduled job does: its exit status says what to
// do, and the last good bundle stays.
func TestTrustUpdate(t *testing.T) {
	l := newLibrary(t)
	m := newMirror(t, l.files["office.trust"])
	dir := l.path("own")
	update := func(more ...string) []string {
		return append([]string{"trust", "update", "--lang", "en", "--dir", dir, "--local-host", "127.0.0.1", "--source", m.URL + "/office.trust"}, more...)
	}
	expect := func(status int, text string, args ...string) {
		t.Helper()
		if got, out, talk := l.run(t, args...); got != status || !strings.Contains(out+talk, text) {
			t.Errorf("%s: %d\n%s%s, want %d with %q", strings.Join(args, " "), got, out, talk, status, text)
		}
	}
	expect(4, "Nobody has confirmed the fingerprint yet", update()...)
	expect(4, "Nobody has confirmed", update("--fingerprint", "11111 22222 33333 44444 55555 66666")...)
	expect(0, "Something newer is in use now", update("--fingerprint", string(l.files["fingerprint"]))...)
	expect(0, "Nothing newer", update()...)
	m.file = l.files["newer.trust"]
	expect(0, "trust bundle 2 of 2026-11-18", update()...)
	m.file = l.files["office.trust"]
	expect(0, "older list than the one in use", update()...)
	m.file = l.files["edited.trust"]
	l.now = asOf.AddDate(0, 0, 6)
	expect(3, "in use: trust bundle 2", update()...)
	l.now = asOf.AddDate(0, 1, 0)
	expect(4, "", update()...)
	m.file = nil
	expect(4, "There is no file there", update()...)
	expect(2, "by https only", "trust", "update", "--dir", dir, "--source", "http://mirror.example/x")
	expect(2, "at least 1m", update("--every", "1s")...)
	expect(1, "no trust_sources", "trust", "update")
	var view struct {
		Version uint64 `json:"bundle_version"`
		Sources []struct{ Outcome string }
	}
	if _, out, _ := l.run(t, update("--json")...); json.Unmarshal([]byte(out), &view) != nil || view.Version != 2 || view.Sources[0].Outcome != "no_file" {
		t.Errorf("--json: %+v", view)
	}
}

// TestServeUpdates: a server looks for newer bundles by itself, says how fresh it is, and
// goes on when its source is away.
func TestServeUpdates(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	m := newMirror(t, l.files["newer.trust"])
	l.now = asOf.AddDate(0, 0, 6).Add(time.Hour)
	l.set(t, "trust_sources: [\""+m.URL+"/office.trust\"]\nlocal_hosts: [127.0.0.1]\n")
	if status, out, _ := l.run(t, "status", "--lang", "en"); status != 4 || !strings.Contains(out, "Source 1: –") || !strings.Contains(out, "Trade licence\n    Overdue") {
		t.Errorf("status before: %d\n%s", status, out)
	}
	l.serve(t)
	var st struct {
		Level  string
		Bundle struct{ Version uint64 }
	}
	for st.Bundle.Version != 2 { // it is looked at every second
		time.Sleep(100 * time.Millisecond)
		st.Bundle.Version = 0
		if err := json.Unmarshal([]byte(l.get(t, l.public+"/status", "application/json")), &st); err != nil {
			t.Fatal(err)
		}
	}
	if st.Level != "soon" && st.Level != "fresh" {
		t.Errorf("level %q", st.Level)
	}
	if page := l.get(t, l.public+"/status?lang=pt", "text/html"); !strings.Contains(page, "Uma versão mais recente está em uso") {
		t.Errorf("the page: %.3000s", page)
	}
	l.stop()
	m.Close()
	l.now = asOf.AddDate(0, 1, 0)
	l.serve(t)
	if status, out, _ := l.run(t, "status", "--json"); status != 4 || !strings.Contains(out, `"level": "due"`) {
		t.Errorf("status of old lists: %d\n%s", status, out)
	}
	if health := l.get(t, l.priv+"/healthz", ""); !strings.Contains(health, `"lists due"`) {
		t.Errorf("health of old lists: %s", health)
	}
	if figures := l.get(t, l.priv+"/metrics", ""); !strings.Contains(figures, `sanad_verifier_seconds_until_due{subject="`+farmer+`",what="lists"} -`) {
		t.Error("the figures do not say that lists are overdue")
	}
}

// set adds settings.
func (l *library) set(t *testing.T, text string) {
	t.Helper()
	f := must[*os.File](t)(os.OpenFile(l.path("library/verifier.yaml"), os.O_APPEND|os.O_WRONLY, 0))
	_, err := f.WriteString(text)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// get returns what stands at an address, which must answer 200.
func (l *library) get(t *testing.T, address, accept string) string {
	t.Helper()
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))
	r.Header.Set("Accept", accept)
	res := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer res.Body.Close()
	body := must[[]byte](t)(io.ReadAll(res.Body))
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", address, res.StatusCode, body)
	}
	return string(body)
}
