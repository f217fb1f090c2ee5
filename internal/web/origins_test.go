package web

import "testing"

// TestOrigins: what stands in a table as an origin is one as browsers write it, so that
// a slip does not shut out the page that was meant.
func TestOrigins(t *testing.T) {
	for origin, want := range map[string]bool{
		"https://scanner.example": true, "https://scanner.example:8443": true, "http://127.0.0.1:8080": true,
		"": false, "*": false, "null": false, "scanner.example": false, "https://": false, "https://scanner.example/": false, "https://Scanner.example": false,
		"https://scanner.example/page": false, "https://u@scanner.example": false, "https://scanner.example?x": false, "ftp://scanner.example": false,
	} {
		r := Route{Method: "GET", Pattern: "/x", Name: "x", Handler: nil, Origins: []string{origin}}
		if got := isOrigin(origin); got != want {
			t.Errorf("%q is an origin: %v, want %v", origin, got, want)
		}
		if want && (r.admits(origin) != origin || r.admits("https://evil.example") != "" || r.admits("") != "") {
			t.Errorf("%q: admits %q, %q, %q", origin, r.admits(origin), r.admits("https://evil.example"), r.admits(""))
		}
	}
	any := Route{AnyOrigin: true}
	if any.admits("https://x.example") != "*" || any.admits("") != "*" {
		t.Error("a route for any origin has become one for some")
	}
}
