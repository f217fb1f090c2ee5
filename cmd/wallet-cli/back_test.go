package main

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"testing"
)

// TestComeBack: what any website can have the browser send to the port of a sign-in is not
// taken for its answer, and ends nothing.
func TestComeBack(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan url.Values, 1)
	go func() {
		query, err := comeBack(context.WithoutCancel(t.Context()), l, func(q url.Values) bool { return q.Get("state") == "s-1" })
		if err != nil {
			t.Error(err)
		}
		done <- query
	}()
	for _, tt := range []struct {
		query string
		want  int
	}{{"", 404}, {"?code=c&state=s-2", 404}, {"?error=access_denied", 404}, {"?code=good&state=s-1", 200}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/back"+tt.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != tt.want {
			t.Errorf("%q: %d, %v, want %d", tt.query, res.StatusCode, err, tt.want)
		}
	}
	if query := <-done; query.Get("code") != "good" {
		t.Errorf("came back with %v", query)
	}
}
