package web_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/web"
)

// FuzzQuery: what is read has each name once, and is what the text says to other readers,
// too.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a=1&a=2", "a=%zz", "a;b", "a=1&A=2", "%61=1&a=2", "a&a", "=", "&&&", "a=+%20", "a=\x00\xff"} {
		f.Add(seed)
	}
	boundtest.FuzzParses(f, 2, func(t *testing.T, text string) {
		v, err := web.Query(&http.Request{URL: &url.URL{RawQuery: text}})
		if err != nil {
			if v != nil {
				t.Fatalf("%q is refused and gives %v", text, v)
			}
			return
		}
		for name, all := range v {
			if len(all) != 1 {
				t.Fatalf("%q has %q %d times", text, name, len(all))
			}
		}
		again, err := web.Query(&http.Request{URL: &url.URL{RawQuery: v.Encode()}})
		if err != nil || again.Encode() != v.Encode() {
			t.Fatalf("%q: %v, written and read again %v, %v", text, v, again, err)
		}
	})
}

// FuzzClient: a client that comes by no proxy of ours counts as itself, whatever it says;
// one that comes by a proxy counts as what the last proxy said or as that proxy, and as
// nobody else that it names itself.
func FuzzClient(f *testing.F) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, seed := range []string{"", "198.51.100.1", "203.0.113.9, 192.0.2.7", "192.0.2.7, nonsense", "10.2.2.2", "::ffff:10.1.1.1", "fe80::1%eth0", ",,,", "[2001:db8::1]:443"} {
		f.Add(seed)
	}
	boundtest.Fuzz(f, func(t *testing.T, forwarded string) {
		from := func(peer string, headers ...string) string {
			return web.ClientOf(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": headers}}, proxies)
		}
		if got := from("192.0.2.7:1234", forwarded); got != "192.0.2.7/32" {
			t.Fatalf("%q: a client counts as %s", forwarded, got)
		}
		if got := from("10.1.1.1:1", forwarded, "192.0.2.7"); got != "192.0.2.7/32" {
			t.Fatalf("%q: a client behind a proxy counts as %s", forwarded, got)
		}
		if got, err := netip.ParsePrefix(from("10.1.1.1:1", forwarded)); err != nil || !got.Addr().IsValid() {
			t.Fatalf("%q: nobody, %v", forwarded, err)
		}
	})
}
