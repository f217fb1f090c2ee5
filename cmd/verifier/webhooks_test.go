package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A receiver takes webhooks, or fails.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusServiceUnavailable}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, q.Header.Get("Content-Type")+" "+string(b))
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

// wait waits for so many messages, and answers the next with this status.
func (r *receiver) wait(t *testing.T, n, next int) []string {
	t.Helper()
	for {
		r.mu.Lock()
		if len(r.got) >= n {
			defer r.mu.Unlock()
			r.status = next
			return r.got
		}
		r.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

// TestWebhooks: a receiver that fails first gets its message from the server that is
// started next; meanwhile the operator sees that it waits.
func TestWebhooks(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	r := newReceiver(t)
	l.set(t, "local_hosts: [127.0.0.1]\n")
	if err := os.WriteFile(l.path("library/policies/card.yaml"), []byte(libraryPolicy+"webhook: "+r.URL+"/hook\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.serve(t)
	if status, out := l.ask(t, strings.TrimSpace(string(l.files["issued.sdjwt"]))); status != 0 {
		t.Fatalf("request: %d\n%s", status, out)
	}
	r.wait(t, 1, http.StatusServiceUnavailable)
	type view struct {
		Pending  int
		Webhooks []struct {
			ID, State, Policy, Last string
			Tries                   int
		}
	}
	list := func() (v view) {
		t.Helper()
		if err := json.Unmarshal([]byte(l.ok(t, "webhooks", "list", "--json")), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	l.stop() // what was tried is noted before it ends
	v := list()
	if len(v.Webhooks) != 1 || v.Webhooks[0].State != "retrying" || v.Webhooks[0].Last != "status_503" || v.Webhooks[0].Policy != "card" || v.Webhooks[0].Tries != 1 {
		t.Fatalf("webhooks list: %+v", v)
	}
	if out := l.ok(t, "webhooks", "list"); !strings.Contains(out, "retrying") || !strings.Contains(out, "1 failure, last: status_503") {
		t.Errorf("webhooks list:\n%s", out)
	}
	if status, _, talk := l.run(t, "webhooks", "retry", v.Webhooks[0].ID); status != 1 || !strings.Contains(talk, "no such webhook was given up") {
		t.Errorf("one that still waits is tried anew: %d\n%s", status, talk)
	}
	l.now = l.now.Add(time.Minute)
	r.wait(t, 1, http.StatusNoContent)
	l.serve(t)
	got := r.wait(t, 2, http.StatusNoContent)
	l.stop()
	if !strings.HasPrefix(got[1], "application/jwt ey") || strings.Count(got[1], ".") != 2 || got[0] == got[1] {
		t.Errorf("the second message is %.100s", got[1])
	}
	if v := list(); len(v.Webhooks) != 0 || v.Pending != 0 {
		t.Errorf("something is left: %+v", v)
	}
}
